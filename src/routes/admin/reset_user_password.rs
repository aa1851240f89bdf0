//! `POST /users/{id}/password-reset`: sends a user a link with which to set a new password, for admins.

use portcullis_core::account::audit::AuditEvent;
use portcullis_core::mail::challenge::Purpose;
use portcullis_core::mail::kind::Kind;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::mail::{outbox, prepare_for_admin};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::recent_admin;
use crate::sessions::changes::{action, for_admin, log_change};
use crate::store::invitations::StartedReset;

const DISABLED: &str = "The account is disabled. Enable it first.";

/// The password stays valid until the user sets a new one. The admin learns neither code nor link.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let id = request.path_id();
    let caller = recent_admin(context, request).await?;
    if context.config.mail.is_none() {
        // Check first that the caller is an admin and the account exists, as if mails were sent.
        for_admin(context, caller, context.store.find_account(caller, id, context.now).await)?;
    }
    let code = prepare_for_admin(context, request, Purpose::Reset, Kind::Reset, None)?;
    let answer = context.store.start_reset(&action(context, request, caller), id, &code).await;
    match for_admin(context, caller, answer)? {
        StartedReset::Started => {}
        StartedReset::Disabled => return Err(ApiError::InvalidRequest(DISABLED.to_owned())),
        StartedReset::TooMany => return Err(ApiError::TooManyRequests(Purpose::Reset.ttl())),
    }
    log_change(context, id, Some(caller.user_id), AuditEvent::PasswordResetStarted, 0);
    outbox::send_after_reply(context, vec![code.mail_id]);
    Ok(Reply::new(202))
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::Administration,
            "resetUserPassword",
            "Send a user a link to set a new password",
            "Sends a code and a link to the address of the account, with which `POST /password/reset` sets a new password within 30 \
             minutes. The current password stays valid until then. At most three such mails are live at once.",
        )
        .with_admin_token()
        .path_id("The id of the user.")
        .succeeds(Success::empty(202, "A mail is on its way."))
        .fails(ApiError::InvalidRequest(DISABLED.to_owned()))
        .fails(ApiError::MailOff)
        .fails(ApiError::TooManyRequests(1_800))
}
