//! `GET /.well-known/oauth-authorization-server` (RFC 8414) and `GET /.well-known/openid-configuration`: metadata for clients that
//! configure themselves. Both return the same document.

use portcullis_core::sign_in::Assurance;
use serde::Serialize;

use super::jwks::MAX_AGE;
use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::signing_keys;

/// The metadata of the service (RFC 8414 §2).
///
/// Members without a value are omitted (§3.2). So is `response_types_supported`: there is no authorization endpoint.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "ServerMetadata"))]
struct Metadata<'a> {
    /// The issuer, which is the `iss` claim of access tokens.
    issuer: &'a str,
    /// The URL of `/token`.
    token_endpoint: String,
    /// How clients authenticate at `/token`: not at all.
    token_endpoint_auth_methods_supported: [&'static str; 1],
    /// The supported grants.
    grant_types_supported: [&'static str; 1],
    /// The URL of `/revoke`.
    revocation_endpoint: String,
    /// How clients authenticate at `/revoke`: not at all.
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    #[serde(flatten)]
    introspection: Option<Introspection>,
    /// The values of the claim `acr` (RFC 9470 §4).
    acr_values_supported: [&'static str; 2],
    /// The URL of the public keys, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<String>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct Introspection {
    /// The URL of `/introspect`, if there are resource servers.
    introspection_endpoint: String,
    /// How resource servers authenticate at `/introspect`.
    introspection_endpoint_auth_methods_supported: [&'static str; 1],
}

/// Every URL starts with the configured issuer, never with the address of the request (§6.2).
pub async fn get(context: &Context<'_>, _: &Request) -> Result<Reply, ApiError> {
    let config = context.config;
    let issuer = config.parties.issuer.as_str();
    let (now, overlap) = (context.now, config.key_overlap());
    // Without a public key in `SIGNING_KEYS`, the others decide.
    let publishes_keys = config.signing_keys.published(now, overlap).next().is_some()
        || signing_keys::for_publishing(context).await?.keys().published(now, overlap).next().is_some();
    let metadata = metadata(issuer, publishes_keys, !config.resource_servers.is_empty());
    Reply::json(200, &metadata).map(|reply| reply.public(MAX_AGE))
}

fn metadata(issuer: &str, publishes_keys: bool, answers_introspection: bool) -> Metadata<'_> {
    let endpoint = |path: &str| format!("{issuer}{path}");
    Metadata {
        issuer,
        token_endpoint: endpoint("/token"),
        token_endpoint_auth_methods_supported: ["none"],
        grant_types_supported: ["refresh_token"],
        revocation_endpoint: endpoint("/revoke"),
        revocation_endpoint_auth_methods_supported: ["none"],
        introspection: answers_introspection.then(|| Introspection {
            introspection_endpoint: endpoint("/introspect"),
            introspection_endpoint_auth_methods_supported: ["client_secret_basic"],
        }),
        acr_values_supported: [Assurance::Aal1, Assurance::Aal2].map(Assurance::as_str),
        jwks_uri: publishes_keys.then(|| endpoint("/.well-known/jwks.json")),
    }
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    let (id, summary, description) = if operation.path.ends_with("openid-configuration") {
        (
            "getOpenIdMetadata",
            "Get the metadata, for OpenID Connect libraries",
            "The same document as `/.well-known/oauth-authorization-server`, where libraries of OpenID Connect look \
             for it.",
        )
    } else {
        (
            "getOAuthMetadata",
            "Get the metadata",
            "The addresses and abilities of the service, for clients that configure themselves (RFC 8414). If the \
             issuer has a path, this is at the root of the host, followed by that path.",
        )
    };
    operation.named(Tag::OAuth, id, summary, description).uses_storage().succeeds(Success::json(
        200,
        "The metadata, cacheable for five minutes.",
        &metadata("https://auth.example.org", true, true),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::metadata;

    fn document(publishes_keys: bool, answers_introspection: bool) -> Value {
        serde_json::to_value(metadata("https://example.org/auth", publishes_keys, answers_introspection)).unwrap()
    }

    #[test]
    fn unsupported_members_are_omitted() {
        let least = json!({
            "issuer": "https://example.org/auth",
            "token_endpoint": "https://example.org/auth/token",
            "token_endpoint_auth_methods_supported": ["none"],
            "grant_types_supported": ["refresh_token"],
            "revocation_endpoint": "https://example.org/auth/revoke",
            "revocation_endpoint_auth_methods_supported": ["none"],
            "acr_values_supported": ["aal1", "aal2"],
        });
        assert_eq!(document(false, false), least);
        let mut with_keys = least.clone();
        with_keys["jwks_uri"] = json!("https://example.org/auth/.well-known/jwks.json");
        assert_eq!(document(true, false), with_keys);
        let mut with_introspection = least;
        with_introspection["introspection_endpoint"] = json!("https://example.org/auth/introspect");
        with_introspection["introspection_endpoint_auth_methods_supported"] = json!(["client_secret_basic"]);
        assert_eq!(document(false, true), with_introspection);
    }
}
