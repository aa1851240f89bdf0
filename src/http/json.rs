//! JSON bodies.
//!
//! The errors of `serde_json` repeat input. So a body is read in two steps: JSON into members, then members into the struct of an
//! endpoint, by a deserializer whose errors name the member and never its value.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::Value;

use portcullis_core::strict_json::NoDuplicates;

use super::error::{RequestError, invalid};

const NOT_AN_OBJECT: &str = "The body must be a JSON object.";

pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, RequestError> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(invalid(NOT_AN_OBJECT));
    }
    let Members(members) = serde_json::from_slice(body).map_err(|error| {
        invalid(format!("The body is not valid JSON: line {}, column {}.", error.line(), error.column()))
    })?;
    let members = members.into_iter().map(|(name, value)| (name.clone(), Member { name, value }));
    T::deserialize(MapDeserializer::new(members)).map_err(|Mismatch(detail)| invalid(detail))
}

/// The error for an empty body, which names a missing member.
///
/// An empty body is never read as an empty object, because any page can make a browser send one without a preflight.
pub(super) fn missing<T: DeserializeOwned>() -> RequestError {
    json::<T>(b"{}").err().unwrap_or_else(|| invalid(NOT_AN_OBJECT))
}

/// The members of an object, in order. Includes repeated members, which the struct refuses.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some((name, NoDuplicates(value))) = map.next_entry()? {
            members.push((name, value));
        }
        Ok(Members(members))
    }
}

/// Why members do not fit the struct. Never repeats input.
#[derive(Debug)]
struct Mismatch(String);

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Mismatch {}

impl Error for Mismatch {
    /// Drops the message, which may repeat input.
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self("The body does not have the required form.".to_owned())
    }

    fn missing_field(name: &'static str) -> Self {
        Self(format!("The member {name} is missing."))
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self(format!("The member {name} is repeated."))
    }

    fn unknown_field(_: &str, known: &'static [&'static str]) -> Self {
        Self(format!("A member is unknown. The allowed members are: {}.", known.join(", ")))
    }
}

/// The value of a member. `name` is a member of the struct: unknown members are refused before their values are read.
struct Member {
    name: String,
    value: Value,
}

impl Member {
    fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "text",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }

    /// Reads the value with `serde_json`. `expected` names its kind for errors.
    fn read<V>(self, expected: &str, read: impl FnOnce(Value) -> Result<V, serde_json::Error>) -> Result<V, Mismatch> {
        let Self { name, .. } = &self;
        let detail = if self.kind() == expected {
            format!("The member {name} has a value that is not accepted.")
        } else {
            format!("The member {name} must be {expected}, not {}.", self.kind())
        };
        read(self.value).map_err(|_| Mismatch(detail))
    }
}

impl IntoDeserializer<'_, Mismatch> for Member {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! expecting {
    ($($method:ident $expected:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
            self.read($expected, |value| value.$method(visitor))
        })*
    };
}

impl<'de> Deserializer<'de> for Member {
    type Error = Mismatch;

    expecting! {
        deserialize_any "of another type";
        deserialize_bool "a boolean";
        deserialize_str "text";
        deserialize_string "text";
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        let Self { name, value: Value::Array(elements) } = self else {
            return self.read("an array", |value| value.deserialize_seq(visitor));
        };
        let named = |(index, value)| Self { name: format!("{name}[{index}]"), value };
        visitor.visit_seq(SeqDeserializer::new(elements.into_iter().enumerate().map(named)))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        let detail = format!("The member {} must be one of {}.", self.name, variants.join(", "));
        self.value.deserialize_enum(name, variants, visitor).map_err(|_| Mismatch(detail))
    }

    /// A type that checks its value by itself.
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mismatch> {
        self.read("an object", |value| visitor.visit_newtype_struct(value))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple
        tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::{RequestError, json, missing};

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Body {
        email: String,
        name: Option<String>,
        roles: Option<Vec<String>>,
        disabled: Option<bool>,
        size: Option<Size>,
    }

    #[derive(Deserialize, PartialEq, Eq, Debug)]
    #[serde(rename_all = "lowercase")]
    enum Size {
        Small,
        Large,
    }

    fn refusal(body: &str) -> String {
        match json::<Body>(body.as_bytes()) {
            Err(RequestError::Invalid(detail)) => detail,
            other => panic!("{other:?}"),
        }
    }

    /// The error for a body that is valid except for these members.
    fn refusal_of(members: &str) -> String {
        refusal(&format!("{{\"email\":\"a\",{members}}}"))
    }

    #[test]
    fn a_valid_body_is_read() {
        let body =
            json::<Body>(b" {\"email\":\"a\",\"name\":\"b\",\"roles\":[\"x\",\"y\"],\"disabled\":true}\n").unwrap();
        assert_eq!((body.email.as_str(), body.name.as_deref(), body.disabled), ("a", Some("b"), Some(true)));
        assert_eq!(body.roles.unwrap(), ["x", "y"]);
        let sized = json::<Body>(b"{\"email\":\"a\",\"size\":\"large\"}").unwrap();
        assert_eq!(sized.size, Some(Size::Large));
        // null is the same as absent.
        for body in [&b"{\"email\":\"a\"}"[..], b"{\"email\":\"a\",\"name\":null,\"roles\":null}"] {
            let body = json::<Body>(body).unwrap();
            assert_eq!((body.name, body.roles, body.disabled), (None, None, None));
        }
    }

    #[test]
    fn a_body_with_other_members_is_refused() {
        for (body, detail) in [
            ("", "The body must be a JSON object."),
            ("[\"a\",\"b\"]", "The body must be a JSON object."),
            ("\u{feff}{\"email\":\"a\"}", "The body must be a JSON object."),
            ("{}", "The member email is missing."),
            ("{\"email\":\"a\",\"email\":\"b\"}", "The member email is repeated."),
            (
                "{\"evil`, expected x\":1}",
                "A member is unknown. The allowed members are: email, name, roles, disabled, size.",
            ),
            ("{\"email\":1,\"evil\":1}", "The member email must be text, not a number."),
        ] {
            assert_eq!(refusal(body), detail, "{body}");
        }
    }

    #[test]
    fn an_error_names_the_member_its_expected_type_and_its_actual_type() {
        let kinds = [
            ("null", "null"),
            ("true", "a boolean"),
            ("1", "a number"),
            ("-1.5", "a number"),
            ("\"c4n4ry\"", "text"),
            ("[]", "an array"),
            ("{\"$ne\":\"\"}", "an object"),
        ];
        for (member, expected, valid) in [
            ("name", "text", ["null", "\"c4n4ry\""]),
            ("roles", "an array", ["null", "[]"]),
            ("disabled", "a boolean", ["null", "true"]),
        ] {
            for (value, found) in kinds.into_iter().filter(|(value, _)| !valid.contains(value)) {
                let expected = format!("The member {member} must be {expected}, not {found}.");
                assert_eq!(refusal_of(&format!("\"{member}\":{value}")), expected);
            }
        }
        for value in ["1", "true", "\"c4n4ry\"", "\"Small\"", "[]", "{\"small\":1}"] {
            assert_eq!(refusal_of(&format!("\"size\":{value}")), "The member size must be one of small, large.");
        }
        assert_eq!(refusal("{\"email\":null}"), "The member email must be text, not null.");
        assert_eq!(refusal_of("\"roles\":[\"a\",1]"), "The member roles[1] must be text, not a number.");
        assert_eq!(refusal_of("\"roles\":[null]"), "The member roles[0] must be text, not null.");
    }

    #[test]
    fn invalid_json_is_reported_first_with_its_position() {
        for (body, place) in [
            ("{\"email\":\"a\"", "line 1, column 12"),
            ("{\"email\":1,", "line 1, column 11"),
            ("{\"email\":1}}", "line 1, column 12"),
            ("{\"email\":\"a\"} x", "line 1, column 15"),
            ("{\"email\":\"\\ud800\"}", "line 1, column 17"),
            ("{\"c4n4ry\":\\}", "line 1, column 11"),
            ("{\"email\":\n1e999}", "line 2, column 5"),
        ] {
            assert_eq!(refusal(body), format!("The body is not valid JSON: {place}."), "{body}");
        }
        let deep = format!("{{\"email\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
        assert!(refusal(&deep).starts_with("The body is not valid JSON: "));
    }

    #[test]
    fn no_input_is_repeated() {
        for text in ["c4n4ry\\u0000\\n\\u001b[2J", "c4n4ry`, expected x", "c4n4ry.x", "c4n4ry\\u202e", "\\\"c4n4ry"] {
            for body in [
                format!("{{\"{text}\":1}}"),
                format!("{{\"email\":[\"{text}\"]}}"),
                format!("{{\"email\":\"{text}\\ud800\"}}"),
                format!("{{\"email\":\"a\",\"disabled\":\"{text}\"}}"),
                format!("{{\"email\":\"a\",\"roles\":[{{\"{text}\":\"{text}\"}}]}}"),
            ] {
                let detail = refusal(&body);
                assert!(!detail.contains("c4n4ry") && !detail.chars().any(char::is_control), "{detail}");
            }
        }
    }

    #[test]
    fn an_empty_body_is_never_read_as_an_empty_object() {
        #[derive(Deserialize)]
        struct Optional {
            #[expect(dead_code, reason = "nothing is ever read into it")]
            name: Option<String>,
        }
        for (error, expected) in [
            (missing::<Body>(), "The member email is missing."),
            (missing::<Optional>(), "The body must be a JSON object."),
        ] {
            assert!(matches!(&error, RequestError::Invalid(detail) if detail == expected), "{error:?}");
        }
    }
}
