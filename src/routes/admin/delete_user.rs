//! `DELETE /users/{id}`: deletes an account and all its data, for admins.

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::recent_admin;
use crate::sessions::changes::act_as_admin;
use crate::store::admin::AdminAction;

pub async fn delete(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let id = request.path_id();
    let caller = recent_admin(context, request).await?;
    if id == caller.user_id {
        return Err(ApiError::InvalidRequest(
            "Delete your own account with DELETE /me, which requires the password.".to_owned(),
        ));
    }
    act_as_admin(context, request, caller, id, &AdminAction::Delete).await?;
    Ok(Reply::new(204))
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::Administration,
            "deleteUser",
            "Delete a user",
            "Deletes an account, its sessions and its data. Admins delete their own account with `DELETE /me`, \
             which requires the password.",
        )
        .with_admin_token()
        .path_id("The id of the user.")
        .succeeds(Success::empty(204, "The account, its sessions and its data are deleted."))
        .fails(ApiError::InvalidRequest(
            "Delete your own account with DELETE /me, which requires the password.".to_owned(),
        ))
        .fails(ApiError::LastAdmin)
}
