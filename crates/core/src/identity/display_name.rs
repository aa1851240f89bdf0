//! Display names.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

use super::characters;

/// Maximum length after NFC, in code points.
const MAX_NAME_CHARS: usize = 200;

/// A display name: trimmed, in NFC, 1 to 200 code points, without characters that change the layout of text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name(String);

/// The text is not a valid display name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameError;

impl Name {
    /// Parses a display name.
    ///
    /// # Errors
    /// [`NameError`] if the text is not a valid display name.
    pub fn parse(input: &str) -> Result<Self, NameError> {
        let name: String = input.trim().nfc().collect();
        let length = name.chars().count();
        if length == 0 || length > MAX_NAME_CHARS || name.chars().any(characters::is_layout) {
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
        formatter.write_str("The name must be 1 to 200 characters, without control characters and other characters that change the layout of text.")
    }
}

#[cfg(test)]
mod tests {
    use super::{Name, NameError};

    #[test]
    fn a_name_is_trimmed_and_normalised() {
        assert_eq!(Name::parse("  Jose\u{301} ").unwrap().as_str(), "Jos\u{e9}");
        assert!(Name::parse(&"\u{1f600}".repeat(200)).is_ok());
        for bad in ["", "   ", "a\nb", "a\u{0}b", "a\u{202e}b", "a\u{2028}b", "\u{feff}", &"n".repeat(201)] {
            assert_eq!(Name::parse(bad), Err(NameError), "{bad:?}");
        }
    }
}
