//! Errors of reading a request. The routes convert them to replies.

/// Why a request cannot be read.
#[derive(Debug)]
pub enum RequestError {
    /// The body or the query is invalid. Holds the detail, which never repeats input.
    Invalid(String),
    /// The body has another type. Holds the accepted types.
    UnsupportedMediaType(&'static str),
    /// There is no bearer token.
    MissingToken,
    /// There is more than one credential.
    SeveralCredentials,
    /// The bearer token is malformed or too long.
    InvalidToken,
}

/// The body of a reply cannot be represented in JSON. Holds the cause.
#[derive(Debug)]
pub struct NotRepresentable(pub String);

pub(super) fn invalid(detail: impl Into<String>) -> RequestError {
    RequestError::Invalid(detail.into())
}
