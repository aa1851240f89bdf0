//! Refresh tokens of requests, checked by their tag. The store checks whether they are live.

use portcullis_core::token::refresh::RefreshToken;

use crate::context::Context;
use crate::http::Request;
use crate::limits::{self, RateLimited};

/// Parses a refresh token; `None` if it is forged. Forged tokens are rate limited.
pub async fn open(context: &Context<'_>, request: &Request, text: &str) -> Result<Option<RefreshToken>, RateLimited> {
    let token = RefreshToken::parse(text, &context.config.refresh_token_keys);
    if token.is_none() {
        limits::bad_token(context, request).await?;
    }
    Ok(token)
}
