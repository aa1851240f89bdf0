//! `POST /me/email/confirm`: changes the address, at once or after seven days.

use portcullis_core::account::audit::AuditEvent;
use portcullis_core::account::caller::Caller;
use portcullis_core::id::Id;
use portcullis_core::mail::kind::Kind;
use serde::Deserialize;

use crate::context::Context;
use crate::factors::device::Devices;
use crate::factors::email_code::{ProvedChallenge, check_change};
use crate::http::{Reply, Request};
use crate::mail::notice::notice;
use crate::mail::outbox;
use crate::platform::random::random;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::authenticated_caller;
use crate::sessions::changes::{log_change, redemption};
use crate::sessions::{SessionError, begin};
use crate::store::outbox::NewMail;

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "ConfirmEmailRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The `challenge` that `POST /me/email` returned.
    challenge: String,
    /// The code from the mail to the new address. Case, spaces and hyphens do not matter.
    code: String,
    /// The code from the mail to the old address. Send either this or `old_mailbox`.
    old_code: Option<String>,
    /// `lost`: the old mailbox cannot be read, so the address changes in seven days.
    old_mailbox: Option<OldMailbox>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum OldMailbox {
    /// It cannot be read.
    Lost,
}

/// The refusal of a request that does not say what became of the old mailbox.
const EITHER: &str = "Send either old_code or old_mailbox.";

/// 1. Compare the codes, after the attempt is counted.
/// 2. With both, change the address, end every session and begin a new one. With the old mailbox lost, whoever has it gets seven days to cancel.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let authenticated = authenticated_caller(context, request).await?;
    let caller = authenticated.caller;
    let body: Body = request.json()?;
    if body.old_code.is_some() == body.old_mailbox.is_some() {
        return Err(ApiError::InvalidRequest(EITHER.to_owned()));
    }
    // 1.
    let (challenge, code, old_code) = (&body.challenge, &body.code, body.old_code.as_deref());
    let proved = check_change(context, caller.user_id, challenge, code, old_code).await?;
    // 2.
    if old_code.is_some() {
        let devices = Devices::presented(context, request, None);
        match begin::change_email(context, request, &authenticated, &proved, &devices).await {
            Err(SessionError::AccountChanged) => Err(ApiError::InvalidCode),
            reply => Ok(reply?),
        }
    } else {
        delay(context, request, caller, &proved).await
    }
}

/// Lets the change wait.
async fn delay(
    context: &Context<'_>,
    request: &Request,
    caller: Caller,
    proved: &ProvedChallenge,
) -> Result<Reply, ApiError> {
    let (email, _) = proved.new_email()?;
    let user_id = proved.account()?.account.user.id;
    let notice =
        notice(context, request, Kind::EmailChangePending)?.map(|notice| NewMail { detail: Some(email), ..notice });
    let redemption = redemption(context, request, proved.challenge().id, user_id);
    let salt = Id::new(random()?);
    if !context.store.delay_email_change(&redemption, caller, salt, notice.as_ref()).await? {
        return Err(ApiError::InvalidCode);
    }
    log_change(context, user_id, None, AuditEvent::EmailChangePending, 0);
    outbox::send_after_reply(context, notice.iter().map(|notice| notice.id).collect());
    Ok(Reply::new(202))
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::Account,
            "confirmEmail",
            "Confirm your new address",
            "Changes the address with the codes from both mails, ends every session, the caller's included, and begins a new one. With \
             `old_mailbox`, the address changes in seven days, and every session ends then. Until then, three mails to the old address have \
             a link that cancels the change.",
        )
        .with_access_token()
        .json::<Body>(&serde_json::json!({
            "challenge": crate::routes::email::EXAMPLE_CHALLENGE,
            "code": "7K01-QZ1M",
            "old_code": "9XB2-44TC",
        }))
        .succeeds(
            Success::tokens(200, "The address is changed. The tokens are of a new session, and all others have ended.")
                .may_set_cookie(),
        )
        .succeeds(Success::empty(202, "The address changes in seven days, unless the change is cancelled."))
        .fails(ApiError::InvalidRequest(EITHER.to_owned()))
        .fails(ApiError::InvalidCode)
        .needs_further_proofs()
        .fails(ApiError::CookieModeOff)
        .fails(ApiError::CsrfRefused)
}
