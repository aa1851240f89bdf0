//! Identifiers of users, sessions and tokens: 16 random bytes, so that none can be guessed and none tells an order. An
//! imported user may have brought its own.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// 128 random bits; its text is base64url without padding, 22 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Id([u8; Id::LEN]);

impl Id {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// What is nobody's: it would be drawn once in 2^128.
    pub const NIL: Self = Self([0; Self::LEN]);

    /// An identifier of these bytes, random when it is made.
    #[must_use]
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Reads the canonical text; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// The bytes themselves, as a refresh token carries them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an identifier"))
    }
}

#[cfg(test)]
mod tests {
    use super::Id;

    #[test]
    fn text_and_bytes_are_one_to_one() {
        let id = Id::new([0xfb; 16]);
        assert_eq!(id.to_string().len(), 22);
        assert_eq!(Id::parse(&id.to_string()), Some(id));
    }

    #[test]
    fn only_the_canonical_text_is_read() {
        let text = Id::new([0xff; 16]).to_string();
        assert!(text.ends_with('w'));
        // The last character carries four spare bits: "x" would decode to the same bytes.
        let twin = format!("{}x", text.strip_suffix('w').unwrap());
        for bad in [twin.as_str(), "", "AAAA", &format!("{text}="), &format!(" {text}")] {
            assert_eq!(Id::parse(bad), None, "{bad}");
        }
    }
}
