//! `POST /refresh`: exchanges a refresh token for its successor and a new access token.

use portcullis_core::account::session::Transport;
use portcullis_core::id::Id;
use serde::Deserialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
#[cfg(feature = "openapi")]
use crate::sessions::TokenResponse;
use crate::sessions::cookie;
use crate::sessions::refresh::{Presented, refresh};

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "RefreshRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The refresh token of the last token response. Omit it if it is in the cookie.
    refresh_token: Option<String>,
    /// The access token issued with the refresh token, expired or not. It must belong to the same session.
    access_token: Option<String>,
    /// The user that the page expects. The token of another user is refused.
    user_id: Option<Id>,
}

/// Uses the token in the body, or else the cookie.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    let (refresh_token, transport) = match body.refresh_token {
        Some(token) => (token, Transport::Body),
        None => (cookie::for_refresh(context, request)?, Transport::Cookie),
    };
    let presented = Presented {
        refresh_token: &refresh_token,
        transport,
        access_token: body.access_token.as_deref(),
        user_id: body.user_id,
    };
    Ok(refresh(context, request, presented).await?)
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::SignIn,
            "refresh",
            "Refresh a session",
            "Exchanges the refresh token for its successor and a new access token. Every reason for a refusal is \
             answered identically, except `account_changed`. A token that was exchanged before gets the same \
             successor within `REFRESH_GRACE_SECONDS`, and ends the session after that. Without a token in the \
             body, the cookie is used, and the response sets the successor as the cookie.",
        )
        .json::<Body>(&serde_json::json!({"refresh_token": TokenResponse::EXAMPLE_REFRESH_TOKEN}))
        .succeeds(Success::tokens(200, "The successor and a new access token.").may_set_cookie())
        .or_with_cookie()
        .fails(ApiError::InvalidRefreshToken)
        .fails(ApiError::CsrfRefused)
        .fails(ApiError::OtherUser)
        .limits_forged_tokens()
        .uses_storage()
}
