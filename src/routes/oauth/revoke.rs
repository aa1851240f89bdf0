//! `POST /revoke`: ends the session of a token (RFC 7009).

use serde::Deserialize;

use crate::context::Context;
use crate::http::{Reply, Request, RequestError};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
#[cfg(feature = "openapi")]
use crate::sessions::TokenResponse;
use crate::sessions::end::end_by_token;

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "RevokeRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// A refresh token or an access token.
    token: String,
    /// Ignored, as RFC 7009 §2.1 allows: the form of a token shows its type.
    #[serde(rename = "token_type_hint")]
    _token_type_hint: Option<String>,
}

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
    end_by_token(context, request, &body.token).await?;
    Ok(Reply::new(200))
}

/// The parameters of the form, as those of introspection.
#[cfg(feature = "openapi")]
#[derive(schemars::JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct SessionTokenParameters {
    /// A refresh token or an access token.
    token: String,
    /// Ignored: the form of a token shows its type.
    token_type_hint: Option<String>,
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    let example = serde_json::json!({"token": TokenResponse::EXAMPLE_REFRESH_TOKEN});
    operation
        .named(
            Tag::OAuth,
            "revokeToken",
            "End the session of a token",
            "Ends the session of a refresh token or an access token (RFC 7009). Accepts rotated-out refresh \
             tokens, and access tokens that expired less than `REFRESH_IDLE_TTL_SECONDS` ago.",
        )
        .form::<SessionTokenParameters>(example.clone())
        .json::<Body>(&example)
        .succeeds(Success::empty(200, "The session has ended. The same for an unknown, expired or malformed token."))
        .fails(ApiError::InvalidRequest("The parameter token is missing.".to_owned()))
        .limits_forged_tokens()
        .uses_storage()
}
