//! `GET /users/{id}`: one account, for admins.

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::admin;
use crate::sessions::changes::for_admin;

pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let id = request.path_id();
    let caller = admin(context, request).await?;
    let answer = context.store.find_account(caller, id, context.now).await;
    Reply::json(200, &for_admin(context, caller, answer)?)
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(Tag::Administration, "getUser", "Get a user", "One account.")
        .with_admin_token()
        .path_id("The id of the user.")
        .succeeds(Success::json(
            200,
            "The account.",
            &portcullis_core::account::user::Account {
                user: portcullis_core::account::user::User::example(),
                disabled_at: None,
            },
        ))
}
