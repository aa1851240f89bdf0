//! `PATCH /me`: changes the caller's name and username.

use serde::Deserialize;

use super::Context;
use crate::auth::profile::{Edit, Name, Username};
use crate::auth::trail::Kind;
use crate::error::ApiError;
use crate::http::{Reply, Request};
use crate::store::changes::ProfileChange;

/// Roles, the address and all else are no members.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(default)]
    username: Edit<String>,
    #[serde(default)]
    name: Edit<String>,
}

pub(super) async fn patch(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = context.caller(request).await?;
    let body: Body = request.json()?;
    if !body.username.is_edit() && !body.name.is_edit() {
        return Err(ApiError::InvalidRequest("Send name, username, or both.".to_owned()));
    }
    let change = ProfileChange {
        username: body.username.check(|text| Username::parse(&text))?,
        name: body.name.check(|text| Name::parse(&text))?,
    };
    let (user, changed) = context.store.change_profile(&context.change(request, caller)?, &change).await??;
    if changed {
        context.log_change(caller.user_id, None, Kind::ProfileChanged, &[]);
    }
    Reply::json(200, &user)
}
