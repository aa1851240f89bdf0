//! `GET /.well-known/jwks.json`: the public keys (RFC 7517 §5).

use super::Context;
use crate::error::ApiError;
use crate::http::Reply;

/// Seconds. A new key is to be published for longer than this before it signs.
pub(super) const MAX_AGE: u32 = 300;

pub(super) fn get(context: &Context<'_>) -> Result<Reply, ApiError> {
    Ok(Reply::json(200, &context.config.signing_keys.public_set())?.public(MAX_AGE))
}
