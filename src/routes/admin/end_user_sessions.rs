//! `DELETE /users/{id}/sessions`: ends every session of a user, for admins.

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::account::end_sessions::SessionsEnded;
use crate::routes::error::ApiError;
use crate::sessions::bearer::caller;
use crate::sessions::changes::act_as_admin;
use crate::store::admin::AdminAction;

pub async fn delete(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let id = request.path_id();
    let caller = caller(context, request).await?;
    let result = act_as_admin(context, request, caller, id, &AdminAction::EndSessions).await?;
    Reply::json(200, &SessionsEnded { sessions_ended: result.sessions_ended })
}
