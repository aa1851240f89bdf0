//! Passwords: which ones users may choose (NIST SP 800-63B-4 §3.1.1.2), and how they are hashed and verified (RFC 9106).
//!
//! A hash is the PHC string of Argon2id over the password in NFC. An imported hash, made by any variant of Argon2 or by an
//! algorithm of [`imported`], is tried against the password as typed and in NFC. It counts as outdated, so the next log-in
//! replaces it.
//!
//! The `argon2` crate parses parameters and strings, `argon2_simd128` computes the hashes.

mod argon2_hash;
pub mod breached;
pub mod common;
mod cost;
mod hasher;
pub mod hashing_queue;
mod imported;
mod memory;
mod stored;
pub mod strength;

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

use imported::ImportedHashError;
use strength::is_guessable;

pub use cost::HashCost;
pub use hasher::{Hasher, SALT_LEN};
pub use stored::StoredHash;

/// Maximum length after NFC, in bytes. Longer passwords are refused, never truncated.
const MAX_BYTES: usize = 1024;

/// A password of limited length. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    nfc: String,
    /// The password as typed, if that is not NFC. Other systems may have hashed it so.
    typed: Option<String>,
}

/// Why a password is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PasswordError {
    /// It has fewer code points than this minimum.
    TooShort(usize),
    /// It is longer than 1024 bytes after NFC.
    TooLong,
    /// It is common, or consists of a few common parts; see [`strength`].
    Guessable,
    /// It is in a list of passwords from data breaches; see [`breached`].
    Breached,
}

impl Password {
    /// A password to verify.
    ///
    /// # Errors
    /// [`PasswordError::TooLong`], so that the cost of hashing is limited.
    pub fn for_login(input: &str) -> Result<Self, PasswordError> {
        let nfc: String = input.nfc().collect();
        if nfc.len() > MAX_BYTES {
            return Err(PasswordError::TooLong);
        }
        let typed = if nfc == input { None } else { Some(input.to_owned()) };
        Ok(Self { nfc, typed })
    }

    /// A password that a user chooses. `min_chars` counts code points after NFC. `about` holds what the user entered about
    /// themselves, the name of the service, and the words of the organisation.
    ///
    /// # Errors
    /// [`PasswordError`] names the first broken rule.
    pub fn for_registration(input: &str, min_chars: usize, about: &[&str]) -> Result<Self, PasswordError> {
        let password = Self::for_login(input)?;
        if password.nfc.chars().count() < min_chars {
            return Err(PasswordError::TooShort(min_chars));
        }
        if is_guessable(&password.nfc, about) {
            return Err(PasswordError::Guessable);
        }
        Ok(password)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(..)")
    }
}

impl fmt::Display for PasswordError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort(min) => write!(formatter, "The password must have at least {min} characters."),
            Self::TooLong => write!(formatter, "The password must be at most {MAX_BYTES} bytes long."),
            Self::Guessable => formatter.write_str(
                "The password is too easy to guess: it consists mainly of common passwords or words, repetitions, sequences \
                 of characters or keys, your own name or address, or names of this service. Add more words, or choose another.",
            ),
            Self::Breached => formatter.write_str(
                "The password is in a public list of passwords from data breaches, and attackers try these first. Choose another.",
            ),
        }
    }
}

/// The result of verifying a password against a stored hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verification {
    /// The password is correct.
    Matches {
        /// Whether the stored hash should be replaced by a new one.
        outdated: bool,
    },
    /// The password is wrong.
    Differs,
}

/// Hashing failed: the stored string is not a valid hash, is too costly to verify, or has parameters that the library
/// refuses. The text says which, and shows nothing of the hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HashError(String);

impl HashError {
    fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for HashError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<ImportedHashError> for HashError {
    fn from(error: ImportedHashError) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::{Password, PasswordError};

    fn chosen(input: &str) -> Result<Password, PasswordError> {
        Password::for_registration(input, 15, &["ada.lovelace@example.org", "Ada.Lovelace.the.first"])
    }

    #[test]
    fn length_counts_code_points_after_nfc() {
        assert_eq!(chosen("fourteen chars"), Err(PasswordError::TooShort(15)));
        assert!(chosen("fifteen chars !").is_ok());
        // Fifteen code points as typed, fourteen in NFC.
        assert_eq!(chosen("fourteen chare\u{301}"), Err(PasswordError::TooShort(15)));
        let emoji: String = ('\u{1f600}'..).take(64).step_by(3).collect();
        assert!(chosen(&emoji).is_ok());
    }

    #[test]
    fn a_password_over_1024_bytes_is_refused_not_truncated() {
        let longest: String = "correct horse battery staple ".chars().cycle().take(1023).chain(['x']).collect();
        assert!(chosen(&longest).is_ok());
        assert_eq!(chosen(&format!("{longest}x")), Err(PasswordError::TooLong));
        assert_eq!(Password::for_login(&format!("{longest}x")), Err(PasswordError::TooLong));
    }

    #[test]
    fn any_character_is_allowed() {
        for good in
            ["with\0nul inside it", "  spaces at both  ", "\u{5d0}\u{5d1}\u{5d2} right to left", "tab\tand\nnewline ok"]
        {
            assert!(chosen(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_guessable_password_is_refused() {
        assert_eq!(chosen("Password12345678"), Err(PasswordError::Guessable));
        assert_eq!(chosen("Ada.Lovelace@example.org"), Err(PasswordError::Guessable));
        assert_eq!(Password::for_registration("password", 8, &[]), Err(PasswordError::Guessable));
    }

    #[test]
    fn debug_shows_nothing_of_a_password() {
        assert_eq!(format!("{:?}", Password::for_login("hunter2").unwrap()), "Password(..)");
    }
}
