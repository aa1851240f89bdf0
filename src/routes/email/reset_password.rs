//! `POST /password/reset`: sets a new password with a code or link from a mail, or the first one of an invitation.

use portcullis_core::account::audit::AuditEvent;
use portcullis_core::id::Id;
use portcullis_core::identity::email::Email;
use portcullis_core::mail::challenge::Purpose;
use portcullis_core::mail::kind::Kind;
use portcullis_core::token::device::DeviceToken;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::factors::device::Devices;
use crate::factors::email_code::{check_code, check_link};
use crate::factors::password;
use crate::http::{Reply, Request};
use crate::limits;
use crate::mail::notice::notice;
use crate::mail::outbox;
use crate::platform::random::random;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::changes::{log_change, redemption};
use crate::sessions::end::settle;

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "ResetPasswordRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The `challenge` that `POST /password/forgot` returned. Send it with `code`, or send `token`.
    challenge: Option<String>,
    /// The code from the mail. Case, spaces and hyphens do not matter.
    code: Option<String>,
    /// The token in the link of the mail, or of an invitation.
    token: Option<String>,
    /// The new password, which must have at least `PASSWORD_MIN_LENGTH` characters and at most 1024 bytes.
    new_password: String,
}

/// What a reset answers.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "ResetPasswordResponse"))]
struct Response {
    /// The number of sessions that ended.
    sessions_ended: usize,
    /// Send it with the next login of this user, for 180 days.
    device_token: String,
    /// `true` if the new password is in a list of passwords from data breaches; otherwise omitted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "openapi", schemars(extend("enum" = [true])))]
    password_breached: bool,
}

const PURPOSES: [Purpose; 2] = [Purpose::Reset, Purpose::Invite];

/// 1. Refuse a password that nobody may have, before an attempt is counted.
/// 2. Compare the code, after the attempt is counted, or the link token.
/// 3. Refuse a password made of the user's names, check it for a data breach, and hash it.
/// 4. In one transaction, spend the challenge, store the hash and end every session, unless the account has changed. No session begins:
///    the mailbox may be somebody else's, and the user may have a second factor.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    let devices = Devices::presented(context, request, None);
    limits::credentials(context, request, &devices.user_ids()).await?;
    // 1.
    password::check_new(context, &body.new_password, None, &[])?;
    // 2.
    let proved = match (&body.challenge, &body.code, &body.token) {
        (Some(challenge), Some(code), None) => check_code(context, challenge, code, &PURPOSES).await?,
        (None, None, Some(token)) => check_link(context, token, &PURPOSES).await?,
        _ => return Err(ApiError::InvalidRequest("Send either challenge and code, or token.".to_owned())),
    };
    let account = proved.account()?;
    let user = &account.account.user;
    // 3.
    let email = Email::parse(&user.email).ok();
    let names = [&user.username, &user.name, &user.given_name, &user.family_name].map(Option::as_deref);
    let new = password::check_new(context, &body.new_password, email.as_ref(), &names)?;
    let new = password::reset(context, request, user.id, &new).await?;
    // 4.
    let is_invitation = proved.challenge().purpose == Purpose::Invite;
    let event = if is_invitation { AuditEvent::InvitationAccepted } else { AuditEvent::PasswordReset };
    let notice = if is_invitation { None } else { notice(context, request, Kind::PasswordChanged)? };
    let redemption = redemption(context, request, proved.challenge().id, user.id);
    let was_mailed = proved.challenge().was_mailed();
    let ending = context.store.reset_password(&redemption, event, &new.hash, was_mailed, notice.as_ref()).await;
    let sessions_ended = settle(context, ending).await?.ok_or(ApiError::InvalidCode)?;
    log_change(context, user.id, None, event, sessions_ended);
    outbox::send_after_reply(context, notice.iter().map(|notice| notice.id).collect());
    let version = account.credentials_version.saturating_add(1);
    let device = DeviceToken::new(user.id, version, Id::new(random()?), context.now);
    let response = Response {
        sessions_ended,
        device_token: device.encode(&context.config.device_token_keys),
        password_breached: new.is_breached,
    };
    let reply = Reply::json::<ApiError>(200, &response)?;
    Ok(if context.config.cookie_mode { devices.set(context, reply, &device) } else { reply })
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    use portcullis_core::password::PasswordError;
    operation
        .named(
            Tag::SignIn,
            "resetPassword",
            "Set a new password",
            "Sets a new password with a code or a link from a mail, and ends every session of the account. It begins no session: log in \
             next. The link of an invitation sets the first password and gives the account the roles of the invitation. If the address was not verified, it is now, and the metadata from before is gone: anybody could have registered the \
             address.",
        )
        .json::<Body>(&serde_json::json!({
            "challenge": super::EXAMPLE_CHALLENGE,
            "code": "7K01-QZ1M",
            "new_password": "purple otters juggle lanterns",
        }))
        .succeeds(
            Success::json(
                200,
                "The password is changed.",
                &Response {
                    sessions_ended: 2,
                    device_token:
                        "pcdt_toDuD-8Qo8zotz4wV7lJOQAAAAAAAAAA0z4wV7lJOV6L5xgKtoDuD-8AAFEoXq2b7RyF_T6SkF0MBqEyod"
                            .to_owned(),
                    password_breached: false,
                },
            )
            .may_set_cookie(),
        )
        .fails(ApiError::InvalidRequest("Send either challenge and code, or token.".to_owned()))
        .fails(ApiError::InvalidCode)
        .fails(ApiError::UnusablePassword(PasswordError::TooShort(15)))
        .fails(ApiError::UnusablePassword(PasswordError::TooLong))
        .fails(ApiError::UnusablePassword(PasswordError::Guessable))
        .fails(ApiError::UnusablePassword(PasswordError::Breached))
        .uses_storage()
        .hashes()
}
