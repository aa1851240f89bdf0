//! `DELETE /sessions/{id}`: ends a session of the caller, the current one included.

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::caller;
use crate::sessions::end::end_own;

/// Returns the same 404 for a session of another user, an unknown session, an ended session and an invalid id.
pub async fn delete(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = caller(context, request).await?;
    end_own(context, request, caller, request.path_id()).await?;
    Ok(Reply::new(204))
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::Account,
            "endSession",
            "End one of your sessions",
            "Ends a session of the caller, the current one included.",
        )
        .with_access_token()
        .path_id("The id of the session.")
        .succeeds(Success::empty(204, "The session has ended."))
}
