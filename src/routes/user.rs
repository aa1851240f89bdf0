//! `GET /users/{id}`: one account, for admins.

use super::Context;
use crate::auth::id::Id;
use crate::error::ApiError;
use crate::http::{Reply, Request};

pub(super) async fn get(context: &Context<'_>, request: &Request, id: Id) -> Result<Reply, ApiError> {
    let caller = context.caller(request).await?;
    let answer = context.store.find_account(caller, id, context.now).await?;
    Reply::json(200, &context.allowed(caller, answer)?)
}
