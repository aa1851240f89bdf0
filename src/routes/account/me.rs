//! `GET /me`: the caller's user object. Reads D1, so it refuses a revoked session or a disabled account at once.

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
use crate::sessions::bearer::authenticate;

pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let token = authenticate(context, request).await?;
    let session = context.store.find_session(token.sid).await?;
    match session.filter(|session| session.is_in_force_for(token.sub, context.now)) {
        Some(session) => Reply::json(200, &session.user),
        None => Err(ApiError::InvalidToken),
    }
}
