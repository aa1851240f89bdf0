//! `POST /me/mfa/recovery-codes`: replaces the recovery codes of the caller.

use portcullis_core::account::audit::AuditEvent;
use portcullis_core::mail::factor::Factor;
use portcullis_core::mail::kind::Kind;
use serde::Serialize;

use crate::context::Context;
use crate::factors::recovery_code;
use crate::http::{Reply, Request};
use crate::mail::notice::notice;
use crate::mail::outbox;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::changes::{action, log_change};
use crate::sessions::enrolment::factor_changer;
use crate::store::Denial;
use crate::store::outbox::NewMail;

/// New recovery codes.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "RecoveryCodesResponse"))]
struct Response<'a> {
    /// Ten codes. Each works once.
    recovery_codes: &'a [String],
}

/// Only an account with a factor has anything to recover.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let changer = factor_changer(context, request).await?;
    let (caller, credentials) = (changer.caller.caller, &changer.own.credentials);
    if !credentials.account.factors.any() {
        return Err(ApiError::NotFound);
    }
    let new = recovery_code::new_set(context, caller.user_id)?;
    let reply = Reply::json::<ApiError>(200, &Response { recovery_codes: &new.codes })?;
    let detail = Factor::RecoveryCodes.to_string();
    let notice = notice(context, request, Kind::FactorAdded)?;
    let notice = notice.map(|notice| NewMail { detail: Some(&detail), ..notice });
    let action = action(context, request, caller);
    let is_replaced =
        context.store.replace_recovery_codes(&action, credentials.version, &new.hashes, notice.as_ref()).await?;
    if !is_replaced {
        return Err(Denial::SessionNotInForce.into());
    }
    log_change(context, caller.user_id, None, AuditEvent::RecoveryCodesCreated, 0);
    outbox::send_after_reply(context, notice.iter().map(|notice| notice.id).collect());
    Ok(reply)
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    let codes = ["GEZDGN-BVGY3T-QOJQGE-ZDGNBV", "JBSWY3-DPEBLW-64TMMQ-QQ5XZ7"].map(str::to_owned);
    operation
        .named(
            Tag::Account,
            "replaceRecoveryCodes",
            "Get new recovery codes",
            "Ten new recovery codes, which are shown only now. The old ones are no longer valid.",
        )
        .changes_factors()
        .succeeds(Success::json(200, "The codes.", &Response { recovery_codes: &codes }))
        .fails(ApiError::FactorsOff)
        .fails(ApiError::NotFound)
}
