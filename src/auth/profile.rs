//! What people may tell about themselves beside the e-mail address: a username to log in by, and a name to show.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

use super::text;

/// In characters, all of them ASCII.
const USERNAME_LEN: std::ops::RangeInclusive<usize> = 3..=32;
/// In code points after NFC.
const MAX_NAME_CHARS: usize = 200;

/// A second name to log in by: 3 to 32 of ASCII letters, digits, `.`, `_` and `-`, beginning and ending with a letter
/// or digit. ASCII only, so that no two usernames look alike; no `@`, so that none is taken for an e-mail address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Username {
    text: String,
    key: String,
}

/// The text is not a username by that rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UsernameError;

impl Username {
    /// Reads a username by the rule above.
    ///
    /// # Errors
    /// [`UsernameError`] when the rule does not hold.
    pub fn parse(input: &str) -> Result<Self, UsernameError> {
        let edges = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let well_formed = USERNAME_LEN.contains(&input.len())
            && edges(input.chars().next())
            && edges(input.chars().next_back())
            && input.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        if !well_formed {
            return Err(UsernameError);
        }
        Ok(Self { text: input.to_owned(), key: input.to_ascii_lowercase() })
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
        formatter.write_str(
            "The username must be 3 to 32 ASCII letters, digits, dots, underscores or hyphens, beginning and ending \
             with a letter or digit.",
        )
    }
}

/// A name to show: trimmed, NFC, 1 to 200 code points, none of which changes the layout of the text around it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name(String);

/// The text is not a name by that rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameError;

impl Name {
    /// Reads a name by the rule above.
    ///
    /// # Errors
    /// [`NameError`] when the rule does not hold.
    pub fn parse(input: &str) -> Result<Self, NameError> {
        let name: String = input.trim().nfc().collect();
        let length = name.chars().count();
        if length == 0 || length > MAX_NAME_CHARS || name.chars().any(text::is_layout) {
            return Err(NameError);
        }
        Ok(Self(name))
    }

    /// The name, trimmed and in NFC.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("The name must be 1 to 200 characters, none of which controls the layout of text.")
    }
}

#[cfg(test)]
mod tests {
    use super::{Name, NameError, Username, UsernameError};

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
            assert_eq!(Username::parse(bad), Err(UsernameError), "{bad:?}");
        }
        assert!(Username::parse(&"a".repeat(32)).is_ok());
        assert!(Username::parse("abc").is_ok());
    }

    #[test]
    fn names_are_trimmed_and_normalised() {
        assert_eq!(Name::parse("  Jose\u{301} ").unwrap().as_str(), "Jos\u{e9}");
        assert!(Name::parse(&"\u{1f600}".repeat(200)).is_ok());
        for bad in ["", "   ", "a\nb", "a\u{0}b", "a\u{202e}b", "a\u{2028}b", "\u{feff}", &"n".repeat(201)] {
            assert_eq!(Name::parse(bad), Err(NameError), "{bad:?}");
        }
    }
}
