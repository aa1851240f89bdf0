//! Recovery codes, with which a user signs in who has lost the other second factors. Each works once.
//!
//! Stored is only a hash, under a data secret ([`crate::at_rest`]):
//!
//! ```text
//! base64url( id of the secret(8) || HMAC-SHA-256(key, user id and code, each preceded by its length as u32) )
//! key = HKDF-SHA-256(secret, info = "portcullis recovery code v1")
//! ```

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::Mac as _;

use crate::at_rest::{DataSecret, DataSecrets};
use crate::id::Id;
use crate::token::sealed::with_field;

const ALPHABET: base32::Alphabet = base32::Alphabet::Rfc4648 { padding: false };
/// Number of characters, without hyphens.
const LEN: usize = 24;
/// Number of characters between two hyphens.
const GROUP_LEN: usize = 6;

/// A code of 120 bits. Its text is `XXXXXX-XXXXXX-XXXXXX-XXXXXX`, in base 32 (RFC 4648 §6), which has no 0, 1, 8 and 9.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RecoveryCode([u8; RecoveryCode::BYTES]);

impl RecoveryCode {
    /// Length in bytes.
    pub const BYTES: usize = 15;
    /// Number of codes that a user gets.
    pub const COUNT: usize = 10;
    /// Number of random bytes for these codes.
    pub const SET_BYTES: usize = Self::BYTES * Self::COUNT;

    /// The codes of a user.
    #[must_use]
    pub fn set(random: &[u8; Self::SET_BYTES]) -> Vec<Self> {
        let (codes, _) = random.as_chunks();
        codes.iter().copied().map(Self).collect()
    }

    /// Reads what a user types: case, spaces and hyphens do not matter. `None` for anything that is no code.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_separator = |character: char| character == '-' || character.is_whitespace();
        let text: String = text.chars().filter(|character| !is_separator(*character)).collect();
        if text.len() != LEN {
            return None;
        }
        let bytes = base32::decode(ALPHABET, &text.to_ascii_uppercase())?;
        bytes.try_into().ok().map(Self)
    }

    /// The hash to store, under the first secret.
    #[must_use]
    pub fn hash(&self, user_id: Id, secrets: &DataSecrets) -> String {
        self.hash_under(user_id, secrets.first())
    }

    /// The hashes under which the code may be stored: one of each secret.
    #[must_use]
    pub fn hashes(&self, user_id: Id, secrets: &DataSecrets) -> Vec<String> {
        secrets.iter().map(|secret| self.hash_under(user_id, secret)).collect()
    }

    fn hash_under(&self, user_id: Id, secret: &DataSecret) -> String {
        let mac = with_field(with_field(secret.recovery_codes(), user_id.as_bytes()), &self.0);
        let hash = mac.finalize().into_bytes();
        BASE64_URL_SAFE_NO_PAD.encode([secret.id().as_bytes().as_slice(), &hash].concat())
    }
}

impl fmt::Display for RecoveryCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, character) in base32::encode(ALPHABET, &self.0).chars().enumerate() {
            if index > 0 && index.is_multiple_of(GROUP_LEN) {
                formatter.write_str("-")?;
            }
            write!(formatter, "{character}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use hkdf::Hkdf;
    use hmac::{Hmac, Mac as _};
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use sha2::Sha256;

    use super::RecoveryCode;
    use crate::at_rest::DataSecretId;
    use crate::at_rest::tests::secrets;
    use crate::id::Id;
    use crate::token::sealed::tests::{SECRET_A, SECRET_B};

    const USER: Id = Id::new([1; 16]);
    const CODE: RecoveryCode = RecoveryCode(*b"recovery code 1");

    #[test]
    fn a_set_has_ten_codes_of_120_bits() {
        let mut random = [0; RecoveryCode::SET_BYTES];
        for (byte, value) in random.iter_mut().zip(0..) {
            *byte = value;
        }
        let codes = RecoveryCode::set(&random);
        let texts: HashSet<_> = codes.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 10);
        assert_eq!(codes.iter().flat_map(|code| code.0).collect::<Vec<_>>(), random);
        assert_eq!(codes[0].to_string(), "AAAQEA-YEAUDA-OCAJBI-FQYDIO");
    }

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        for same in [
            "aaaqea-yeauda-ocajbi-fqydio",
            " AAAQEA YEAUDA\tOCAJBI FQYDIO\n",
            "AAAQEAYEAUDAOCAJBIFQYDIO",
            "-A-aaqEAYEAUDAOCAJBIFQYDIO-",
        ] {
            assert_eq!(RecoveryCode::parse(same).unwrap().to_string(), "AAAQEA-YEAUDA-OCAJBI-FQYDIO", "{same}");
        }
    }

    #[test]
    fn anything_else_is_no_code() {
        for text in [
            "",
            "AAAQEA-YEAUDA-OCAJBI-FQYDI",
            "AAAQEA-YEAUDA-OCAJBI-FQYDIOA",
            "AAAQEA-YEAUDA-OCAJBI-FQYDI0",
            "AAAQEA-YEAUDA-OCAJBI-FQYDI=",
            "AAAQEA-YEAUDA-OCAJBI-FQYD\u{e4}",
            "AAAQEA_YEAUDA_OCAJBI_FQYDIO",
        ] {
            assert!(RecoveryCode::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_hash_is_computed_as_documented() {
        let secret: Vec<u8> = (0..32).collect();
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, &secret).expand(b"portcullis recovery code v1", &mut key).unwrap();
        let message = [b"\0\0\0\x10".as_slice(), &[1; 16], b"\0\0\0\x0f", b"recovery code 1"].concat();
        let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(message).finalize().into_bytes();
        let secrets = secrets(SECRET_A);
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(CODE.hash(USER, &secrets)).unwrap();
        assert_eq!(bytes, [secrets.first().id().as_bytes().as_slice(), &mac].concat());
    }

    #[test]
    fn a_code_is_found_under_every_secret_and_stored_under_the_first() {
        let old = CODE.hash(USER, &secrets(SECRET_A));
        let both = secrets(&format!("{SECRET_B},{SECRET_A}"));
        let new = CODE.hash(USER, &both);
        assert_eq!(CODE.hashes(USER, &both), [new.clone(), old.clone()]);
        assert_eq!((both.is_under_first(&new), both.is_under_first(&old)), (true, false));
        assert_eq!(DataSecretId::of(&old), Some(secrets(SECRET_A).first().id()));
        assert!(!CODE.hashes(USER, &secrets(SECRET_B)).contains(&old));
    }

    #[test]
    fn the_hash_differs_between_users_and_codes() {
        let secrets = secrets(SECRET_A);
        let hash = CODE.hash(USER, &secrets);
        assert_ne!(hash, CODE.hash(Id::NIL, &secrets));
        assert_ne!(hash, RecoveryCode(*b"recovery code 2").hash(USER, &secrets));
    }

    proptest! {
        #[test]
        fn every_code_is_read_back(bytes in any::<[u8; 15]>()) {
            let text = RecoveryCode(bytes).to_string();
            prop_assert_eq!(text.len(), 27);
            prop_assert_eq!(RecoveryCode::parse(&text).map(|code| code.0), Some(bytes));
        }

        #[test]
        fn no_text_is_a_fault(text in any::<String>()) {
            let _ = RecoveryCode::parse(&text);
        }
    }
}
