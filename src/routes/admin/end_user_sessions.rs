//! `DELETE /users/{id}/sessions`: ends every session of somebody, for admins.

use crate::http::{Reply, Request};
use crate::routes::context::Context;
use crate::routes::error::ApiError;
use crate::sessions::end::SessionsEnded;
use crate::store::admin::AdminAction;

pub async fn delete(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let id = request.path_id;
    let caller = context.caller(request).await?;
    let result = context.act_as_admin(request, caller, id, &AdminAction::EndSessions).await?;
    Reply::json(200, &SessionsEnded { sessions_ended: result.sessions_ended })
}
