//! Changes of optional values.

use serde::{Deserialize, Deserializer};

/// A change of a value, expressed in JSON as in RFC 7396: an absent member keeps the value, `null` removes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Edit<T> {
    /// Keep the value.
    #[default]
    Keep,
    /// Remove the value.
    Remove,
    /// Set the value.
    Set(T),
}

impl<T> Edit<T> {
    /// Whether the value is set or removed.
    #[must_use]
    pub const fn is_edit(&self) -> bool {
        !matches!(self, Self::Keep)
    }

    /// The new value; `None` if the value is kept or removed.
    #[must_use]
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Remove => None,
        }
    }

    /// Converts to an edit of a reference.
    #[must_use]
    pub const fn as_ref(&self) -> Edit<&T> {
        match self {
            Self::Keep => Edit::Keep,
            Self::Remove => Edit::Remove,
            Self::Set(value) => Edit::Set(value),
        }
    }

    /// Converts the new value.
    #[must_use]
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Edit<U> {
        match self {
            Self::Keep => Edit::Keep,
            Self::Remove => Edit::Remove,
            Self::Set(value) => Edit::Set(change(value)),
        }
    }

    /// Checks and converts the new value.
    ///
    /// # Errors
    /// The error of `check`.
    pub fn check<U, E>(self, check: impl FnOnce(T) -> Result<U, E>) -> Result<Edit<U>, E> {
        Ok(match self {
            Self::Keep => Edit::Keep,
            Self::Remove => Edit::Remove,
            Self::Set(value) => Edit::Set(check(value)?),
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Edit<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Remove, Self::Set))
    }
}

#[cfg(feature = "openapi")]
impl<T: schemars::JsonSchema> schemars::JsonSchema for Edit<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Option::<T>::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Option::<T>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::Edit;
    use crate::identity::display_name::{Name, NameError};

    #[test]
    fn absent_null_and_a_value_are_distinguished() {
        #[derive(serde::Deserialize)]
        struct Body {
            #[serde(default)]
            name: Edit<String>,
        }
        let read = |json| serde_json::from_str::<Body>(json).map(|body| body.name);
        assert_eq!(read("{}").unwrap(), Edit::Keep);
        assert_eq!(read(r#"{"name": null}"#).unwrap(), Edit::Remove);
        assert_eq!(read(r#"{"name": "Ada"}"#).unwrap(), Edit::Set("Ada".to_owned()));
        assert!(read(r#"{"name": 1}"#).is_err());
        let checked = |edit: Edit<&str>| edit.check(Name::parse);
        assert_eq!(checked(Edit::Set("")), Err(NameError));
        assert_eq!(checked(Edit::Set(" x ")).unwrap().value().map(Name::as_str), Some("x"));
        assert_eq!(checked(Edit::Remove).map(|edit| (edit.is_edit(), edit.value().is_some())), Ok((true, false)));
        assert_eq!(checked(Edit::Keep).map(|edit| edit.is_edit()), Ok(false));
    }
}
