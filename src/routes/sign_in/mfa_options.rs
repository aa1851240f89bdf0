//! `POST /login/mfa/options`: the options to complete a sign-in with a passkey.

use portcullis_core::webauthn::challenge::PasskeyPurpose;
use serde::Deserialize;

use super::passkey_options;
use crate::context::Context;
use crate::factors::pending;
use crate::http::{Reply, Request};
use crate::limits;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Tag};

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "LoginMfaOptionsRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The `mfa_token` of the sign-in.
    mfa_token: String,
}

/// Counts no try, because nothing is proved.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    limits::credentials(context, request, &[]).await?;
    let pending = pending::find(context, &body.mfa_token).await?;
    passkey_options::options(context, PasskeyPurpose::Mfa { user_id: pending.user.id, mfa_id: pending.id })
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::SignIn,
            "getLoginPasskeyOptions",
            "Get the options to complete a sign-in with a passkey",
            "The options for `navigator.credentials.get()`. Send what the browser answers to `POST /login/mfa`, as `credential`.",
        )
        .json::<Body>(&serde_json::json!({"mfa_token": ApiError::EXAMPLE_MFA_TOKEN}))
        .succeeds(passkey_options::example())
        .fails(ApiError::InvalidMfaToken)
        .uses_storage()
}
