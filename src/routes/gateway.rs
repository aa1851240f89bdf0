//! `GET /verify`: whether an access token is valid, for gateways and other Workers. Checks the signature and KV, not D1.

use serde::Serialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::authenticate;
use portcullis_core::id::Id;

/// Claims of an access token.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "VerifiedToken"))]
struct Body {
    /// The id of the user.
    sub: Id,
    /// The id of the session.
    sid: Id,
    /// The roles of the user when the token was issued.
    roles: Vec<String>,
    /// When the token expires, in unix seconds.
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

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    let example = Body { sub: Id::example(), sid: Id::example(), roles: vec!["user".to_owned()], exp: 1_796_084_100 };
    operation
        .named(
            Tag::Operations,
            "verifyAccessToken",
            "Verify an access token",
            "Whether an access token is valid, for gateways. Checks the signature and the revocation marks in \
             KV, not D1.",
        )
        .with_access_token()
        .succeeds(Success::json(200, "The token is valid.", &example))
}
