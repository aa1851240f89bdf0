//! `POST /me/password`: changes the password, ends every session and begins a new one.

use portcullis_core::identity::email::Email;
use serde::Deserialize;

use crate::context::Context;
use crate::factors::device::Devices;
use crate::factors::password;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::recent_caller;
use crate::sessions::begin;
use crate::sessions::cookie::NewDelivery;

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "ChangePasswordRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The current password, unless the account has none.
    current_password: Option<String>,
    /// The new password, which must have at least `PASSWORD_MIN_LENGTH` characters and at most 1024 bytes.
    new_password: String,
}

/// Adds the first password of an account that has none. Otherwise:
///
/// 1. Read the account, if the caller's session is in force, and check the new password.
/// 2. Check whether the new password is in a data breach, verify the current one (ASVS 6.2.3), and hash the new one.
/// 3. In one transaction, store the hash, end every session and begin a new one, unless the credentials or the session changed since
///    step 1.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let recent = recent_caller(context, request).await?;
    let caller = recent.caller;
    let body: Body = request.json()?;
    // 1.
    let own = context.store.find_own_credentials(caller, context.now).await?;
    let user = &own.credentials.user;
    let email = Email::parse(&user.email).ok();
    let names = [&user.username, &user.name, &user.given_name, &user.family_name].map(Option::as_deref);
    let new = password::check_new(context, &body.new_password, email.as_ref(), &names)?;
    let delivery = NewDelivery::renewed(context, request, own.delivery)?;
    // 2.
    let new = password::change(context, request, &recent, &own, body.current_password.as_deref(), &new).await?;
    // 3.
    let devices = Devices::presented(context, request, None);
    Ok(begin::change_password(context, request, caller, &own.credentials, &new, delivery, &devices).await?)
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    use portcullis_core::password::PasswordError;
    operation
        .named(
            Tag::Account,
            "changePassword",
            "Change your password",
            "Changes the password, ends every session, the caller's included, and begins a new one.",
        )
        .with_access_token()
        .json::<Body>(&serde_json::json!({
            "current_password": "correct horse battery staple",
            "new_password": "purple otters juggle lanterns",
        }))
        .succeeds(
            Success::tokens(200, "The tokens of a new session. All others have ended, the caller's included.")
                .may_set_cookie(),
        )
        .fails(ApiError::WrongPassword)
        .fails(ApiError::StepUpRequired)
        .needs_further_proofs()
        .fails(ApiError::TooManyAttempts(32))
        .fails(ApiError::CookieModeOff)
        .fails(ApiError::CsrfRefused)
        .fails(ApiError::UnusablePassword(PasswordError::TooShort(15)))
        .fails(ApiError::UnusablePassword(PasswordError::TooLong))
        .fails(ApiError::UnusablePassword(PasswordError::Guessable))
        .fails(ApiError::UnusablePassword(PasswordError::Breached))
        .hashes()
}
