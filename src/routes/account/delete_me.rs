//! `DELETE /me`: deletes the caller's account, with everything it held. Asks for the password.

use serde::Deserialize;

use crate::http::{Reply, Request};
use crate::routes::context::Context;
use crate::routes::error::ApiError;
use portcullis_core::account::audit::AuditEvent;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    current_password: String,
}

/// What remains is one entry of the audit trail: that an account of this id was deleted, and when.
pub async fn delete(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = context.caller(request).await?;
    let body: Body = request.json()?;
    let credentials = context.own_credentials(caller).await?;
    context.verify_current_password(request, caller, &credentials, &body.current_password).await?;
    let action = context.action(request, caller);
    let deleted = context.store.delete_own(&action, credentials.version).await;
    let ended = context.settle(deleted).await?;
    context.log_change(caller.user_id, None, AuditEvent::Deleted, ended);
    Ok(Reply::new(204))
}
