//! The keys that verify access tokens, as the issuer publishes them (RFC 7517).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jwt_compact::jwk::JsonWebKey;
use serde_json::{Map, Value};

use crate::strict_json;
use crate::token::algorithm::Algorithm;

/// Length of an ES256 or Ed25519 signature, in bytes (RFC 7518 §3.4, RFC 8032 §5.1.6).
const CURVE_SIGNATURE_LEN: usize = 64;
/// Minimum length of an HS256 key (RFC 7518 §3.2), and length of its signatures, in bytes.
pub(crate) const HMAC_LEN: usize = 32;

/// A public key, or one that signs and verifies, with its only algorithm.
pub struct VerifyingKey {
    kid: String,
    algorithm: Algorithm,
    signature_len: usize,
    jwk: JsonWebKey<'static>,
}

impl VerifyingKey {
    pub(crate) fn new(kid: String, algorithm: Algorithm, signature_len: usize, jwk: JsonWebKey<'static>) -> Self {
        Self { kid, algorithm, signature_len, jwk }
    }

    /// The `kid` that tokens name it by.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The only algorithm of the key.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The exact length of its signatures, in bytes.
    #[must_use]
    pub fn signature_len(&self) -> usize {
        self.signature_len
    }

    /// The public JWK, or the same as the private one of a symmetric key.
    #[must_use]
    pub fn jwk(&self) -> &JsonWebKey<'static> {
        &self.jwk
    }
}

/// Parses a public JWK Set. Keys that are not for access tokens are ignored (RFC 7517 §5). `None` if it is not a JWK Set.
#[must_use]
pub fn parse_public_set(json: &str) -> Option<Vec<VerifyingKey>> {
    let Some(Value::Array(members)) = strict_json::parse_object(json.as_bytes())?.remove("keys") else {
        return None;
    };
    let mut keys: Vec<VerifyingKey> = Vec::new();
    for member in members {
        if let Value::Object(members) = member
            && let Some(key) = parse_public(members)
            && keys.iter().all(|other| other.kid != key.kid)
        {
            keys.push(key);
        }
    }
    Some(keys)
}

fn parse_public(members: Map<String, Value>) -> Option<VerifyingKey> {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let (algorithm, signature_len) = algorithm_of(&members)?;
    let is_for_tokens =
        text("alg").is_none_or(|alg| alg == algorithm.name()) && text("use").is_none_or(|to| to == "sig");
    if algorithm.is_symmetric() || !is_for_tokens || members.contains_key("d") {
        return None;
    }
    let kid = text("kid")?.to_owned();
    let jwk = serde_json::from_value(Value::Object(members)).ok()?;
    Some(VerifyingKey::new(kid, algorithm, signature_len, jwk))
}

/// The only algorithm of a JWK of that type, and the length of its signatures.
pub(crate) fn algorithm_of(members: &Map<String, Value>) -> Option<(Algorithm, usize)> {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    match (text("kty"), text("crv")) {
        (Some("EC"), Some("P-256")) => Some((Algorithm::Es256, CURVE_SIGNATURE_LEN)),
        (Some("OKP"), Some("Ed25519")) => Some((Algorithm::EdDsa, CURVE_SIGNATURE_LEN)),
        (Some("RSA"), None) => Some((Algorithm::Rs256, bytes(members, "n").map_or(0, |modulus| modulus.len()))),
        (Some("oct"), None) => Some((Algorithm::Hs256, HMAC_LEN)),
        _ => None,
    }
}

/// The decoded value of a member in base64url.
pub(crate) fn bytes(members: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(members.get(name)?.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::parse_public_set;
    use crate::token::keys::tests::{one_of_each, rfc_7515_a1_key, rfc_7515_a3_key};

    fn kids(set: &Value) -> Option<Vec<String>> {
        let keys = parse_public_set(&set.to_string())?;
        Some(keys.iter().map(|key| key.kid().to_owned()).collect())
    }

    #[test]
    fn the_published_set_is_parsed() {
        let keys = one_of_each();
        let published = serde_json::to_string(&keys.public_set(0, 0)).unwrap();
        let parsed = parse_public_set(&published).unwrap();
        assert_eq!(parsed.len(), 3);
        for (own, parsed) in keys.iter().zip(&parsed) {
            let own = own.verifying_key();
            assert_eq!(
                (own.kid(), own.algorithm(), own.signature_len()),
                (parsed.kid(), parsed.algorithm(), parsed.signature_len())
            );
            assert_eq!(own.jwk().to_string(), parsed.jwk().to_string());
        }
    }

    #[test]
    fn keys_that_are_not_for_access_tokens_are_ignored() {
        let [good]: [Value; 1] = serde_json::from_value({
            let keys = crate::token::keys::tests::parse(&[rfc_7515_a3_key()]).unwrap();
            serde_json::to_value(keys.public_set(0, 0)).unwrap()["keys"].take()
        })
        .unwrap();
        let kid = good["kid"].as_str().unwrap().to_owned();
        let with = |member: &str, value: Value| {
            let mut key = good.clone();
            key[member] = value;
            key
        };
        let others = [
            with("use", json!("enc")),
            with("alg", json!("ES384")),
            with("crv", json!("P-384")),
            with("kty", json!("oct")),
            with("kid", json!(1)),
            with("x", json!("?")),
            rfc_7515_a3_key(),
            rfc_7515_a1_key(),
            json!(1),
            Value::Null,
        ];
        for other in others {
            assert_eq!(kids(&json!({"keys": [other]})), Some(vec![]), "{other}");
            assert_eq!(kids(&json!({"keys": [other, good, good]})), Some(vec![kid.clone()]), "{other}");
        }
        for bad in [json!({}), json!([]), json!({"keys": {}}), json!({"keys": null}), Value::Null] {
            assert_eq!(kids(&bad), None, "{bad}");
        }
        assert!(parse_public_set(r#"{"keys":[],"keys":[]}"#).is_none());
        assert!(parse_public_set("<html>").is_none());
    }
}
