//! Reading headers.

use worker::web_sys::Headers;

/// Only an invalid name makes `get` fail, and these are valid.
pub(super) fn header(headers: &Headers, name: &str) -> Option<String> {
    headers.get(name).ok().flatten()
}

/// The members of a list header: the parts between its commas, except for those in quotes. Several headers of one name arrive as
/// one, joined by commas.
pub(super) fn members(header: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    header.split(move |character| {
        is_quoted ^= character == '"';
        character == ',' && !is_quoted
    })
}
