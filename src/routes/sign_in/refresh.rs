//! `POST /refresh`: exchanges a refresh token for its successor and a new access token.

use serde::Deserialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
use crate::sessions::refresh::refresh;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    refresh_token: String,
    /// The access token issued with the refresh token, expired or not.
    access_token: Option<String>,
}

pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    Ok(refresh(context, request, &body.refresh_token, body.access_token.as_deref()).await?)
}
