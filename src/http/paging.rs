//! Queries of the routes that return lists.

use std::collections::BTreeMap;

use super::error::{RequestError, invalid};
use super::request::Request;

/// Entries per page, by default.
const DEFAULT_LIMIT: usize = 50;
/// Maximum entries per page.
const MAX_LIMIT: usize = 100;

/// The parameters of a query. Each is known and occurs once.
pub struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads the query of a request. Unknown and repeated parameters are errors, because a typo must not list everything.
    pub fn parse(request: &Request, known: &[&str]) -> Result<Self, RequestError> {
        let mut parameters = BTreeMap::new();
        for (name, value) in request.query_parameters() {
            if !known.contains(&name.as_str()) || parameters.insert(name, value).is_some() {
                return Err(invalid(format!("The query accepts {}, each once.", known.join(", "))));
            }
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The requested number of entries.
    pub fn limit(&self) -> Result<usize, RequestError> {
        let Some(text) = self.text("limit") else { return Ok(DEFAULT_LIMIT) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let limit = text.parse().ok().filter(|limit| digits && (1..=MAX_LIMIT).contains(limit));
        limit.ok_or_else(|| invalid(format!("The limit must be a whole number from 1 to {MAX_LIMIT}.")))
    }

    /// The end of the previous page, parsed by `parse`.
    pub fn cursor<T>(&self, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, RequestError> {
        let unknown = || invalid("The cursor must be the next_cursor of the previous page.");
        self.text("cursor").map(|text| parse(text).ok_or_else(unknown)).transpose()
    }
}
