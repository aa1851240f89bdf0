//! Passwords: what may be chosen (NIST SP 800-63B-4 §3.1.1.2), and how they are hashed and verified (RFC 9106).
//!
//! The one place that hashes. Everything cheap is checked before it is called. Hashes are Argon2id in PHC strings, of the
//! password in NFC; those that came from elsewhere, of any Argon2 and of [`crate::password::imported`], are tried as it was typed and
//! in NFC, and are `outdated`, so that the next log-in replaces them.
//!
//! Parameters and strings are the `argon2` crate's, the hashes those of `argon2_simd128`, in one memory an isolate.

mod argon2_hash;
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

use imported::ForeignHashError;
use strength::is_guessable;

pub use cost::HashCost;
pub use hasher::{Hasher, SALT_LEN};
pub use stored::StoredHash;

/// In bytes after NFC: longer ones are refused, never truncated.
const MAX_BYTES: usize = 1024;

/// A password in NFC and of bearable length. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    nfc: String,
    /// As it came, if that is not NFC: what other systems have hashed.
    typed: Option<String>,
}

/// Why a password cannot be chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PasswordError {
    /// Fewer code points than the configured minimum, which is carried along.
    TooShort(usize),
    /// More than 1024 bytes after NFC.
    TooLong,
    /// Common, or made of nothing but a few common parts; see [`crate::password::strength`].
    Guessable,
}

impl Password {
    /// A password that is presented for verification: normalised, and bounded so that hashing it costs no more than
    /// hashing any other.
    ///
    /// # Errors
    /// [`PasswordError::TooLong`].
    pub fn for_login(input: &str) -> Result<Self, PasswordError> {
        let nfc: String = input.nfc().collect();
        if nfc.len() > MAX_BYTES {
            return Err(PasswordError::TooLong);
        }
        let typed = if nfc == input { None } else { Some(input.to_owned()) };
        Ok(Self { nfc, typed })
    }

    /// A password that is being chosen. `min_chars` counts code points after NFC; `about` is what the person told of
    /// themselves, and the service's own name.
    ///
    /// # Errors
    /// [`PasswordError`] names the first rule that does not hold.
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

    fn in_nfc(&self) -> &str {
        &self.nfc
    }

    /// As it came, which is what other systems have hashed.
    fn typed(&self) -> &str {
        self.typed.as_ref().unwrap_or(&self.nfc)
    }

    fn is_typed_in_nfc(&self) -> bool {
        self.typed.is_none()
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
                "The password is too easy to guess: it is made of common passwords or words, repetitions, runs of \
                 characters or keys, or your own name or address, and little else. Add more words, or choose another.",
            ),
        }
    }
}

/// What verifying a password against a stored hash found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verification {
    /// It is the password. `outdated`: the stored hash was made with other parameters than today's.
    Matches {
        /// Whether the password should be hashed anew.
        outdated: bool,
    },
    /// It is not.
    Differs,
}

/// Hashing failed: a stored string that is no hash, or one that costs too much, or parameters the library refuses. Says
/// which, and shows nothing of the hash.
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

impl From<ForeignHashError> for HashError {
    fn from(error: ForeignHashError) -> Self {
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
        // Fifteen code points as typed, fourteen once "e" and its accent are composed.
        assert_eq!(chosen("fourteen chare\u{301}"), Err(PasswordError::TooShort(15)));
        let emoji: String = ('\u{1f600}'..).take(64).step_by(3).collect();
        assert!(chosen(&emoji).is_ok());
    }

    #[test]
    fn nothing_is_truncated_and_beyond_1024_bytes_is_refused() {
        let longest: String = "correct horse battery staple ".chars().cycle().take(1023).chain(['x']).collect();
        assert!(chosen(&longest).is_ok());
        assert_eq!(chosen(&format!("{longest}x")), Err(PasswordError::TooLong));
        assert_eq!(Password::for_login(&format!("{longest}x")), Err(PasswordError::TooLong));
    }

    #[test]
    fn any_character_may_be_used() {
        for good in
            ["with\0nul inside it", "  spaces at both  ", "\u{5d0}\u{5d1}\u{5d2} right to left", "tab\tand\nnewline ok"]
        {
            assert!(chosen(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn guessable_passwords_are_refused() {
        assert_eq!(chosen("Password12345678"), Err(PasswordError::Guessable));
        assert_eq!(chosen("Ada.Lovelace@example.org"), Err(PasswordError::Guessable));
        assert_eq!(Password::for_registration("password", 8, &[]), Err(PasswordError::Guessable));
    }

    #[test]
    fn debug_shows_nothing_of_a_password() {
        assert_eq!(format!("{:?}", Password::for_login("hunter2").unwrap()), "Password(..)");
    }
}
