//! `POST /me/email`: sends a code to a new address and one to the old.

use portcullis_core::identity::email::Email;
use serde::Deserialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::mail::change::send_codes;
use crate::routes::email::accepted;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Tag};
use crate::sessions::bearer::recent_caller;
use crate::sessions::changes::{action, log_change};
use portcullis_core::account::audit::AuditEvent;

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "ChangeEmailRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The new e-mail address.
    new_email: String,
}

/// The refusal of an address that the account has.
const SAME: &str = "new_email: the account has this address.";

/// The user must have authenticated recently, because the address receives the mails that set a new password (ASVS 7.5.1).
///
/// 1. Check the new address.
/// 2. Send the codes. The response does not tell whether another account has the new address.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = recent_caller(context, request).await?.caller;
    let body: Body = request.json()?;
    // 1.
    let new_email = Email::parse(&body.new_email)?;
    if context.config.mail.is_none() {
        return Err(ApiError::MailOff);
    }
    let own = context.store.find_own_credentials(caller, context.now).await?;
    // The account may have an imported address that today's rules refuse.
    let email = Email::parse(&own.credentials.user.email)?;
    if email.key() == new_email.key() {
        return Err(ApiError::InvalidRequest(SAME.to_owned()));
    }
    // 2.
    let action = action(context, request, caller);
    let challenge = send_codes(context, request, &action, &own.credentials, &email, &new_email).await?;
    log_change(context, caller.user_id, None, AuditEvent::EmailChangeRequested, 0);
    accepted(challenge)
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    use portcullis_core::identity::email::EmailError;
    operation
        .named(
            Tag::Account,
            "changeEmail",
            "Change your address",
            "Sends a code to the new address and one to the old, with which `POST /me/email/confirm` changes the address within 10 minutes. \
             Every new address is answered alike, also if another account has it, and if no mail is sent because there were too many.",
        )
        .with_access_token()
        .json::<Body>(&serde_json::json!({
            "new_email": "ada@example.com",
        }))
        .succeeds(crate::routes::email::accepted_example("The codes are on their way."))
        .fails(ApiError::InvalidRequest(SAME.to_owned()))
        .fails(ApiError::StepUpRequired)
        .fails(ApiError::MailOff)
        .fails(ApiError::UnusableEmail(EmailError::Domain))
}
