//! Bytes in JSON, as browsers write them: base64url without padding (WebAuthn §5.1).

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Bytes of at most [`Base64Url::MAX_LEN`], read from their canonical text only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Base64Url(Vec<u8>);

impl Base64Url {
    /// Maximum length, in bytes. The largest attestation object without certificates has about 2100 bytes: a credential id of
    /// 1023, an RSA key of 512 and a signature of as many.
    pub const MAX_LEN: usize = 4096;

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Base64Url {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Serialize for Base64Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Base64Url;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("base64url")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Base64Url, E> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| E::custom("not base64url"))?;
        if bytes.len() > Base64Url::MAX_LEN { Err(E::custom("too long")) } else { Ok(Base64Url(bytes)) }
    }
}

#[cfg(feature = "openapi")]
impl schemars::JsonSchema for Base64Url {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Base64Url".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[A-Za-z0-9_-]*$"})
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::Base64Url;

    fn read(text: &str) -> Option<Vec<u8>> {
        let bytes: Base64Url = serde_json::from_value(text.into()).ok()?;
        Some(bytes.as_bytes().to_vec())
    }

    #[test]
    fn only_canonical_text_of_limited_length_is_read() {
        assert_eq!(read("-_8"), Some(vec![0xfb, 0xff]));
        assert_eq!(read(""), Some(vec![]));
        for bad in ["-_9", "-_8=", "+/8", "A", " AAAA", "AAAA\n"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert!(read(&"AAAA".repeat(1365)).is_some_and(|bytes| bytes.len() == 4095));
        assert_eq!(read(&"AAAA".repeat(1366)), None);
    }

    proptest! {
        #[test]
        fn bytes_and_text_are_one_to_one(bytes in any::<Vec<u8>>(), text in any::<String>()) {
            let written = serde_json::to_value(Base64Url::from(bytes.clone())).unwrap();
            prop_assert_eq!(read(written.as_str().unwrap()), Some(bytes));
            if let Some(bytes) = read(&text) {
                prop_assert_eq!(serde_json::to_value(Base64Url::from(bytes)).unwrap(), text);
            }
        }
    }
}
