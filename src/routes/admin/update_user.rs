//! `PATCH /users/{id}`: sets a user's roles, disables or enables the account, for admins.

use serde::Deserialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
use crate::sessions::bearer::caller;
use crate::sessions::changes::{act_as_admin, for_admin};
use crate::store::admin::AdminAction;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    roles: Option<Vec<String>>,
    disabled: Option<bool>,
}

/// Disabling an account ends its sessions in the same transaction. What is so already is no error, and is not recorded.
pub async fn patch(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let id = request.path_id;
    let caller = caller(context, request).await?;
    let body: Body = request.json()?;
    if body.roles.is_none() && body.disabled.is_none() {
        return Err(ApiError::InvalidRequest("Send roles, disabled, or both.".to_owned()));
    }
    let Ok(roles) = body.roles.map(|roles| context.config.roles.choose(&roles)).transpose() else {
        // Which roles there are is for admins to know, as whether there is such an account.
        let answer = context.store.find_account(caller, id, context.now).await;
        for_admin(context, caller, answer)?;
        return Err(ApiError::UnknownRole);
    };
    let result =
        act_as_admin(context, request, caller, id, &AdminAction::Update { roles, disabled: body.disabled }).await?;
    Reply::json(200, &result.account)
}
