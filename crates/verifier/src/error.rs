//! Why a request is refused.

use std::fmt;

use portcullis_core::header::has_several_credentials;
use portcullis_core::token::access::Rejection;
use serde_json::json;

use crate::claims::Requirement;

/// The cause of an error that is not the client's.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a request is refused. The text is fixed and may be sent to the client.
#[derive(Debug)]
#[non_exhaustive]
pub enum VerifyError {
    /// It has several `Authorization` headers.
    SeveralCredentials,
    /// It has no access token.
    MissingToken,
    /// Its token is not an access token of this issuer for this audience.
    InvalidToken(Rejection),
    /// Its token was valid but has expired.
    TokenExpired,
    /// The session of its token has ended. For programs that read the revocation marks of Portcullis.
    TokenRevoked,
    /// Its user must authenticate again, or better (RFC 9470).
    InsufficientAuthentication(Requirement),
    /// Its user does not have the role.
    Forbidden,
    /// The issuer did not answer, so the key of its token is not known. Contains the cause.
    KeysUnavailable(BoxError),
    /// The revocation marks could not be read, so the token may be revoked. Contains the cause. For programs that read the marks.
    RevocationsUnavailable(BoxError),
}

impl VerifyError {
    /// The error code. Portcullis and `@portcullis/verify` use the same codes.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SeveralCredentials => "invalid_request",
            Self::MissingToken => "missing_token",
            Self::InvalidToken(_) => "invalid_token",
            Self::TokenExpired => "token_expired",
            Self::TokenRevoked => "token_revoked",
            Self::InsufficientAuthentication(_) => "insufficient_user_authentication",
            Self::Forbidden => "forbidden",
            Self::KeysUnavailable(_) => "keys_unavailable",
            Self::RevocationsUnavailable(_) => "revocations_unavailable",
        }
    }

    /// The HTTP status: 400, 401, 403 or 503.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::SeveralCredentials => 400,
            Self::MissingToken
            | Self::InvalidToken(_)
            | Self::TokenExpired
            | Self::TokenRevoked
            | Self::InsufficientAuthentication(_) => 401,
            Self::Forbidden => 403,
            Self::KeysUnavailable(_) | Self::RevocationsUnavailable(_) => 503,
        }
    }

    /// The value of `WWW-Authenticate` (RFC 6750 §3, RFC 9470 §3). Without a token it has no error code.
    #[must_use]
    pub fn challenge(&self) -> Option<String> {
        let error = match self {
            Self::MissingToken => return Some("Bearer".to_owned()),
            Self::SeveralCredentials => "invalid_request",
            Self::InvalidToken(_) | Self::TokenExpired | Self::TokenRevoked => "invalid_token",
            Self::InsufficientAuthentication(_) => "insufficient_user_authentication",
            Self::Forbidden => "insufficient_scope",
            Self::KeysUnavailable(_) | Self::RevocationsUnavailable(_) => return None,
        };
        let parameters = match self {
            Self::InsufficientAuthentication(requirement) => requirement.parameters(),
            _ => String::new(),
        };
        Some(format!("Bearer error=\"{error}\", error_description=\"{self}\"{parameters}"))
    }

    /// The headers of the response.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let last = match self.challenge() {
            Some(challenge) => ("www-authenticate", challenge),
            None => ("retry-after", "5".to_owned()),
        };
        let fixed = [("content-type", "application/problem+json"), ("cache-control", "no-store")];
        fixed.into_iter().map(|(name, value)| (name, value.to_owned())).chain([last])
    }

    /// The body of the response: problem details (RFC 9457), as Portcullis itself sends them.
    #[must_use]
    pub fn problem(&self) -> String {
        let title = match self.status() {
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            _ => "Service Unavailable",
        };
        let (status, code, detail) = (self.status(), self.code(), self.to_string());
        json!({"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}).to_string()
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::SeveralCredentials => "Send exactly one Authorization header.",
            Self::MissingToken => "An access token is required.",
            Self::InvalidToken(_) => "The access token is not valid.",
            Self::TokenExpired => "The access token has expired.",
            Self::TokenRevoked => "The access token has been revoked.",
            Self::InsufficientAuthentication(_) => "This requires a more recent or a stronger authentication.",
            Self::Forbidden => "The user does not have the required role.",
            Self::KeysUnavailable(_) | Self::RevocationsUnavailable(_) => {
                "The access token cannot be verified at the moment."
            }
        })
    }
}

impl std::error::Error for VerifyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::KeysUnavailable(cause) | Self::RevocationsUnavailable(cause) => Some(cause.as_ref()),
            _ => None,
        }
    }
}

impl From<Rejection> for VerifyError {
    fn from(rejection: Rejection) -> Self {
        if rejection == Rejection::Expired { Self::TokenExpired } else { Self::InvalidToken(rejection) }
    }
}

/// Why a [`Verifier`](crate::Verifier) cannot be created.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// `issuer` is not the `ISSUER` of a Portcullis.
    Issuer,
    /// `audience` is empty.
    Audience,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Issuer => {
                "issuer must be an https URL (http on loopback only) as in Portcullis: no credentials, query, fragment or slash \
                 at the end"
            }
            Self::Audience => "audience is missing",
        })
    }
}

impl std::error::Error for ConfigError {}

/// Returns the access token in the value of an `Authorization` header (RFC 6750 §2.1).
///
/// # Errors
/// [`VerifyError::MissingToken`] if the header has none, [`VerifyError::SeveralCredentials`] if the value joins several headers.
pub fn bearer_token(authorization: &str) -> Result<&str, VerifyError> {
    if has_several_credentials(authorization) {
        return Err(VerifyError::SeveralCredentials);
    }
    let (scheme, token) = authorization.split_once(' ').ok_or(VerifyError::MissingToken)?;
    let token = token.trim_matches(' ');
    if !scheme.eq_ignore_ascii_case("Bearer") || token.is_empty() {
        return Err(VerifyError::MissingToken);
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::bearer_token;

    #[test]
    fn missing_and_repeated_credentials_are_distinguished() {
        let code = |header| bearer_token(header).map_err(|error| error.code());
        for header in ["Bearer a.b-c_d~e+f/g==", "bearer  a.b-c_d~e+f/g== "] {
            assert_eq!(code(header), Ok("a.b-c_d~e+f/g=="));
        }
        assert_eq!(code("Bearer a, realm=\"x\""), Ok("a, realm=\"x\""));
        for header in
            ["", "Bearer", "Bearer ", "Bearer,", "Basic YTpi", "Digest username=\"a, Bearer b\", realm = \"b\""]
        {
            assert_eq!(code(header), Err("missing_token"), "{header}");
        }
        for header in [
            "Bearer a, Bearer b",
            "Bearer a,b",
            "Bearer, Bearer a",
            "Basic YTpi, Bearer a",
            "Bearer a, Basic YTpi==",
            "Digest username=\"a\", Bearer a",
        ] {
            assert_eq!(code(header), Err("invalid_request"), "{header}");
        }
    }
}
