//! `POST /me/password`: the current password for a new one. Every other session ends.

use serde::Deserialize;

use super::Context;
use super::revoke_all::SessionsEnded;
use crate::auth::email::Email;
use crate::auth::trail::Kind;
use crate::error::ApiError;
use crate::http::{Reply, Request};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    current_password: String,
    new_password: String,
}

/// 1. Read the account, if the caller's session is in force, and check what is cheap.
/// 2. Verify the current password (ASVS 6.2.3), and hash the new one.
/// 3. Store it, unless the password or the session changed since step 1, and end the other sessions, in one transaction.
pub(super) async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = context.caller(request).await?;
    let body: Body = request.json()?;
    // 1.
    let credentials = context.own_credentials(caller).await?;
    let user = &credentials.user;
    let email = Email::parse(&user.email).ok();
    let new =
        context.chosen_password(&body.new_password, email.as_ref(), user.username.as_deref(), user.name.as_deref())?;
    // 2.
    context.verify_current_password(request, caller, &credentials, &body.current_password).await?;
    let new_hash = context.hash(&new).await?;
    // 3.
    let change = context.change(request, caller)?;
    let ended = context.store.change_password(&change, credentials.password_version, &new_hash).await??;
    context.mark_all_revoked(&ended).await;
    context.log_change(caller.user_id, None, Kind::PasswordChanged, &ended);
    Reply::json(200, &SessionsEnded { sessions_ended: ended.len() })
}
