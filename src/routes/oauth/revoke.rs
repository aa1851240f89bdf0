//! `POST /revoke`: ends the session a token belongs to (RFC 7009).

use serde::Deserialize;

use crate::http::{Reply, Request, RequestError};
use crate::log::Event;
use crate::routes::context::Context;
use crate::routes::error::ApiError;
use portcullis_core::account::audit::RevocationReason;
use portcullis_core::id::Id;
use portcullis_core::token::access::{AccessToken, Purpose};
use portcullis_core::token::refresh::{PREFIX, RefreshToken, SecretHash};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    token: String,
    /// Taken and not looked at: the token tells what it is (RFC 7009 §2.1 lets a server ignore the hint).
    #[serde(rename = "token_type_hint")]
    _token_type_hint: Option<String>,
}

/// 1. A token that is not ours names no session: 200, and nothing happens (§2.2). An access token is accepted
///    until `REFRESH_IDLE_TTL_SECONDS` after its expiry, as a logout must take.
/// 2. Any genuine refresh token ends its session, the live one and a rotated-out one alike: whoever holds one has been
///    signed in, and a logout must take.
/// 3. A mark in KV that an earlier ending still owes is written too.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json_or_form(|mut parameters| {
        let token = parameters
            .remove("token")
            .ok_or_else(|| RequestError::Invalid("The parameter token is missing.".to_owned()))?;
        Ok(Body { token, _token_type_hint: parameters.remove("token_type_hint") })
    })?;
    if body.token.is_empty() {
        return Err(ApiError::InvalidRequest("The parameter token is empty.".to_owned()));
    }
    // 1.
    if let Some((session_id, secret_hash)) = session_of(context, &body.token).await? {
        // 2.
        let client = &request.client;
        let reason = RevocationReason::Logout;
        let revoked = context.store.revoke_session(session_id, secret_hash.as_ref(), reason, client, context.now).await;
        // 3.
        if let Some(user_id) = context.settle(revoked).await? {
            context.log(&Event::Revoked { user_id, session_id, reason: reason.as_str() });
        }
    }
    Ok(Reply::new(200))
}

/// The session a token belongs to; of a refresh token, with the hash of its secret.
async fn session_of(context: &Context<'_>, token: &str) -> Result<Option<(Id, Option<SecretHash>)>, ApiError> {
    if token.starts_with(PREFIX) {
        let token = RefreshToken::parse(token, &context.config.refresh_token_keys);
        return Ok(token.map(|token| (token.session_id(), Some(token.secret_hash()))));
    }
    let token = context.read_access_token(token, Purpose::Logout).await?;
    let names_session = |token: &AccessToken| context.now < token.exp.saturating_add(context.config.refresh_idle_ttl);
    Ok(token.ok().filter(names_session).map(|token| (token.sid, None)))
}
