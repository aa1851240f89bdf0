//! Headers.

use worker::web_sys::Headers;

/// The value of a header. `get` fails only for an invalid name, and all names here are valid.
pub(super) fn header(headers: &Headers, name: &str) -> Option<String> {
    headers.get(name).ok().flatten()
}

/// Splits a list header at its commas, except those in quotes. The runtime joins several headers of one name with commas.
pub(super) fn members(header: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    header.split(move |character| {
        is_quoted ^= character == '"';
        character == ',' && !is_quoted
    })
}
