//! The throttle: how long failed attempts to sign in delay further ones.
//!
//! Failures are counted per [`Subject`]. The first ones are free; then each failure begins a wait, in which no attempt is judged
//! or counted. Every wait has a maximum, so no subject is ever locked.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::id::Id;
use crate::token::device::DeviceToken;
use crate::token::sealed::SealingSecrets;

/// What failures are counted against.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Subject {
    /// The name in a login from an unknown device.
    Name(NameHash),
    /// A known device of a user, in a login.
    Device {
        /// The user.
        user_id: Id,
        /// The device.
        device_id: Id,
    },
    /// A user who is signed in and confirms the password.
    User(Id),
    /// The codes of a user's authenticator app. Nobody gets to try one without another proof.
    Factor(Id),
}

/// 24 bits of an HMAC of a name, whether an account has it or not. The small number of hashes bounds the number of rows, and
/// several names share each one, so a row does not tell which name it counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NameHash([u8; 3]);

/// A name as the request identifies the account.
#[derive(Clone, Copy, Debug)]
pub enum Name<'a> {
    /// The key of an e-mail address.
    Email(&'a str),
    /// The key of a username.
    Username(&'a str),
    /// A text that is neither a valid e-mail address nor a valid username.
    Malformed(&'a str),
}

/// Number of wrong codes in a row after which no further code is judged (NIST SP 800-63B-4 §3.2.2).
pub const MAX_WRONG_CODES: u64 = 100;
/// A wait that time does not end, in seconds: 100 years.
const FOREVER: u64 = 3_153_600_000;

/// Whether time does not end a wait of this length, in seconds: too many wrong codes in a row.
#[must_use]
pub const fn is_endless(wait: u64) -> bool {
    wait > FOREVER / 2
}

/// The key of name hashes.
pub struct NameKey(Hmac<Sha256>);

/// How failures of a kind of subject delay attempts. Times in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// The number of failures after which the first wait begins.
    pub free: u64,
    /// The first wait. Each further failure doubles it.
    pub first_wait: u64,
    /// The longest wait, as long as there are fewer than `max_failures`.
    pub max_wait: u64,
    /// The time without a failure after which the next wait is half as long.
    pub quiet: u64,
    /// The number of failures in a row from which on every wait is `last_wait`, however much time passes between them.
    pub max_failures: u64,
    /// The wait from `max_failures` on.
    pub last_wait: u64,
}

impl NameKey {
    /// Derives the key from the first secret. Never `None`.
    #[must_use]
    pub fn derive(secrets: &SealingSecrets) -> Option<Self> {
        secrets.hmac("portcullis name v1").map(Self)
    }

    /// A hash with an id of the key, so that hashes from before and after a change of the secret are not taken for one name.
    #[must_use]
    pub fn label(&self, hash: NameHash) -> String {
        format!("{}.{hash}", self.hash(Name::Malformed("key id")))
    }

    /// The hash of a name.
    #[must_use]
    pub fn hash(&self, name: Name<'_>) -> NameHash {
        let (kind, text) = match name {
            Name::Email(text) => (0, text),
            Name::Username(text) => (1, text),
            Name::Malformed(text) => (2, text),
        };
        let tag = self.0.clone().chain_update([kind]).chain_update(text).finalize().into_bytes();
        NameHash(tag.first_chunk().copied().unwrap_or_default())
    }
}

impl Subject {
    /// What failures from a device are counted against.
    #[must_use]
    pub const fn of_device(device: &DeviceToken) -> Self {
        Self::Device { user_id: device.user_id(), device_id: device.device_id() }
    }

    /// What failures from a device are counted against that is known to a user whose credentials have this version; `None` if none is.
    #[must_use]
    pub fn of_known_device(devices: &[DeviceToken], user_id: Id, credentials_version: u64) -> Option<Self> {
        devices.iter().find(|device| device.is_of(user_id, credentials_version)).map(Self::of_device)
    }

    /// The hash of the name, if it is one.
    #[must_use]
    pub const fn name(self) -> Option<NameHash> {
        match self {
            Self::Name(hash) => Some(hash),
            Self::Device { .. } | Self::User(_) | Self::Factor(_) => None,
        }
    }

    /// The policy for failures of this subject.
    #[must_use]
    pub const fn policy(self) -> Policy {
        match self {
            // NIST SP 800-63B-4 §3.2.2 allows 100 failures in a row. From 50 on, there are at most 96 attempts a day.
            Self::Name(_) | Self::User(_) => {
                Policy { free: 5, first_wait: 2, max_wait: 900, quiet: 3_600, max_failures: 50, last_wait: 900 }
            }
            // A code has six digits, so guessing must end: after 100 in a row only a passkey, a recovery code or an admin helps.
            Self::Factor(_) => Policy {
                free: 5,
                first_wait: 2,
                max_wait: 900,
                quiet: 3_600,
                max_failures: MAX_WRONG_CODES,
                last_wait: FOREVER,
            },
            // After ten failures the device is unknown for a day, and then has ten more. After 50 in all it is unknown for the
            // rest of the life of its token, which may be stolen. The next sign-in of the owner gets a new token.
            Self::Device { .. } => Policy {
                free: 10,
                first_wait: 86_400,
                max_wait: 86_400,
                quiet: 8_640,
                max_failures: 50,
                last_wait: DeviceToken::TTL,
            },
        }
    }
}

impl fmt::Display for NameHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// The key of the subject's row.
impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(hash) => write!(formatter, "name:{hash}"),
            Self::Device { device_id, .. } => write!(formatter, "device:{device_id}"),
            Self::User(id) => write!(formatter, "user:{id}"),
            Self::Factor(id) => write!(formatter, "factor:{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Name, NameKey, Subject};
    use crate::id::Id;
    use crate::token::sealed::SealingSecrets;
    use crate::token::sealed::tests::{SECRET_A, SECRET_B};

    fn key(secrets: &str) -> NameKey {
        NameKey::derive(&SealingSecrets::parse(secrets).unwrap()).unwrap()
    }

    #[test]
    fn a_name_hash_depends_on_the_kind_the_text_and_the_first_secret() {
        let own = key(SECRET_A);
        let hash = own.hash(Name::Email("ada"));
        assert_eq!(hash, key(&format!("{SECRET_A},{SECRET_B}")).hash(Name::Email("ada")));
        assert_ne!(hash, key(&format!("{SECRET_B},{SECRET_A}")).hash(Name::Email("ada")));
        for other in [Name::Username("ada"), Name::Malformed("ada"), Name::Email("adb"), Name::Email("")] {
            assert_ne!(hash, own.hash(other), "{other:?}");
        }
    }

    #[test]
    fn a_labelled_hash_names_its_key() {
        let hash = key(SECRET_A).hash(Name::Email("ada"));
        assert_eq!(key(SECRET_A).label(hash).len(), 9);
        assert!(key(SECRET_A).label(hash).ends_with(&hash.to_string()));
        assert_ne!(key(SECRET_A).label(hash), key(SECRET_B).label(hash));
    }

    #[test]
    fn the_key_of_a_row_names_the_kind_of_its_subject() {
        let hash = key(SECRET_A).hash(Name::Email("ada"));
        let id = Id::new([7; 16]);
        assert_eq!(Subject::Name(hash).to_string(), format!("name:{hash}"));
        assert_eq!(hash.to_string().len(), 4);
        assert_eq!(Subject::Device { user_id: Id::NIL, device_id: id }.to_string(), format!("device:{id}"));
        assert_eq!(Subject::User(id).to_string(), format!("user:{id}"));
    }

    #[test]
    fn only_the_last_wait_of_a_factor_is_endless() {
        let (factor, user) = (Subject::Factor(Id::NIL).policy(), Subject::User(Id::NIL).policy());
        assert_eq!(factor.max_failures, 100);
        for (wait, expected) in [(factor.last_wait, true), (factor.max_wait, false), (user.last_wait, false)] {
            assert_eq!(super::is_endless(wait), expected, "{wait}");
        }
    }

    #[test]
    fn a_device_is_forgiven_by_the_end_of_its_wait() {
        let policy = Subject::Device { user_id: Id::NIL, device_id: Id::NIL }.policy();
        assert!(policy.quiet * policy.free <= policy.first_wait);
    }
}
