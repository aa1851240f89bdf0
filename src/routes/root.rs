//! `GET /`: redirects a visitor of the address to the account pages, or describes the service. Contains public information only.

use serde::Serialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};

const METADATA: &str = "/.well-known/openid-configuration";

/// What this service is.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Service"))]
struct Body<'a> {
    /// Always `portcullis`.
    #[cfg_attr(feature = "openapi", schemars(extend("enum" = ["portcullis"])))]
    service: &'static str,
    /// The issuer, which is the `iss` claim of access tokens.
    issuer: &'a str,
    /// The URL of the metadata.
    metadata_url: String,
}

/// Sends clients that accept HTML to the account pages or, if these are off, returns a page to them. Returns JSON to all others.
#[expect(clippy::unused_async, reason = "the table awaits every handler")]
pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let config = context.config;
    if request.accepts_html() && config.pages.account {
        return Ok(Reply::redirect(302, format!("{}/account/", config.base_path)));
    }
    if request.accepts_html() {
        return Ok(Reply::new(200).body("text/html; charset=utf-8", page(&config.base_path)));
    }
    let issuer = config.parties.issuer.as_str();
    Reply::json(200, &Body { service: "portcullis", issuer, metadata_url: format!("{issuer}{METADATA}") })
}

/// `base_path` has only unreserved characters and slashes, so it needs no escaping.
fn page(base_path: &str) -> String {
    format!(
        "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>Portcullis</title>
<h1>Portcullis</h1>
<p>This is a sign-in service for apps. It has no pages of its own: apps call its HTTP API.</p>
<ul>
<li>Documentation: <code>docs/api.md</code> in the repository of the project
<li><a href=\"{base_path}{METADATA}\">Metadata</a> for clients that configure themselves
<li><a href=\"{base_path}/healthz\">Health</a> of the service
</ul>
</html>
"
    )
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    let issuer = "https://auth.example.org";
    let example = Body { service: "portcullis", issuer, metadata_url: format!("{issuer}{METADATA}") };
    operation
        .named(
            Tag::Operations,
            "describeService",
            "Describe the service",
            "Redirects a browser to the account pages. If these are off, and for every other client, describes the service.",
        )
        .succeeds(Success::json(200, "JSON, or a page for a browser.", &example).or_html(page("")))
        .succeeds(Success::redirect(302, "The account pages are at `/account/`.", "/account/"))
}
