//! `GET /.well-known/webauthn`: the origins of pages that may use the passkeys of this service (WebAuthn §5.11).

use serde::Serialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "RelatedOrigins"))]
struct Body<'a> {
    /// The origins of `WEBAUTHN_ORIGINS`.
    origins: &'a [String],
}

#[expect(clippy::unused_async, reason = "the table awaits every handler")]
pub async fn get(context: &Context<'_>, _: &Request) -> Result<Reply, ApiError> {
    Reply::json(200, &Body { origins: context.config.webauthn.party.origins() })
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    let example = Body { origins: &["https://auth.example.org".to_owned(), "https://auth.example.net".to_owned()] };
    operation
        .named(
            Tag::Operations,
            "getRelatedOrigins",
            "Get the origins for passkeys",
            "The origins of pages that may use the passkeys of this service (WebAuthn §5.11). Browsers ask the host of `WEBAUTHN_RP_ID`.",
        )
        .succeeds(Success::json(200, "The origins.", &example))
}
