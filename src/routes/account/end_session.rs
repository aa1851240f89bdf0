//! `DELETE /sessions/{id}`: ends a session of the caller, the current one included.

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
use crate::sessions::bearer::caller;
use crate::sessions::end::end_own;

/// Returns the same 404 for a session of another user, an unknown session, an ended session and an invalid id.
pub async fn delete(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = caller(context, request).await?;
    end_own(context, request, caller, request.path_id()).await?;
    Ok(Reply::new(204))
}
