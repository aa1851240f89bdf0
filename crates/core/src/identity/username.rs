//! Usernames: an alternative to the e-mail address at log-in.

use std::fmt;

use super::reserved_usernames;

/// Permitted length, in bytes. All characters are ASCII.
const USERNAME_LEN: std::ops::RangeInclusive<usize> = 3..=32;

/// A username: 3 to 32 ASCII letters, digits, `.`, `_` and `-`, beginning and ending with a letter or digit.
///
/// ASCII only, so that two usernames cannot look alike. No `@`, so that a username is never read as an e-mail address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Username {
    text: String,
    key: String,
}

/// Why a text cannot be used as a username.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UsernameError {
    /// It breaks the rule of [`Username`].
    Malformed,
    /// It is on the list of [`super::reserved_usernames`].
    Reserved,
}

impl Username {
    /// Parses a username. It may be reserved: imported users keep their usernames.
    ///
    /// # Errors
    /// [`UsernameError::Malformed`] if the text breaks the rule.
    pub fn parse(input: &str) -> Result<Self, UsernameError> {
        let is_alphanumeric = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let well_formed = USERNAME_LEN.contains(&input.len())
            && is_alphanumeric(input.chars().next())
            && is_alphanumeric(input.chars().next_back())
            && input.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        if !well_formed {
            return Err(UsernameError::Malformed);
        }
        Ok(Self { text: input.to_owned(), key: input.to_ascii_lowercase() })
    }

    /// Parses a username that a user chooses, which must not be reserved.
    ///
    /// # Errors
    /// [`UsernameError`] names the broken rule.
    pub fn for_registration(input: &str) -> Result<Self, UsernameError> {
        Self::parse(input)
            .and_then(|username| if username.is_reserved() { Err(UsernameError::Reserved) } else { Ok(username) })
    }

    /// Whether it is reserved, so that users cannot choose it.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        reserved_usernames::is_reserved(&self.key)
    }

    /// The username as entered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The key for comparing usernames: lower case.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for UsernameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Malformed => {
                "The username must be 3 to 32 ASCII letters, digits, dots, underscores or hyphens, beginning and ending \
                 with a letter or digit."
            }
            Self::Reserved => "The username is reserved. Choose another.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Username, UsernameError};

    #[test]
    fn a_username_is_kept_as_entered_and_compared_in_lower_case() {
        let username = Username::parse("Ada.L-1_x").unwrap();
        assert_eq!(username.as_str(), "Ada.L-1_x");
        assert_eq!(username.key(), "ada.l-1_x");
    }

    #[test]
    fn a_malformed_username_is_refused() {
        let long = "a".repeat(33);
        for bad in ["", "ab", &long, "_ab", "ab-", "a b", "a@b.c", "\u{e4}da", "ad\u{430}", "ada\n", " ada"] {
            assert_eq!(Username::parse(bad), Err(UsernameError::Malformed), "{bad:?}");
            assert_eq!(Username::for_registration(bad), Err(UsernameError::Malformed), "{bad:?}");
        }
        assert!(Username::parse(&"a".repeat(32)).is_ok());
        assert!(Username::parse("abc").is_ok());
    }

    #[test]
    fn a_reserved_username_can_be_imported_but_not_chosen() {
        for reserved in ["admin", "Admin", "AD.MIN", "no-reply", "Post_Master"] {
            let username = Username::parse(reserved).unwrap();
            assert_eq!((username.as_str(), username.is_reserved()), (reserved, true));
            assert_eq!(Username::for_registration(reserved), Err(UsernameError::Reserved));
        }
        assert_eq!(Username::for_registration("Ada.L-1_x"), Username::parse("Ada.L-1_x"));
    }
}
