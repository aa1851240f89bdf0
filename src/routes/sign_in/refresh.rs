//! `POST /refresh`: exchanges a refresh token for its successor and a new access token.

use portcullis_core::account::session::Transport;
use portcullis_core::id::Id;
use serde::Deserialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
use crate::sessions::cookie;
use crate::sessions::refresh::{Presented, refresh};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    /// Missing if it is in the cookie.
    refresh_token: Option<String>,
    /// The access token issued with the refresh token, expired or not.
    access_token: Option<String>,
    /// The user whom the page expects.
    user_id: Option<Id>,
}

/// A token in the body is used, and the cookie is not read then.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    let (refresh_token, transport) = match body.refresh_token {
        Some(token) => (token, Transport::Body),
        None => (cookie::for_refresh(context, request)?, Transport::Cookie),
    };
    let presented = Presented {
        refresh_token: &refresh_token,
        transport,
        access_token: body.access_token.as_deref(),
        user_id: body.user_id,
    };
    Ok(refresh(context, request, presented).await?)
}
