//! `GET /me`: the caller's user object. Reads D1, so it refuses a revoked session or a disabled account at once.

use serde::Serialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::authenticate;
use crate::store::email_changes::PendingEmail;
use portcullis_core::account::caller::Caller;
use portcullis_core::account::user::User;

/// The caller's user object.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct Me {
    #[serde(flatten)]
    user: User,
    /// The new address, if a change waits because the old mailbox is lost; otherwise omitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_email: Option<PendingEmail>,
}

pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let token = authenticate(context, request).await?;
    let caller = Caller { user_id: token.sub, session_id: token.sid };
    let (user, pending_email) = context.store.find_me(caller, context.now).await?;
    Reply::json(200, &Me { user, pending_email })
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::Account,
            "getMe",
            "Get your account",
            "The user object of the caller. A session that has ended is refused at once. `pending_email` is the address that the account gets in up to seven days.",
        )
        .with_access_token()
        .succeeds(Success::json(200, "The user.", &Me { user: User::example(), pending_email: None }))
}
