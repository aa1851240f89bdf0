//! `GET /me/passkeys`: the passkeys of the caller.

use portcullis_core::account::passkey::Passkey;
use serde::Serialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::caller;

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "PasskeyList"))]
struct Body {
    /// At most ten, the oldest first.
    passkeys: Vec<Passkey>,
}

pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = caller(context, request).await?;
    let passkeys = context.store.list_own_passkeys(caller, context.now).await?;
    Reply::json(200, &Body { passkeys })
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(Tag::Account, "listPasskeys", "List your passkeys", "The passkeys of the caller, the oldest first.")
        .with_access_token()
        .succeeds(Success::json(200, "The passkeys.", &Body { passkeys: vec![Passkey::example()] }))
}
