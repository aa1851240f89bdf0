//! Why a request cannot be read. What the client is told is for the routes to say.

/// What is wrong with a request.
#[derive(Debug)]
pub enum RequestError {
    /// The body or the query does not have the required form: what is wrong, without echoing input.
    Invalid(String),
    /// The body has another type: the accepted ones.
    UnsupportedMediaType(&'static str),
    /// There is no bearer token.
    MissingToken,
    /// There is more than one credential.
    SeveralCredentials,
    /// The bearer token cannot be a token of this service.
    InvalidToken,
}

/// A reply's body cannot be represented in JSON.
#[derive(Debug)]
pub struct NotRepresentable(pub String);

pub(super) fn invalid(detail: impl Into<String>) -> RequestError {
    RequestError::Invalid(detail.into())
}
