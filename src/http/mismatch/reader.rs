//! A refused body, read once more: any JSON as a [`Node`], and a deserializer of it whose errors are [`Fault`]s.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::Fault;

/// Of a value within values: what lies deeper is not looked at.
const MAX_DEPTH: u8 = 16;

/// A value of JSON as it came, with repeated members.
pub(super) enum Node {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
    /// What lies too deep, and the element that an array would have.
    Unread,
}

impl Node {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Unsigned(_) | Self::Signed(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
            Self::Unread => "another type",
        }
    }
}

/// Reads a [`Node`].
#[derive(Clone, Copy, Default)]
pub(super) struct NodeSeed {
    depth: u8,
}

impl NodeSeed {
    fn deeper(self) -> Self {
        Self { depth: self.depth.saturating_add(1) }
    }
}

impl<'de> DeserializeSeed<'de> for NodeSeed {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        if self.depth > MAX_DEPTH {
            // Not by recursion, so that depth is no error here: it is told as the wrong type that it is.
            return deserializer.deserialize_ignored_any(IgnoredAny).map(|_| Node::Unread);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Signed(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Node, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(self.deeper())? {
            array.push(element);
        }
        Ok(Node::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut object = Vec::new();
        while let Some(name) = members.next_key()? {
            object.push((name, members.next_value_seed(self.deeper())?));
        }
        Ok(Node::Object(object))
    }
}

/// Deserializes a value with errors that are [`Fault`]s.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a Node);

impl<'de> IntoDeserializer<'de, Fault> for Reader<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The methods of numbers: what is not one is refused, and what is one is for the visitor to judge.
macro_rules! numbers {
    ($($method:ident: $expected:literal,)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.0 {
                Node::Unsigned(_) | Node::Signed(_) | Node::Float(_) => {
                    self.deserialize_any(visitor).map_err(|_| Fault::Value)
                }
                other => Err(Fault::wrong_type($expected, other)),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Unsigned(value) => visitor.visit_u64(*value),
            Node::Signed(value) => visitor.visit_i64(*value),
            Node::Float(value) => visitor.visit_f64(*value),
            Node::Text(text) => visitor.visit_borrowed_str(text),
            Node::Array(elements) => visitor.visit_seq(SeqDeserializer::new(elements.iter().map(Reader))),
            Node::Object(members) => {
                let members = members.iter().map(|(name, value)| (name.as_str(), Reader(value)));
                visitor.visit_map(MapDeserializer::new(members))
            }
            Node::Unread => Err(Fault::WrongType { expected: None, found: self.0.kind(), above: 0 }),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Node::Bool(value) => visitor.visit_bool(*value),
            other => Err(Fault::wrong_type("a boolean", other)),
        }
    }

    numbers! {
        deserialize_u8: "a whole number",
        deserialize_u16: "a whole number",
        deserialize_u32: "a whole number",
        deserialize_u64: "a whole number",
        deserialize_i8: "a whole number",
        deserialize_i16: "a whole number",
        deserialize_i32: "a whole number",
        deserialize_i64: "a whole number",
        deserialize_f32: "a number",
        deserialize_f64: "a number",
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Node::Text(text) => visitor.visit_borrowed_str(text),
            other => Err(Fault::wrong_type("text", other)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if matches!(self.0, Node::Array(_)) {
            return self.deserialize_any(visitor);
        }
        // Of what it would be an array shows when it asks for an element, which is a step too far.
        let (of, above) = match visitor.visit_seq(Probe) {
            Err(Fault::WrongType { expected, above, .. }) => (expected, above.saturating_add(1)),
            Err(_) => (None, 1),
            Ok(_) => (None, 0),
        };
        let expected = of.map_or_else(|| "an array".to_owned(), |of| format!("an array of {}", plural(&of)));
        Err(Fault::WrongType { expected: Some(expected), found: self.0.kind(), above })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Node::Object(_) => self.deserialize_any(visitor),
            other => Err(Fault::wrong_type("an object", other)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_map(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0 {
            Node::Text(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            other => Err(Fault::wrong_type("text", other)),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// "arrays of text" of "an array of text".
fn plural(noun: &str) -> String {
    let Some(bare) = noun.strip_prefix("a ").or_else(|| noun.strip_prefix("an ")) else { return noun.to_owned() };
    bare.split_once(" of ").map_or_else(|| format!("{bare}s"), |(head, of)| format!("{head}s of {of}"))
}

/// An array that is not there.
struct Probe;

impl<'de> SeqAccess<'de> for Probe {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        seed.deserialize(Reader(&Node::Unread)).map(Some)
    }
}
