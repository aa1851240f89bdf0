//! `GET /account`: the account pages, and below `/account/admin` the admin pages.

use super::asset;
use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};

#[expect(clippy::unused_async, reason = "the table awaits every handler")]
pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    Ok(asset::redirect_to_folder(context, request, "/account/"))
}

/// `GET /account/{*file}`. A path with a dot is a file. Any other path is a view. The page finds its files relative to `/account/`, so
/// a view is one segment.
pub async fn get_file(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let path = request.path_variable.as_str();
    if path.contains('.') {
        asset::optional(context, request, "account/", path).await
    } else if path.contains('/') {
        Err(ApiError::NotFound)
    } else {
        asset::required(context, request, "account/index.html").await
    }
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    if operation.path == "/account" {
        return operation
            .named(Tag::Pages, "openAccountPages", "Open the account pages", "Redirects to `/account/`.")
            .succeeds(Success::redirect(308, "The account pages are at `/account/`.", "/account/"))
            .fails(ApiError::NotFound);
    }
    operation
        .named(
            Tag::Pages,
            "getAccountFile",
            "Get a file of the account pages",
            "The account pages and their files. A path with a dot is a file; any other path is the page itself.",
        )
        .path_file("The path of the file, or the view of the page.", "login")
        .asset(Success::file("The page or the file.", "*/*"))
}
