//! `POST /register/passkey`: creates an account that has a passkey in place of a password.

use portcullis_core::account::session::Transport;
use portcullis_core::webauthn::credential::RegistrationResponse;
use serde::Deserialize;
use serde_json::{Map, Value};

#[cfg(feature = "openapi")]
use super::new_account::describe_members;
use super::new_account::{FirstFactor, Members, NewAccount};
use crate::context::Context;
use crate::factors::{passkey, recovery_code};
use crate::http::{Reply, Request};
use crate::limits;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::cookie::NewDelivery;

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "RegisterPasskeyRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// What the browser answered to the options of `POST /register/passkey/options`, by `toJSON()`.
    credential: RegistrationResponse,
    /// The e-mail address, at most 254 bytes.
    email: String,
    /// A name to log in with: 3 to 32 ASCII letters, digits, dots, underscores and hyphens.
    username: Option<String>,
    /// The name to display, at most 200 characters.
    name: Option<String>,
    /// First name, at most 200 characters.
    given_name: Option<String>,
    /// Last name, at most 200 characters.
    family_name: Option<String>,
    /// Any JSON object of at most 4096 bytes and 16 levels.
    metadata: Option<Map<String, Value>>,
    /// How the refresh token is delivered: `body`, which is the default, or `cookie`, in cookie mode.
    transport: Option<Transport>,
    /// `false`: the session ends after at most a day without a refresh, and its cookie with the browser. The default is `true`.
    remember: Option<bool>,
}

/// 1. Check the input, refuse a taken name, and check the response of the browser (WebAuthn §7.1).
/// 2. Insert the account, its passkey and its session in one transaction, or the registration that waits for the code from a mail. A
///    challenge that was used before is refused, because the account with its id exists.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    if !context.config.registration_open {
        return Err(ApiError::RegistrationClosed);
    }
    let body: Body = request.json()?;
    let delivery = NewDelivery::requested(context, request, body.transport, body.remember)?;
    limits::credentials(context, request, &[]).await?;
    // 1.
    let account = NewAccount::parse(Members {
        email: &body.email,
        username: body.username.as_deref(),
        name: body.name.as_deref(),
        given_name: body.given_name.as_deref(),
        family_name: body.family_name.as_deref(),
        metadata: body.metadata,
    })?;
    let found = account.find_taken(context, request).await?;
    let first = passkey::register(context, request, &body.credential).await?;
    // 2.
    let proof = first.proof(context, found.slot);
    let codes = recovery_code::first_set(context, first.user_id)?;
    let factor = FirstFactor { proof: &proof, password: None, passkey: Some(&first.passkey), codes: codes.as_ref() };
    match account.create(context, request, &found, &factor, delivery).await {
        Err(ApiError::PasskeyRefused) => Err(passkey::refused(context, None, "used").into()),
        reply => reply,
    }
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    let operation = operation
        .named(
            Tag::SignIn,
            "registerWithPasskey",
            "Create an account with a passkey",
            "Creates an account that has a passkey and no password, and begins its first session. If `EMAIL_VERIFICATION` is `required`, the \
             account exists once the code from the mail is sent to `POST /email/verify`, and every address is answered alike, also if an \
             account has it.",
        )
        .json::<Body>(&serde_json::json!({
            "credential": example_credential(),
            "email": "ada@example.org",
            "name": "Ada Lovelace",
        }))
        .succeeds(Success::tokens(201, "The account was created and the user is logged in.").may_set_cookie())
        .succeeds(crate::routes::email::accepted_example("The registration waits for the code from the mail."))
        .fails(ApiError::PasskeyRefused)
        .fails(ApiError::CookieModeOff)
        .fails(ApiError::CsrfRefused);
    describe_members(operation)
}

/// The answer of a browser, for the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn example_credential() -> Value {
    serde_json::json!({
        "id": "dGhlIGlkIG9mIGEgcGFzc2tleQ",
        "rawId": "dGhlIGlkIG9mIGEgcGFzc2tleQ",
        "type": "public-key",
        "response": {
            "clientDataJSON": "eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIn0",
            "attestationObject": "o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YQ",
            "transports": ["hybrid", "internal"],
        },
    })
}
