//! `DELETE /users/{id}/sessions`: ends every session of a user, for admins.

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::account::end_sessions::SessionsEnded;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::recent_admin;
use crate::sessions::changes::act_as_admin;
use crate::store::admin::AdminAction;

pub async fn delete(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let id = request.path_id();
    let caller = recent_admin(context, request).await?;
    let result = act_as_admin(context, request, caller, id, &AdminAction::EndSessions).await?;
    Reply::json(200, &SessionsEnded { sessions_ended: result.sessions_ended })
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::Administration,
            "endUserSessions",
            "End the sessions of a user",
            "Ends every session of an account.",
        )
        .with_admin_token()
        .path_id("The id of the user.")
        .succeeds(Success::json(200, "The sessions have ended.", &SessionsEnded { sessions_ended: 2 }))
}
