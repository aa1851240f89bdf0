//! `POST /login`: logs a user in with an e-mail address or username and a password.

use portcullis_core::account::session::Transport;
use serde::Deserialize;

use crate::context::Context;
use crate::factors::password::{self, RawLoginName};
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
use crate::sessions::cookie::NewDelivery;
use crate::sessions::{SessionError, begin};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    email: Option<String>,
    username: Option<String>,
    password: String,
    transport: Option<Transport>,
    remember: Option<bool>,
}

/// 1. Verify the password.
/// 2. Begin the session, unless the account changed since step 1.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    let name = match (&body.email, &body.username) {
        (Some(email), None) => RawLoginName::Email(email),
        (None, Some(username)) => RawLoginName::Username(username),
        _ => return Err(ApiError::InvalidRequest("Send either email or username.".to_owned())),
    };
    let delivery = NewDelivery::requested(context, request, body.transport, body.remember)?;
    // 1.
    let login = password::log_in(context, request, &name, &body.password).await?;
    // 2.
    match begin::log_in(context, request, &login, delivery).await {
        Err(SessionError::AccountChanged) => {
            Err(password::failed(context, request, Some(login.user.id), "account_changed").await?.into())
        }
        reply => Ok(reply?),
    }
}
