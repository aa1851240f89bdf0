//! `DELETE /sessions/{id}`: ends one session of the caller, which may be its own.

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
use crate::sessions::bearer::caller;
use crate::sessions::end::end_own;

/// A session of another user, an unknown one, one that has ended and an invalid id are the same 404.
pub async fn delete(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = caller(context, request).await?;
    end_own(context, request, caller, request.path_id).await?;
    Ok(Reply::new(204))
}
