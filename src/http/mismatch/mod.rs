//! What is wrong with a body of JSON that serde refused, in our words and the names of our members.
//!
//! serde words its errors as text that repeats the input. So a refused body is read once more, by a deserializer whose errors
//! are values ([`Fault`]); `serde_path_to_error` tells which member they are about.

mod reader;

use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed as _, Error, Expected, Unexpected};
use serde_path_to_error::{Path, Segment, Track};

use reader::{Node, NodeSeed, Reader};

/// Of a member's name in an answer. Ours are shorter.
const MAX_NAME_BYTES: usize = 64;

/// Says what is wrong with a body of which `serde_json` made no `T`, and why it says it did not.
pub(super) fn explain<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> String {
    let node = match read(body) {
        Ok(node) => node,
        Err((path, error)) => {
            let broken = path.iter().next().and_then(known_member::<T>);
            let of = broken.map_or_else(String::new, |name| format!(" in the member {name}"));
            return format!("The body is not valid JSON{of}: {}.", position(&error));
        }
    };
    match serde_path_to_error::deserialize::<_, T>(Reader(&node)) {
        Err(fault) => fault.inner().in_words(fault.path(), &position(error)),
        Ok(_) => format!("The body is not as it has to be: {}.", position(error)),
    }
}

/// The whole body, or where it is no JSON.
fn read(body: &[u8]) -> Result<Node, (Path, serde_json::Error)> {
    let mut track = Track::new();
    let mut json = serde_json::Deserializer::from_slice(body);
    let node = NodeSeed::default().deserialize(serde_path_to_error::Deserializer::new(&mut json, &mut track));
    node.and_then(|node| json.end().map(|()| node)).map_err(|error| (track.path(), error))
}

/// The name of a member of `T`, if the path begins with one: any other name is the input's.
fn known_member<T: DeserializeOwned>(first: &Segment) -> Option<&'static str> {
    // No member has this name, so it is refused with the names there are.
    let nameless = Node::Object(vec![(String::new(), Node::Null)]);
    let refused = serde_path_to_error::deserialize::<_, T>(Reader(&nameless)).err()?;
    match (first, refused.into_inner()) {
        (Segment::Map { key }, Fault::Unknown(known)) => known.iter().find(|name| *name == key).copied(),
        _ => None,
    }
}

fn position(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}

/// What is wrong, without a word of the input.
#[derive(Debug)]
enum Fault {
    /// `above`: how many steps above the end of the path the member is.
    WrongType {
        expected: Option<String>,
        found: &'static str,
        above: usize,
    },
    Missing(&'static str),
    Unknown(&'static [&'static str]),
    Repeated(&'static str),
    Value,
}

impl Fault {
    fn wrong_type(expected: &str, found: &Node) -> Self {
        Self::WrongType { expected: Some(expected.to_owned()), found: found.kind(), above: 0 }
    }

    fn in_words(&self, path: &Path, position: &str) -> String {
        let above = |steps| member(path.iter().take(path.iter().len().saturating_sub(steps)));
        let own = || above(0);
        let with = |name: &str| if own().is_empty() { name.to_owned() } else { format!("{}.{name}", own()) };
        match self {
            Self::WrongType { expected: Some(expected), found, above: steps } => {
                format!("The member {} must be {expected}, not {found}.", above(*steps))
            }
            Self::WrongType { expected: None, found, above: steps } => {
                format!("The member {} must not be {found}.", above(*steps))
            }
            Self::Missing(name) => format!("The member {} is missing.", with(name)),
            Self::Repeated(name) => format!("The member {} stands twice: {position}.", with(name)),
            Self::Unknown(known) => {
                // The path ends with the name, which is the input's.
                let parent = above(1);
                let of = if parent.is_empty() { String::new() } else { format!(" of {parent}") };
                format!("A member{of} is unknown: {position}. Known are: {}.", known.join(", "))
            }
            Self::Value => format!("The member {} has a value that is not accepted.", own()),
        }
    }
}

/// A member as a program would write it: `roles[1]`, `profile.name`.
fn member<'a>(path: impl Iterator<Item = &'a Segment>) -> String {
    path.fold(String::new(), |member, segment| match segment {
        Segment::Seq { index } => format!("{member}[{index}]"),
        Segment::Map { key: name } | Segment::Enum { variant: name } => {
            // Names of ours are such. Whatever else comes here, nothing of the input goes out.
            let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let name = if is_plain && name.len() <= MAX_NAME_BYTES { name } else { "?" };
            if member.is_empty() { name.to_owned() } else { format!("{member}.{name}") }
        }
        Segment::Unknown => member,
    })
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

impl std::error::Error for Fault {}

impl Error for Fault {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Value
    }

    fn invalid_type(unexpected: Unexpected<'_>, _: &dyn Expected) -> Self {
        let found = match unexpected {
            Unexpected::Unit | Unexpected::Option => Node::Null.kind(),
            Unexpected::Bool(_) => Node::Bool(true).kind(),
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => Node::Float(0.0).kind(),
            Unexpected::Seq => Node::Array(Vec::new()).kind(),
            Unexpected::Map => Node::Object(Vec::new()).kind(),
            _ => Node::Text(String::new()).kind(),
        };
        Self::WrongType { expected: None, found, above: 0 }
    }

    fn missing_field(name: &'static str) -> Self {
        Self::Missing(name)
    }

    fn unknown_field(_: &str, known: &'static [&'static str]) -> Self {
        Self::Unknown(known)
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self::Repeated(name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::explain;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it is refused every time")]
    struct Body {
        email: String,
        name: Option<String>,
        roles: Option<Vec<String>>,
        disabled: Option<bool>,
        limit: Option<u8>,
        ratio: Option<f64>,
        kind: Option<Kind>,
        profile: Option<Profile>,
        devices: Option<Vec<Profile>>,
        labels: Option<BTreeMap<String, bool>>,
        grid: Option<Vec<Vec<bool>>>,
    }

    #[derive(Deserialize, Debug)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        First,
    }

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it is refused every time")]
    struct Profile {
        city: String,
        verified: Option<bool>,
    }

    fn told(body: &str) -> String {
        let error = serde_json::from_str::<Body>(body).unwrap_err();
        explain::<Body>(body.as_bytes(), &error)
    }

    /// Of a body that is good but for these members.
    fn told_of(members: &str) -> String {
        told(&format!("{{\"email\":\"a\",{members}}}"))
    }

    #[test]
    fn a_member_of_the_wrong_type_is_named_with_what_it_must_be_and_what_it_is() {
        let kinds = [
            ("null", "null"),
            ("true", "a boolean"),
            ("1", "a number"),
            ("-1.5", "a number"),
            ("\"c4n4ry\"", "text"),
            ("[]", "an array"),
            ("{\"$ne\":\"\"}", "an object"),
        ];
        for (member, expected, good) in [
            ("name", "text", ["null", "\"c4n4ry\""].as_slice()),
            ("roles", "an array of text", &["null", "[]"]),
            ("disabled", "a boolean", &["null", "true"]),
            ("limit", "a whole number", &["null", "1", "-1.5"]),
            ("ratio", "a number", &["null", "1", "-1.5"]),
            ("kind", "text", &["null", "\"c4n4ry\"", "{\"$ne\":\"\"}"]),
            ("profile", "an object", &["null", "{\"$ne\":\"\"}", "[]"]),
            ("devices", "an array of objects", &["null", "[]"]),
            ("labels", "an object", &["null", "{\"$ne\":\"\"}"]),
            ("grid", "an array of arrays of booleans", &["null", "[]"]),
        ] {
            for (value, found) in kinds.into_iter().filter(|(value, _)| !good.contains(value)) {
                let expected = format!("The member {member} must be {expected}, not {found}.");
                assert_eq!(told_of(&format!("\"{member}\":{value}")), expected);
            }
        }
        assert_eq!(told("{\"email\":null}"), "The member email must be text, not null.");
        assert_eq!(told_of("\"limit\":-1"), "The member limit has a value that is not accepted.");
        assert_eq!(told_of("\"limit\":1.5"), "The member limit has a value that is not accepted.");
        assert_eq!(told_of("\"kind\":\"c4n4ry\""), "The member kind has a value that is not accepted.");
    }

    #[test]
    fn a_member_within_another_is_named_by_its_path() {
        for (members, expected) in [
            ("\"roles\":[\"a\",1]", "The member roles[1] must be text, not a number."),
            ("\"roles\":[null]", "The member roles[0] must be text, not null."),
            ("\"profile\":{\"city\":[]}", "The member profile.city must be text, not an array."),
            ("\"profile\":{}", "The member profile.city is missing."),
            ("\"devices\":[{\"city\":\"a\"},{\"city\":1}]", "The member devices[1].city must be text, not a number."),
            ("\"devices\":[{}]", "The member devices[0].city is missing."),
            ("\"grid\":[[true],1]", "The member grid[1] must be an array of booleans, not a number."),
            ("\"grid\":[[true],[0]]", "The member grid[1][0] must be a boolean, not a number."),
            ("\"profile\":{\"city\":\"a\",\"city\":\"b\"}", "The member profile.city stands twice: line 1, column 41."),
            (
                "\"profile\":{\"c4n4ry\":1}",
                "A member of profile is unknown: line 1, column 32. Known are: city, verified.",
            ),
            (
                "\"devices\":[{\"c4n4ry\":1}]",
                "A member of devices[0] is unknown: line 1, column 33. Known are: city, verified.",
            ),
        ] {
            assert_eq!(told_of(members), expected, "{members}");
        }
    }

    #[test]
    fn nothing_of_the_input_is_repeated_and_no_control_character_gets_out() {
        let odd = ["c4n4ry\\u0000\\n\\u001b[2J", "c4n4ry`, expected x", "c4n4ry.x", "c4n4ry\\u202e", "\\\"c4n4ry"];
        for text in odd {
            for body in [
                format!("{{\"{text}\":1}}"),
                format!("{{\"email\":\"a\",\"labels\":{{\"{text}\":\"{text}\"}}}}"),
                format!("{{\"email\":\"a\",\"profile\":{{\"{text}\":1}}}}"),
                format!("{{\"email\":[\"{text}\"]}}"),
                format!("{{\"email\":\"a\",\"kind\":\"{text}\"}}"),
                format!("{{\"email\":\"a\",\"limit\":\"{text}\"}}"),
                format!("{{\"email\":\"{text}\\ud800\"}}"),
                format!("{{\"email\":\"a\",\"labels\":{{\"{text}\":\\ud800}}}}"),
            ] {
                let told = told(&body);
                assert!(!told.contains("c4n4ry") && !told.chars().any(char::is_control), "{told}");
            }
        }
        let long = "x".repeat(65);
        assert!(!told_of(&format!("\"labels\":{{\"{long}\":1}}")).contains(&long));
    }

    #[test]
    fn json_that_is_broken_is_told_before_all_else_and_where_it_is() {
        for (body, expected) in [
            ("{\"email\":\"a\"", "The body is not valid JSON: line 1, column 12."),
            ("{\"email\":1,", "The body is not valid JSON: line 1, column 11."),
            ("{\"email\":1}}", "The body is not valid JSON: line 1, column 12."),
            ("{\"email\":\"\\ud800\"}", "The body is not valid JSON in the member email: line 1, column 17."),
            ("{\"email\":{\"c4n4ry\":\\}}", "The body is not valid JSON in the member email: line 1, column 20."),
            ("{\"c4n4ry\":\\}", "The body is not valid JSON: line 1, column 11."),
            ("{\"email\":\n1e999}", "The body is not valid JSON in the member email: line 2, column 5."),
            (
                "{\"email\":\"a\",\"roles\":[\"a\",\"\\x\"]}",
                "The body is not valid JSON in the member roles: line 1, column 29.",
            ),
        ] {
            assert_eq!(told(body), expected, "{body}");
        }
    }

    #[test]
    fn depth_is_no_trouble() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(told(&format!("{{\"email\":{deep}}}")), "The member email must be text, not an array.");
        assert_eq!(told_of(&format!("\"roles\":[{deep}]")), "The member roles[0] must be text, not an array.");
        let open = format!("{{\"email\":{}", "[".repeat(5000));
        assert!(told(&open).starts_with("The body is not valid JSON in the member email: "));
    }
}
