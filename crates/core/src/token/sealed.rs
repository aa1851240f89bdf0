//! Sealed texts: texts that are issued to clients and later verified without being stored.
//!
//! ```text
//! prefix || base64url( fields || tag )
//! tag = first 16 bytes of HMAC-SHA-256(key, label and fields, each preceded by its length as u32)
//! key = HKDF-SHA-256(secret, info = label)
//! ```
//!
//! Every [`Kind`] has its own label and thus its own key, so a text of one kind is invalid as any other kind. To allow rotation there is
//! a list of secrets: the first one seals, and all of them open. The holder of a text can read its fields.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::secret::may_be_random;

/// Length of a tag, in bytes.
const TAG_LEN: usize = 16;
/// Minimum length of a secret, in bytes.
const MIN_SECRET_LEN: usize = 32;
/// Length of a derived key, in bytes.
const KEY_LEN: usize = 32;

/// A kind of sealed text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    /// The label, which must be unique.
    pub label: &'static str,
    /// The prefix of every text.
    pub prefix: &'static str,
    /// The lengths of the fields, in bytes.
    pub field_lens: &'static [usize],
}

/// The configured secrets, from which the keys of all kinds are derived.
pub struct SealingSecrets(Vec<Hkdf<Sha256>>);

/// Why a list of secrets is invalid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SealingSecretError {
    /// Not base64url.
    NotBase64,
    /// Decodes to fewer than 32 bytes.
    TooShort,
    /// Has too few distinct bytes to be random.
    NotRandom,
}

impl SealingSecrets {
    /// Reads a comma-separated list of secrets, each at least 32 random bytes in base64url.
    ///
    /// # Errors
    /// [`SealingSecretError`] of the first invalid secret.
    pub fn parse(secrets: &str) -> Result<Self, SealingSecretError> {
        let parse = |secret: &str| {
            let secret = secret.trim().trim_end_matches('=');
            let secret = BASE64_URL_SAFE_NO_PAD.decode(secret).map_err(|_| SealingSecretError::NotBase64)?;
            if secret.len() < MIN_SECRET_LEN {
                return Err(SealingSecretError::TooShort);
            }
            if !may_be_random(&secret) {
                return Err(SealingSecretError::NotRandom);
            }
            Ok(Hkdf::new(None, &secret))
        };
        secrets.split(',').map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Derives the keys of a kind. Never `None`, because HKDF supports this length and HMAC keys of any length.
    #[must_use]
    pub fn keys(&self, kind: Kind) -> Option<SealingKeys> {
        let derive = |secret| Some(with_field(derive(secret, kind.label)?, kind.label.as_bytes()));
        let mut keys = self.0.iter().map(derive);
        Some(SealingKeys { kind, first: keys.next()??, rest: keys.collect::<Option<_>>()? })
    }

    /// The secrets, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Hkdf<Sha256>> {
        self.0.iter()
    }

    /// Derives a key for other HMACs from the first secret. Like [`Self::keys`], never `None`.
    #[must_use]
    pub fn hmac(&self, label: &str) -> Option<Hmac<Sha256>> {
        derive(self.0.first()?, label)
    }

    /// Derives such a key from each secret, in their order. Like [`Self::keys`], never `None`.
    #[must_use]
    pub fn hmacs(&self, label: &str) -> Option<Vec<Hmac<Sha256>>> {
        self.0.iter().map(|secret| derive(secret, label)).collect()
    }
}

fn derive(secret: &Hkdf<Sha256>, label: &str) -> Option<Hmac<Sha256>> {
    let mut key = [0; KEY_LEN];
    secret.expand(label.as_bytes(), &mut key).ok()?;
    Hmac::new_from_slice(&key).ok()
}

/// The keys of one kind. Each HMAC has already hashed the label.
pub struct SealingKeys {
    kind: Kind,
    first: Hmac<Sha256>,
    rest: Vec<Hmac<Sha256>>,
}

impl SealingKeys {
    /// Seals fields, which must have the lengths of the kind.
    #[must_use]
    pub fn seal(&self, fields: &[&[u8]]) -> String {
        let mut bytes = fields.concat();
        let mac = fields.iter().fold(self.first.clone(), |mac, field| with_field(mac, field));
        bytes.extend(mac.finalize().into_bytes().into_iter().take(TAG_LEN));
        let mut text = self.kind.prefix.to_owned();
        BASE64_URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
        text
    }

    /// Opens a text and returns its concatenated fields; `None` if it is not canonical or its tag is not valid under any key.
    #[must_use]
    pub fn open(&self, text: &str) -> Option<Vec<u8>> {
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(text.strip_prefix(self.kind.prefix)?).ok()?;
        let tag = bytes.split_off(bytes.len().checked_sub(TAG_LEN)?);
        let mut rest = bytes.as_slice();
        let mut fields = Vec::with_capacity(self.kind.field_lens.len());
        for length in self.kind.field_lens {
            let (field, others) = rest.split_at_checked(*length)?;
            fields.push(field);
            rest = others;
        }
        let is_sealed_by = |key: &Hmac<Sha256>| {
            let mac = fields.iter().fold(key.clone(), |mac, field| with_field(mac, field));
            mac.verify_truncated_left(&tag).is_ok()
        };
        let is_sealed = rest.is_empty() && std::iter::once(&self.first).chain(&self.rest).any(is_sealed_by);
        is_sealed.then_some(bytes)
    }
}

/// Hashes the length of a field and the field, so that different lists of fields give different input.
pub(crate) fn with_field(mac: Hmac<Sha256>, field: &[u8]) -> Hmac<Sha256> {
    mac.chain_update(length_of(field)).chain_update(field)
}

/// The length of a field, which precedes it.
pub(crate) fn length_of(field: &[u8]) -> [u8; 4] {
    u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes()
}

impl fmt::Display for SealingSecretError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotBase64 => "must be base64url, or a list of base64url values separated by commas",
            Self::TooShort => "must decode to at least 32 bytes",
            Self::NotRandom => "must be random bytes",
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use hkdf::Hkdf;
    use hmac::{Hmac, Mac as _};
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use sha2::Sha256;

    use super::{Kind, SealingKeys, SealingSecretError, SealingSecrets};

    pub(crate) const SECRET_A: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    pub(crate) const SECRET_B: &str = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA";
    const KIND: Kind = Kind { label: "test", prefix: "t_", field_lens: &[2, 3] };

    fn keys(secrets: &str, kind: Kind) -> SealingKeys {
        SealingSecrets::parse(secrets).unwrap().keys(kind).unwrap()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 4231 §4.2 and §4.3.
    #[test]
    fn hmac_matches_the_vectors_of_rfc_4231() {
        let mac = |key: &[u8], data: &[u8]| {
            hex(&Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(data).finalize().into_bytes())
        };
        assert_eq!(mac(&[0x0b; 20], b"Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        assert_eq!(
            mac(b"Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    /// RFC 5869 §A.3.
    #[test]
    fn hkdf_matches_the_vector_of_rfc_5869() {
        let mut key = [0; 42];
        Hkdf::<Sha256>::new(None, &[0x0b; 22]).expand(b"", &mut key).unwrap();
        assert_eq!(hex(&key), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
    }

    #[test]
    fn the_tag_is_computed_as_documented() {
        let secret: Vec<u8> = (0..32).collect();
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, &secret).expand(b"test", &mut key).unwrap();
        let mut message = vec![0, 0, 0, 4];
        message.extend_from_slice(b"test\0\0\0\x02ab\0\0\0\x03cde");
        let tag = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(message).finalize().into_bytes();
        let text = keys(SECRET_A, KIND).seal(&[b"ab", b"cde"]);
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.strip_prefix("t_").unwrap()).unwrap();
        assert_eq!(bytes, [b"abcde", &tag[..16]].concat());
    }

    #[test]
    fn the_first_secret_seals_and_every_secret_opens() {
        let old = keys(SECRET_A, KIND).seal(&[b"ab", b"cde"]);
        let both = keys(&format!("{SECRET_B}, {SECRET_A}"), KIND);
        assert_eq!(both.open(&old).as_deref(), Some(&b"abcde"[..]));
        let new = both.seal(&[b"ab", b"cde"]);
        assert!(keys(SECRET_B, KIND).open(&new).is_some());
        assert_eq!(keys(SECRET_A, KIND).open(&new), None);
        assert_eq!(keys(SECRET_B, KIND).open(&old), None, "a removed secret opens nothing");
    }

    #[test]
    fn a_text_of_one_kind_is_invalid_as_another_kind() {
        let text = keys(SECRET_A, KIND).seal(&[b"ab", b"cde"]);
        for other in [
            Kind { label: "test2", ..KIND },
            Kind { prefix: "u_", ..KIND },
            Kind { field_lens: &[3, 2], ..KIND },
            Kind { field_lens: &[5], ..KIND },
            Kind { field_lens: &[2, 3, 0], ..KIND },
            Kind { field_lens: &[2, 2], ..KIND },
            Kind { field_lens: &[2, 4], ..KIND },
        ] {
            assert_eq!(keys(SECRET_A, other).open(&text), None, "{other:?}");
        }
    }

    #[test]
    fn a_changed_text_does_not_open() {
        let keys = keys(SECRET_A, KIND);
        let text = keys.seal(&[b"ab", b"cde"]);
        for position in 0..text.len() {
            for replacement in ['A', 'B', 'z', '-', '=', ' '] {
                let mut chars: Vec<char> = text.chars().collect();
                if chars[position] != replacement {
                    chars[position] = replacement;
                    assert_eq!(keys.open(&String::from_iter(chars)), None);
                }
            }
        }
        for bad in ["", "t_", &text[1..], &text[..text.len() - 1], &format!("{text}A"), &format!("{text}=")] {
            assert_eq!(keys.open(bad), None, "{bad}");
        }
    }

    #[test]
    fn weak_secrets_are_refused() {
        for (secret, error) in [
            ("", SealingSecretError::TooShort),
            ("not base64url!", SealingSecretError::NotBase64),
            ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg", SealingSecretError::TooShort),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", SealingSecretError::NotRandom),
            (&format!("{SECRET_A},"), SealingSecretError::TooShort),
        ] {
            assert_eq!(SealingSecrets::parse(secret).err(), Some(error), "{secret}");
        }
    }

    proptest! {
        #[test]
        fn opening_any_text_does_not_panic(text in any::<String>()) {
            prop_assert_eq!(keys(SECRET_A, KIND).open(&text), None);
            prop_assert_eq!(keys(SECRET_A, KIND).open(&format!("t_{text}")), None);
        }
    }
}
