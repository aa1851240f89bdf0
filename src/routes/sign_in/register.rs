//! `POST /register`: creates an account and its first session, or a registration that waits for the code from a mail.

use portcullis_core::account::session::Transport;
use portcullis_core::id::Id;
use serde::Deserialize;
use serde_json::{Map, Value};

#[cfg(feature = "openapi")]
use super::new_account::describe_members;
use super::new_account::{FirstFactor, Members, NewAccount};
use super::turnstile;
use crate::context::Context;
use crate::factors::password;
use crate::http::{Reply, Request};
use crate::limits;
use crate::platform::random::random;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::cookie::NewDelivery;

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "RegisterRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The e-mail address, at most 254 bytes.
    email: String,
    /// The password, which must have at least `PASSWORD_MIN_LENGTH` characters and at most 1024 bytes.
    password: String,
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
    /// A token of Turnstile with the action `register`. Checked if `TURNSTILE_SECRET` is set, and required from a source that registers
    /// often.
    turnstile_token: Option<String>,
}

/// 1. Check the rate limit, the input and the token of Turnstile, and refuse a taken name before hashing.
/// 2. Check whether the password is in a data breach, and hash it.
/// 3. Insert the account and its session in one transaction, and the code that verifies the address if `EMAIL_VERIFICATION` is `optional`.
///    If several requests use one name, the unique index accepts one of them, and the others get the same 409 as in step 1. If it is
///    `required`, a taken address is not refused, and the registration waits for the code from the mail.
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
    let password = password::check_new(context, &body.password, Some(&account.email), &account.names())?;
    turnstile::check(context, request, body.turnstile_token.as_deref()).await?;
    let found = account.find_taken(context, request).await?;
    // 2.
    let new = password::register(context, request, Id::new(random()?), found.slot, &account.email, &password).await?;
    // 3.
    let first = FirstFactor { proof: &new.proof, password: Some(&new), passkey: None, codes: None };
    account.create(context, request, &found, &first, delivery).await
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    use portcullis_core::password::PasswordError;
    describe_members(operation)
        .named(
            Tag::SignIn,
            "register",
            "Create an account",
            "Creates an account and begins its first session. If `EMAIL_VERIFICATION` is `required`, the account exists once the code from \
             the mail is sent to `POST /email/verify`, and every address is answered alike, also if an account has it.",
        )
        .json::<Body>(&serde_json::json!({
            "email": "ada@example.org",
            "password": "correct horse battery staple",
            "username": "ada",
            "name": "Ada Lovelace",
        }))
        .succeeds(Success::tokens(201, "The account was created and the user is logged in.").may_set_cookie())
        .succeeds(crate::routes::email::accepted_example("The registration waits for the code from the mail."))
        .fails(ApiError::TurnstileRequired)
        .fails(ApiError::TurnstileFailed)
        .fails(ApiError::TurnstileUnavailable)
        .fails(ApiError::UnusablePassword(PasswordError::TooShort(15)))
        .fails(ApiError::UnusablePassword(PasswordError::TooLong))
        .fails(ApiError::UnusablePassword(PasswordError::Guessable))
        .fails(ApiError::UnusablePassword(PasswordError::Breached))
        .needs_further_proofs()
        .fails(ApiError::CookieModeOff)
        .fails(ApiError::CsrfRefused)
        .hashes()
}
