//! `DELETE /me/passkeys/{id}`: removes a passkey of the caller.

use portcullis_core::account::audit::AuditEvent;
use portcullis_core::mail::factor::Factor;
use portcullis_core::mail::kind::Kind;
use portcullis_core::sign_in::{Account, Factors, may_lose_passkey};

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

/// Returns the same 404 for a passkey of another user and an unknown one.
///
/// 1. Check that the caller may change factors, and that another way to sign in remains.
/// 2. In one transaction, delete the passkey and end the sessions that began with it, unless the account has changed since step 1.
pub async fn delete(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    // 1.
    let changer = factor_changer(context, request).await?;
    let (caller, credentials) = (changer.caller.caller, &changer.own.credentials);
    let passkeys = context.store.list_passkeys(caller.user_id).await?;
    let passkey = passkeys.iter().find(|passkey| passkey.id == request.path_variable).ok_or(ApiError::NotFound)?;
    let factors = Factors { passkey: passkeys.len() > 1, ..credentials.account.factors };
    let account = Account { factors, ..credentials.account };
    let (has_password, email_login) = (credentials.password_hash.is_some(), context.config.email_login);
    if !may_lose_passkey(&account, &context.config.policy, has_password, email_login) {
        return Err(ApiError::LastCredential);
    }
    // 2.
    let detail = Factor::Passkey(&passkey.name).to_string();
    let notice = notice(context, request, Kind::FactorRemoved)?;
    let notice = notice.map(|notice| NewMail { detail: Some(&detail), ..notice });
    let action = action(context, request, caller);
    let removed = (passkey.id.as_str(), detail.as_str());
    let ending = context.store.remove_passkey(&action, credentials.version, removed, notice.as_ref()).await;
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
            "removePasskey",
            "Remove a passkey",
            "Removes a passkey of the caller and ends the sessions that began with it, the current one included. With the last factor, \
             the recovery codes go too.",
        )
        .changes_factors()
        .path_id("The id of the passkey.")
        .succeeds(Success::empty(204, "The passkey is removed."))
        .fails(ApiError::LastCredential)
}
