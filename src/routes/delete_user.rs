//! `DELETE /users/{id}`: takes an account out, with everything it held, for admins.

use super::Context;
use crate::auth::id::Id;
use crate::error::ApiError;
use crate::http::{Reply, Request};
use crate::store::changes::AdminChange;

pub(super) async fn delete(context: &Context<'_>, request: &Request, id: Id) -> Result<Reply, ApiError> {
    let caller = context.caller(request).await?;
    if id == caller.user_id {
        return Err(ApiError::InvalidRequest("Your own account goes by DELETE /me, with the password.".to_owned()));
    }
    context.change_as_admin(request, caller, id, &AdminChange::Delete).await?;
    Ok(Reply::new(204))
}
