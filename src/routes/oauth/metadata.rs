//! `GET /.well-known/oauth-authorization-server` (RFC 8414) and `GET /.well-known/openid-configuration`: metadata for clients that
//! configure themselves. Both return the same document.

use serde::Serialize;

use super::jwks::MAX_AGE;
use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;

/// RFC 8414 §2. Members without a value are omitted (§3.2). So is `response_types_supported`: there is no authorization endpoint.
#[derive(Serialize)]
struct Metadata<'a> {
    issuer: &'a str,
    token_endpoint: String,
    token_endpoint_auth_methods_supported: [&'static str; 1],
    grant_types_supported: [&'static str; 1],
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    #[serde(flatten)]
    introspection: Option<Introspection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<String>,
}

#[derive(Serialize)]
struct Introspection {
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: [&'static str; 1],
}

/// Every URL starts with the configured issuer, never with the address of the request (§6.2).
pub async fn get(context: &Context<'_>, _: &Request) -> Result<Reply, ApiError> {
    let config = context.config;
    let issuer = config.parties.issuer.as_str();
    let publishes_keys = config.signing_keys.published(context.now, config.key_overlap()).next().is_some();
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
        jwks_uri: publishes_keys.then(|| endpoint("/.well-known/jwks.json")),
    }
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
