//! `GET /me/mfa`: the second factors of the caller.

use portcullis_core::account::roles;
use portcullis_core::sign_in::Mfa;
use serde::Serialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::caller;

/// The second factors of a user.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "MfaResponse"))]
struct Response {
    /// The authenticator app.
    totp: Option<Totp>,
    /// Number of passkeys.
    passkeys: u64,
    /// Number of recovery codes that were not used.
    recovery_codes_left: u64,
    /// Who must have a second factor: `optional`, `admins` or `required`. The variable `MFA`.
    #[cfg_attr(feature = "openapi", schemars(extend("enum" = ["optional", "admins", "required"])))]
    mfa: &'static str,
    /// Whether the user must have one.
    required: bool,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct Totp {
    /// When it was added, in unix seconds.
    created_at: u64,
}

pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = caller(context, request).await?;
    let (user, factors) = context.store.find_own_factors(caller, context.now).await?;
    let policy = context.config.policy;
    let response = Response {
        totp: factors.totp_created_at.map(|created_at| Totp { created_at }),
        passkeys: factors.passkeys,
        recovery_codes_left: factors.recovery_codes,
        mfa: match policy.mfa {
            Mfa::Optional => "optional",
            Mfa::Admins => "admins",
            Mfa::Required => "required",
        },
        required: policy.requires_factor(roles::is_admin(&user.roles)),
    };
    Reply::json(200, &response)
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    let example = Response {
        totp: Some(Totp { created_at: 1_796_083_200 }),
        passkeys: 1,
        recovery_codes_left: 9,
        mfa: "optional",
        required: false,
    };
    operation
        .named(
            Tag::Account,
            "getMfa",
            "Get your second factors",
            "The second factors of the account, and whether it must have one.",
        )
        .with_access_token()
        .succeeds(Success::json(200, "The factors.", &example))
}
