//! The document as a whole.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::operation::{Credentials, Operation, Tag};
use super::ordered::to_ordered_json;
use super::responses::{Failure, Schemas, common_headers};
use crate::http::{COMMON_HEADERS, ErrorFormat};
use crate::routes::error::ApiError;

/// The document, as indented JSON.
pub fn document(operations: &[Operation]) -> String {
    let mut schemas = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations {
        let rendered = render(operation, &mut schemas);
        let methods = paths.entry(operation.openapi_path()).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(operation.method_name().to_owned(), rendered);
        }
    }
    // Errors of no operation: those of paths and methods that do not exist.
    let not_allowed = ApiError::MethodNotAllowed("GET, HEAD, OPTIONS".to_owned());
    for (error, format) in [
        (&ApiError::NotFound, ErrorFormat::Problem),
        (&not_allowed, ErrorFormat::Problem),
        (&not_allowed, ErrorFormat::OAuth),
    ] {
        schemas.failure(&[Failure::of(error, format)]);
    }
    let tags = Tag::ALL.map(|tag| json!({"name": tag.name(), "description": tag.description()}));
    let shared = std::mem::take(&mut schemas.shared);
    let document = json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Portcullis",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Sign-in for your app, at the edge",
            "description": introduction(),
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
            "contact": {"name": "The operator of this service"},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas.definitions(),
            "responses": shared,
            "headers": common_headers(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An access token (RFC 6750, RFC 9068).",
                },
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-portcullis",
                    "description": "The refresh token of a session in cookie mode, for pages of the same site.",
                },
                "resourceServer": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The id and the secret of an entry of `RESOURCE_SERVERS`.",
                },
            },
        },
    });
    let order: Vec<_> = operations.iter().map(Operation::openapi_path).collect();
    to_ordered_json(&document, &order)
}

fn introduction() -> String {
    let common: Vec<_> = COMMON_HEADERS.iter().map(|(name, value)| format!("- `{name}: {value}`")).collect();
    format!(
        "Accounts, sessions and tokens. Every path is below the path of the issuer, if it has one.\n\n\
         Every `GET` endpoint answers `HEAD` too, and every path answers `OPTIONS` with `Allow`, and CORS preflights of \
         allowed origins with the `Access-Control-Allow-*` headers. Another method is 405, another path 404.\n\n\
         Errors are problem details (RFC 9457) with a stable `code`; those of OAuth endpoints have the form of RFC 6749 \
         §5.2.\n\n\
         Every response has these headers, unless its description says otherwise:\n\n{}\n\n\
         A response to an allowed origin also has `Access-Control-Allow-Origin` and `Access-Control-Expose-Headers`.",
        common.join("\n")
    )
}

/// Returns the responses by status. Errors that share a status are one response.
fn responses(operation: &Operation, schemas: &mut Schemas) -> BTreeMap<u16, Value> {
    let mut responses: BTreeMap<_, _> =
        operation.successes.iter().map(|success| (success.status, schemas.success(success))).collect();
    let mut errors: BTreeMap<u16, Vec<Failure>> = BTreeMap::new();
    let own = operation
        .errors
        .iter()
        .chain(&operation.common_errors())
        .map(|error| Failure::of(error, operation.error_format))
        .collect::<Vec<_>>();
    // Without a configuration there is no table, so this error always has the same form.
    let misconfigured = Failure::of(&ApiError::Misconfigured(Vec::new()), ErrorFormat::Problem);
    for failure in own.into_iter().chain([misconfigured]) {
        errors.entry(failure.status).or_default().push(failure);
    }
    for (status, failures) in errors {
        responses.insert(status, schemas.failure(&failures));
    }
    responses
}

/// Renders an operation for the document.
fn render(operation: &Operation, schemas: &mut Schemas) -> Value {
    let scheme = |credentials: &Credentials| match credentials {
        Credentials::None => json!({}),
        Credentials::AccessToken => json!({"bearer": []}),
        Credentials::Cookie => json!({"cookie": []}),
        Credentials::ResourceServer => json!({"resourceServer": []}),
    };
    let security: Vec<_> = match operation.credentials.as_slice() {
        [Credentials::None] => Vec::new(),
        alternatives => alternatives.iter().map(scheme).collect(),
    };
    let responses: Map<_, _> =
        responses(operation, schemas).into_iter().map(|(status, response)| (status.to_string(), response)).collect();
    let mut rendered = json!({
        "tags": [operation.tag.name()],
        "operationId": operation.id,
        "summary": operation.summary,
        "description": operation.description,
        "security": security,
        "responses": responses,
    });
    if let Some(members) = rendered.as_object_mut() {
        if let Some(class) = operation.limit_name() {
            members.insert("x-rate-limit".to_owned(), json!(class));
        }
        if !operation.parameters.is_empty() {
            members.insert("parameters".to_owned(), json!(operation.parameters));
        }
        if !operation.bodies.is_empty() {
            let content: Map<_, _> = operation.bodies.iter().map(|body| schemas.request(body)).collect();
            members.insert("requestBody".to_owned(), json!({"required": true, "content": content}));
        }
    }
    rendered
}
