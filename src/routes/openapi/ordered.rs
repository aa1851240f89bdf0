//! Writes JSON with the members of each object in a readable order.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// The document as indented JSON, with its paths in the given order.
pub fn to_ordered_json(document: &Value, paths: &[String]) -> String {
    let ordered = Ordered { value: document, names: Names::Keywords, paths };
    // It has only text as names, so it always serializes.
    serde_json::to_string_pretty(&ordered).unwrap_or_default() + "\n"
}

/// A value with ordered members.
struct Ordered<'a> {
    value: &'a Value,
    names: Names<'a>,
    paths: &'a [String],
}

/// The kind of the member names of an object.
#[derive(Clone, Copy)]
enum Names<'a> {
    /// Keywords of OpenAPI or JSON Schema.
    Keywords,
    /// Paths of endpoints.
    Paths,
    /// Members of an object, of which these are required.
    Members(&'a [Value]),
    /// Other names, or data.
    Other,
}

/// The keywords that come first, in this order.
const KEYWORDS: [&str; 37] = [
    "openapi",
    "info",
    "title",
    "version",
    "summary",
    "get",
    "post",
    "patch",
    "delete",
    "tags",
    "operationId",
    "name",
    "in",
    "description",
    "required",
    "security",
    "servers",
    "parameters",
    "requestBody",
    "responses",
    "license",
    "contact",
    "paths",
    "components",
    "schemas",
    "headers",
    "securitySchemes",
    "$ref",
    "allOf",
    "anyOf",
    "type",
    "enum",
    "const",
    "format",
    "properties",
    "schema",
    "content",
];

impl Names<'_> {
    fn rank(self, name: &str, paths: &[String]) -> usize {
        let place = match self {
            Self::Keywords => KEYWORDS.iter().position(|keyword| *keyword == name),
            Self::Paths => paths.iter().position(|path| path == name),
            Self::Members(required) => required.iter().position(|member| member == name),
            Self::Other => None,
        };
        place.unwrap_or(usize::MAX)
    }
}

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { names, paths, .. } = *self;
        match self.value {
            Value::Array(elements) => {
                serializer.collect_seq(elements.iter().map(|value| Ordered { value, names, paths }))
            }
            Value::Object(members) => {
                let mut sorted: Vec<_> = members.iter().collect();
                sorted.sort_by_key(|(name, _)| names.rank(name, paths));
                let mut map = serializer.serialize_map(Some(sorted.len()))?;
                for (name, value) in sorted {
                    let names = match (names, name.as_str()) {
                        (Names::Other, _) | (Names::Keywords, "example" | "value" | "default") => Names::Other,
                        (Names::Keywords, "paths") => Names::Paths,
                        (Names::Keywords, "properties") => {
                            let required = members.get("required").and_then(Value::as_array);
                            Names::Members(required.map(Vec::as_slice).unwrap_or_default())
                        }
                        (
                            Names::Keywords,
                            "schemas" | "responses" | "headers" | "securitySchemes" | "content" | "examples",
                        ) => Names::Members(&[]),
                        (Names::Keywords | Names::Paths | Names::Members(_), _) => Names::Keywords,
                    };
                    map.serialize_entry(name, &Ordered { value, names, paths })?;
                }
                map.end()
            }
            scalar => scalar.serialize(serializer),
        }
    }
}
