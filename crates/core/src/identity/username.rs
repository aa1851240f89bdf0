//! Usernames: a second name to log in by.

use std::fmt;

use super::reserved_usernames;

/// Length in characters, all of them ASCII.
const USERNAME_LEN: std::ops::RangeInclusive<usize> = 3..=32;

/// A second name to log in by: 3 to 32 of ASCII letters, digits, `.`, `_` and `-`, beginning and ending with a letter
/// or digit. ASCII only, so that no two usernames look alike; no `@`, so that none is taken for an e-mail address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Username {
    text: String,
    key: String,
}

/// Why a text cannot be used as a username.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UsernameError {
    /// It is none by that rule.
    Malformed,
    /// Nobody may choose it; see [`super::reserved_usernames`].
    Reserved,
}

impl Username {
    /// Reads a username by the rule above, which may be a reserved one: an import brings what people had.
    ///
    /// # Errors
    /// [`UsernameError::Malformed`] when the rule does not hold.
    pub fn parse(input: &str) -> Result<Self, UsernameError> {
        let edges = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let well_formed = USERNAME_LEN.contains(&input.len())
            && edges(input.chars().next())
            && edges(input.chars().next_back())
            && input.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        if !well_formed {
            return Err(UsernameError::Malformed);
        }
        Ok(Self { text: input.to_owned(), key: input.to_ascii_lowercase() })
    }

    /// A username that is being chosen.
    ///
    /// # Errors
    /// [`UsernameError`] names the rule that does not hold.
    pub fn for_registration(input: &str) -> Result<Self, UsernameError> {
        Self::parse(input)
            .and_then(|username| if username.is_reserved() { Err(UsernameError::Reserved) } else { Ok(username) })
    }

    /// Whether nobody may choose it.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        reserved_usernames::is_reserved(&self.key)
    }

    /// As it was entered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What two usernames are compared by: lower case.
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
    fn usernames_are_kept_as_entered_and_compared_in_lower_case() {
        let username = Username::parse("Ada.L-1_x").unwrap();
        assert_eq!(username.as_str(), "Ada.L-1_x");
        assert_eq!(username.key(), "ada.l-1_x");
    }

    #[test]
    fn usernames_outside_the_rule_are_refused() {
        let long = "a".repeat(33);
        for bad in ["", "ab", &long, "_ab", "ab-", "a b", "a@b.c", "\u{e4}da", "ad\u{430}", "ada\n", " ada"] {
            assert_eq!(Username::parse(bad), Err(UsernameError::Malformed), "{bad:?}");
            assert_eq!(Username::for_registration(bad), Err(UsernameError::Malformed), "{bad:?}");
        }
        assert!(Username::parse(&"a".repeat(32)).is_ok());
        assert!(Username::parse("abc").is_ok());
    }

    #[test]
    fn a_reserved_username_can_be_had_but_not_chosen() {
        for reserved in ["admin", "Admin", "AD.MIN", "no-reply", "Post_Master"] {
            let username = Username::parse(reserved).unwrap();
            assert_eq!((username.as_str(), username.is_reserved()), (reserved, true));
            assert_eq!(Username::for_registration(reserved), Err(UsernameError::Reserved));
        }
        assert_eq!(Username::for_registration("Ada.L-1_x"), Username::parse("Ada.L-1_x"));
    }
}
