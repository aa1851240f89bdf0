//! The queries of the routes that list.

use std::collections::BTreeMap;

use super::Request;
use crate::routes::error::ApiError;

/// Entries of a page, where the query names no number.
const DEFAULT_LIMIT: usize = 50;
/// The most it may name.
const MAX_LIMIT: usize = 100;

/// The parameters of a query: known ones only, each once.
pub struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads the query of a request.
    ///
    /// # Errors
    /// [`ApiError::InvalidRequest`] for a parameter that is unknown or repeated: a slip of the pen must not list everything.
    pub fn parse(request: &Request, known: &[&str]) -> Result<Self, ApiError> {
        let mut parameters = BTreeMap::new();
        for (name, value) in request.query_parameters() {
            if !known.contains(&name.as_str()) || parameters.insert(name, value).is_some() {
                return Err(invalid(format!("The query takes {}, each once.", known.join(", "))));
            }
        }
        Ok(Self(parameters))
    }

    /// A parameter.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// How many entries are asked for.
    ///
    /// # Errors
    /// [`ApiError::InvalidRequest`].
    pub fn limit(&self) -> Result<usize, ApiError> {
        let Some(text) = self.text("limit") else { return Ok(DEFAULT_LIMIT) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let limit = text.parse().ok().filter(|limit| digits && (1..=MAX_LIMIT).contains(limit));
        limit.ok_or_else(|| invalid(format!("The limit must be a whole number from 1 to {MAX_LIMIT}.")))
    }

    /// The place where the page before ended, as `parse` reads it.
    ///
    /// # Errors
    /// [`ApiError::InvalidRequest`].
    pub fn cursor<T>(&self, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, ApiError> {
        let unknown = || invalid("The cursor must be a next_cursor of the page before.".to_owned());
        self.text("cursor").map(|text| parse(text).ok_or_else(unknown)).transpose()
    }
}

fn invalid(detail: String) -> ApiError {
    ApiError::InvalidRequest(detail)
}
