//! Headers.

use worker::web_sys::Headers;

/// The value of a header. `get` fails only for an invalid name, and all names here are valid.
pub(super) fn header(headers: &Headers, name: &str) -> Option<String> {
    headers.get(name).ok().flatten()
}

/// Maximum length of a logged header, in characters. Real origins are shorter.
pub(super) const MAX_LOGGED_CHARS: usize = 128;

/// A header as it is logged: truncated, and without characters that an origin cannot have.
pub(super) fn loggable(text: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-._~:/[]*".contains(character);
    let plain = |character| if is_plain(character) { character } else { '?' };
    text.chars().take(MAX_LOGGED_CHARS).map(plain).collect()
}
