//! `POST /passkeys/login`: logs a user in with a passkey, which counts as two factors.

use portcullis_core::account::session::Transport;
use portcullis_core::webauthn::credential::AuthenticationResponse;
use serde::Deserialize;

use crate::context::Context;
use crate::factors::device::Devices;
use crate::factors::passkey;
use crate::http::{Reply, Request};
use crate::limits;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::cookie::NewDelivery;
use crate::sessions::{SessionError, begin};

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "PasskeyLoginRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// What the browser answered to the options of `POST /passkeys/options`, by `toJSON()`.
    credential: AuthenticationResponse,
    /// How the refresh token is delivered: `body`, which is the default, or `cookie`, in cookie mode.
    transport: Option<Transport>,
    /// `false`: the session ends after at most a day without a refresh, and its cookie with the browser. The default is `true`.
    remember: Option<bool>,
    /// The `device_token` of an earlier sign-in of this user, who then gets no mail about a new device. An invalid one is ignored.
    device_token: Option<String>,
}

/// 1. Find the passkey and its owner, and check the response (WebAuthn §7.2).
/// 2. Begin the session and use the response up, in one transaction, unless it was used before or the account has changed.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    let delivery = NewDelivery::requested(context, request, body.transport, body.remember)?;
    let devices = Devices::presented(context, request, body.device_token.as_deref());
    limits::credentials(context, request, &devices.user_ids()).await?;
    // 1.
    let login = passkey::log_in(context, &body.credential).await?;
    // 2.
    let user_id = login.user.id;
    match begin::log_in_by_passkey(context, request, login, delivery, &devices).await {
        Err(SessionError::AccountChanged) => Err(passkey::too_late(context, user_id).into()),
        reply => Ok(reply?),
    }
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::SignIn,
            "logInWithPasskey",
            "Log in with a passkey",
            "Begins a session, with what the browser answered to the options of `POST /passkeys/options`. It needs neither a name nor a \
             password, and counts as two factors.",
        )
        .json::<Body>(&serde_json::json!({"credential": example_credential()}))
        .succeeds(Success::tokens(200, "The user is logged in.").may_set_cookie())
        .fails(ApiError::PasskeyRefused)
        .needs_further_proofs()
        .fails(ApiError::CookieModeOff)
        .fails(ApiError::CsrfRefused)
        .uses_storage()
}

/// The answer of a browser, for the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn example_credential() -> serde_json::Value {
    serde_json::json!({
        "id": "dGhlIGlkIG9mIGEgcGFzc2tleQ",
        "rawId": "dGhlIGlkIG9mIGEgcGFzc2tleQ",
        "type": "public-key",
        "response": {
            "clientDataJSON": "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0",
            "authenticatorData": "o3mm9u6vuaVeN4wRgDTidR5oL6ufLTCrE9ISVYbOGUcdAAAAAA",
            "signature": "MEUCIQD",
            "userHandle": "Ox-aB8RSjtFm8C2bdKgT5Q",
        },
    })
}
