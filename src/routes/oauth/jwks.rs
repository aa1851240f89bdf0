//! `GET /.well-known/jwks.json`: the public keys (RFC 7517 §5).

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;

/// Cache lifetime, in seconds. A new key must be published for longer than this before it signs; see `LEAD` in scripts/rotation.mjs.
pub const MAX_AGE: u32 = 300;

pub async fn get(context: &Context<'_>, _: &Request) -> Result<Reply, ApiError> {
    let config = context.config;
    let keys = config.signing_keys.public_set(context.now, config.key_overlap());
    Reply::json(200, &keys).map(|reply| reply.public(MAX_AGE))
}
