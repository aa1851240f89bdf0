//! `POST /login/email/verify`: logs a user in with a code from a mail.

use portcullis_core::account::session::Transport;
use portcullis_core::mail::challenge::Purpose;
use serde::Deserialize;

use crate::context::Context;
use crate::factors::device::Devices;
use crate::factors::email_code::check_code;
use crate::http::{Reply, Request};
use crate::limits;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::cookie::NewDelivery;
use crate::sessions::{SessionError, begin};

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "EmailLoginVerifyRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The `challenge` that `POST /login/email` returned.
    challenge: String,
    /// The code from the mail. Case, spaces and hyphens do not matter.
    code: String,
    /// How the refresh token is delivered: `body`, which is the default, or `cookie`, in cookie mode.
    transport: Option<Transport>,
    /// The `device_token` of an earlier sign-in of this user, who then gets no mail about a new device. An invalid one is ignored.
    device_token: Option<String>,
    /// `false`: the session ends after at most a day without a refresh, and its cookie with the browser. The default is `true`.
    remember: Option<bool>,
}

/// 1. Compare the code, after the attempt is counted.
/// 2. Spend the challenge and begin the session in one transaction, unless the account has changed.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    if !context.config.email_login {
        return Err(ApiError::EmailLoginOff);
    }
    let delivery = NewDelivery::requested(context, request, body.transport, body.remember)?;
    let devices = Devices::presented(context, request, body.device_token.as_deref());
    limits::credentials(context, request, &devices.user_ids()).await?;
    // 1.
    let proved = check_code(context, &body.challenge, &body.code, &[Purpose::Login]).await?;
    proved.account()?;
    // 2.
    match begin::log_in_by_mail(context, request, &proved, delivery, &devices).await {
        Err(SessionError::AccountChanged) => Err(ApiError::InvalidCode),
        reply => Ok(reply?),
    }
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::SignIn,
            "verifyEmailLogin",
            "Log in with a code",
            "Begins a session with a code that was sent to the address of the account. Five codes may be tried. If the address was not \
             verified, it is now, and the password, the metadata, the sessions and the known devices from before are gone: anybody could \
             have registered the address.",
        )
        .json::<Body>(&serde_json::json!({"challenge": crate::routes::email::EXAMPLE_CHALLENGE, "code": "7K01-QZ1M"}))
        .succeeds(Success::tokens(200, "The user is logged in.").may_set_cookie())
        .fails(ApiError::InvalidCode)
        .fails(ApiError::EmailLoginOff)
        .needs_further_proofs()
        .fails(ApiError::CookieModeOff)
        .fails(ApiError::CsrfRefused)
        .uses_storage()
}
