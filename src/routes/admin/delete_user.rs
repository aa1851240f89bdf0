//! `DELETE /users/{id}`: takes an account out, with everything it held, for admins.

use crate::http::{Reply, Request};
use crate::routes::context::Context;
use crate::routes::error::ApiError;
use crate::store::admin::AdminAction;

pub async fn delete(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let id = request.path_id;
    let caller = context.caller(request).await?;
    if id == caller.user_id {
        return Err(ApiError::InvalidRequest("Your own account goes by DELETE /me, with the password.".to_owned()));
    }
    context.act_as_admin(request, caller, id, &AdminAction::Delete).await?;
    Ok(Reply::new(204))
}
