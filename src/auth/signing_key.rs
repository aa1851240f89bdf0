//! The key set that signs and verifies access tokens: a private JWK Set (RFC 7517), ES256 (RFC 7518 §3.4).
//!
//! The first key signs, all of them verify and are published, so a key is rotated by adding, waiting and removing.
//! A key's `kid` is its RFC 7638 SHA-256 thumbprint.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jwt_compact::jwk::JsonWebKey;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::Sha256;

use super::strict_json;

/// The one algorithm, as a JWS header and a JWK name it.
pub const ALGORITHM: &str = "ES256";
const CURVE: &str = "P-256";
/// Of a coordinate and of the private scalar, in bytes (RFC 7518 §6.2.1.2).
const SCALAR_LEN: usize = 32;

/// A checked key set of at least one key, no two of them the same. Its `Debug` shows the `kid`s only.
pub struct SigningKeys {
    active: SigningKey,
    verifying: Vec<SigningKey>,
}

/// One private key.
pub struct SigningKey {
    kid: String,
    jwk: JsonWebKey<'static>,
}

/// What is wrong with a key set. Says which key by its position, and never shows a value of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SigningKeyError {
    /// Not one JSON object with a `keys` array of objects, or a member stands twice.
    NotAKeySet,
    /// The array is empty.
    Empty,
    /// The key at this position, counted from 1, is not usable: why.
    Key(usize, &'static str),
}

impl SigningKeys {
    /// Reads a private JWK Set.
    ///
    /// # Errors
    /// [`SigningKeyError`]. That a key's parts belong together is left to its import by WebCrypto.
    pub fn parse(json: &str) -> Result<Self, SigningKeyError> {
        let mut set = strict_json::parse_object(json.as_bytes()).ok_or(SigningKeyError::NotAKeySet)?;
        let Some(Value::Array(members)) = set.remove("keys") else {
            return Err(SigningKeyError::NotAKeySet);
        };
        let mut keys: Vec<SigningKey> = Vec::new();
        for (position, member) in (1..).zip(members) {
            let Value::Object(jwk) = member else {
                return Err(SigningKeyError::NotAKeySet);
            };
            let key = SigningKey::parse(jwk).map_err(|why| SigningKeyError::Key(position, why))?;
            if keys.iter().any(|other| other.kid == key.kid) {
                return Err(SigningKeyError::Key(position, "the same key stands twice"));
            }
            keys.push(key);
        }
        let mut keys = keys.into_iter();
        let active = keys.next().ok_or(SigningKeyError::Empty)?;
        Ok(Self { active, verifying: keys.collect() })
    }

    /// The key that signs.
    #[must_use]
    pub fn active(&self) -> &SigningKey {
        &self.active
    }

    /// Every key, the active one first: all of them verify.
    pub fn iter(&self) -> impl Iterator<Item = &SigningKey> {
        std::iter::once(&self.active).chain(&self.verifying)
    }

    /// The JWK Set to publish: public members, `use`, `alg` and `kid` of every key.
    #[must_use]
    pub fn public_set(&self) -> impl Serialize + use<> {
        #[derive(Serialize)]
        struct PublicSet {
            keys: Vec<PublicKey>,
        }
        #[derive(Serialize)]
        struct PublicKey {
            #[serde(flatten)]
            jwk: JsonWebKey<'static>,
            r#use: &'static str,
            alg: &'static str,
            kid: String,
        }
        let keys = self
            .iter()
            .map(|key| PublicKey { jwk: key.public_jwk(), r#use: "sig", alg: ALGORITHM, kid: key.kid.clone() })
            .collect();
        PublicSet { keys }
    }
}

impl SigningKey {
    fn parse(members: Map<String, Value>) -> Result<Self, &'static str> {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        if text("kty") != Some("EC") || text("crv") != Some(CURVE) {
            return Err("\"kty\" must be \"EC\" and \"crv\" \"P-256\"");
        }
        if members.contains_key("alg") && text("alg") != Some(ALGORITHM) {
            return Err("\"alg\" must be \"ES256\"");
        }
        if members.contains_key("use") && text("use") != Some("sig") {
            return Err("\"use\" must be \"sig\"");
        }
        if !members.contains_key("d") {
            return Err("the private part \"d\" is missing");
        }
        for name in ["x", "y", "d"] {
            let decoded = text(name).and_then(|value| BASE64_URL_SAFE_NO_PAD.decode(value).ok());
            if decoded.is_none_or(|bytes| bytes.len() != SCALAR_LEN) {
                return Err("\"x\", \"y\" and \"d\" must be 32 bytes each, in base64url without padding");
            }
        }
        let given_kid = members.get("kid").cloned();
        let jwk: JsonWebKey<'static> =
            serde_json::from_value(Value::Object(members)).map_err(|_| "it is not a JWK by RFC 7518")?;
        let kid = BASE64_URL_SAFE_NO_PAD.encode(jwk.thumbprint::<Sha256>());
        if given_kid.is_some_and(|given| given != *kid) {
            return Err("\"kid\" is not the RFC 7638 thumbprint of the key");
        }
        Ok(Self { kid, jwk })
    }

    /// The RFC 7638 SHA-256 thumbprint, base64url.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// `kty`, `crv`, `x`, `y` and the private `d`.
    #[must_use]
    pub fn private_jwk(&self) -> &JsonWebKey<'static> {
        &self.jwk
    }

    /// `kty`, `crv`, `x` and `y`.
    #[must_use]
    pub fn public_jwk(&self) -> JsonWebKey<'static> {
        self.jwk.to_verifying_key()
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter().map(SigningKey::kid)).finish()
    }
}

impl fmt::Display for SigningKeyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAKeySet => formatter.write_str("not a JWK Set: {\"keys\": [...]} without duplicate members"),
            Self::Empty => formatter.write_str("the key set is empty"),
            Self::Key(position, why) => write!(formatter, "key {position}: {why}"),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use jwt_compact::jwk::JsonWebKey;
    use serde_json::{Value, json};

    use super::{SigningKeyError, SigningKeys};

    /// RFC 7515 A.3.1: a published ES256 key pair.
    pub(in crate::auth) fn rfc_7515_a3_key() -> Value {
        json!({
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"
        })
    }

    fn another_key() -> Value {
        // RFC 7517 A.2.
        json!({
            "kty": "EC",
            "crv": "P-256",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
            "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE",
            "use": "enc"
        })
    }

    fn parse(set: &Value) -> Result<SigningKeys, SigningKeyError> {
        SigningKeys::parse(&set.to_string())
    }

    fn without(mut key: Value, member: &str) -> Value {
        key.as_object_mut().unwrap().remove(member);
        key
    }

    fn with(mut key: Value, member: &str, value: Value) -> Value {
        key[member] = value;
        key
    }

    /// RFC 7638 §3.1, whose example is an RSA key: the library's thumbprint is the RFC's.
    #[test]
    fn rfc_7638_thumbprint_vector() {
        let key: JsonWebKey<'_> = serde_json::from_str(
            r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#,
        )
        .unwrap();
        let thumbprint = key.thumbprint::<sha2::Sha256>();
        let text = BASE64_URL_SAFE_NO_PAD.encode(thumbprint);
        assert_eq!(text, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn the_first_key_signs_and_all_are_published_without_private_parts() {
        let keys = parse(&json!({"keys": [rfc_7515_a3_key(), without(another_key(), "use")]})).unwrap();
        let kids: Vec<_> = keys.iter().map(|key| key.kid().to_owned()).collect();
        assert_eq!(keys.active().kid(), kids[0]);
        assert_eq!(kids[0], "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
        let published = serde_json::to_value(keys.public_set()).unwrap();
        let expected = json!({"keys": [
            {"kty": "EC", "crv": "P-256", "x": rfc_7515_a3_key()["x"], "y": rfc_7515_a3_key()["y"], "use": "sig", "alg": "ES256", "kid": kids[0]},
            {"kty": "EC", "crv": "P-256", "x": another_key()["x"], "y": another_key()["y"], "use": "sig", "alg": "ES256", "kid": kids[1]},
        ]});
        assert_eq!(published, expected);
        assert_eq!(format!("{keys:?}"), format!("{kids:?}"));
    }

    #[test]
    fn a_kid_is_accepted_only_if_it_is_the_thumbprint() {
        let kid = json!("oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
        assert!(parse(&json!({"keys": [with(rfc_7515_a3_key(), "kid", kid)]})).is_ok());
        for bad in [json!("mine"), json!(1), Value::Null] {
            assert!(parse(&json!({"keys": [with(rfc_7515_a3_key(), "kid", bad)]})).is_err());
        }
    }

    #[test]
    fn anything_but_private_p256_keys_is_refused() {
        let good = rfc_7515_a3_key;
        assert_eq!(parse(&json!({"keys": []})).unwrap_err(), SigningKeyError::Empty);
        for bad in [json!({}), json!([]), json!({"keys": {}}), json!({"keys": ["x"]}), good()] {
            assert_eq!(parse(&bad).unwrap_err(), SigningKeyError::NotAKeySet, "{bad}");
        }
        assert_eq!(SigningKeys::parse(r#"{"keys":[],"keys":[]}"#).unwrap_err(), SigningKeyError::NotAKeySet);
        for bad in [
            without(good(), "d"),
            without(good(), "x"),
            with(good(), "d", json!("AAAA")),
            with(good(), "d", json!("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI=")),
            with(good(), "crv", json!("P-384")),
            with(good(), "kty", json!("oct")),
            with(good(), "alg", json!("HS256")),
            with(good(), "alg", json!("none")),
            with(good(), "use", json!("enc")),
            another_key(),
        ] {
            assert!(matches!(parse(&json!({"keys": [bad]})).unwrap_err(), SigningKeyError::Key(1, _)));
        }
        let twice = json!({"keys": [good(), good()]});
        assert_eq!(parse(&twice).unwrap_err(), SigningKeyError::Key(2, "the same key stands twice"));
    }
}
