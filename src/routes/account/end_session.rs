//! `DELETE /sessions/{id}`: ends a session of the caller, the current one included.

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::{authenticated_caller, check_recent};
use crate::sessions::end::end_own;

/// To end another session than the current one, the user must have authenticated recently. Returns the same 404 for a session of another
/// user, an unknown session, an ended session and an invalid id.
pub async fn delete(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let authenticated = authenticated_caller(context, request).await?;
    let (caller, id) = (authenticated.caller, request.path_id());
    if id != caller.session_id {
        check_recent(context, &authenticated)?;
    }
    end_own(context, request, caller, id).await?;
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
        .fails(ApiError::StepUpRequired)
}
