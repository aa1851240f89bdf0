//! `DELETE /me/mfa/totp`: removes the authenticator app of the caller.

use portcullis_core::account::audit::AuditEvent;
use portcullis_core::mail::factor::Factor;
use portcullis_core::mail::kind::Kind;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::mail::notice::notice;
use crate::mail::outbox;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::changes::{action, log_change};
use crate::sessions::end::settle;
use crate::sessions::enrolment::factor_changer;
use crate::store::outbox::NewMail;

/// Ends the other sessions too (ASVS 7.4.3): whoever began them may have had the app.
pub async fn delete(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let changer = factor_changer(context, request).await?;
    let (caller, credentials) = (changer.caller.caller, &changer.own.credentials);
    let account = credentials.account;
    let must_keep = context.config.policy.requires_factor(account.is_admin);
    if !account.factors.totp {
        return Err(ApiError::NotFound);
    }
    if must_keep && !account.factors.passkey {
        return Err(ApiError::LastCredential);
    }
    let detail = Factor::Totp.to_string();
    let notice = notice(context, request, Kind::FactorRemoved)?;
    let notice = notice.map(|notice| NewMail { detail: Some(&detail), ..notice });
    let action = action(context, request, caller);
    let ending = context.store.remove_totp(&action, credentials.version, must_keep, notice.as_ref()).await;
    let ended = settle(context, ending).await?;
    log_change(context, caller.user_id, None, AuditEvent::FactorRemoved, ended);
    outbox::send_after_reply(context, notice.iter().map(|notice| notice.id).collect());
    Ok(Reply::new(204))
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::Account,
            "removeTotp",
            "Remove your authenticator app",
            "Removes the authenticator app, ends the other sessions, and makes their known devices unknown. With the last factor, the \
             recovery codes go too.",
        )
        .changes_factors()
        .succeeds(Success::empty(204, "The authenticator app is removed."))
        .fails(ApiError::NotFound)
        .fails(ApiError::LastCredential)
}
