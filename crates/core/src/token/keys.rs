//! The keys that sign and verify access tokens: a private JWK Set (RFC 7517).
//!
//! The member `signs_from` of a key (RFC 7517 §4 permits additional members) is the time from which it signs, in unix seconds.
//! The key with the latest time that has been reached is the active one. So one stored key set describes a whole rotation: a
//! new key is published before it signs, and an old one until its last token has expired.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use jwt_compact::jwk::JsonWebKey;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::Sha256;

use crate::strict_json;
use crate::token::algorithm::Algorithm;
use crate::token::secret::may_be_random;
use crate::token::verifying_key::{HMAC_LEN, VerifyingKey, algorithm_of, bytes};

/// Length of the members `x`, `y` and `d` of P-256 and Ed25519 keys, in bytes (RFC 7518 §6.2.1.2, RFC 8037 §2).
const CURVE_MEMBER_LEN: usize = 32;
/// Minimum size of an RSA modulus, in bits: 128 bits of security (ASVS 5.0, 11.2.3). RFC 7518 §3.3 requires only 2048.
const MIN_RSA_BITS: usize = 3072;
/// The only permitted public exponent, 65537. Smaller ones have enabled attacks on careless implementations.
const RSA_EXPONENT: &str = "AQAB";
/// The message whose MAC is the `kid` of an HS256 key. The signing input of a JWS contains no space, so a `kid` is never a
/// signature.
const HMAC_KID_LABEL: &[u8] = b"portcullis kid of an HS256 key v1";
/// Maximum of a configured time, in unix seconds: the end of the year 9999. Milliseconds exceed it.
pub const MAX_TIME: u64 = 253_402_300_799;

/// A valid key set of at least one key, without duplicates. Its `Debug` shows only the `kid`s.
pub struct SigningKeys {
    keys: Vec<SigningKey>,
}

/// One private key.
pub struct SigningKey {
    verifying: VerifyingKey,
    signs_from: u64,
    jwk: JsonWebKey<'static>,
}

/// The state of a key at some time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyState {
    /// It will sign. It is published and accepted, so that all resource servers know it in time.
    Next,
    /// It signs.
    Active,
    /// It no longer signs. It is published and accepted while a token signed by it may be valid. A key with the same `signs_from`
    /// as the active one stays in this state until it is removed.
    Retired,
    /// The last token signed by it has expired. It is neither published nor accepted.
    Expired,
}

/// Why a key set is invalid. The text names a key by its position, and never shows its values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SigningKeyError {
    /// It is not a JSON object with an array of objects as `keys`, or has duplicate members.
    Malformed,
    /// It has no keys.
    Empty,
    /// The key at this position, counted from 1, is invalid: why.
    Key(usize, &'static str),
}

impl SigningKeys {
    /// Parses a private JWK Set. Whether the members of a key belong together is checked when WebCrypto imports it.
    ///
    /// # Errors
    /// [`SigningKeyError`] says what is invalid.
    pub fn parse(json: &str) -> Result<Self, SigningKeyError> {
        let mut set = strict_json::parse_object(json.as_bytes()).ok_or(SigningKeyError::Malformed)?;
        let Some(Value::Array(members)) = set.remove("keys") else {
            return Err(SigningKeyError::Malformed);
        };
        let mut keys: Vec<SigningKey> = Vec::new();
        for (position, member) in (1..).zip(members) {
            let Value::Object(jwk) = member else {
                return Err(SigningKeyError::Malformed);
            };
            let key = SigningKey::parse(jwk).map_err(|why| SigningKeyError::Key(position, why))?;
            if keys.iter().any(|other| other.kid() == key.kid()) {
                return Err(SigningKeyError::Key(position, "the same key as an earlier one"));
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(SigningKeyError::Empty) } else { Ok(Self { keys }) }
    }

    /// The key that signs: the first of the keys with the latest `signs_from` that has been reached. `None` if no
    /// `signs_from` has been reached.
    #[must_use]
    pub fn active(&self, now: u64) -> Option<&SigningKey> {
        let started = self.keys.iter().filter(|key| key.signs_from <= now);
        // `max_by_key` would return the last of several.
        started.reduce(|active, key| if key.signs_from > active.signs_from { key } else { active })
    }

    /// The key with that `kid`, in any state.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&SigningKey> {
        self.keys.iter().find(|key| key.kid() == kid)
    }

    /// All keys, in any state.
    pub fn iter(&self) -> impl Iterator<Item = &SigningKey> {
        self.keys.iter()
    }

    /// The state of a key of this set. `overlap` is how long a token is accepted after it was signed, in seconds.
    #[must_use]
    pub fn state(&self, key: &SigningKey, now: u64, overlap: u64) -> KeyState {
        if key.signs_from > now {
            return KeyState::Next;
        }
        if self.active(now).is_some_and(|active| active.kid() == key.kid()) {
            return KeyState::Active;
        }
        let later = self.keys.iter().map(|other| other.signs_from).filter(|from| *from > key.signs_from);
        match later.filter(|from| *from <= now).min() {
            Some(superseded_at) if superseded_at.saturating_add(overlap) <= now => KeyState::Expired,
            _ => KeyState::Retired,
        }
    }

    /// The keys whose public part is published: asymmetric ones that have not expired.
    pub fn published(&self, now: u64, overlap: u64) -> impl Iterator<Item = &SigningKey> {
        let expired = move |key: &SigningKey| self.state(key, now, overlap) == KeyState::Expired;
        self.keys.iter().filter(move |key| !key.algorithm().is_symmetric() && !expired(key))
    }

    /// The public JWK Set: the public members, `use`, `alg` and `kid` of every [published](Self::published) key.
    #[must_use]
    pub fn public_set(&self, now: u64, overlap: u64) -> PublicSet<'_> {
        PublicSet::of(self.published(now, overlap))
    }
}

/// A public JWK Set: the public members, `use`, `alg` and `kid` of each key.
#[derive(Serialize)]
pub struct PublicSet<'k> {
    keys: Vec<PublicKey<'k>>,
}

#[derive(Serialize)]
struct PublicKey<'k> {
    #[serde(flatten)]
    jwk: &'k JsonWebKey<'static>,
    r#use: &'static str,
    alg: &'static str,
    kid: &'k str,
}

impl<'k> PublicSet<'k> {
    /// The public parts of these keys.
    pub fn of(keys: impl Iterator<Item = &'k SigningKey>) -> Self {
        Self { keys: keys.map(PublicKey::from).collect() }
    }
}

impl<'k> From<&'k SigningKey> for PublicKey<'k> {
    fn from(key: &'k SigningKey) -> Self {
        Self { jwk: key.verifying_key().jwk(), r#use: "sig", alg: key.algorithm().name(), kid: key.kid() }
    }
}

impl SigningKey {
    /// Parses a private JWK; `None` if it is invalid.
    #[must_use]
    pub fn from_json(json: &[u8]) -> Option<Self> {
        Self::parse(strict_json::parse_object(json)?).ok()
    }

    fn parse(members: Map<String, Value>) -> Result<Self, &'static str> {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let (algorithm, signature_len) = algorithm_of(&members)
            .ok_or("\"kty\" must be \"EC\" with \"crv\" \"P-256\", \"OKP\" with \"Ed25519\", \"RSA\" or \"oct\"")?;
        if members.contains_key("alg") && text("alg") != Some(algorithm.name()) {
            return Err("\"alg\" must be ES256 for a P-256 key, EdDSA for Ed25519, RS256 for RSA, HS256 for oct");
        }
        if members.contains_key("use") && text("use") != Some("sig") {
            return Err("\"use\" must be \"sig\"");
        }
        check_material(algorithm, &members)?;
        let signs_from = match members.get("signs_from") {
            None => 0,
            Some(from) => from
                .as_u64()
                .filter(|from| *from <= MAX_TIME)
                .ok_or("\"signs_from\" must be unix seconds as an integer")?,
        };
        let given_kid = members.get("kid").cloned();
        let jwk: JsonWebKey<'static> =
            serde_json::from_value(Value::Object(members)).map_err(|_| "it is not a valid JWK (RFC 7518)")?;
        if !jwk.is_signing_key() {
            return Err("it is not a valid private JWK (RFC 7518)");
        }
        let kid = kid_of(&jwk).ok_or("it is not a valid JWK (RFC 7518)")?;
        if given_kid.is_some_and(|given| given != *kid) {
            return Err(
                "\"kid\" must be the RFC 7638 thumbprint of the key, or for \"oct\" the value that keygen prints",
            );
        }
        let verifying = VerifyingKey::new(kid, algorithm, signature_len, jwk.to_verifying_key());
        Ok(Self { verifying, signs_from, jwk })
    }

    /// The SHA-256 thumbprint (RFC 7638) in base64url. For a symmetric key an HMAC, which reveals nothing about the key.
    #[must_use]
    pub fn kid(&self) -> &str {
        self.verifying.kid()
    }

    /// The only algorithm of the key.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.verifying.algorithm()
    }

    /// The exact length of its signatures, in bytes.
    #[must_use]
    pub fn signature_len(&self) -> usize {
        self.verifying.signature_len()
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// The private JWK, which signs.
    #[must_use]
    pub fn private_jwk(&self) -> &JsonWebKey<'static> {
        &self.jwk
    }
}

/// Checks that the members for that algorithm are present and have the right size.
fn check_material(algorithm: Algorithm, members: &Map<String, Value>) -> Result<(), &'static str> {
    let has_len = |name: &str| bytes(members, name).is_some_and(|value| value.len() == CURVE_MEMBER_LEN);
    if !algorithm.is_symmetric() && !members.contains_key("d") {
        return Err("the private part \"d\" is missing");
    }
    match algorithm {
        Algorithm::Es256 if !["x", "y", "d"].into_iter().all(has_len) => {
            Err("\"x\", \"y\" and \"d\" must be 32 bytes each, in base64url without padding")
        }
        Algorithm::EdDsa if !["x", "d"].into_iter().all(has_len) => {
            Err("\"x\" and \"d\" must be 32 bytes each, in base64url without padding")
        }
        Algorithm::Rs256 => check_rsa(members),
        Algorithm::Hs256 => match bytes(members, "k") {
            Some(secret) if secret.len() < HMAC_LEN => Err("\"k\" must be at least 32 bytes"),
            Some(secret) if !may_be_random(&secret) => Err("\"k\" must be random bytes"),
            Some(_) => Ok(()),
            None => Err("\"k\" must be base64url without padding"),
        },
        Algorithm::Es256 | Algorithm::EdDsa => Ok(()),
    }
}

fn check_rsa(members: &Map<String, Value>) -> Result<(), &'static str> {
    if !["n", "d", "p", "q", "dp", "dq", "qi"].into_iter().all(|name| bytes(members, name).is_some()) {
        return Err(
            "\"n\", \"d\", \"p\", \"q\", \"dp\", \"dq\" and \"qi\" must be numbers in base64url without padding",
        );
    }
    if members.contains_key("oth") {
        return Err("an RSA key must have exactly two primes");
    }
    if members.get("e").and_then(Value::as_str) != Some(RSA_EXPONENT) {
        return Err("\"e\" must be \"AQAB\"");
    }
    let modulus = bytes(members, "n").unwrap_or_default();
    // Its length is that of the signatures, so it must have no leading zeros (RFC 7518 §6.3.1.1).
    let unused_bits = modulus.first().map_or(8, |first| first.leading_zeros() as usize);
    if unused_bits >= 8 || modulus.len().saturating_mul(8).saturating_sub(unused_bits) < MIN_RSA_BITS {
        return Err("\"n\" must have at least 3072 bits and no leading zeros");
    }
    Ok(())
}

/// The thumbprint (RFC 7638). The thumbprint of a symmetric key would be a hash of the secret in the header of every token,
/// and RFC 7638 §7 warns of this. Its `kid` is a MAC instead, which reveals no more than the signature of a token.
fn kid_of(jwk: &JsonWebKey<'static>) -> Option<String> {
    Some(match jwk {
        JsonWebKey::Symmetric { secret } => {
            let mac = Hmac::<Sha256>::new_from_slice(secret.as_ref()).ok()?;
            BASE64_URL_SAFE_NO_PAD.encode(mac.chain_update(HMAC_KID_LABEL).finalize().into_bytes())
        }
        _ => BASE64_URL_SAFE_NO_PAD.encode(jwk.thumbprint::<Sha256>()),
    })
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter().map(SigningKey::kid)).finish()
    }
}

impl fmt::Display for SigningKeyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => formatter.write_str("not a JWK Set: {\"keys\": [...]} without duplicate members"),
            Self::Empty => formatter.write_str("the key set is empty"),
            Self::Key(position, why) => write!(formatter, "key {position}: {why}"),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::{KeyState, SigningKeyError, SigningKeys, kid_of};
    use crate::token::algorithm::Algorithm;

    /// The ES256 key pair of RFC 7515 A.3.1.
    pub(crate) fn rfc_7515_a3_key() -> Value {
        json!({
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"
        })
    }

    /// The Ed25519 key pair of RFC 8037 A.1.
    pub(crate) fn rfc_8037_a1_key() -> Value {
        json!({
            "kty": "OKP",
            "crv": "Ed25519",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
        })
    }

    /// A 3072-bit RSA key made for these tests: those of the RFCs have 2048 bits.
    pub(crate) fn rsa_3072_key() -> Value {
        json!({
            "kty": "RSA",
            "n": "yAXzTB9-fo3bhuUI5Don8FRD3SE9roBzBsmnWjK1MGwQu8EiGcnAYXwPLQFsI0hjF7s7EcOa0wW9VVwSB48fxPsfsXdTmPSjmzI90q040lENpF8runKiwEgKFvKjIp-dlILzy9ICXnPdBIMVctByOcPovkxEJHa_Rb611_DwsshIrFFU47Uosbi7HgbKuoovuddiBNJjOLFRLu9_JbNVEf6V7-IZNeX8k5cimEupx6isE6DIoD6aBU54eRrMY24zTeJhd4O0expTGGPSuidJLZKyNXru7L3Z36am2l9mwlYbJY6s6cog_jTZ2-d_y8qMXgpO9XOxuPChMJgdbvcbfV3FGpes0WUmPhAQyHC1M00WYnLdzbms8wEtVQJDUJV8bzhhU4I-7IiyAy0AosEqFCw_UpxbLY36yTC7-djAOF8zljsM9yO7yGK2MATFyfpvMBGlADuL19nS0iE69sX_by3ZK_QJ-vSv7X_7eAePQ9pBpwfeCdGwF33lEJ3lNIzd",
            "e": "AQAB",
            "d": "DEgRQENOyQZ8zDOT8C-B9Ee4QwOffe91IJ2RIQCsD2UTQfQB3AN_RH0RkXnc4e235-UfI2AXSY24ql0U3lHzaWzh7UueXm3m_ch_80efjYpchBMz5CbVx2ik9fPAAIg8bLn9ri4e5x3GHFjQIFScLt_Qkp6sMHD6HZYwJCovHUse6zWzOKgO75qgIp_YIswJUiffZNxmKzz39yHNdMsmFgzDuA7x7VVJxOYqwZ8jtZatuibNKsmtO1YuH4F9uz0w3WvZaTYhKlRd_hDGxBVzp-bcyW8Aco-FrwuiPoFwdGbcr_H0TLGDlaTUo0ww-yvfXCblrylkc7eLuaGGaspCEzQkKmgoC-yUi-eZ9dlhcuYgTEaixtvMLVtJMK4cIviovwBxpvHUg2kGn1gQB9Did_Ve1rd5NpxwhHYT_oIwFuu-opv-ylKLdunmlR16xExiX9Zf2xeoHavMltb4tLu3M2qxRHIWMRYNOAH_08P8CGeAuBEHeiUd3_ZJ-aM016kB",
            "p": "7l3myP6nUdNOosHHWex_dYs7wcPlu6DOSKLRbS2H5I_TYi-Vpne9rK-E_t4TKMUGiWxLImCm8bW4SCJfYiA-9uTh3uK9UPQrN5ipLzJFGPIrLbp0QzN00cuGB3dSnH-yWE_FH5hTzImTEQLbDetdoLuBeqRvtQgq_yxmuDx0m1dzKpfI3xAqFndeWppPUK0Wu2p6LDyv5TgX4xSsW9hf_z35QxsWd8IfrOKuGp5m5_ACtqVOpZGSO4MPU5ISmboF",
            "q": "1tHp0aqP7mWIoXsOoRs_9ngmh1KnX_A-ERQJtj-tose85Y6paqZYryP6Q0hC8Zl3Ec066gkkaNIaM3Mx0L2dEYctobrjBwSLiQByctxBhD424tkLi6IEpxi8bSRV6jy95XcS04BYuViQ7Sio5bMLgbN9dNTOlSxK5ZbhbwW8h2kdqY_WRMdeMtmwc_LeL48Vg9-uCv4lZ_MEkCiT98i6d3NkzKRcqZuDpvZg2NecoOgje7medUMrRxpELzq-EIb5",
            "dp": "Rf1GZV_4axs7bKivSyUY67-dJTDLBMObrlI4YfFLhH4CmELWkxF3nPvQdjFouMDZQYKNsSNmAXTVDkEhdqN3OXFNLO-wnNOE2Qc3Lgd5qHB64ytrNcwnEe7LhOexVwhbqniJrdRBTr5ac1U-UqD4VdiYlRUxQ5uJXHGCG7iMmIwd4bS9o1mQshYMm1fR0CNymEcUZmbPUuOch-2rCjDHRx_AT8blWvah7FaGvoQiPRoJAe4Z4J2UrWq3Fle-pGqt",
            "dq": "eilzc2UwZpzc3x_QyPNrI2leV7Q8NIW1dhbUEw0RXDGEDXNciqbAZhDqn9p3H1dra_cu2qqKRwW8GqgWmyNJMA-UdpWFx5bhFu7nJsR0iZSrt8NAGo7vYGrjtJlmNkeGofhd_2LMkdJ40DVAHyf7ki2VWZwvQoump_tuhalYdhTj5mpCqmhJ_FbpTna9vYP78zt_iQbQFNYRMT2yL8W5rHY1y15ox5cFfiw8FPRAQQziKNj88Kha8xtPzR_1uAZZ",
            "qi": "iPqRn8r2BmPry72nUvyQ3Td556GOgw7nvGncyD_rMewEJoqHNCfN6BAXWzqCkOPyhb9p9V-jnS-411m2Ajr7T0juwGVTpkLwBbX4bdmigvpR82BH-yt_vIOfBFrIPcRfD9ELEEXxPERQPJRssaA3YYScmhI6NteZ-cG0OaknaNCdKwa7vbZulCAL4yWj25x5KdT9WRj-PIKE9fkIeTFNIl9a-O2H5Gj2nzHhiGx6I8xkWWtPtmAeb74pbuWjy1yN"
        })
    }

    /// The HMAC key of RFC 7515 A.1.1.
    pub(crate) fn rfc_7515_a1_key() -> Value {
        json!({
            "kty": "oct",
            "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
        })
    }

    /// One key for each algorithm.
    pub(crate) fn one_of_each() -> SigningKeys {
        parse(&[rfc_7515_a3_key(), rfc_8037_a1_key(), rsa_3072_key(), rfc_7515_a1_key()]).unwrap()
    }

    pub(crate) fn parse(keys: &[Value]) -> Result<SigningKeys, SigningKeyError> {
        SigningKeys::parse(&json!({"keys": keys}).to_string())
    }

    pub(crate) fn another_key() -> Value {
        // RFC 7517 A.2.
        json!({
            "kty": "EC",
            "crv": "P-256",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
            "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"
        })
    }

    /// The 2048-bit modulus of RFC 7638 §3.1.
    const RFC_7638_MODULUS: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

    fn without(mut key: Value, member: &str) -> Value {
        key.as_object_mut().unwrap().remove(member);
        key
    }

    fn with(mut key: Value, member: &str, value: Value) -> Value {
        key[member] = value;
        key
    }

    fn published(keys: &SigningKeys, now: u64) -> Vec<String> {
        let set = serde_json::to_value(keys.public_set(now, 0)).unwrap();
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_type_of_a_key_determines_its_algorithm_and_kid() {
        let keys = one_of_each();
        let found: Vec<_> = keys.iter().map(|key| (key.algorithm(), key.signature_len(), key.kid())).collect();
        // Thumbprints from RFC 8037 A.3 and from another implementation.
        let expected = [
            (Algorithm::Es256, 64, "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"),
            (Algorithm::EdDsa, 64, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
            (Algorithm::Rs256, 384, "sZf2BojdiSB9CNUONXpTQ7KymRzVdJcIt4szfbNUsr4"),
            (Algorithm::Hs256, 32, "MfObjnX_cFRNFJX8-C6T1I6qJiVFUOtDpBYgAcdeB8M"),
        ];
        assert_eq!(found, expected);
        for (_, _, kid) in expected {
            assert_eq!(keys.find(kid).unwrap().kid(), kid);
        }
        assert!(keys.find("").is_none() && keys.find("other").is_none());
    }

    #[test]
    fn the_thumbprint_follows_rfc_7638() {
        let jwk = serde_json::from_value(json!({"kty": "RSA", "n": RFC_7638_MODULUS, "e": "AQAB"})).unwrap();
        assert_eq!(kid_of(&jwk).as_deref(), Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"));
    }

    #[test]
    fn only_public_members_of_asymmetric_keys_are_published() {
        let keys = one_of_each();
        let kids: Vec<_> = keys.iter().map(|key| key.kid().to_owned()).collect();
        let (ec, okp, rsa) = (rfc_7515_a3_key(), rfc_8037_a1_key(), rsa_3072_key());
        let expected = json!({"keys": [
            {"kty": "EC", "crv": "P-256", "x": ec["x"], "y": ec["y"], "use": "sig", "alg": "ES256", "kid": kids[0]},
            {"kty": "OKP", "crv": "Ed25519", "x": okp["x"], "use": "sig", "alg": "EdDSA", "kid": kids[1]},
            {"kty": "RSA", "n": rsa["n"], "e": rsa["e"], "use": "sig", "alg": "RS256", "kid": kids[2]},
        ]});
        assert_eq!(serde_json::to_value(keys.public_set(0, 0)).unwrap(), expected);
        assert_eq!(format!("{keys:?}"), format!("{kids:?}"));

        let symmetric = parse(&[rfc_7515_a1_key()]).unwrap();
        assert_eq!(serde_json::to_value(symmetric.public_set(0, 0)).unwrap(), json!({"keys": []}));
        assert!(symmetric.published(0, 0).next().is_none());
    }

    #[test]
    fn a_kid_must_be_the_thumbprint() {
        for key in [rfc_7515_a3_key(), rfc_8037_a1_key(), rsa_3072_key(), rfc_7515_a1_key()] {
            let kid = parse(std::slice::from_ref(&key)).unwrap().iter().next().unwrap().kid().to_owned();
            assert!(parse(&[with(key.clone(), "kid", json!(kid))]).is_ok());
            for bad in [json!("mine"), json!(1), Value::Null] {
                assert!(parse(&[with(key.clone(), "kid", bad)]).is_err());
            }
        }
    }

    #[test]
    fn an_invalid_key_is_refused() {
        assert_eq!(parse(&[]).unwrap_err(), SigningKeyError::Empty);
        for bad in ["{}", "[]", r#"{"keys":{}}"#, r#"{"keys":["x"]}"#, r#"{"keys":[],"keys":[]}"#, "{"] {
            assert_eq!(SigningKeys::parse(bad).unwrap_err(), SigningKeyError::Malformed, "{bad}");
        }
        let (ec, okp, rsa, oct) = (rfc_7515_a3_key, rfc_8037_a1_key, rsa_3072_key, rfc_7515_a1_key);
        let modulus = BASE64_URL_SAFE_NO_PAD.decode(rsa()["n"].as_str().unwrap()).unwrap();
        let short_modulus = BASE64_URL_SAFE_NO_PAD.encode([&[modulus[0] & 0x7f], &modulus[1..]].concat());
        let padded_modulus = BASE64_URL_SAFE_NO_PAD.encode([&[0], &modulus[..]].concat());
        let rsa_2048 = with(rsa(), "n", json!(RFC_7638_MODULUS));
        let mut bad = vec![
            with(ec(), "d", json!("AAAA")),
            with(ec(), "d", json!("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI=")),
            with(ec(), "crv", json!("P-384")),
            with(okp(), "crv", json!("X25519")),
            with(okp(), "x", json!("AAAA")),
            with(ec(), "kty", json!("oct")),
            with(rsa(), "crv", json!("P-256")),
            with(rsa(), "e", json!("Aw")),
            with(rsa(), "e", json!("AQ")),
            with(rsa(), "n", json!(short_modulus)),
            with(rsa(), "n", json!(padded_modulus)),
            with(rsa(), "n", json!("AQAB")),
            rsa_2048,
            with(rsa(), "oth", json!([{"r": "AQAB", "d": "AQAB", "t": "AQAB"}])),
            with(oct(), "k", json!("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLg")),
            with(oct(), "k", json!("YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE")),
            with(oct(), "k", json!("not base64url")),
            with(oct(), "k", json!(1)),
            json!({}),
        ];
        for key in [ec(), okp(), rsa(), oct()] {
            let needed: Vec<_> = key.as_object().unwrap().keys().cloned().collect();
            bad.extend(needed.iter().map(|member| without(key.clone(), member)));
            bad.push(with(key.clone(), "use", json!("enc")));
            bad.extend(
                ["none", "HS512", "RS512", "PS256", "ES384", "Ed25519"].map(|alg| with(key.clone(), "alg", json!(alg))),
            );
            bad.extend(
                [json!(-1), json!(1.5), json!("1"), Value::Null, json!(1_700_000_000_000_u64)]
                    .map(|from| with(key.clone(), "signs_from", from)),
            );
        }
        for key in bad {
            let error = parse(std::slice::from_ref(&key)).unwrap_err();
            assert!(matches!(error, SigningKeyError::Key(1, _)), "{key}");
        }
        let twice = parse(&[ec(), with(ec(), "signs_from", json!(5))]).unwrap_err();
        assert_eq!(twice, SigningKeyError::Key(2, "the same key as an earlier one"));
    }

    #[test]
    fn a_key_may_name_only_its_own_algorithm() {
        for key in [rfc_7515_a3_key(), rfc_8037_a1_key(), rsa_3072_key(), rfc_7515_a1_key()] {
            let own = parse(std::slice::from_ref(&key)).unwrap().iter().next().unwrap().algorithm();
            for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Hs256] {
                let named = parse(&[with(key.clone(), "alg", json!(algorithm.name()))]);
                assert_eq!(named.is_ok(), algorithm == own, "{algorithm:?} {own:?}");
            }
        }
    }

    #[test]
    fn a_rotation_follows_the_clock_to_the_second() {
        const FROM: u64 = 1_700_000_000;
        const OVERLAP: u64 = 910;
        let keys = parse(&[rfc_7515_a3_key(), with(another_key(), "signs_from", json!(FROM))]).unwrap();
        let [old, new] = [0, 1].map(|index| keys.iter().nth(index).unwrap());
        for (now, states) in [
            (0, [KeyState::Active, KeyState::Next]),
            (FROM - 1, [KeyState::Active, KeyState::Next]),
            (FROM, [KeyState::Retired, KeyState::Active]),
            (FROM + OVERLAP - 1, [KeyState::Retired, KeyState::Active]),
            (FROM + OVERLAP, [KeyState::Expired, KeyState::Active]),
            (u64::MAX, [KeyState::Expired, KeyState::Active]),
        ] {
            assert_eq!([old, new].map(|key| keys.state(key, now, OVERLAP)), states, "{now}");
            let [active] = [old, new]
                .into_iter()
                .zip(states)
                .filter(|(_, state)| *state == KeyState::Active)
                .map(|(key, _)| key.kid())
                .collect::<Vec<_>>()[..]
            else {
                panic!("exactly one key is active")
            };
            assert_eq!(keys.active(now).unwrap().kid(), active);
            let shown: Vec<_> = keys.published(now, OVERLAP).map(super::SigningKey::kid).collect();
            let alive = [old, new].into_iter().zip(states).filter(|(_, state)| *state != KeyState::Expired);
            assert_eq!(shown, alive.map(|(key, _)| key.kid()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_key_is_superseded_by_the_next_one_in_time() {
        let from = |key: Value, from: u64| with(key, "signs_from", json!(from));
        // Not sorted: only the times matter.
        let set = [from(another_key(), 200), from(rfc_8037_a1_key(), 300), from(rfc_7515_a3_key(), 100)];
        let keys = parse(&set).unwrap();
        let states = |now| keys.iter().map(|key| keys.state(key, now, 50)).collect::<Vec<_>>();
        assert_eq!(states(99), [KeyState::Next; 3]);
        assert!(keys.active(99).is_none(), "no key can sign");
        assert_eq!(states(100), [KeyState::Next, KeyState::Next, KeyState::Active]);
        assert_eq!(states(249), [KeyState::Active, KeyState::Next, KeyState::Retired]);
        assert_eq!(states(250), [KeyState::Active, KeyState::Next, KeyState::Expired]);
        assert_eq!(states(300), [KeyState::Retired, KeyState::Active, KeyState::Expired]);
        assert_eq!(states(350), [KeyState::Expired, KeyState::Active, KeyState::Expired]);
    }

    #[test]
    fn without_times_the_first_key_signs_and_the_others_stay_until_removed() {
        let keys = parse(&[rfc_7515_a3_key(), another_key(), rfc_8037_a1_key()]).unwrap();
        for now in [0, 1_700_000_000, u64::MAX] {
            let states: Vec<_> = keys.iter().map(|key| keys.state(key, now, 900)).collect();
            assert_eq!(states, [KeyState::Active, KeyState::Retired, KeyState::Retired]);
            assert_eq!(published(&keys, now).len(), 3);
        }
        // A key with a time supersedes all of them.
        let keys =
            parse(&[rfc_7515_a3_key(), another_key(), with(rfc_8037_a1_key(), "signs_from", json!(100))]).unwrap();
        let states: Vec<_> = keys.iter().map(|key| keys.state(key, 1000, 900)).collect();
        assert_eq!(states, [KeyState::Expired, KeyState::Expired, KeyState::Active]);
        assert_eq!(published(&keys, 1000), [keys.active(1000).unwrap().kid()]);
    }
}
