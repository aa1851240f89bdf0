//! `GET /.well-known/jwks.json`: the public keys (RFC 7517 §5).

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::signing_keys;

/// Cache lifetime, in seconds. A new key must be published for longer than this before it signs; see `LEAD` in
/// packages/portcullis/src/rotation.mjs and in `portcullis_core::token::rotation`.
pub const MAX_AGE: u32 = 300;

pub async fn get(context: &Context<'_>, _: &Request) -> Result<Reply, ApiError> {
    let ring = signing_keys::for_publishing(context).await?;
    let keys = ring.keys().public_set(context.now, context.config.key_overlap());
    Reply::json(200, &keys).map(|reply| reply.public(MAX_AGE))
}

/// A set of public keys (RFC 7517 §5).
#[cfg(feature = "openapi")]
#[derive(schemars::JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct KeySet {
    /// The keys. The first ones may not sign yet.
    keys: Vec<PublicKey>,
}

/// A public key (RFC 7517 §4).
#[cfg(feature = "openapi")]
#[derive(schemars::JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct PublicKey {
    /// `EC`, `OKP` or `RSA`.
    #[schemars(extend("enum" = ["EC", "OKP", "RSA"]))]
    kty: String,
    /// Always `sig`.
    #[schemars(extend("enum" = ["sig"]))]
    r#use: String,
    /// `ES256`, `EdDSA` or `RS256`.
    #[schemars(extend("enum" = ["ES256", "EdDSA", "RS256"]))]
    alg: String,
    /// The id of the key, which is its thumbprint (RFC 7638).
    kid: String,
    /// The curve, of `EC` and `OKP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    /// The x coordinate, or the key itself, of `EC` and `OKP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    /// The y coordinate, of `EC`.
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    /// The modulus, of `RSA`.
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    /// The exponent, of `RSA`.
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::OAuth,
            "getJwks",
            "Get the public keys",
            "The public keys for verifying access tokens (RFC 7517 §5). Cache them for five minutes, and read \
             them again if a token names an unknown one.",
        )
        .uses_storage()
        .succeeds(Success::empty(200, "The keys, cacheable for five minutes.").or::<KeySet>(
            "application/json",
            serde_json::json!({"keys": [{
                "kty": "EC",
                "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
                "use": "sig",
                "alg": "ES256",
                "kid": "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U",
            }]}),
        ))
}
