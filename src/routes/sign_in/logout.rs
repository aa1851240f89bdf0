//! `POST /logout`: ends the session of the cookie, or of a token that is sent instead.

use serde::Deserialize;

use crate::context::Context;
use crate::http::{Reply, Request, RequestError};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::end::{end_by_access_token, end_by_refresh_token};
use crate::sessions::{SessionError, cookie};

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "LogoutRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// A refresh token of the session, if neither the cookie nor an access token names it.
    refresh_token: Option<String>,
}

/// 1. A refresh token in the body, or else a bearer access token, expired or not, names the session. The cookie is deleted only if it
///    belongs to that session, so that a late request of one session does not log out another one.
/// 2. Otherwise, the cookie names the session, and is deleted. Without a cookie, there is nothing to end.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    let reply = Reply::new(204);
    // 1.
    let of_cookie = cookie::session_id(context, request);
    let ended = match (&body.refresh_token, request.bearer()) {
        (Some(token), _) => Some(end_by_refresh_token(context, request, token).await?),
        (None, Ok(token)) => Some(end_by_access_token(context, request, token, of_cookie).await?),
        (None, Err(RequestError::MissingToken)) => None,
        (None, Err(error)) => return Err(error.into()),
    };
    if ended.is_some() {
        return Ok(if ended == of_cookie { cookie::delete(reply) } else { reply });
    }
    // 2.
    let Some(token) = cookie::presented(context, request)? else { return Ok(reply) };
    match end_by_refresh_token(context, request, &token).await {
        // An invalid cookie is deleted too.
        Ok(_) | Err(SessionError::RefreshToken) => Ok(cookie::delete(reply)),
        Err(error) => Err(error.into()),
    }
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::SignIn,
            "logout",
            "Log out",
            "Ends the session of the refresh token in the body; without one, of the access token, expired or not; \
             without either, of the cookie. Deletes the cookie if it belongs to that session or is invalid.",
        )
        .or_with_access_token()
        .or_with_cookie()
        .json::<Body>(&serde_json::json!({}))
        .succeeds(Success::empty(204, "The session has ended, or the request names none.").may_set_cookie())
        .fails(ApiError::SeveralCredentials)
        .fails(ApiError::InvalidRefreshToken)
        .fails(ApiError::InvalidToken)
        .fails(ApiError::ExpiredToken)
        .fails(ApiError::CsrfRefused)
        .limits_forged_tokens()
        .uses_storage()
}
