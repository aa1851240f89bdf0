//! `GET /.well-known/passkey-endpoints`: where users add and manage passkeys, for password managers
//! (<https://w3c.github.io/webappsec-passkey-endpoints/passkey-endpoints.html>).

use serde::Serialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "PasskeyEndpoints"))]
struct Body {
    /// The page on which users add a passkey.
    enroll: String,
    /// The page on which users manage their passkeys.
    manage: String,
}

/// Returns 404 if the account pages are off.
#[expect(clippy::unused_async, reason = "the table awaits every handler")]
pub async fn get(context: &Context<'_>, _: &Request) -> Result<Reply, ApiError> {
    if !context.config.pages.account {
        return Err(ApiError::NotFound);
    }
    let page = format!("{}/account/security", context.config.parties.issuer);
    Reply::json(200, &Body { enroll: page.clone(), manage: page })
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    let page = || "https://auth.example.org/account/security".to_owned();
    operation
        .named(
            Tag::Pages,
            "getPasskeyEndpoints",
            "Get the pages for passkeys",
            "Where users add and manage passkeys, for password managers.",
        )
        .succeeds(Success::json(200, "The pages.", &Body { enroll: page(), manage: page() }))
        .fails(ApiError::NotFound)
}
