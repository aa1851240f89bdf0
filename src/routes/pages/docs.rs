//! `GET /docs`: the documentation page, which is Swagger UI with a form that logs in.

use super::asset;
use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};

#[expect(clippy::unused_async, reason = "the table awaits every handler")]
pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    Ok(asset::redirect_to_folder(context, request, "/docs/"))
}

/// `GET /docs/{*file}`: the page itself at `/docs/`, and its files.
pub async fn get_file(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    match request.path_variable.as_str() {
        "" => asset::required(context, request, "docs/index.html").await,
        file => asset::optional(context, request, "docs/", file).await,
    }
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    if operation.path == "/docs" {
        return operation
            .named(Tag::Pages, "openDocs", "Open the documentation page", "Redirects to `/docs/`.")
            .succeeds(Success::redirect(308, "The documentation page is at `/docs/`.", "/docs/"))
            .fails(ApiError::NotFound);
    }
    operation
        .named(
            Tag::Pages,
            "getDocsFile",
            "Get a file of the documentation page",
            "The documentation page, and its files.",
        )
        .path_file("The path of the file; empty for the page.", "docs.css")
        .asset(Success::file("The page or the file.", "*/*"))
}
