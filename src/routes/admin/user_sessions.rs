//! `GET /users/{id}/sessions`: lists the sessions of an account that are in force, for admins.

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::account::sessions;
use crate::routes::error::ApiError;
use crate::sessions::bearer::caller;
use crate::sessions::changes::for_admin;

pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let id = request.path_id();
    let caller = caller(context, request).await?;
    let query = sessions::query(request)?;
    let answer = context.store.list_sessions_of(caller, id, &query, context.now).await;
    sessions::reply(for_admin(context, caller, answer)?, query.limit, caller.session_id)
}
