//! `GET /docs`: the documentation page, which is Swagger UI with a form that logs in.

use super::asset;
use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;

/// Swagger UI sets `style` attributes and shows `data:` images. Scripts and requests stay on this origin.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    Ok(asset::redirect_to_folder(context, request, "/docs/"))
}

/// `GET /docs/{*file}`: the page itself at `/docs/`, and its files.
pub async fn get_file(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let reply = match request.path_variable.as_str() {
        "" => asset::required(context, request, "docs/index.html").await?,
        file => asset::optional(context, request, "docs/", file).await?,
    };
    Ok(reply.header("Content-Security-Policy", CONTENT_SECURITY_POLICY.to_owned()))
}
