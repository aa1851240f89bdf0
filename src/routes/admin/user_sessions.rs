//! `GET /users/{id}/sessions`: the sessions of an account that are in force, for admins.

use crate::http::{Reply, Request};
use crate::routes::account::sessions;
use crate::routes::context::Context;
use crate::routes::error::ApiError;

pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let id = request.path_id;
    let caller = context.caller(request).await?;
    let query = sessions::query(request)?;
    let answer = context.store.list_sessions_of(caller, id, &query, context.now).await;
    sessions::reply(context.allowed(caller, answer)?, query.limit, caller.session_id)
}
