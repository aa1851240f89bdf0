//! `POST /me/password`: the current password for a new one. Every session ends, and a new one begins.

use serde::Deserialize;

use crate::http::{Reply, Request};
use crate::routes::context::Context;
use crate::routes::error::ApiError;
use portcullis_core::account::audit::AuditEvent;
use portcullis_core::identity::email::Email;
use portcullis_core::password::Password;
use portcullis_core::password::hashing_queue::Account;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    current_password: String,
    new_password: String,
}

/// 1. Read the account, if the caller's session is in force, and check what is cheap.
/// 2. Verify the current password (ASVS 6.2.3), and hash the new one.
/// 3. Make the whole reply, for a session that is new as well: somebody may have a copy of the caller's tokens (ASVS 7.2.4).
/// 4. Store the hash, unless the password or the session changed since step 1, end every session and begin the new one, in one
///    transaction.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = context.caller(request).await?;
    let body: Body = request.json()?;
    // 1.
    let credentials = context.own_credentials(caller).await?;
    let user = &credentials.user;
    let email = Email::parse(&user.email).ok();
    let new =
        context.new_password(&body.new_password, email.as_ref(), user.username.as_deref(), user.name.as_deref())?;
    // 2.
    let current = Password::for_login(&body.current_password).map_err(|_| ApiError::WrongPassword)?;
    let account = Account::User(caller.user_id);
    let hashed = context
        .verify_and_hash_new(request, &account, (&current, credentials.password_hash.as_deref()), &new)
        .await??;
    let Some(new_hash) = hashed else {
        return Err(context.wrong_current_password(request, caller).await?);
    };
    // 3.
    let token = Context::first_token(credentials.slot)?;
    let session = context.new_session(user.id, credentials.version.saturating_add(1), &token);
    let reply = context.token_response(200, user, &token, session.expires_at).await?;
    // 4.
    let action = context.action(request, caller);
    let changed = context.store.change_password(&action, credentials.version, &new_hash, &session).await;
    let ended = context.settle(changed).await?;
    context.log_change(caller.user_id, None, AuditEvent::PasswordChanged, ended);
    Ok(reply)
}
