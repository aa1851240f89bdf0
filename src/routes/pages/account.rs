//! `GET /account`: the account pages, and below `/account/admin` the admin pages.

use super::asset;
use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    Ok(asset::redirect_to_folder(context, request, "/account/"))
}

/// `GET /account/{*file}`. A name with a dot is a file. Any other one is a view of the page, which finds its files by names that are
/// relative to `/account/`, so views are one segment.
pub async fn get_file(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let path = request.path_variable.as_str();
    let reply = if path.contains('.') {
        asset::optional(context, request, "account/", path).await?
    } else if path.contains('/') {
        return Err(ApiError::NotFound);
    } else {
        asset::required(context, request, "account/index.html").await?
    };
    Ok(reply.header("Content-Security-Policy", CONTENT_SECURITY_POLICY.to_owned()))
}
