//! `POST /login`: signs a person in by e-mail address or username, and password.

use serde::Deserialize;

use crate::factors::hashing_queue::Verified;
use crate::http::{Reply, Request};
use crate::log::Event;
use crate::routes::context::Context;
use crate::routes::error::ApiError;
use crate::store::credentials::{Credentials, LoginName};
use portcullis_core::id::Id;
use portcullis_core::identity::email::Email;
use portcullis_core::identity::username::Username;
use portcullis_core::password::Password;
use portcullis_core::password::hashing_queue::Account;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    email: Option<String>,
    username: Option<String>,
    password: String,
}

/// 1. Read the account. A name that cannot be one is an account that does not exist.
/// 2. Verify the password; for an account that is unknown or has no password do the same work, also where the failure is counted. Only then look whether
///    the account is disabled.
/// 3. Begin the session, unless the account changed since step 1; replace an outdated hash, and end the sessions that the account
///    then has too many of, in the same transaction.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    // Too long to be anybody's, whoever the account is, so nothing is given away by not hashing it.
    let Ok(password) = Password::for_login(&body.password) else {
        context.log(&Event::LoginFailed { user_id: None, reason: "password_too_long" });
        return Err(ApiError::InvalidCredentials);
    };
    // 1.
    // `account`: the name itself, whether there is such an account or not.
    let (credentials, account) = match (&body.email, &body.username) {
        (Some(email), None) => match Email::parse(email) {
            Ok(email) => (
                context.store.find_credentials(&LoginName::Email(&email)).await?,
                Account::Email(email.key().to_owned()),
            ),
            Err(_) => (None, Account::Malformed(email.clone())),
        },
        (None, Some(username)) => match Username::parse(username) {
            Ok(username) => (
                context.store.find_credentials(&LoginName::Username(&username)).await?,
                Account::Username(username.key().to_owned()),
            ),
            Err(_) => (None, Account::Malformed(username.clone())),
        },
        _ => return Err(ApiError::InvalidRequest("Send either email or username.".to_owned())),
    };
    // 2.
    let stored = credentials.as_ref().and_then(|credentials| credentials.password_hash.as_deref());
    let verified = context.verify(request, &account, &password, stored).await?;
    let Some(credentials) = &credentials else {
        return failed(context, request, None, "unknown_account").await;
    };
    let user_id = credentials.user.id;
    let unusable = |error| ApiError::Internal(format!("the password hash of user {user_id}: {error}"));
    let new_hash = match verified.map_err(unusable)? {
        Verified::Differs if stored.is_none() => return failed(context, request, Some(user_id), "no_password").await,
        Verified::Differs => return failed(context, request, Some(user_id), "wrong_password").await,
        Verified::Matches { .. } if credentials.disabled => {
            return failed(context, request, Some(user_id), "disabled").await;
        }
        Verified::Matches { new_hash } => new_hash,
    };
    begin_session(context, request, credentials, new_hash.as_deref()).await
}

async fn begin_session(
    context: &Context<'_>,
    request: &Request,
    credentials: &Credentials,
    new_hash: Option<&str>,
) -> Result<Reply, ApiError> {
    let user = &credentials.user;
    let rehashed = credentials.password_hash.as_deref().zip(new_hash);
    let token = Context::first_token(credentials.slot)?;
    let session = context.new_session(user.id, credentials.version, &token);
    let reply = context.token_response(200, user, &token, session.expires_at).await?;
    // 3.
    let max_sessions = context.config.max_sessions;
    let begun = context.store.insert_session(&session, &request.client, rehashed, max_sessions, context.now).await;
    if !context.settle(begun).await? {
        return failed(context, request, Some(user.id), "account_changed").await;
    }
    context.log(&Event::LoginSucceeded {
        user_id: user.id,
        session_id: token.session_id(),
        rehashed: rehashed.is_some(),
    });
    Ok(reply)
}

async fn failed(
    context: &Context<'_>,
    request: &Request,
    user_id: Option<Id>,
    reason: &'static str,
) -> Result<Reply, ApiError> {
    context.count_failed_login(request, user_id, None, reason).await?;
    Err(ApiError::InvalidCredentials)
}
