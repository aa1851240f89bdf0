//! Encryption of columns that D1 alone must not reveal: the data secrets, and the text that is stored.
//!
//! ```text
//! base64url( id of the secret(8) || nonce(12) || AES-256-GCM ciphertext and tag )
//! id             = HKDF-SHA-256(secret, info = "portcullis data secret id v1")
//! encryption key = HKDF-SHA-256(secret, info = "portcullis data encryption v1")
//! associated data = table, column and id of the row, each preceded by its length as u32
//! ```
//!
//! There is a list of secrets: the first one encrypts, and all decrypt. Because the text names its secret, the order of the list does
//! not matter for decryption. Because of the associated data, a text is invalid in any other row. WebCrypto encrypts and decrypts.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::token::sealed::{SealingSecrets, length_of};

const ID_LABEL: &str = "portcullis data secret id v1";
const ENCRYPTION_LABEL: &str = "portcullis data encryption v1";
const RECOVERY_CODE_LABEL: &str = "portcullis recovery code v1";

/// The id of a data secret. Its text, 10 characters, is the beginning of every text that is stored under the secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DataSecretId([u8; DataSecretId::LEN]);

impl DataSecretId {
    /// Length in bytes.
    pub const LEN: usize = 8;
    /// Length of the text: the characters that contain bits of the id only.
    const TEXT_LEN: usize = Self::LEN * 8 / 6;

    /// The id of the secret under which a text is stored; `None` if the text is malformed.
    #[must_use]
    pub fn of(stored: &str) -> Option<Self> {
        Some(Self(*BASE64_URL_SAFE_NO_PAD.decode(stored).ok()?.first_chunk()?))
    }

    /// The bytes of the id.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for DataSecretId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = BASE64_URL_SAFE_NO_PAD.encode(self.0);
        formatter.write_str(text.get(..Self::TEXT_LEN).unwrap_or_default())
    }
}

/// The id and the keys of one secret.
pub struct DataSecret {
    id: DataSecretId,
    encryption_key: [u8; 32],
    recovery_codes: Hmac<Sha256>,
}

impl DataSecret {
    fn derive(secret: &Hkdf<Sha256>) -> Option<Self> {
        Some(Self {
            id: DataSecretId(expand(secret, ID_LABEL)?),
            encryption_key: expand(secret, ENCRYPTION_LABEL)?,
            recovery_codes: Hmac::new_from_slice(&expand::<32>(secret, RECOVERY_CODE_LABEL)?).ok()?,
        })
    }

    /// The id.
    #[must_use]
    pub const fn id(&self) -> DataSecretId {
        self.id
    }

    /// The AES-256-GCM key.
    #[must_use]
    pub const fn encryption_key(&self) -> &[u8; 32] {
        &self.encryption_key
    }

    /// The HMAC of recovery codes ([`crate::mfa::recovery_code`]).
    pub(crate) fn recovery_codes(&self) -> Hmac<Sha256> {
        self.recovery_codes.clone()
    }
}

fn expand<const N: usize>(secret: &Hkdf<Sha256>, label: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    secret.expand(label.as_bytes(), &mut bytes).ok()?;
    Some(bytes)
}

/// The configured data secrets.
pub struct DataSecrets {
    first: DataSecret,
    rest: Vec<DataSecret>,
}

impl DataSecrets {
    /// Derives the keys. Never `None`, because HKDF supports these lengths and HMAC keys of any length.
    #[must_use]
    pub fn derive(secrets: &SealingSecrets) -> Option<Self> {
        let mut secrets = secrets.iter().map(DataSecret::derive);
        Some(Self { first: secrets.next()??, rest: secrets.collect::<Option<_>>()? })
    }

    /// The secret under which new texts are stored.
    #[must_use]
    pub const fn first(&self) -> &DataSecret {
        &self.first
    }

    /// All secrets, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &DataSecret> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// Whether a text is stored under the first secret. Otherwise, it has to be encrypted again before its secret is removed.
    #[must_use]
    pub fn is_under_first(&self, stored: &str) -> bool {
        DataSecretId::of(stored) == Some(self.first.id)
    }
}

/// Where a text is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place<'a> {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The id of the row.
    pub row: &'a [u8],
}

impl Place<'_> {
    /// The associated data of a ciphertext that is stored here.
    #[must_use]
    pub fn associated_data(&self) -> Vec<u8> {
        let fields = [self.table.as_bytes(), self.column.as_bytes(), self.row];
        fields.iter().flat_map(|field| [&length_of(field), *field].concat()).collect()
    }
}

/// A ciphertext and what decryption needs besides the key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ciphertext {
    /// The secret whose key encrypted it.
    pub secret: DataSecretId,
    /// The nonce, random for every text.
    pub nonce: [u8; Ciphertext::NONCE_LEN],
    /// The output of AES-256-GCM, which ends in the tag.
    pub encrypted: Vec<u8>,
}

impl Ciphertext {
    /// Length of a nonce, in bytes (NIST SP 800-38D §5.2.1.1).
    pub const NONCE_LEN: usize = 12;

    /// Reads a stored text; `None` if it is malformed.
    #[must_use]
    pub fn parse(stored: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(stored).ok()?;
        let (secret, rest) = bytes.split_first_chunk()?;
        let (nonce, encrypted) = rest.split_first_chunk()?;
        Some(Self { secret: DataSecretId(*secret), nonce: *nonce, encrypted: encrypted.to_vec() })
    }
}

/// The text to store.
impl fmt::Display for Ciphertext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.secret.as_bytes(), self.nonce.as_slice(), &self.encrypted].concat();
        formatter.write_str(&BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use aes_gcm::aead::{Aead as _, Payload};
    use aes_gcm::{Aes256Gcm, KeyInit as _};
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{Ciphertext, DataSecret, DataSecretId, DataSecrets, Place};
    use crate::token::sealed::SealingSecrets;
    use crate::token::sealed::tests::{SECRET_A, SECRET_B};

    /// The id of `SECRET_A` and a text that is stored under it, computed by Node's crypto. tests/tools/secrets.test.mjs has them too.
    const ID_A: &str = "33kD6moDmO";
    const STORED: &str = "33kD6moDmOMJCQkJCQkJCQkJCQlJzG8S5FgM_vqN6NGzyrIU_uLxK0QH8rOx";
    const PLACE: Place<'_> = Place { table: "totp", column: "secret", row: &[7; 16] };

    pub(crate) fn secrets(list: &str) -> DataSecrets {
        DataSecrets::derive(&SealingSecrets::parse(list).unwrap()).unwrap()
    }

    fn encrypt(secret: &DataSecret, place: &Place<'_>, nonce: [u8; 12], msg: &[u8]) -> String {
        let cipher = Aes256Gcm::new(secret.encryption_key().into());
        let payload = Payload { msg, aad: &place.associated_data() };
        let encrypted = cipher.encrypt(&nonce.into(), payload).unwrap();
        Ciphertext { secret: secret.id(), nonce, encrypted }.to_string()
    }

    fn decrypt(secrets: &DataSecrets, place: &Place<'_>, stored: &str) -> Option<Vec<u8>> {
        let Ciphertext { secret, nonce, encrypted } = Ciphertext::parse(stored)?;
        let secret = secrets.iter().find(|other| other.id() == secret)?;
        let payload = Payload { msg: &encrypted, aad: &place.associated_data() };
        Aes256Gcm::new(secret.encryption_key().into()).decrypt(&nonce.into(), payload).ok()
    }

    #[test]
    fn the_stored_text_is_as_documented() {
        let secrets = secrets(SECRET_A);
        assert_eq!(secrets.first().id().to_string(), ID_A);
        assert_eq!(encrypt(secrets.first(), &PLACE, [9; 12], b"plaintext"), STORED);
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(STORED).unwrap();
        assert_eq!(bytes.len(), 8 + 12 + b"plaintext".len() + 16);
        assert_eq!((&bytes[..8], &bytes[8..20]), (secrets.first().id().as_bytes().as_slice(), &[9; 12][..]));
        assert!(STORED.starts_with(ID_A), "the id is the beginning of the text");
        assert_eq!(decrypt(&secrets, &PLACE, STORED).as_deref(), Some(&b"plaintext"[..]));
    }

    #[test]
    fn the_associated_data_is_as_documented() {
        let place = Place { table: "ab", column: "c", row: &[1, 2, 3] };
        assert_eq!(place.associated_data(), b"\0\0\0\x02ab\0\0\0\x01c\0\0\0\x03\x01\x02\x03");
    }

    #[test]
    fn a_text_is_valid_in_its_place_only() {
        let secrets = secrets(SECRET_A);
        assert!(decrypt(&secrets, &PLACE, STORED).is_some());
        for other in [
            Place { table: "users", ..PLACE },
            Place { column: "other", ..PLACE },
            Place { row: &[8; 16], ..PLACE },
            Place { row: &[7; 15], ..PLACE },
            Place { table: "totps", column: "ecret", ..PLACE },
        ] {
            assert_eq!(decrypt(&secrets, &other, STORED), None, "{other:?}");
        }
    }

    #[test]
    fn the_first_secret_encrypts_and_every_secret_decrypts() {
        let both = secrets(&format!("{SECRET_B}, {SECRET_A}"));
        assert!(decrypt(&both, &PLACE, STORED).is_some());
        assert!(!both.is_under_first(STORED) && secrets(SECRET_A).is_under_first(STORED));
        let new = encrypt(both.first(), &PLACE, [9; 12], b"plaintext");
        assert!(both.is_under_first(&new));
        assert!(decrypt(&secrets(SECRET_B), &PLACE, &new).is_some());
        assert_eq!(decrypt(&secrets(SECRET_B), &PLACE, STORED), None, "a removed secret decrypts nothing");
        let ids: Vec<_> = both.iter().map(|secret| secret.id().to_string()).collect();
        assert_eq!(ids, [secrets(SECRET_B).first().id().to_string(), ID_A.to_owned()]);
    }

    #[test]
    fn a_malformed_text_is_none() {
        for stored in ["", "A", "AAAAAAAAAA", &STORED[..26], &format!("{STORED}="), &format!("{STORED}!"), "\u{e4}"] {
            assert_eq!(Ciphertext::parse(stored), None, "{stored}");
        }
        assert_eq!(DataSecretId::of("AAAAAAAAAA"), None);
        assert!(!secrets(SECRET_A).is_under_first(""));
    }

    proptest! {
        #[test]
        fn every_ciphertext_is_read_back(nonce in any::<[u8; 12]>(), encrypted in any::<Vec<u8>>()) {
            let ciphertext = Ciphertext { secret: secrets(SECRET_A).first().id(), nonce, encrypted };
            let stored = ciphertext.to_string();
            prop_assert_eq!(DataSecretId::of(&stored), Some(ciphertext.secret));
            prop_assert_eq!(Ciphertext::parse(&stored), Some(ciphertext));
        }

        #[test]
        fn no_text_is_a_fault(text in any::<String>()) {
            let _ = Ciphertext::parse(&text);
            let _ = DataSecretId::of(&text);
        }
    }
}
