//! `GET /users/{id}`: one account, for admins.

use crate::http::{Reply, Request};
use crate::routes::context::Context;
use crate::routes::error::ApiError;

pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let id = request.path_id;
    let caller = context.caller(request).await?;
    let answer = context.store.find_account(caller, id, context.now).await;
    Reply::json(200, &context.allowed(caller, answer)?)
}
