//! `DELETE /me`: deletes the caller's account and all its data. The user must have authenticated recently.

use crate::context::Context;
use crate::factors::device::Devices;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::recent_caller;
use crate::sessions::changes::{action, log_change};
use crate::sessions::cookie;
use crate::sessions::end::settle;
use portcullis_core::account::audit::AuditEvent;

/// Only one audit entry remains: the id of the account and the time of its deletion.
pub async fn delete(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = recent_caller(context, request).await?.caller;
    let own = context.store.find_own_credentials(caller, context.now).await?;
    let action = action(context, request, caller);
    let deleted = context.store.delete_own(&action, own.credentials.version).await;
    let ended = settle(context, deleted).await?;
    log_change(context, caller.user_id, None, AuditEvent::Deleted, ended);
    let reply = Reply::new(204);
    let is_of_caller = cookie::session_id(context, request) == Some(caller.session_id);
    let reply = if is_of_caller { cookie::delete(reply) } else { reply };
    Ok(Devices::presented(context, request, None).remove(context, reply, caller.user_id))
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(Tag::Account, "deleteMe", "Delete your account", "Deletes the account, its sessions and its data.")
        .with_access_token()
        .succeeds(Success::empty(204, "The account, its sessions and its data are deleted.").may_set_cookie())
        .fails(ApiError::StepUpRequired)
        .fails(ApiError::LastAdmin)
}
