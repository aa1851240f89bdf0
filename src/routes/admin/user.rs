//! `GET /users/{id}`: one account, for admins.

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
use crate::sessions::bearer::caller;
use crate::sessions::changes::for_admin;

pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let id = request.path_id();
    let caller = caller(context, request).await?;
    let answer = context.store.find_account(caller, id, context.now).await;
    Reply::json(200, &for_admin(context, caller, answer)?)
}
