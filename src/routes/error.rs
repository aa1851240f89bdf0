//! One error type for the routes: its status, its stable code, and the one conversion to a reply.
//!
//! A 4xx tells the caller what to do differently. A 5xx body is fixed text; the cause is logged here, once, with the
//! request id that the body carries too.

use std::fmt;

use serde::Serialize;

use crate::config::Problem;
use crate::http::{MAX_BODY_BYTES, Reply};
use crate::log::{self, Event};
use crate::platform::webcrypto::CryptoError;
use crate::store::{Denial, StoreError, TakenName};
use portcullis_core::account::roles::UnknownRole;
use portcullis_core::id::Id;
use portcullis_core::identity::display_name::NameError;
use portcullis_core::identity::email::EmailError;
use portcullis_core::identity::username::UsernameError;
use portcullis_core::password::{HashError, PasswordError};

/// Seconds after which a request that found storage unavailable may be tried again.
const RETRY_AFTER: &str = "5";
/// Of a client that has to authenticate (RFC 7617 §2).
const CLIENT_CHALLENGE: &str = "Basic realm=\"portcullis\"";

/// Why a request is not answered as asked.
#[derive(Debug)]
pub enum ApiError {
    /// 400: the request is not formed as the endpoint takes it. Says what is wrong, without echoing input.
    InvalidRequest(String),
    /// 408: the body did not come in time.
    RequestTimeout,
    /// 421: asked at an address that is not this service's.
    WrongHost,
    /// 413.
    BodyTooLarge,
    /// 415: carries the types that are taken.
    UnsupportedMediaType(&'static str),
    /// 404.
    NotFound,
    /// 405: carries the methods that exist.
    MethodNotAllowed(String),
    /// 422.
    UnusableEmail(EmailError),
    /// 422.
    UnusablePassword(PasswordError),
    /// 422.
    UnusableUsername(UsernameError),
    /// 422.
    UnusableName(NameError),
    /// 422.
    UnknownRole,
    /// 409.
    Taken(TakenName),
    /// 409: there would be no admin any more.
    LastAdmin,
    /// 403.
    RegistrationClosed,
    /// 401, of a log-in: the one answer for an unknown account, a wrong password and a disabled account.
    InvalidCredentials,
    /// 401, in OAuth's words 400, of a refresh: the one answer for every reason.
    InvalidRefreshToken,
    /// 403: the current password, asked for beside the access token, is another.
    WrongPassword,
    /// 403: the caller is no admin.
    NotAdmin,
    /// 400: a grant that there is not.
    UnsupportedGrantType,
    /// 400: not a client of ours, or one that authenticates where nothing is to be authenticated.
    InvalidClient,
    /// 401: the same by a header, or a client that has to authenticate and did not, or not rightly.
    UnauthenticatedClient,
    /// 400: more than one `Authorization` header.
    SeveralCredentials,
    /// 401: no access token.
    MissingToken,
    /// 401: an access token that is not accepted.
    InvalidToken,
    /// 401: an access token whose time is over.
    ExpiredToken,
    /// 429: the source or account exceeds its share of the hashing queue, or changed its profile too often. Seconds until a retry.
    TooManyRequests(u64),
    /// 499, which nobody reads: the client has left.
    ClientLeft,
    /// 503: too many requests are waiting for password hashing. Seconds until a retry.
    Overloaded(u64),
    /// 503: D1 or KV did not answer.
    Storage(StoreError),
    /// 503, of the health check: which bindings do not answer.
    Unhealthy(Vec<&'static str>),
    /// 500: something that cannot happen did.
    Internal(String),
    /// 503: the configuration is bad.
    Misconfigured(Vec<Problem>),
}

/// How an endpoint words its errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorFormat {
    /// RFC 9457.
    Problem,
    /// RFC 6749 §5.2, as strict OAuth clients expect of `/token`, `/revoke` and `/introspect`.
    OAuth,
}

/// What a client is told.
struct Wire {
    status: u16,
    code: &'static str,
    detail: String,
    headers: Vec<(&'static str, String)>,
}

impl ApiError {
    /// The reply in the error format of the endpoint. Logs the cause of a 5xx.
    #[must_use]
    pub fn into_reply(self, error_format: ErrorFormat, request_id: Id) -> Reply {
        self.log_cause(request_id);
        let wire = self.wire(error_format);
        let (content_type, body) = match error_format {
            ErrorFormat::Problem => (
                "application/problem+json",
                serde_json::to_string(&Problem9457 {
                    r#type: "about:blank",
                    title: reason_phrase(wire.status),
                    status: wire.status,
                    code: wire.code,
                    detail: &wire.detail,
                    request_id,
                }),
            ),
            ErrorFormat::OAuth => (
                "application/json",
                serde_json::to_string(&OAuthError {
                    error: self.oauth_code(),
                    error_description: &wire.detail,
                    request_id,
                }),
            ),
        };
        let mut reply = Reply::new(wire.status);
        // Plain text always serialises; if it did not, the status still tells.
        if let Ok(body) = body {
            reply = reply.body(content_type, body);
        }
        wire.headers.into_iter().fold(reply, |reply, (name, value)| reply.header(name, value))
    }

    fn wire(&self, error_format: ErrorFormat) -> Wire {
        let (status, code, detail) = self.status_code_detail();
        if error_format == ErrorFormat::OAuth && matches!(self, Self::InvalidRefreshToken) {
            // RFC 6749 §5.2 keeps 401 for clients that fail to authenticate.
            return Wire { status: 400, code, detail, headers: Vec::new() };
        }
        let headers = match self {
            Self::MethodNotAllowed(methods) => vec![("Allow", methods.clone())],
            // RFC 9110 §15.5.2: every 401 names a scheme. RFC 6750 §3.1: without credentials, no error.
            Self::MissingToken | Self::InvalidCredentials | Self::InvalidRefreshToken => {
                vec![("WWW-Authenticate", "Bearer".to_owned())]
            }
            Self::UnauthenticatedClient => vec![("WWW-Authenticate", CLIENT_CHALLENGE.to_owned())],
            // RFC 6750 §3.1: "more than one method for including an access token".
            Self::SeveralCredentials => vec![("WWW-Authenticate", "Bearer error=\"invalid_request\"".to_owned())],
            Self::InvalidToken => vec![("WWW-Authenticate", challenge("invalid_token", &detail))],
            Self::NotAdmin => vec![("WWW-Authenticate", challenge("insufficient_scope", &detail))],
            // The header ASP.NET clients look for.
            Self::ExpiredToken => {
                vec![("WWW-Authenticate", challenge("invalid_token", &detail)), ("Token-Expired", "true".to_owned())]
            }
            Self::TooManyRequests(seconds) | Self::Overloaded(seconds) => vec![("Retry-After", seconds.to_string())],
            Self::Storage(_) | Self::Unhealthy(..) | Self::Misconfigured(_) => {
                vec![("Retry-After", RETRY_AFTER.to_owned())]
            }
            _ => Vec::new(),
        };
        Wire { status, code, detail, headers }
    }

    fn status_code_detail(&self) -> (u16, &'static str, String) {
        match self {
            Self::InvalidRequest(detail) => (400, "invalid_request", detail.clone()),
            Self::WrongHost => (
                421,
                "wrong_host",
                "This service does not answer at this address. Use the address of the issuer.".to_owned(),
            ),
            Self::RequestTimeout => {
                (408, "request_timeout", "The body did not come in time. Send the request again.".to_owned())
            }
            Self::BodyTooLarge => {
                (413, "body_too_large", format!("The body must be at most {MAX_BODY_BYTES} bytes long."))
            }
            Self::UnsupportedMediaType(types) => {
                (415, "unsupported_media_type", format!("The body must be {types}, in UTF-8 and not compressed."))
            }
            Self::NotFound => (404, "not_found", "There is nothing at this path.".to_owned()),
            Self::MethodNotAllowed(methods) => (405, "method_not_allowed", format!("This path takes {methods}.")),
            Self::UnusableEmail(error) => (422, "invalid_email", error.to_string()),
            Self::UnusablePassword(error) => {
                let code = match error {
                    PasswordError::TooShort(_) => "password_too_short",
                    PasswordError::TooLong => "password_too_long",
                    PasswordError::Guessable => "password_too_common",
                };
                (422, code, error.to_string())
            }
            Self::UnusableUsername(error) => {
                let code = match error {
                    UsernameError::Malformed => "invalid_username",
                    UsernameError::Reserved => "username_reserved",
                };
                (422, code, error.to_string())
            }
            Self::UnusableName(error) => (422, "invalid_name", error.to_string()),
            Self::UnknownRole => (422, "unknown_role", UnknownRole.to_string()),
            Self::LastAdmin => (409, "last_admin", "Somebody has to remain admin.".to_owned()),
            Self::WrongPassword => (403, "wrong_password", "The current password is wrong.".to_owned()),
            Self::NotAdmin => (403, "forbidden", "This takes the role admin.".to_owned()),
            Self::Taken(TakenName::Email) => {
                (409, "email_taken", "An account with this e-mail address exists already.".to_owned())
            }
            Self::Taken(TakenName::Username) => {
                (409, "username_taken", "An account with this username exists already.".to_owned())
            }
            Self::RegistrationClosed => (403, "registration_closed", "Registration is closed.".to_owned()),
            Self::InvalidCredentials => {
                (401, "invalid_credentials", "There is no such account, or the password is wrong.".to_owned())
            }
            Self::InvalidRefreshToken => {
                (401, "invalid_refresh_token", "The refresh token is not valid. Log in again.".to_owned())
            }
            Self::UnsupportedGrantType => {
                (400, "unsupported_grant_type", "The one grant there is here is refresh_token.".to_owned())
            }
            Self::InvalidClient => {
                (400, "invalid_client", "The client is unknown, or sent a secret, which none has here.".to_owned())
            }
            Self::UnauthenticatedClient => (401, "invalid_client", "The client is not authenticated.".to_owned()),
            Self::SeveralCredentials => (400, "invalid_request", "Send exactly one Authorization header.".to_owned()),
            Self::MissingToken => {
                (401, "missing_token", "Send an access token: Authorization: Bearer <token>.".to_owned())
            }
            Self::InvalidToken => (401, "invalid_token", "The access token is not valid.".to_owned()),
            Self::ExpiredToken => {
                (401, "token_expired", "The access token expired. Refresh it, or log in again.".to_owned())
            }
            Self::TooManyRequests(_) => {
                (429, "too_many_requests", "Too many requests. Try again after the time in Retry-After.".to_owned())
            }
            Self::ClientLeft => (499, "client_left", "The client has left.".to_owned()),
            Self::Overloaded(_) => {
                (503, "overloaded", "Too many requests are waiting for password hashing. Try again shortly.".to_owned())
            }
            Self::Storage(_) => (503, "storage_unavailable", "Storage did not answer. Try again shortly.".to_owned()),
            Self::Unhealthy(names) => (503, "unhealthy", format!("Not answering: {}.", names.join(", "))),
            Self::Internal(_) => (500, "internal_error", "Something went wrong on our side.".to_owned()),
            Self::Misconfigured(_) => {
                (503, "misconfigured", "The service is not configured. Its log says what is wrong.".to_owned())
            }
        }
    }

    /// The codes of RFC 6749 §5.2; RFC 7009 §2.2.1 adds 503.
    fn oauth_code(&self) -> &'static str {
        match self {
            Self::TooManyRequests(_)
            | Self::Overloaded(_)
            | Self::Storage(_)
            | Self::Unhealthy(..)
            | Self::Misconfigured(_) => "temporarily_unavailable",
            Self::Internal(_) => "server_error",
            Self::InvalidRefreshToken => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidClient | Self::UnauthenticatedClient => "invalid_client",
            _ => "invalid_request",
        }
    }

    /// Logs the cause of a 5xx.
    pub fn log_cause(&self, request_id: Id) {
        match self {
            Self::Storage(fault) => log::write(request_id, &Event::StorageFault { cause: &fault.to_string() }),
            Self::Internal(cause) => log::write(request_id, &Event::InternalError { cause }),
            Self::Misconfigured(problems) => {
                for Problem { variable, problem } in problems {
                    log::write(request_id, &Event::Misconfigured { variable, problem });
                }
            }
            _ => {}
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(name) => Self::Taken(name),
            StoreError::Denied { denial, .. } => denial.into(),
            StoreError::Corrupt { .. } => Self::Internal(error.to_string()),
            StoreError::Unavailable { .. } => Self::Storage(error),
        }
    }
}

impl From<CryptoError> for ApiError {
    fn from(error: CryptoError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<HashError> for ApiError {
    fn from(error: HashError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<EmailError> for ApiError {
    fn from(error: EmailError) -> Self {
        Self::UnusableEmail(error)
    }
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        Self::UnusablePassword(error)
    }
}

impl From<UsernameError> for ApiError {
    fn from(error: UsernameError) -> Self {
        Self::UnusableUsername(error)
    }
}

impl From<Denial> for ApiError {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::SessionNotInForce => Self::InvalidToken,
            Denial::NotAdmin => Self::NotAdmin,
            Denial::NotFound => Self::NotFound,
            Denial::LastAdmin => Self::LastAdmin,
            Denial::CredentialsChanged => Self::WrongPassword,
        }
    }
}

impl From<NameError> for ApiError {
    fn from(error: NameError) -> Self {
        Self::UnusableName(error)
    }
}

/// RFC 9457 §3.1. With `about:blank` the title is the status's own phrase; `code` is what programs go by.
#[derive(Serialize)]
struct Problem9457<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'a str,
    request_id: Id,
}

#[derive(Serialize)]
struct OAuthError<'a> {
    error: &'static str,
    error_description: &'a str,
    request_id: Id,
}

/// RFC 6750 §3.
fn challenge(error: &str, description: impl fmt::Display) -> String {
    format!("Bearer error=\"{error}\", error_description=\"{description}\"")
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        499 => "Client Closed Request",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::{ApiError, ErrorFormat, reason_phrase};
    use crate::store::{StoreError, TakenName};
    use portcullis_core::identity::display_name::NameError;
    use portcullis_core::identity::email::EmailError;
    use portcullis_core::identity::username::UsernameError;
    use portcullis_core::password::PasswordError;

    fn every_kind() -> Vec<ApiError> {
        let fault = || StoreError::Unavailable { operation: "x", cause: "the cause".to_owned() };
        vec![
            ApiError::InvalidRequest("A parameter is repeated.".to_owned()),
            ApiError::Storage(fault()),
            ApiError::Unhealthy(vec!["D1", "KV"]),
            ApiError::WrongHost,
            ApiError::RequestTimeout,
            ApiError::BodyTooLarge,
            ApiError::UnsupportedMediaType("application/json"),
            ApiError::NotFound,
            ApiError::MethodNotAllowed("GET, HEAD".to_owned()),
            ApiError::UnusableEmail(EmailError::NotOneAt),
            ApiError::UnusableEmail(EmailError::TooLong),
            ApiError::UnusableEmail(EmailError::LocalPart),
            ApiError::UnusableEmail(EmailError::Domain),
            ApiError::UnusablePassword(PasswordError::TooShort(15)),
            ApiError::UnusablePassword(PasswordError::TooLong),
            ApiError::UnusablePassword(PasswordError::Guessable),
            ApiError::UnusableUsername(UsernameError::Malformed),
            ApiError::UnusableUsername(UsernameError::Reserved),
            ApiError::UnusableName(NameError),
            ApiError::UnknownRole,
            ApiError::LastAdmin,
            ApiError::WrongPassword,
            ApiError::NotAdmin,
            ApiError::Taken(TakenName::Email),
            ApiError::Taken(TakenName::Username),
            ApiError::RegistrationClosed,
            ApiError::InvalidCredentials,
            ApiError::InvalidRefreshToken,
            ApiError::UnsupportedGrantType,
            ApiError::InvalidClient,
            ApiError::UnauthenticatedClient,
            ApiError::SeveralCredentials,
            ApiError::MissingToken,
            ApiError::InvalidToken,
            ApiError::ExpiredToken,
            ApiError::TooManyRequests(1),
            ApiError::ClientLeft,
            ApiError::Overloaded(4),
            ApiError::Internal("the cause".to_owned()),
            ApiError::Misconfigured(Vec::new()),
        ]
    }

    #[test]
    fn details_keep_to_the_characters_of_rfc_6749() {
        for error in every_kind() {
            let detail = error.wire(ErrorFormat::OAuth).detail;
            assert!(detail.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{detail}");
            assert!(!detail.contains("the cause"));
        }
    }

    #[test]
    fn every_status_has_its_phrase_and_every_refused_token_its_challenge() {
        for error in every_kind() {
            for wire in [error.wire(ErrorFormat::Problem), error.wire(ErrorFormat::OAuth)] {
                assert_ne!(reason_phrase(wire.status), "Error", "{}", wire.status);
                let challenged = wire.headers.iter().any(|(name, _)| *name == "WWW-Authenticate");
                let expected = wire.status == 401 || matches!(error, ApiError::NotAdmin | ApiError::SeveralCredentials);
                assert_eq!(challenged, expected, "{}", wire.code);
            }
        }
    }
}
