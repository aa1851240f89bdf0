//! Metadata of a user: JSON objects that apps define and that Portcullis stores without reading them.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// Maximum length of an object as compact JSON, in bytes.
const MAX_BYTES: usize = 4096;
/// Maximum depth of an object, itself included. Responses nest it deeper, and clients may have lower limits.
const MAX_DEPTH: usize = 16;
/// Maximum length of all objects in one access token, in bytes. It is small because the token is sent with each request.
pub const MAX_CLAIM_BYTES: usize = 1024;

/// A JSON object of at most 4 KB, as compact JSON.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metadata(String);

/// Why an object is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetadataError {
    /// It is longer than 4 KB as compact JSON.
    TooLong,
    /// It is nested too deeply.
    TooDeep,
}

impl Metadata {
    /// Serializes an object and checks its length and depth.
    ///
    /// # Errors
    /// [`MetadataError`].
    pub fn new(object: Map<String, Value>) -> Result<Self, MetadataError> {
        let object = Value::Object(object);
        if depth(&object) > MAX_DEPTH {
            return Err(MetadataError::TooDeep);
        }
        let json = object.to_string();
        if json.len() > MAX_BYTES { Err(MetadataError::TooLong) } else { Ok(Self(json)) }
    }

    /// Wraps a stored object.
    #[must_use]
    pub fn from_stored(json: String) -> Self {
        Self(json)
    }

    /// The compact JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let object: Map<String, Value> = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        object.serialize(serializer)
    }
}

#[cfg(feature = "openapi")]
impl schemars::JsonSchema for Metadata {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Metadata".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "object", "additionalProperties": true})
    }
}

/// The levels of arrays and objects in a value. `serde_json` reads at most 128.
fn depth(value: &Value) -> usize {
    let deepest = match value {
        Value::Array(elements) => elements.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        _ => return 0,
    };
    deepest.unwrap_or(0).saturating_add(1)
}

impl fmt::Display for MetadataError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(formatter, "The object must be at most {MAX_BYTES} bytes long as compact JSON."),
            Self::TooDeep => write!(formatter, "The object must have at most {MAX_DEPTH} levels."),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{MAX_BYTES, MAX_DEPTH, Metadata, MetadataError};

    fn metadata(value: serde_json::Value) -> Result<Metadata, MetadataError> {
        let serde_json::Value::Object(object) = value else { panic!("{value} is not an object") };
        Metadata::new(object)
    }

    #[test]
    fn an_object_is_stored_as_compact_json() {
        let object = metadata(json!({"n": [1, null, {"x": "\u{0}"}], "theme": "dark"})).unwrap();
        assert_eq!(object.as_str(), r#"{"n":[1,null,{"x":"\u0000"}],"theme":"dark"}"#);
        assert_eq!(serde_json::to_string(&object).unwrap(), object.as_str());
        assert_eq!(Metadata::from_stored(object.as_str().to_owned()), object);
    }

    #[test]
    fn an_object_of_more_than_4096_bytes_is_refused() {
        let of_length = |length: usize| metadata(json!({ "x": "a".repeat(length - r#"{"x":""}"#.len()) }));
        assert_eq!(of_length(MAX_BYTES).map(|object| object.as_str().len()), Ok(MAX_BYTES));
        assert_eq!(of_length(MAX_BYTES + 1), Err(MetadataError::TooLong));
        assert_eq!(
            metadata(json!({ "x": "\u{e4}".repeat(MAX_BYTES / 2) })),
            Err(MetadataError::TooLong),
            "bytes, not characters"
        );
    }

    #[test]
    fn an_object_of_more_than_16_levels_is_refused() {
        let of_depth = |depth: usize| metadata((1..depth).fold(json!({}), |inner, _| json!({ "x": inner })));
        assert!(of_depth(MAX_DEPTH).is_ok());
        assert_eq!(of_depth(MAX_DEPTH + 1), Err(MetadataError::TooDeep));
        assert_eq!(
            metadata(json!({ "x": (0..MAX_DEPTH).fold(json!(1), |inner, _| json!([inner])) })),
            Err(MetadataError::TooDeep)
        );
    }
}
