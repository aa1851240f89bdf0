//! `DELETE /sessions/{id}`: ends one session of the caller.

use crate::http::{Reply, Request};
use crate::log::Event;
use crate::routes::context::Context;
use crate::routes::error::ApiError;
use portcullis_core::account::audit::RevocationReason;

/// Another person's session, an unknown one, one that has ended and a text that is no id are the same 404.
pub async fn delete(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let session_id = request.path_id;
    let caller = context.caller(request).await?;
    let reason = RevocationReason::EndedByUser;
    let revoked = context.store.revoke_own_session(caller, session_id, reason, &request.client, context.now).await;
    context.settle(revoked).await?;
    context.log(&Event::Revoked { user_id: caller.user_id, session_id, reason: reason.as_str() });
    Ok(Reply::new(204))
}
