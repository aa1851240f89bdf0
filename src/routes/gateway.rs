//! `GET /verify`: whether an access token is valid, for gateways and other Workers. Checks the signature and KV, not D1.

use serde::Serialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
use crate::sessions::bearer::authenticate;
use portcullis_core::id::Id;

#[derive(Serialize)]
struct Body {
    sub: Id,
    sid: Id,
    roles: Vec<String>,
    exp: u64,
}

/// If KV does not answer, this returns 503.
pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let token = authenticate(context, request).await?;
    if context.store.is_marked_revoked(token.sid).await? {
        return Err(ApiError::InvalidToken);
    }
    Reply::json(200, &Body { sub: token.sub, sid: token.sid, roles: token.roles, exp: token.exp })
}
