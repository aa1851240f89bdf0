//! Access tokens of requests, checked by signature and claims. The store checks whether the session is in force.

use std::rc::Rc;

use portcullis_core::account::caller::{AuthenticatedCaller, Caller};
use portcullis_core::sign_in::Assurance;
use portcullis_core::token::access::{AccessToken, Purpose, Rejection, Unverified, VerifiedToken};
use portcullis_core::token::verified::TokenHash;

use super::{SessionError, signing_keys};
use crate::context::Context;
use crate::http::Request;
use crate::limits;

/// Verifies the access token of a request.
pub async fn authenticate(context: &Context<'_>, request: &Request) -> Result<AccessToken, SessionError> {
    read(context, request, request.bearer()?, Purpose::Access).await
}

/// The user and the session of a request's access token. Asks the rate limit of the session if the endpoint writes.
pub async fn caller(context: &Context<'_>, request: &Request) -> Result<Caller, SessionError> {
    Ok(authenticated_caller(context, request).await?.caller)
}

/// The caller of a sensitive change, who must have authenticated in the last 300 seconds, and with two factors if the account has any.
pub async fn recent_caller(context: &Context<'_>, request: &Request) -> Result<AuthenticatedCaller, SessionError> {
    let caller = authenticated_caller(context, request).await?;
    check_recent(context, &caller)?;
    Ok(caller)
}

/// The caller of a route for admins, who must have authenticated with two factors if the policy says so.
pub async fn admin(context: &Context<'_>, request: &Request) -> Result<Caller, SessionError> {
    let caller = authenticated_caller(context, request).await?;
    check_admin(context, &caller)?;
    Ok(caller.caller)
}

/// The caller of a change by an admin, who must have authenticated in the last 300 seconds, too.
pub async fn recent_admin(context: &Context<'_>, request: &Request) -> Result<Caller, SessionError> {
    let caller = authenticated_caller(context, request).await?;
    check_admin(context, &caller)?;
    check_recent(context, &caller)?;
    Ok(caller.caller)
}

/// The caller, and how the user authenticated when the session began. Asks the rate limit of the session if the endpoint writes.
pub async fn authenticated_caller(
    context: &Context<'_>,
    request: &Request,
) -> Result<AuthenticatedCaller, SessionError> {
    let token = authenticate(context, request).await?;
    limits::writes(context, token.sid).await?;
    Ok(AuthenticatedCaller {
        caller: Caller { user_id: token.sub, session_id: token.sid },
        methods: token.methods(),
        assurance: token.assurance(),
        authenticated_at: token.auth_time.unwrap_or_default(),
    })
}

/// The caller of a change by an admin that needs two factors, whatever the policy says.
pub async fn recent_admin_aal2(context: &Context<'_>, request: &Request) -> Result<Caller, SessionError> {
    let caller = recent_caller(context, request).await?;
    if caller.assurance == Some(Assurance::Aal2) { Ok(caller.caller) } else { Err(SessionError::StepUpRequired) }
}

/// Refuses a caller who did not authenticate in the last 300 seconds, or not well enough.
pub fn check_recent(context: &Context<'_>, caller: &AuthenticatedCaller) -> Result<(), SessionError> {
    if caller.may_change(context.now) { Ok(()) } else { Err(SessionError::StepUpRequired) }
}

fn check_admin(context: &Context<'_>, caller: &AuthenticatedCaller) -> Result<(), SessionError> {
    let is_allowed = !context.config.policy.requires_factor(true) || caller.assurance == Some(Assurance::Aal2);
    if is_allowed { Ok(()) } else { Err(SessionError::StepUpRequired) }
}

/// Verifies an access token. For purposes other than access, a token whose key has expired is accepted. Forged tokens are rate limited.
pub async fn read(
    context: &Context<'_>,
    request: &Request,
    compact: &str,
    purpose: Purpose,
) -> Result<AccessToken, SessionError> {
    let verified = verify(context, compact).await;
    if matches!(verified, Err(SessionError::AccessToken(Rejection::Signature))) {
        limits::bad_token(context, request).await?;
    }
    let verified = verified?;
    let ring = signing_keys::for_token(context, verified.kid()).await?;
    let key = ring.keys().find(verified.kid()).ok_or(SessionError::AccessToken(Rejection::Signature))?;
    let token = verified.accept(purpose, context.now).map_err(SessionError::AccessToken)?;
    // `auth_time` is that of the session, which no refresh changes. So no storage has to be read.
    if purpose == Purpose::Access && !token.is_since(context.config.sessions_not_before) {
        return Err(SessionError::AccessToken(Rejection::SessionTooEarly));
    }
    // Check the key after the expiry, so that a token that expires together with its key is reported as expired.
    let is_expired = ring.keys().is_expired(key, context.now, context.config.key_overlap());
    if purpose == Purpose::Access && is_expired {
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
    let ring = signing_keys::for_token(context, unverified.kid()).await?;
    let key = ring.keys().find(unverified.kid()).filter(|key| unverified.is_for(key.verifying_key()));
    let key = key.ok_or(SessionError::AccessToken(Rejection::Signature))?;
    let is_valid = ring.verify(key, unverified.signature(), unverified.signing_input().as_bytes()).await?;
    let verified = unverified.verify((key.verifying_key(), is_valid), &context.config.parties);
    let verified = Rc::new(verified.map_err(SessionError::AccessToken)?);
    if let Some(hash) = hash {
        context.verified_tokens.borrow_mut().remember(hash, Rc::clone(&verified));
    }
    Ok(verified)
}
