//! `POST /login`: signs a person in by e-mail address or username, and password.

use serde::Deserialize;

use super::Context;
use crate::auth::email::Email;
use crate::auth::id::Id;
use crate::auth::password::{Password, Verification};
use crate::auth::profile::Username;
use crate::error::ApiError;
use crate::http::{Reply, Request, present};
use crate::log::Event;
use crate::store::users::{Credentials, LoginName};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(default, deserialize_with = "present")]
    email: Option<String>,
    #[serde(default, deserialize_with = "present")]
    username: Option<String>,
    password: String,
}

/// 1. Read the account. A name that cannot be one is an account that does not exist.
/// 2. Verify the password; for an unknown account do the same work, also where the failure is counted. Only then look whether
///    the account is disabled.
/// 3. Begin the session, unless the account changed since step 1; replace an outdated hash in the same transaction.
pub(super) async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    // Too long to be anybody's, whoever the account is, so nothing is given away by not hashing it.
    let Ok(password) = Password::presented(&body.password) else {
        context.log(&Event::LoginFailed { user_id: None, reason: "password_too_long" });
        return Err(ApiError::InvalidCredentials);
    };
    // 1.
    let credentials = match (&body.email, &body.username) {
        (Some(email), None) => match Email::parse(email) {
            Ok(email) => context.store.find_credentials(&LoginName::Email(&email)).await?,
            Err(_) => None,
        },
        (None, Some(username)) => match Username::parse(username) {
            Ok(username) => context.store.find_credentials(&LoginName::Username(&username)).await?,
            Err(_) => None,
        },
        _ => return Err(ApiError::InvalidRequest("Send either email or username.".to_owned())),
    };
    // 2.
    let Some(credentials) = credentials else {
        context.verify_absent(&password).await?;
        return failed(context, request, None, "unknown_account").await;
    };
    let user_id = credentials.user.id;
    let unusable = |error| ApiError::Internal(format!("the password hash of user {user_id}: {error}"));
    let outdated = match context.verify(&password, &credentials.password_hash).await?.map_err(unusable)? {
        Verification::Differs => return failed(context, request, Some(user_id), "wrong_password").await,
        Verification::Matches { .. } if credentials.disabled => {
            return failed(context, request, Some(user_id), "disabled").await;
        }
        Verification::Matches { outdated } => outdated,
    };
    begin_session(context, request, &password, &credentials, outdated).await
}

async fn begin_session(
    context: &Context<'_>,
    request: &Request,
    password: &Password,
    credentials: &Credentials,
    outdated: bool,
) -> Result<Reply, ApiError> {
    let user = &credentials.user;
    let new_hash = if outdated { Some(context.hash(password).await?) } else { None };
    let rehashed = new_hash.as_deref().map(|new_hash| (credentials.password_hash.as_str(), new_hash));
    let token = Context::first_token()?;
    let family = context.new_family(user.id, credentials.password_version, &token);
    let reply = context.token_response(200, user, &token, family.expires_at).await?;
    // 3.
    if !context.store.insert_session(&family, &request.client, rehashed, context.now).await? {
        return failed(context, request, Some(user.id), "account_changed").await;
    }
    context.log(&Event::LoginSucceeded { user_id: user.id, session_id: token.family_id(), rehashed: outdated });
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
