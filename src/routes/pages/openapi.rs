//! `GET /openapi.json`: the description of the API for programs.

use super::asset;
use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};

pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    asset::required(context, request, "openapi.json").await
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::Pages,
            "getOpenApi",
            "Get this document",
            "The description of the API for programs, in OpenAPI 3.1.",
        )
        .asset(Success::file("The document.", "application/json"))
}
