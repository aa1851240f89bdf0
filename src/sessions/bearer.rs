//! Access tokens of requests, checked by signature and claims. The store checks whether the session is in force.

use std::rc::Rc;

use portcullis_core::account::caller::Caller;
use portcullis_core::token::access::{AccessToken, Purpose, Rejection, Unverified, VerifiedToken};
use portcullis_core::token::keys::KeyState;
use portcullis_core::token::verified::TokenHash;

use super::SessionError;
use crate::context::Context;
use crate::http::Request;
use crate::limits;

/// Verifies the access token of a request.
pub async fn authenticate(context: &Context<'_>, request: &Request) -> Result<AccessToken, SessionError> {
    read(context, request, request.bearer()?, Purpose::Access).await
}

/// The user and the session of a request's access token. Asks the rate limit of the session if the endpoint writes.
pub async fn caller(context: &Context<'_>, request: &Request) -> Result<Caller, SessionError> {
    let token = authenticate(context, request).await?;
    limits::writes(context, token.sid).await?;
    Ok(Caller { user_id: token.sub, session_id: token.sid })
}

/// Verifies an access token. For purposes other than access, a token whose key has expired is accepted. Forged tokens are rate limited.
pub async fn read(
    context: &Context<'_>,
    request: &Request,
    compact: &str,
    purpose: Purpose,
) -> Result<AccessToken, SessionError> {
    let keys = &context.config.signing_keys;
    let verified = verify(context, compact).await;
    if matches!(verified, Err(SessionError::AccessToken(Rejection::Signature))) {
        limits::bad_token(context, request).await?;
    }
    let verified = verified?;
    let key = keys.find(verified.kid()).ok_or(SessionError::AccessToken(Rejection::Signature))?;
    let token = verified.accept(purpose, context.now).map_err(SessionError::AccessToken)?;
    // Check the key after the expiry, so that a token that expires together with its key is reported as expired.
    let state = keys.state(key, context.now, context.config.key_overlap());
    if purpose == Purpose::Access && state == KeyState::Expired {
        return Err(SessionError::AccessToken(Rejection::Signature));
    }
    Ok(token)
}

/// Verifies the signature and parses the claims. Does not check any expiry.
async fn verify(context: &Context<'_>, compact: &str) -> Result<Rc<VerifiedToken>, SessionError> {
    let hash = TokenHash::new(compact);
    if let Some(verified) = hash.and_then(|hash| context.verified_tokens.borrow().find(hash)) {
        return Ok(verified);
    }
    let unverified = Unverified::parse(compact).map_err(SessionError::AccessToken)?;
    let key = context.config.signing_keys.find(unverified.kid()).filter(|key| unverified.is_for(key.verifying_key()));
    let key = key.ok_or(SessionError::AccessToken(Rejection::Signature))?;
    let is_valid = context.keys.verify(key, unverified.signature(), unverified.signing_input().as_bytes()).await?;
    let verified = unverified.verify((key.verifying_key(), is_valid), &context.config.parties);
    let verified = Rc::new(verified.map_err(SessionError::AccessToken)?);
    if let Some(hash) = hash {
        context.verified_tokens.borrow_mut().remember(hash, Rc::clone(&verified));
    }
    Ok(verified)
}
