//! JSON without duplicate member names at any depth (RFC 7515 §4, RFC 7519 §4). With duplicates, two parsers can read different
//! tokens from the same signed bytes.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Parses one complete JSON object. `None` if it is not one, or if an object in it has duplicate members.
pub(crate) fn parse_object(bytes: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(bytes).ok()? {
        NoDuplicates(Value::Object(members)) => Some(members),
        NoDuplicates(_) => None,
    }
}

/// Parses one complete JSON array. `None` if it is not one, or if an object in it has duplicate members.
pub(crate) fn parse_array(bytes: &[u8]) -> Option<Vec<Value>> {
    match serde_json::from_slice(bytes).ok()? {
        NoDuplicates(Value::Array(elements)) => Some(elements),
        NoDuplicates(_) => None,
    }
}

/// A value in which no object has duplicate members. A member with a name that `serde_json` uses internally is an ordinary
/// member.
pub struct NoDuplicates(pub Value);

impl<'de> Deserialize<'de> for NoDuplicates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON without duplicate members")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(NoDuplicates(element)) = elements.next_element()? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, NoDuplicates(value))) = members.next_entry::<String, NoDuplicates>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("duplicate member"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::parse_object;

    #[test]
    fn an_object_with_every_type_of_value_is_parsed() {
        let members = parse_object(br#" {"a":[1,-1,1.5,"x",null,true],"b":{"a":{}}} "#).unwrap();
        assert_eq!(serde_json::to_string(&members).unwrap(), r#"{"a":[1,-1,1.5,"x",null,true],"b":{"a":{}}}"#);
    }

    #[test]
    fn invalid_json_and_duplicate_members_are_refused() {
        let deep = "[".repeat(10_000);
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"[{"b":1,"b":2}]"#,
            r#"{"a":1} x"#,
            r#"{"a":1}{"#,
            r#"{"a":1e400}"#,
            r#"{"a":"\ud800"}"#,
            "\u{feff}{}",
            "[]",
            "\"a\"",
            "",
            &deep,
        ] {
            assert_eq!(parse_object(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse_object(b"{\"a\":\"\xff\"}"), None);
    }
}
