//! `GET /me`: the caller's user object. Reads D1, so it refuses a revoked session or a disabled account at once.

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::authenticate;

pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let token = authenticate(context, request).await?;
    let session = context.store.find_session(token.sid).await?;
    match session.filter(|session| session.is_in_force_for(token.sub, context.now)) {
        Some(session) => Reply::json(200, &session.user),
        None => Err(ApiError::InvalidToken),
    }
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    use portcullis_core::account::user::User;
    operation
        .named(
            Tag::Account,
            "getMe",
            "Get your account",
            "The user object of the caller. A session that has ended is refused at once.",
        )
        .with_access_token()
        .succeeds(Success::json(200, "The user.", &User::example()))
}
