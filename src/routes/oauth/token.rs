//! `POST /token`: the OAuth token endpoint (RFC 6749 §3.2). Supports only the refresh token grant (§6).

use portcullis_core::account::session::Transport;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
#[cfg(feature = "openapi")]
use crate::sessions::TokenResponse;
use crate::sessions::refresh::{Presented, refresh};

/// The parameters by which a client authenticates in the body (RFC 6749 §2.3.1, RFC 7521 §4.2).
pub const CREDENTIALS: [&str; 3] = ["client_secret", "client_assertion", "client_assertion_type"];

/// Refreshes a session like `/refresh`, with the parameters and errors of OAuth.
///
/// 1. Clients are public and have no credentials. A client that sends some is refused (RFC 10017 §6.3.3.1): if they were ignored, it
///    would believe that they were checked. An access token in the header is ignored, since some libraries always send one.
/// 2. Tokens have no scope. A requested scope is ignored (RFC 6749 §3.3), since some libraries always send one.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let parameters = request.form()?;
    let has = |name: &str| parameters.contains_key(name);
    let required = |name: &str| {
        parameters.get(name).ok_or_else(|| ApiError::InvalidRequest(format!("The parameter {name} is missing.")))
    };
    if required("grant_type")? != "refresh_token" {
        return Err(ApiError::UnsupportedGrantType);
    }
    // 1.
    match (request.has_client_authorization(), CREDENTIALS.into_iter().any(has)) {
        (false, false) => {}
        (true, false) => return Err(ApiError::UnauthenticatedClient),
        (false, true) => return Err(ApiError::InvalidClient),
        (true, true) => {
            return Err(ApiError::InvalidRequest("A client must authenticate in only one way.".to_owned()));
        }
    }
    if parameters.get("client_id").is_some_and(|id| *id != context.config.parties.client_id) {
        return Err(ApiError::InvalidClient);
    }
    // 2.
    let refresh_token = required("refresh_token")?;
    let presented = Presented { refresh_token, transport: Transport::Body, access_token: None, user_id: None };
    Ok(refresh(context, request, presented).await?)
}

/// The parameters of the form.
#[cfg(feature = "openapi")]
#[derive(schemars::JsonSchema)]
#[schemars(rename = "TokenParameters")]
#[expect(dead_code, reason = "only its schema is used")]
struct Parameters {
    /// Always `refresh_token`.
    #[schemars(extend("enum" = ["refresh_token"]))]
    grant_type: String,
    /// The refresh token of the last token response.
    refresh_token: String,
    /// `CLIENT_ID`, if it is sent.
    client_id: Option<String>,
    /// Ignored: tokens have no scope.
    scope: Option<String>,
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::OAuth,
            "exchangeRefreshToken",
            "Refresh a session, for OAuth libraries",
            "Does what `/refresh` does, with the parameters and errors of OAuth (RFC 6749 §6). A `scope` is \
             ignored, and so is an access token in the header.",
        )
        .form::<Parameters>(serde_json::json!({
            "grant_type": "refresh_token",
            "refresh_token": TokenResponse::EXAMPLE_REFRESH_TOKEN,
        }))
        .succeeds(Success::tokens(200, "The successor and a new access token."))
        .fails(ApiError::InvalidRequest("The parameter grant_type is missing.".to_owned()))
        .fails(ApiError::InvalidRefreshToken)
        .fails(ApiError::UnsupportedGrantType)
        .fails(ApiError::InvalidClient)
        .fails(ApiError::UnauthenticatedClient)
        .limits_forged_tokens()
        .uses_storage()
}
