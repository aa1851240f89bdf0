//! `POST /register`: creates an account and its first session, or a registration that waits for the code from a mail.

use std::time::Duration;

use portcullis_core::account::metadata::Metadata;
use portcullis_core::account::session::Transport;
use portcullis_core::account::user::User;
use portcullis_core::id::Id;
use portcullis_core::identity::display_name::Name;
use portcullis_core::identity::email::Email;
use portcullis_core::identity::username::Username;
use portcullis_core::mail::challenge::Purpose;
use portcullis_core::mail::kind::Kind;
use serde::Deserialize;
use serde_json::{Map, Value};
use worker::Delay;

use super::turnstile;
use crate::config::EmailVerification;
use crate::context::Context;
use crate::factors::device::Devices;
use crate::factors::password;
use crate::http::{Reply, Request};
use crate::limits;
use crate::log::{self, Event};
use crate::mail::registration::prepare_registration;
use crate::mail::{self, CodeRequest, MailError, Recipient, Requester};
use crate::platform::random::random;
use crate::routes::email::accepted;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::SessionError;
use crate::sessions::begin::{self, Registration};
use crate::sessions::cookie::NewDelivery;
use crate::store::challenges::NewCode;
use crate::store::registration::{Availability, NewUser};
use crate::store::{StoreError, TakenName};

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
///    If several requests use one name, the unique index accepts one of them, and the others get the same 409 as in step 1.
///
/// If `EMAIL_VERIFICATION` is `required`, a taken address is not refused, and step 3 is [`wait_for_code`].
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    if !context.config.registration_open {
        return Err(ApiError::RegistrationClosed);
    }
    let body: Body = request.json()?;
    let delivery = NewDelivery::requested(context, request, body.transport, body.remember)?;
    limits::credentials(context, request, &[]).await?;
    // 1.
    let email = Email::parse(&body.email)?;
    let username = body.username.as_deref().map(Username::for_registration).transpose()?;
    let parse =
        |text: &Option<String>, member| text.as_deref().map(Name::parse).transpose().map_err(ApiError::name(member));
    let name = parse(&body.name, "name")?;
    let given_name = parse(&body.given_name, "given_name")?;
    let family_name = parse(&body.family_name, "family_name")?;
    let metadata = body.metadata.map(Metadata::new).transpose().map_err(ApiError::metadata("metadata"))?;
    let (username_text, name_text) = (username.as_ref().map(Username::as_str), name.as_ref().map(Name::as_str));
    let names =
        [username_text, name_text, given_name.as_ref().map(Name::as_str), family_name.as_ref().map(Name::as_str)];
    let password = password::check_new(context, &body.password, Some(&email), &names)?;
    turnstile::check(context, request, body.turnstile_token.as_deref()).await?;
    let found = context.store.find_taken(&email, username.as_ref(), context.now).await?;
    // Check the username first, so that a request with a taken username cannot test whether an address is registered.
    if found.username_taken {
        return Err(refused(context, request, &email, TakenName::Username).await?);
    }
    let is_required = context.config.email_verification == EmailVerification::Required;
    if found.email_taken() && !is_required {
        return Err(refused(context, request, &email, TakenName::Email).await?);
    }
    // 2.
    let user = User {
        id: Id::new(random()?),
        email: email.address().to_owned(),
        email_verified: false,
        username: username_text.map(str::to_owned),
        name: name_text.map(str::to_owned),
        given_name: given_name.as_ref().map(|name| name.as_str().to_owned()),
        family_name: family_name.as_ref().map(|name| name.as_str().to_owned()),
        metadata: metadata.clone(),
        app_metadata: None,
        // Never read from a request.
        roles: context.config.roles.first(),
        created_at: context.now,
    };
    let new = password::register(context, request, user.id, found.slot, &email, &password).await?;
    // 3.
    let new_user = NewUser {
        id: user.id,
        email: &email,
        slot: found.slot,
        username: username.as_ref(),
        name: name.as_ref(),
        given_name: given_name.as_ref(),
        family_name: family_name.as_ref(),
        metadata: metadata.as_ref(),
        password_hash: Some(&new.hash),
        roles: &user.roles,
    };
    let devices = Devices::presented(context, request, None);
    if is_required {
        return wait_for_code(context, request, &new_user, &found, &devices).await;
    }
    let code = verification(context, request, &user, &email, &devices)?;
    let challenge = code.as_ref().map(|code| context.config.challenge_keys.seal(code.challenge.id));
    let (code, challenge) = (code.as_ref(), challenge.as_deref());
    let registration = Registration { password: &new, new_user: &new_user, user: &user, code, challenge };
    match begin::register(context, request, &registration, delivery, &devices).await {
        Err(SessionError::Store(StoreError::Conflict(taken))) => Err(refused(context, request, &email, taken).await?),
        reply => {
            let reply = reply?;
            code.map(|code| mail::sent(context, code));
            Ok(reply)
        }
    }
}

/// The code that verifies the address of the new account, if `EMAIL_VERIFICATION` is `optional`.
fn verification<'a>(
    context: &Context<'_>,
    request: &Request,
    user: &'a User,
    email: &'a Email,
    devices: &'a Devices,
) -> Result<Option<NewCode<'a>>, MailError> {
    if context.config.email_verification != EmailVerification::Optional {
        return Ok(None);
    }
    let recipient = Some(Recipient { user_id: user.id, credentials_version: 0, email: &user.email, is_proved: false });
    let requester = Requester::Anybody(devices);
    let code = CodeRequest { purpose: Purpose::Verify, kind: Kind::Verify, email, recipient, requester };
    mail::prepare(context, request, &code).map(Some)
}

/// Inserts a registration that waits for its code, and sends the code. An address that is taken has the same response and costs the same
/// work up to there: its user gets another mail, and sees the attempt in the audit trail.
async fn wait_for_code(
    context: &Context<'_>,
    request: &Request,
    new_user: &NewUser<'_>,
    found: &Availability,
    devices: &Devices,
) -> Result<Reply, ApiError> {
    let code = prepare_registration(context, request, new_user.id, new_user.email, found, devices)?;
    let (client, request_id, now) = (&request.client, context.request_id, context.now);
    context.store.insert_registration(new_user, &code, client, request_id, now).await?;
    if found.email_taken() {
        log::write(request_id, &Event::RegistrationRefused { reason: "email_taken" });
    }
    count_attempt_after_reply(context, request, new_user.email);
    accepted(mail::sent(context, &code))
}

/// Counts the attempt in the audit trail of the account with the address, if there is one, after the reply.
fn count_attempt_after_reply(context: &Context<'_>, request: &Request, email: &Email) {
    let (store, email, client) = (context.store.renewed(), email.clone(), request.client.clone());
    let (now, request_id, logs_costs) = (context.now, context.request_id, context.config.log_costs);
    context.background.wait_until(async move {
        // Let the runtime send the reply first.
        Delay::from(Duration::ZERO).await;
        if let Err(error) = store.count_registration_attempt(&email, &client, now).await {
            log::write(request_id, &Event::StorageFault { cause: &error.to_string() });
        }
        if logs_costs {
            log::write_costs(request_id, "RegistrationAttempts", None, store.costs());
        }
    });
}

/// Logs that a name is taken. The owner of an address sees the attempt in the audit trail.
async fn refused(
    context: &Context<'_>,
    request: &Request,
    email: &Email,
    taken: TakenName,
) -> Result<ApiError, ApiError> {
    let reason = match taken {
        TakenName::Username => "username_taken",
        TakenName::Email => {
            context.store.count_registration_attempt(email, &request.client, context.now).await?;
            "email_taken"
        }
    };
    log::write(context.request_id, &Event::RegistrationRefused { reason });
    Ok(ApiError::Taken(taken))
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    use portcullis_core::account::metadata::MetadataError;
    use portcullis_core::identity::display_name::NameError;
    use portcullis_core::identity::email::EmailError;
    use portcullis_core::identity::username::UsernameError;
    use portcullis_core::password::PasswordError;
    operation
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
        .fails(ApiError::RegistrationClosed)
        .fails(ApiError::TurnstileRequired)
        .fails(ApiError::TurnstileFailed)
        .fails(ApiError::TurnstileUnavailable)
        .fails(ApiError::Taken(TakenName::Email))
        .fails(ApiError::Taken(TakenName::Username))
        .fails(ApiError::UnusableEmail(EmailError::Domain))
        .fails(ApiError::UnusableUsername(UsernameError::Malformed))
        .fails(ApiError::UnusableUsername(UsernameError::Reserved))
        .fails(ApiError::UnusableName("name", NameError))
        .fails(ApiError::UnusableMetadata("metadata", MetadataError::TooLong))
        .fails(ApiError::UnusableMetadata("metadata", MetadataError::TooDeep))
        .fails(ApiError::UnusablePassword(PasswordError::TooShort(15)))
        .fails(ApiError::UnusablePassword(PasswordError::TooLong))
        .fails(ApiError::UnusablePassword(PasswordError::Guessable))
        .fails(ApiError::UnusablePassword(PasswordError::Breached))
        .fails(ApiError::CookieModeOff)
        .fails(ApiError::CsrfRefused)
        .uses_storage()
        .hashes()
}
