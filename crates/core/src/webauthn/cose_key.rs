//! Public keys of credentials: `COSE_Key` (RFC 9052 §7) in the canonical form, with the required parameters only (WebAuthn
//! §6.5.2).

use std::borrow::Cow;

use jwt_compact::jwk::JsonWebKey;

use super::cbor::Reader;
use super::refusal::PasskeyRefusal;
use crate::token::algorithm::Algorithm;

/// The algorithms to offer, the preferred one first (RFC 9053 §2, RFC 8812 §2).
pub const ALGORITHMS: [i64; 3] = [EDDSA, ES256, RS256];

const EDDSA: i64 = -8;
const ES256: i64 = -7;
const RS256: i64 = -257;
/// `kty`.
const KEY_TYPE: i64 = 1;
/// `alg`.
const ALGORITHM: i64 = 3;
/// Types of keys, each with the number of its parameters.
const OKP: (i64, u64) = (1, 4);
const EC2: (i64, u64) = (2, 5);
const RSA: (i64, u64) = (3, 4);
const P256: i64 = 1;
const ED25519: i64 = 6;
/// Length of a coordinate, in bytes.
const COORDINATE_LEN: usize = 32;
/// Lengths of an RSA modulus, in bytes: 2048 to 4096 bits.
const MODULUS_LEN: std::ops::RangeInclusive<usize> = 256..=512;
/// 65537, which every authenticator with RSA uses.
const RSA_EXPONENT: &[u8] = &[1, 0, 1];

/// A parsed public key. Whether a point is on its curve is for WebCrypto to check, when it imports the key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CredentialKey {
    /// A point of P-256.
    Es256 {
        /// The first coordinate.
        x: [u8; COORDINATE_LEN],
        /// The second coordinate.
        y: [u8; COORDINATE_LEN],
    },
    /// A point of Ed25519.
    EdDsa {
        /// The point, compressed.
        x: [u8; COORDINATE_LEN],
    },
    /// An RSA key with the exponent 65537.
    Rs256 {
        /// The modulus.
        modulus: Vec<u8>,
    },
}

impl CredentialKey {
    /// Parses a `COSE_Key`.
    ///
    /// # Errors
    /// [`PasskeyRefusal::Algorithm`] for an algorithm that is not offered, [`PasskeyRefusal::PublicKey`] for any other form.
    pub fn parse(bytes: &[u8]) -> Result<Self, PasskeyRefusal> {
        let mut cbor = Reader::new(bytes);
        let mut head = || {
            let parameters = cbor.map()?;
            cbor.int_key(KEY_TYPE)?;
            let key_type = cbor.int()?;
            cbor.int_key(ALGORITHM)?;
            Some(((key_type, parameters), cbor.int()?))
        };
        let key = match head().ok_or(PasskeyRefusal::PublicKey)? {
            (EC2, ES256) => es256(&mut cbor),
            (OKP, EDDSA) => ed25519(&mut cbor),
            (RSA, RS256) => rs256(&mut cbor),
            (_, EDDSA | ES256 | RS256) => None,
            _ => return Err(PasskeyRefusal::Algorithm),
        };
        key.filter(|_| cbor.end().is_some()).ok_or(PasskeyRefusal::PublicKey)
    }

    /// The only algorithm of the key.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Es256 { .. } => Algorithm::Es256,
            Self::EdDsa { .. } => Algorithm::EdDsa,
            Self::Rs256 { .. } => Algorithm::Rs256,
        }
    }

    /// The COSE identifier of the algorithm.
    #[must_use]
    pub const fn cose_algorithm(&self) -> i64 {
        match self {
            Self::Es256 { .. } => ES256,
            Self::EdDsa { .. } => EDDSA,
            Self::Rs256 { .. } => RS256,
        }
    }

    /// The JWK, which WebCrypto imports.
    #[must_use]
    pub fn jwk(&self) -> JsonWebKey<'_> {
        match self {
            Self::Es256 { x, y } => JsonWebKey::EllipticCurve {
                curve: Cow::Borrowed("P-256"),
                x: Cow::Borrowed(x),
                y: Cow::Borrowed(y),
                secret: None,
            },
            Self::EdDsa { x } => {
                JsonWebKey::KeyPair { curve: Cow::Borrowed("Ed25519"), x: Cow::Borrowed(x), secret: None }
            }
            Self::Rs256 { modulus } => JsonWebKey::Rsa {
                modulus: Cow::Borrowed(modulus),
                public_exponent: Cow::Borrowed(RSA_EXPONENT),
                private_parts: None,
            },
        }
    }
}

/// RFC 9053 §7.1.1, with an uncompressed point.
fn es256(cbor: &mut Reader<'_>) -> Option<CredentialKey> {
    curve(cbor, P256)?;
    let x = coordinate(cbor, -2)?;
    let y = coordinate(cbor, -3)?;
    Some(CredentialKey::Es256 { x, y })
}

/// RFC 9053 §7.2.
fn ed25519(cbor: &mut Reader<'_>) -> Option<CredentialKey> {
    curve(cbor, ED25519)?;
    Some(CredentialKey::EdDsa { x: coordinate(cbor, -2)? })
}

/// RFC 8230 §4.
fn rs256(cbor: &mut Reader<'_>) -> Option<CredentialKey> {
    cbor.int_key(-1)?;
    let modulus = cbor.bytes()?;
    cbor.int_key(-2)?;
    let has_exponent = cbor.bytes()? == RSA_EXPONENT;
    let is_odd = modulus.last()? & 1 == 1;
    // The first byte of the shortest modulus has its highest bit set, and the first byte of any modulus is not zero.
    let least = if modulus.len() == *MODULUS_LEN.start() { 0x80 } else { 0x01 };
    let is_valid = has_exponent && is_odd && MODULUS_LEN.contains(&modulus.len()) && *modulus.first()? >= least;
    is_valid.then(|| CredentialKey::Rs256 { modulus: modulus.to_vec() })
}

fn curve(cbor: &mut Reader<'_>, curve: i64) -> Option<()> {
    cbor.int_key(-1)?;
    (cbor.int()? == curve).then_some(())
}

fn coordinate(cbor: &mut Reader<'_>, key: i64) -> Option<[u8; COORDINATE_LEN]> {
    cbor.int_key(key)?;
    cbor.bytes()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use ciborium::Value;
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};
    use serde_json::json;

    use super::CredentialKey;
    use crate::token::algorithm::Algorithm;
    use crate::webauthn::refusal::PasskeyRefusal;

    fn encode(parameters: &[(i64, Value)]) -> Vec<u8> {
        let parameters = parameters.iter().map(|(key, value)| (Value::from(*key), value.clone())).collect();
        let mut bytes = Vec::new();
        ciborium::into_writer(&Value::Map(parameters), &mut bytes).unwrap();
        bytes
    }

    fn bytes(bytes: &[u8]) -> Value {
        Value::Bytes(bytes.to_vec())
    }

    fn es256() -> Vec<(i64, Value)> {
        vec![(1, 2.into()), (3, (-7).into()), (-1, 1.into()), (-2, bytes(&[1; 32])), (-3, bytes(&[2; 32]))]
    }

    fn ed25519() -> Vec<(i64, Value)> {
        vec![(1, 1.into()), (3, (-8).into()), (-1, 6.into()), (-2, bytes(&[1; 32]))]
    }

    fn rs256(modulus: &[u8]) -> Vec<(i64, Value)> {
        vec![(1, 3.into()), (3, (-257).into()), (-1, bytes(modulus)), (-2, bytes(&[1, 0, 1]))]
    }

    #[test]
    fn a_key_of_each_type_is_parsed_and_given_as_jwk() {
        let coordinate = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
        let key = CredentialKey::parse(&encode(&es256())).unwrap();
        assert_eq!((key.algorithm(), key.cose_algorithm()), (Algorithm::Es256, -7));
        let y = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";
        let jwk = json!({"kty": "EC", "crv": "P-256", "x": coordinate, "y": y});
        assert_eq!(serde_json::to_value(key.jwk()).unwrap(), jwk);

        let key = CredentialKey::parse(&encode(&ed25519())).unwrap();
        assert_eq!((key.algorithm(), key.cose_algorithm()), (Algorithm::EdDsa, -8));
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": coordinate});
        assert_eq!(serde_json::to_value(key.jwk()).unwrap(), jwk);

        let key = CredentialKey::parse(&encode(&rs256(&[0xff; 256]))).unwrap();
        assert_eq!((key.algorithm(), key.cose_algorithm()), (Algorithm::Rs256, -257));
        let jwk = serde_json::to_value(key.jwk()).unwrap();
        assert_eq!((&jwk["kty"], &jwk["e"], jwk["n"].as_str().unwrap().len()), (&json!("RSA"), &json!("AQAB"), 342));
        assert_eq!(jwk.as_object().unwrap().len(), 3);
    }

    #[test]
    fn rsa_keys_have_2048_to_4096_bits() {
        let modulus = |first: u8, len: usize, last: u8| {
            let mut modulus = vec![0x55; len];
            modulus[0] = first;
            modulus[len - 1] = last;
            CredentialKey::parse(&encode(&rs256(&modulus))).map(drop)
        };
        for (first, len) in [(0x80, 256), (0x01, 257), (0xff, 512)] {
            assert_eq!(modulus(first, len, 0x55), Ok(()), "{first:x} {len}");
            assert_eq!(modulus(first, len, 0x54), Err(PasskeyRefusal::PublicKey), "an even modulus");
        }
        for (first, len) in [(0xff, 128), (0xff, 255), (0x7f, 256), (0x00, 257), (0x01, 513)] {
            assert_eq!(modulus(first, len, 0x55), Err(PasskeyRefusal::PublicKey), "{first:x} {len}");
        }
        assert_eq!(CredentialKey::parse(&encode(&rs256(&[]))), Err(PasskeyRefusal::PublicKey));
    }

    #[test]
    fn keys_of_other_algorithms_are_refused_as_such() {
        for (key_type, algorithm) in [(2, -35), (2, -47), (1, -19), (3, -37), (3, -65535), (2, -9)] {
            let key = encode(&[(1, key_type.into()), (3, algorithm.into()), (-1, 1.into())]);
            assert_eq!(CredentialKey::parse(&key), Err(PasskeyRefusal::Algorithm), "{algorithm}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        let with = |mut key: Vec<(i64, Value)>, index: usize, parameter: (i64, Value)| {
            key[index] = parameter;
            key
        };
        let and = |mut key: Vec<(i64, Value)>, parameter: (i64, Value)| {
            key.push(parameter);
            key
        };
        for (key, why) in [
            (vec![], "an empty map"),
            (es256()[..4].to_vec(), "no y"),
            (with(es256(), 0, (1, 1.into())), "another type"),
            (with(es256(), 1, (3, (-8).into())), "the algorithm of another type"),
            (with(es256(), 1, (3, "ES256".into())), "an algorithm that is a text"),
            (with(es256(), 2, (-1, 2.into())), "another curve"),
            (with(es256(), 3, (-2, bytes(&[1; 31]))), "a short x"),
            (with(es256(), 3, (-2, bytes(&[1; 33]))), "a long x"),
            (with(es256(), 4, (-3, true.into())), "a compressed point"),
            (with(es256(), 4, (-4, bytes(&[2; 32]))), "a private key"),
            (with(es256(), 4, (-2, bytes(&[2; 32]))), "a repeated parameter"),
            (and(es256(), (-4, bytes(&[2; 32]))), "a private key"),
            (with(ed25519(), 2, (-1, 7.into())), "another curve"),
            (with(ed25519(), 3, (-2, bytes(&[1; 31]))), "a short x"),
            (and(ed25519(), (-4, bytes(&[2; 32]))), "a private key"),
            (with(rs256(&[0xff; 256]), 3, (-2, bytes(&[3]))), "another exponent"),
            (with(rs256(&[0xff; 256]), 3, (-2, bytes(&[0, 1, 0, 1]))), "an exponent with a zero in front"),
            (es256().into_iter().rev().collect(), "another order"),
            ([&es256()[1..2], &es256()[..1], &es256()[2..]].concat(), "another order"),
        ] {
            assert_eq!(CredentialKey::parse(&encode(&key)), Err(PasskeyRefusal::PublicKey), "{why}");
        }
        let good = encode(&es256());
        assert_eq!(CredentialKey::parse(&[&good[..], &[0]].concat()), Err(PasskeyRefusal::PublicKey));
        for head in [0xa4, 0xa6] {
            let bad = [&[head], &good[1..]].concat();
            assert_eq!(CredentialKey::parse(&bad), Err(PasskeyRefusal::PublicKey), "another number of parameters");
        }
        assert_eq!(
            CredentialKey::parse(&[&[0xb8, 5], &good[1..]].concat()),
            Err(PasskeyRefusal::PublicKey),
            "a long head"
        );
        for end in 0..good.len() {
            assert_eq!(CredentialKey::parse(&good[..end]), Err(PasskeyRefusal::PublicKey), "the first {end} bytes");
        }
    }

    proptest! {
        #[test]
        fn a_key_has_one_encoding_and_no_bytes_panic(
            x in any::<[u8; 32]>(),
            y in any::<[u8; 32]>(),
            noise in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut encoded = encode(&[
                (1, 2.into()), (3, (-7).into()), (-1, 1.into()), (-2, bytes(&x)), (-3, bytes(&y)),
            ]);
            prop_assert_eq!(CredentialKey::parse(&encoded), Ok(CredentialKey::Es256 { x, y }));
            let _ = CredentialKey::parse(&noise);
            for (position, byte) in noise.iter().enumerate().take(encoded.len()) {
                let before = encoded.clone();
                encoded[position] = *byte;
                if encoded != before {
                    assert_ne!(CredentialKey::parse(&encoded), Ok(CredentialKey::Es256 { x, y }));
                }
            }
        }
    }
}
