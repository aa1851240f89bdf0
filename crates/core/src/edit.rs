//! Changes of optional values.

use serde::{Deserialize, Deserializer};

/// What is to become of a value, as RFC 7396 says it in JSON: an absent member leaves it, `null` takes it away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Edit<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is taken away.
    Remove,
    /// It becomes this.
    Set(T),
}

impl<T> Edit<T> {
    /// Whether anything is to become of it.
    #[must_use]
    pub const fn is_edit(&self) -> bool {
        !matches!(self, Self::Keep)
    }

    /// What it becomes; `None` also where it stays as it is.
    #[must_use]
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Remove => None,
        }
    }

    /// The same of a reference.
    #[must_use]
    pub const fn as_ref(&self) -> Edit<&T> {
        match self {
            Self::Keep => Edit::Keep,
            Self::Remove => Edit::Remove,
            Self::Set(value) => Edit::Set(value),
        }
    }

    /// The same with another new value.
    #[must_use]
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Edit<U> {
        match self {
            Self::Keep => Edit::Keep,
            Self::Remove => Edit::Remove,
            Self::Set(value) => Edit::Set(change(value)),
        }
    }

    /// The same with the new value checked.
    ///
    /// # Errors
    /// Those of `check`.
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

#[cfg(test)]
mod tests {
    use super::Edit;
    use crate::identity::display_name::{Name, NameError};

    #[test]
    fn an_edit_tells_absent_null_and_a_value_apart() {
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
