//! `GET /users/{id}/sessions`: lists the sessions of an account that are in force, for admins.

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::account::sessions;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Tag};
use crate::sessions::bearer::admin;
use crate::sessions::changes::for_admin;

pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let id = request.path_id();
    let caller = admin(context, request).await?;
    let query = sessions::query(request)?;
    let answer = context.store.list_sessions_of(caller, id, &query, context.now).await;
    sessions::reply(for_admin(context, caller, answer)?, query.limit, caller.session_id)
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::Administration,
            "listUserSessions",
            "List the sessions of a user",
            "The sessions of an account that are in force, the newest first.",
        )
        .with_admin_token()
        .path_id("The id of the user.")
        .pages()
        .succeeds(sessions::example())
}
