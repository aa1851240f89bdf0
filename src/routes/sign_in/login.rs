//! `POST /login`: logs a user in with an e-mail address or username and a password.

use portcullis_core::account::session::Transport;
use portcullis_core::mail::challenge::Purpose;
use serde::Deserialize;

use crate::context::Context;
use crate::factors::device::Devices;
use crate::factors::email_code::check_code;
use crate::factors::password::{self, RawLoginName};
use crate::http::{Reply, Request};
use crate::limits;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::cookie::NewDelivery;
use crate::sessions::{SessionError, begin};

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "LoginRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The e-mail address. Send either this or `username`.
    email: Option<String>,
    /// The username. Send either this or `email`.
    username: Option<String>,
    /// The password.
    password: String,
    /// The `challenge` of `POST /login/email`. Needed with `code` after `mail_code_required`.
    challenge: Option<String>,
    /// The code from the mail.
    code: Option<String>,
    /// How the refresh token is delivered: `body`, which is the default, or `cookie`, in cookie mode.
    transport: Option<Transport>,
    /// The `device_token` of an earlier sign-in of this user. Failed logins of others then do not delay this one. An invalid one is
    /// ignored.
    device_token: Option<String>,
    /// `false`: the session ends after at most a day without a refresh, and its cookie with the browser. The default is `true`.
    remember: Option<bool>,
}

/// 1. Compare the code from a mail, if the request has one.
/// 2. Verify the password.
/// 3. Begin the session, unless the account changed since step 2 or the code was used.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    let name = match (&body.email, &body.username) {
        (Some(email), None) => RawLoginName::Email(email),
        (None, Some(username)) => RawLoginName::Username(username),
        _ => return Err(ApiError::InvalidRequest("Send either email or username.".to_owned())),
    };
    let delivery = NewDelivery::requested(context, request, body.transport, body.remember)?;
    let devices = Devices::presented(context, request, body.device_token.as_deref());
    // 1.
    let code = match (&body.challenge, &body.code) {
        (None, None) => None,
        (Some(challenge), Some(code)) => {
            limits::credentials(context, request, &devices.user_ids()).await?;
            Some(check_code(context, challenge, code, &[Purpose::Login]).await?)
        }
        _ => return Err(ApiError::InvalidRequest("Send challenge and code together.".to_owned())),
    };
    // 2.
    let login = password::log_in(context, request, &name, &body.password, code.as_ref(), &devices).await?;
    // 3.
    match begin::log_in(context, request, &login, code.as_ref(), delivery, &devices).await {
        Err(SessionError::AccountChanged) => Err(password::account_changed(context, request, &login).await?.into()),
        reply => Ok(reply?),
    }
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::SignIn,
            "login",
            "Log in",
            "Begins a session, with an e-mail address or a username and the password. An unknown account, a \
             wrong password and a disabled account are answered identically.",
        )
        .json::<Body>(&serde_json::json!({"email": "ada@example.org", "password": "correct horse battery staple"}))
        .succeeds(Success::tokens(200, "The user is logged in.").may_set_cookie())
        .fails(ApiError::InvalidRequest("Send either email or username.".to_owned()))
        .fails(ApiError::InvalidCredentials)
        .fails(ApiError::InvalidCode)
        .fails(ApiError::MailCodeRequired)
        .fails(ApiError::TooManyAttempts(32))
        .needs_further_proofs()
        .fails(ApiError::CookieModeOff)
        .fails(ApiError::CsrfRefused)
        .uses_storage()
        .hashes()
}
