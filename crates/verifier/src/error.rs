//! Why a request is refused.

use std::fmt;

use portcullis_core::token::access::Rejection;

/// The error of a function that fetches keys.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a request is refused.
#[derive(Debug)]
#[non_exhaustive]
pub enum VerifyError {
    /// It has no access token.
    MissingToken,
    /// Its token is not an access token of this issuer for this audience.
    InvalidToken(Rejection),
    /// Its token was valid, and has expired.
    TokenExpired,
    /// Its user does not have the role.
    Forbidden,
    /// The issuer did not answer, and its keys are not known: why.
    KeysUnavailable(BoxError),
}

impl VerifyError {
    /// The code, as Portcullis and `@portcullis/verify` name it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::MissingToken => "missing_token",
            Self::InvalidToken(_) => "invalid_token",
            Self::TokenExpired => "token_expired",
            Self::Forbidden => "forbidden",
            Self::KeysUnavailable(_) => "keys_unavailable",
        }
    }

    /// The HTTP status: 401, 403 or 503.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::MissingToken | Self::InvalidToken(_) | Self::TokenExpired => 401,
            Self::Forbidden => 403,
            Self::KeysUnavailable(_) => 503,
        }
    }

    /// The value of `WWW-Authenticate` (RFC 6750 §3). Without a token it has no error code.
    #[must_use]
    pub fn challenge(&self) -> Option<String> {
        let error = match self {
            Self::MissingToken => return Some("Bearer".to_owned()),
            Self::InvalidToken(_) | Self::TokenExpired => "invalid_token",
            Self::Forbidden => "insufficient_scope",
            Self::KeysUnavailable(_) => return None,
        };
        Some(format!("Bearer error=\"{error}\", error_description=\"{self}\""))
    }
}

/// A fixed text, which may be sent to the client.
impl fmt::Display for VerifyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::MissingToken => "An access token is required.",
            Self::InvalidToken(_) => "The access token is not valid.",
            Self::TokenExpired => "The access token has expired.",
            Self::Forbidden => "The user does not have the required role.",
            Self::KeysUnavailable(_) => "The access token cannot be verified at the moment.",
        })
    }
}

impl std::error::Error for VerifyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::KeysUnavailable(cause) => Some(cause.as_ref()),
            _ => None,
        }
    }
}

impl From<Rejection> for VerifyError {
    fn from(rejection: Rejection) -> Self {
        if rejection == Rejection::Expired { Self::TokenExpired } else { Self::InvalidToken(rejection) }
    }
}
