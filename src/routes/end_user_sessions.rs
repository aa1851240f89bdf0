//! `DELETE /users/{id}/sessions`: ends every session of somebody, for admins.

use super::Context;
use super::revoke_all::SessionsEnded;
use crate::auth::id::Id;
use crate::error::ApiError;
use crate::http::{Reply, Request};
use crate::store::changes::AdminChange;

pub(super) async fn delete(context: &Context<'_>, request: &Request, id: Id) -> Result<Reply, ApiError> {
    let caller = context.caller(request).await?;
    let changes = context.change_as_admin(request, caller, id, &AdminChange::EndSessions).await?;
    Reply::json(200, &SessionsEnded { sessions_ended: changes.sessions_ended })
}
