//! The errors of the routes: one row each, and the conversion to a reply.
//!
//! The text of a 4xx explains what the client must change. The text of a 5xx is fixed, and its cause is logged here with the request id,
//! which the body contains too.

use std::borrow::Cow;

use crate::config::Problem;
use crate::factors::FactorError;
use crate::http::{ErrorBody, ErrorFormat, NotRepresentable, Reply, RequestError};
use crate::limits::RateLimited;
use crate::log::{self, Event};
use crate::mail::MailError;
use crate::platform::body::{BodyError, MAX_BODY_BYTES};
use crate::platform::webcrypto::CryptoError;
use crate::sessions::{Incomplete, SessionError};
use crate::store::{Denial, StoreError, TakenName};
use portcullis_core::account::caller::RECENT;
use portcullis_core::account::metadata::MetadataError;
use portcullis_core::account::roles::UnknownRole;
use portcullis_core::account::throttle::is_endless;
use portcullis_core::id::Id;
use portcullis_core::identity::display_name::NameError;
use portcullis_core::identity::email::EmailError;
use portcullis_core::identity::username::UsernameError;
use portcullis_core::password::PasswordError;
use portcullis_core::sign_in::{Method, NextStep};
use portcullis_core::token::access::Rejection;

/// Seconds until a retry, if storage or the configuration fails.
const RETRY_AFTER: &str = "5";
/// The challenge to a client that must authenticate (RFC 7617 §2).
const CLIENT_CHALLENGE: &str = "Basic realm=\"portcullis\"";

/// Why a request fails. Its row holds status, codes and text.
#[derive(Debug)]
pub enum ApiError {
    /// The detail, which never repeats input.
    InvalidRequest(String),
    RequestTimeout,
    WrongHost,
    BodyTooLarge,
    /// The accepted types.
    UnsupportedMediaType(&'static str),
    NotFound,
    /// The methods that exist.
    MethodNotAllowed(String),
    UnusableEmail(EmailError),
    UnusablePassword(PasswordError),
    UnusableUsername(UsernameError),
    /// The name of the member, and the error.
    UnusableName(&'static str, NameError),
    /// The name of the member, and the error.
    UnusableMetadata(&'static str, MetadataError),
    UnknownRole,
    Taken(TakenName),
    LastAdmin,
    RegistrationClosed,
    /// The source registers often, and the request has no token of Turnstile.
    TurnstileRequired,
    TurnstileFailed,
    /// The token of Turnstile could not be checked.
    TurnstileUnavailable,
    /// The login failed. The same error for an unknown account, a wrong password and a disabled account.
    InvalidCredentials,
    /// The refresh token is not accepted. The same error for every reason.
    InvalidRefreshToken,
    /// The refresh token is of another user than the page expects.
    OtherUser,
    CookieModeOff,
    /// A page that may not use cookies sent the request.
    CsrfRefused,
    /// The current password, required in addition to the access token, is wrong.
    WrongPassword,
    MailOff,
    EmailLoginOff,
    /// After many failed logins in a row, an unknown device needs a code from a mail beside the password.
    MailCodeRequired,
    /// The sign-in does not exist, is over or was tried too often. The same error for every reason.
    InvalidMfaToken,
    /// The change needs a more recent authentication, or one with two factors.
    StepUpRequired,
    /// A session that used a recovery code cannot change factors for a day after a reset of the password.
    RecoveryDelay,
    /// An authenticator app needs a password beside it.
    PasswordRequired,
    /// The account must keep this factor.
    LastCredential,
    /// The account has the maximum number of passkeys.
    TooManyPasskeys,
    /// `DATA_SECRETS` is not set.
    FactorsOff,
    /// Too many codes in a row were wrong.
    CodesStopped,
    /// A further proof is needed before a session begins.
    Incomplete(Incomplete),
    /// The passkey is not accepted. The same error for every reason.
    PasskeyRefused,
    /// The code or link is not accepted. The same error for every reason.
    InvalidCode,
    NotAdmin,
    UnsupportedGrantType,
    /// The client is unknown, or sent credentials in the body although clients are public.
    InvalidClient,
    /// The client sent credentials in the header although clients are public, or failed to authenticate where it is required.
    UnauthenticatedClient,
    SeveralCredentials,
    MissingToken,
    InvalidToken,
    ExpiredToken,
    /// A rate limit is exceeded.
    RateLimited(RateLimited),
    /// Seconds until a retry. The source or account exceeds its share of the hashing queue, or changed its profile too often.
    TooManyRequests(u64),
    /// Seconds until a retry. Failed attempts made further ones wait.
    TooManyAttempts(u64),
    /// The client has disconnected, so nobody receives this error.
    ClientLeft,
    /// Seconds until a retry. Too many requests are waiting for password hashing.
    Overloaded(u64),
    /// D1, KV or the static assets did not answer.
    Storage(StoreError),
    /// The names of the bindings that do not answer the health check.
    Unhealthy(Vec<&'static str>),
    /// The cause: a bug or corrupt data.
    Internal(String),
    /// The problems of the configuration.
    Misconfigured(Vec<Problem>),
}

/// The status, codes and text of an error.
struct Row<'a> {
    status: u16,
    /// The stable `code` of a problem.
    code: &'static str,
    /// The `error` of an OAuth endpoint (RFC 6749 §5.2; RFC 7009 §2.2.1 adds 503).
    oauth_code: &'static str,
    detail: Cow<'a, str>,
}

/// A row with the OAuth code `invalid_request`.
fn row<'a>(status: u16, code: &'static str, detail: impl Into<Cow<'a, str>>) -> Row<'a> {
    Row { status, code, oauth_code: "invalid_request", detail: detail.into() }
}

impl Row<'_> {
    fn oauth(self, oauth_code: &'static str) -> Self {
        Self { oauth_code, ..self }
    }
}

const UNAVAILABLE: &str = "temporarily_unavailable";

impl ApiError {
    /// The row of the error.
    #[expect(clippy::too_many_lines, reason = "the table has a row per error")]
    fn row(&self) -> Row<'_> {
        match self {
            Self::InvalidRequest(detail) => row(400, "invalid_request", detail.as_str()),
            Self::SeveralCredentials => row(400, "invalid_request", "Send exactly one Authorization header."),
            Self::InvalidCode => {
                row(400, "invalid_code", "The code or link is wrong, expired or used. Ask for a new one.")
            }
            Self::PasskeyRefused => {
                row(400, "passkey_refused", "The passkey is not accepted. Get new options and try again.")
            }
            Self::InvalidMfaToken => {
                let detail = "mfa_token: the sign-in is over, or was tried too often. Begin it again.";
                row(400, "invalid_mfa_token", detail)
            }
            Self::StepUpRequired => row(401, "step_up_required", "Authenticate again: POST /me/step-up."),
            Self::RecoveryDelay => row(
                403,
                "recovery_delay",
                "This session used a recovery code, and the password was reset within 24 hours. Factors cannot change yet.",
            ),
            Self::PasswordRequired => row(
                409,
                "password_required",
                "An authenticator app needs a password beside it. Log in with one; POST /password/forgot sets the first.",
            ),
            Self::TooManyPasskeys => row(409, "too_many_passkeys", "The account has ten passkeys. Remove one first."),
            Self::LastCredential => row(
                409,
                "last_credential",
                "The account must keep a factor or a way to sign in. Add another one first.",
            ),
            Self::FactorsOff => row(
                403,
                "factors_off",
                "This service has no authenticator apps and recovery codes: DATA_SECRETS is not set.",
            ),
            Self::CodesStopped => row(
                403,
                "codes_stopped",
                "Too many codes were wrong. Use a passkey or a recovery code, or ask an admin.",
            ),
            Self::Incomplete(Incomplete { step, .. }) => incomplete(step),
            Self::UnsupportedGrantType => {
                row(400, "unsupported_grant_type", "The only supported grant is refresh_token.")
                    .oauth("unsupported_grant_type")
            }
            Self::InvalidClient => {
                row(400, "invalid_client", "The client is unknown, or sent a secret although clients have none.")
                    .oauth("invalid_client")
            }
            Self::UnauthenticatedClient => {
                row(401, "invalid_client", "The client is not authenticated.").oauth("invalid_client")
            }
            Self::MissingToken => row(401, "missing_token", "Send an access token: Authorization: Bearer <token>."),
            Self::InvalidToken => row(401, "invalid_token", "The access token is not valid."),
            Self::ExpiredToken => row(401, "token_expired", "The access token expired. Refresh it, or log in again."),
            Self::InvalidCredentials => {
                row(401, "invalid_credentials", "There is no such account, or the password is wrong.")
            }
            Self::InvalidRefreshToken => {
                row(401, "invalid_refresh_token", "The refresh token is not valid. Log in again.")
                    .oauth("invalid_grant")
            }
            Self::CookieModeOff => {
                row(400, "cookie_mode_off", "transport: this service does not deliver refresh tokens in cookies.")
            }
            Self::CsrfRefused => {
                let detail =
                    "A page that uses the cookie must be of the same site, with its origin in ALLOWED_ORIGINS.";
                row(403, "csrf_refused", detail)
            }
            Self::OtherUser => row(409, "account_changed", "The refresh token is of another account than user_id."),
            Self::WrongPassword => row(403, "wrong_password", "The current password is wrong."),
            Self::MailOff => row(403, "mail_off", "This service sends no mails."),
            Self::MailCodeRequired => {
                let detail = "After many failed logins, send challenge and code of a mail beside the password: POST /login/email.";
                row(403, "mail_code_required", detail)
            }
            Self::EmailLoginOff => row(403, "email_login_off", "This service has no login by mail."),
            Self::NotAdmin => row(403, "forbidden", "This endpoint requires the role admin."),
            Self::RegistrationClosed => row(403, "registration_closed", "Registration is closed."),
            Self::TurnstileRequired => {
                row(403, "turnstile_required", "Send a turnstile_token with the action register.")
            }
            Self::TurnstileFailed => row(
                403,
                "turnstile_failed",
                "turnstile_token: the token is not valid, or was used before. Get a new one.",
            ),
            Self::NotFound => row(404, "not_found", "There is nothing at this path."),
            Self::MethodNotAllowed(methods) => row(405, "method_not_allowed", format!("This path accepts {methods}.")),
            Self::RequestTimeout => {
                row(408, "request_timeout", "The body did not arrive in time. Send the request again.")
            }
            Self::Taken(TakenName::Email) => {
                row(409, "email_taken", "An account with this e-mail address already exists.")
            }
            Self::Taken(TakenName::Username) => {
                row(409, "username_taken", "An account with this username already exists.")
            }
            Self::LastAdmin => row(409, "last_admin", "At least one admin must remain."),
            Self::BodyTooLarge => {
                row(413, "body_too_large", format!("The body must be at most {MAX_BODY_BYTES} bytes long."))
            }
            Self::UnsupportedMediaType(types) => {
                let detail = format!("The body must be {types}, in UTF-8 and not compressed.");
                row(415, "unsupported_media_type", detail)
            }
            Self::WrongHost => {
                row(421, "wrong_host", "This service does not answer at this address. Use the address of the issuer.")
            }
            Self::UnusableEmail(error) => row(422, "invalid_email", error.to_string()),
            Self::UnusablePassword(error @ PasswordError::TooShort(_)) => {
                row(422, "password_too_short", error.to_string())
            }
            Self::UnusablePassword(error @ PasswordError::TooLong) => row(422, "password_too_long", error.to_string()),
            Self::UnusablePassword(error @ PasswordError::Guessable) => {
                row(422, "password_too_common", error.to_string())
            }
            Self::UnusablePassword(error @ PasswordError::Breached) => row(422, "password_breached", error.to_string()),
            Self::UnusableUsername(error @ UsernameError::Malformed) => row(422, "invalid_username", error.to_string()),
            Self::UnusableUsername(error @ UsernameError::Reserved) => row(422, "username_reserved", error.to_string()),
            Self::UnusableName(member, error) => row(422, "invalid_name", format!("{member}: {error}")),
            Self::UnusableMetadata(member, error @ MetadataError::TooLong) => {
                row(422, "metadata_too_long", format!("{member}: {error}"))
            }
            Self::UnusableMetadata(member, error @ MetadataError::TooDeep) => {
                row(422, "metadata_too_deep", format!("{member}: {error}"))
            }
            Self::UnknownRole => row(422, "unknown_role", UnknownRole.to_string()),
            Self::RateLimited(_) => {
                row(429, "rate_limited", "The rate limit is exceeded. Try again after the time in Retry-After.")
                    .oauth(UNAVAILABLE)
            }
            Self::TooManyRequests(_) => {
                row(429, "too_many_requests", "Too many requests. Try again after the time in Retry-After.")
                    .oauth(UNAVAILABLE)
            }
            Self::TooManyAttempts(_) => {
                row(429, "too_many_attempts", "Too many failed attempts. Try again after the time in Retry-After.")
            }
            Self::ClientLeft => row(499, "client_left", "The client has disconnected."),
            Self::Internal(_) => row(500, "internal_error", "An internal error occurred.").oauth("server_error"),
            Self::Overloaded(_) => {
                row(503, "overloaded", "Too many requests are waiting for password hashing. Try again shortly.")
                    .oauth(UNAVAILABLE)
            }
            Self::Storage(_) => {
                row(503, "storage_unavailable", "Storage did not answer. Try again shortly.").oauth(UNAVAILABLE)
            }
            Self::TurnstileUnavailable => {
                row(503, "turnstile_unavailable", "The turnstile_token could not be checked. Try again shortly.")
                    .oauth(UNAVAILABLE)
            }
            Self::Unhealthy(names) => {
                row(503, "unhealthy", format!("Not answering: {}.", names.join(", "))).oauth(UNAVAILABLE)
            }
            Self::Misconfigured(_) => {
                row(503, "misconfigured", "The configuration is invalid. The log of the service names the problems.")
                    .oauth(UNAVAILABLE)
            }
        }
    }

    /// The code, if the request is refused to limit load or guessing: every 429, and `overloaded`.
    pub fn refusal_code(&self) -> Option<&'static str> {
        let row = self.row();
        (row.status == 429 || matches!(self, Self::Overloaded(_))).then_some(row.code)
    }

    /// The row in the given format.
    fn formatted(&self, format: ErrorFormat) -> Row<'_> {
        let row = self.row();
        match (format, self) {
            // RFC 6749 §5.2 reserves 401 for failed client authentication.
            (ErrorFormat::OAuth, Self::InvalidRefreshToken) => Row { status: 400, ..row },
            _ => row,
        }
    }

    fn headers(&self, row: &Row<'_>) -> Vec<(&'static str, String)> {
        match self {
            Self::MethodNotAllowed(methods) => vec![("Allow", methods.clone())],
            // RFC 6749 §5.2: the status is not 401, so no challenge.
            Self::InvalidRefreshToken if row.status == 400 => Vec::new(),
            // RFC 9110 §15.5.2: every 401 names a scheme. RFC 6750 §3.1: without credentials, no error.
            Self::MissingToken | Self::InvalidCredentials | Self::InvalidRefreshToken => {
                vec![("WWW-Authenticate", "Bearer".to_owned())]
            }
            // RFC 6750 §3.1: no credentials were presented, so no error.
            Self::Incomplete(_) if row.status == 401 => vec![("WWW-Authenticate", "Bearer".to_owned())],
            // RFC 9470 §3.
            Self::StepUpRequired => {
                let challenge = challenge("insufficient_user_authentication", &row.detail);
                vec![("WWW-Authenticate", format!("{challenge}, max_age={RECENT}, acr_values=\"aal2\""))]
            }
            Self::UnauthenticatedClient => vec![("WWW-Authenticate", CLIENT_CHALLENGE.to_owned())],
            // RFC 6750 §3.1: "more than one method for including an access token".
            Self::SeveralCredentials => vec![("WWW-Authenticate", "Bearer error=\"invalid_request\"".to_owned())],
            Self::InvalidToken => vec![("WWW-Authenticate", challenge("invalid_token", &row.detail))],
            Self::NotAdmin => vec![("WWW-Authenticate", challenge("insufficient_scope", &row.detail))],
            // The header that ASP.NET clients look for.
            Self::ExpiredToken => vec![
                ("WWW-Authenticate", challenge("invalid_token", &row.detail)),
                ("Token-Expired", "true".to_owned()),
            ],
            Self::RateLimited(RateLimited { policy }) => {
                vec![("Retry-After", policy.period.to_string()), ("RateLimit-Policy", policy.to_string())]
            }
            Self::TooManyRequests(seconds) | Self::TooManyAttempts(seconds) | Self::Overloaded(seconds) => {
                vec![("Retry-After", seconds.to_string())]
            }
            Self::Storage(_) | Self::TurnstileUnavailable | Self::Unhealthy(_) | Self::Misconfigured(_) => {
                vec![("Retry-After", RETRY_AFTER.to_owned())]
            }
            _ => Vec::new(),
        }
    }

    /// The reply in the error format of the endpoint. Logs the cause of a 5xx.
    pub fn into_reply(self, format: ErrorFormat, request_id: Id) -> Reply {
        self.log_cause(request_id);
        self.reply(format, request_id)
    }

    /// The reply, without a log line.
    pub(super) fn reply(&self, format: ErrorFormat, request_id: Id) -> Reply {
        let row = self.formatted(format);
        let code = match format {
            ErrorFormat::Problem => row.code,
            ErrorFormat::OAuth => row.oauth_code,
        };
        let (mfa_token, methods) = match self {
            Self::Incomplete(Incomplete { step, mfa_token }) => (mfa_token.as_deref(), methods(step)),
            _ => (None, Vec::new()),
        };
        let body = ErrorBody { status: row.status, code, detail: &row.detail, request_id, mfa_token, methods };
        let reply = body.reply(format);
        self.headers(&row).into_iter().fold(reply, |reply, (name, value)| reply.header(name, value))
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

/// The row of a sign-in that needs a further proof.
fn incomplete(step: &NextStep) -> Row<'static> {
    match step {
        NextStep::NeedsVerifiedEmail => row(
            401,
            "email_code_required",
            "Request a mail by POST /login/email, then send challenge and mail_code to POST /login/mfa or /me/step-up.",
        ),
        NextStep::NeedsEnrolment => row(
            401,
            "mfa_enrolment_required",
            "Add a second factor, with the mfa_token as bearer token: POST /me/mfa/totp or /me/passkeys.",
        ),
        NextStep::NeedsSecondFactor { .. } => row(
            401,
            "mfa_required",
            "Send a second factor too: to POST /login/mfa, or with the other proofs of a step-up.",
        ),
        NextStep::NeedsProof => row(401, "proof_required", "Send a password, a passkey or a code from a mail."),
        NextStep::Begin { .. } => row(500, "internal_error", "An internal error occurred."),
    }
}

/// The names of the members that complete a sign-in.
fn methods(step: &NextStep) -> Vec<&'static str> {
    let NextStep::NeedsSecondFactor { methods } = step else { return Vec::new() };
    let name = |method: &Method| match method {
        Method::Totp => Some("code"),
        Method::RecoveryCode => Some("recovery_code"),
        Method::Passkey => Some("credential"),
        Method::Password | Method::Email => None,
    };
    methods.iter().filter_map(name).collect()
}

/// A `WWW-Authenticate` challenge (RFC 6750 §3).
fn challenge(error: &str, description: &str) -> String {
    format!("Bearer error=\"{error}\", error_description=\"{description}\"")
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Invalid(detail) => Self::InvalidRequest(detail),
            RequestError::UnsupportedMediaType(types) => Self::UnsupportedMediaType(types),
            RequestError::MissingToken => Self::MissingToken,
            RequestError::SeveralCredentials => Self::SeveralCredentials,
            RequestError::InvalidToken => Self::InvalidToken,
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::BodyTooLarge,
            BodyError::Timeout => Self::RequestTimeout,
            BodyError::Aborted => Self::InvalidRequest("The body is incomplete.".to_owned()),
            BodyError::TooManyPieces => Self::InvalidRequest("The body arrives in too many pieces.".to_owned()),
        }
    }
}

impl From<NotRepresentable> for ApiError {
    fn from(NotRepresentable(cause): NotRepresentable) -> Self {
        Self::Internal(cause)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(name) => Self::Taken(name),
            StoreError::PasskeyExists => Self::PasskeyRefused,
            StoreError::Denied { denial, .. } => denial.into(),
            StoreError::Corrupt { .. } => Self::Internal(error.to_string()),
            StoreError::Unavailable { .. } => Self::Storage(error),
        }
    }
}

impl From<RateLimited> for ApiError {
    fn from(error: RateLimited) -> Self {
        Self::RateLimited(error)
    }
}

impl From<CryptoError> for ApiError {
    fn from(error: CryptoError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<FactorError> for ApiError {
    fn from(error: FactorError) -> Self {
        match error {
            FactorError::InvalidCredentials => Self::InvalidCredentials,
            FactorError::WrongPassword => Self::WrongPassword,
            FactorError::InvalidCode => Self::InvalidCode,
            FactorError::PasskeyRefused => Self::PasskeyRefused,
            FactorError::InvalidMfaToken => Self::InvalidMfaToken,
            FactorError::MailCodeRequired => Self::MailCodeRequired,
            FactorError::Throttled(seconds) => Self::waits(seconds),
            FactorError::Off => Self::FactorsOff,
            FactorError::NewPassword(error) => Self::UnusablePassword(error),
            FactorError::RateLimited(error) => error.into(),
            FactorError::ShareTaken(seconds) => Self::TooManyRequests(seconds),
            FactorError::QueueFull(seconds) => Self::Overloaded(seconds),
            FactorError::ClientLeft => Self::ClientLeft,
            FactorError::Hash(cause) | FactorError::Corrupt(cause) => Self::Internal(cause),
            FactorError::Crypto(error) => error.into(),
            FactorError::Store(error) => error.into(),
        }
    }
}

impl From<MailError> for ApiError {
    fn from(error: MailError) -> Self {
        match error {
            MailError::Off => Self::MailOff,
            MailError::Crypto(error) => error.into(),
            MailError::Store(error) => error.into(),
        }
    }
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Request(error) => error.into(),
            SessionError::AccessToken(Rejection::Expired) => Self::ExpiredToken,
            SessionError::AccessToken(_) => Self::InvalidToken,
            SessionError::RefreshToken => Self::InvalidRefreshToken,
            SessionError::OtherUser => Self::OtherUser,
            SessionError::CookieModeOff => Self::CookieModeOff,
            SessionError::CsrfRefused => Self::CsrfRefused,
            SessionError::AccountChanged => Self::InvalidCredentials,
            SessionError::StepUpRequired => Self::StepUpRequired,
            SessionError::Incomplete(incomplete) => Self::Incomplete(incomplete),
            SessionError::RecoveryDelay => Self::RecoveryDelay,
            SessionError::PasswordRequired => Self::PasswordRequired,
            SessionError::MfaToken => Self::InvalidMfaToken,
            SessionError::Throttled(seconds) => Self::waits(seconds),
            SessionError::RateLimited(error) => error.into(),
            SessionError::Internal(cause) => Self::Internal(cause),
            SessionError::Crypto(error) => error.into(),
            SessionError::Store(error) => error.into(),
        }
    }
}

impl ApiError {
    /// The token of a sign-in, for the documentation and tests.
    #[cfg(any(test, feature = "openapi"))]
    pub const EXAMPLE_MFA_TOKEN: &str = "pcmf_Ox-aB8RSjtFm8C2bdKgT5Rr0mXo8vFqgP2nX3xCkYbU";

    /// A sign-in that needs a further proof, for the documentation and tests.
    #[cfg(any(test, feature = "openapi"))]
    pub fn incomplete_example(step: NextStep) -> Self {
        Self::Incomplete(Incomplete { step, mfa_token: Some(Self::EXAMPLE_MFA_TOKEN.to_owned()) })
    }

    /// The error of attempts during a wait, in seconds.
    const fn waits(seconds: u64) -> Self {
        if is_endless(seconds) { Self::CodesStopped } else { Self::TooManyAttempts(seconds) }
    }

    /// Converts an error of a name, given the name of its member.
    pub fn name(member: &'static str) -> impl Fn(NameError) -> Self {
        move |error| Self::UnusableName(member, error)
    }

    /// Converts an error of metadata, given the name of its member.
    pub fn metadata(member: &'static str) -> impl Fn(MetadataError) -> Self {
        move |error| Self::UnusableMetadata(member, error)
    }
}

impl From<EmailError> for ApiError {
    fn from(error: EmailError) -> Self {
        Self::UnusableEmail(error)
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
            Denial::Throttled(seconds) => Self::waits(seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use ::http::StatusCode;

    use super::{ApiError, ErrorFormat, Incomplete};
    use crate::limits::RateLimited;
    use crate::store::{StoreError, TakenName};
    use portcullis_core::account::metadata::MetadataError;
    use portcullis_core::identity::display_name::NameError;
    use portcullis_core::identity::email::EmailError;
    use portcullis_core::identity::username::UsernameError;
    use portcullis_core::password::PasswordError;
    use portcullis_core::sign_in::{Method, NextStep};

    /// Examples of every error. Does not compile if an error has no example.
    macro_rules! examples {
        ($($error:pat => $example:expr,)+) => {
            fn examples() -> Vec<ApiError> {
                // Proves that the patterns cover all errors.
                let _ = |error: &ApiError| match error {
                    $($error => {})+
                };
                vec![$({
                    let example = $example;
                    assert!(matches!(example, $error));
                    example
                }),+]
            }
        };
    }

    examples! {
        ApiError::InvalidRequest(_) => ApiError::InvalidRequest("A parameter is repeated.".to_owned()),
        ApiError::RequestTimeout => ApiError::RequestTimeout,
        ApiError::WrongHost => ApiError::WrongHost,
        ApiError::BodyTooLarge => ApiError::BodyTooLarge,
        ApiError::UnsupportedMediaType(_) => ApiError::UnsupportedMediaType("application/json"),
        ApiError::NotFound => ApiError::NotFound,
        ApiError::MethodNotAllowed(_) => ApiError::MethodNotAllowed("GET, HEAD".to_owned()),
        ApiError::UnusableEmail(EmailError::NotOneAt) => ApiError::UnusableEmail(EmailError::NotOneAt),
        ApiError::UnusableEmail(EmailError::TooLong) => ApiError::UnusableEmail(EmailError::TooLong),
        ApiError::UnusableEmail(EmailError::LocalPart) => ApiError::UnusableEmail(EmailError::LocalPart),
        ApiError::UnusableEmail(EmailError::Domain) => ApiError::UnusableEmail(EmailError::Domain),
        ApiError::UnusablePassword(PasswordError::TooShort(_)) => ApiError::UnusablePassword(PasswordError::TooShort(15)),
        ApiError::UnusablePassword(PasswordError::TooLong) => ApiError::UnusablePassword(PasswordError::TooLong),
        ApiError::UnusablePassword(PasswordError::Guessable) => ApiError::UnusablePassword(PasswordError::Guessable),
        ApiError::UnusablePassword(PasswordError::Breached) => ApiError::UnusablePassword(PasswordError::Breached),
        ApiError::UnusableUsername(UsernameError::Malformed) => ApiError::UnusableUsername(UsernameError::Malformed),
        ApiError::UnusableUsername(UsernameError::Reserved) => ApiError::UnusableUsername(UsernameError::Reserved),
        ApiError::UnusableName(..) => ApiError::UnusableName("given_name", NameError),
        ApiError::UnusableMetadata(_, MetadataError::TooLong) => ApiError::UnusableMetadata("metadata", MetadataError::TooLong),
        ApiError::UnusableMetadata(_, MetadataError::TooDeep) => ApiError::UnusableMetadata("metadata", MetadataError::TooDeep),
        ApiError::UnknownRole => ApiError::UnknownRole,
        ApiError::Taken(TakenName::Email) => ApiError::Taken(TakenName::Email),
        ApiError::Taken(TakenName::Username) => ApiError::Taken(TakenName::Username),
        ApiError::LastAdmin => ApiError::LastAdmin,
        ApiError::RegistrationClosed => ApiError::RegistrationClosed,
        ApiError::TurnstileRequired => ApiError::TurnstileRequired,
        ApiError::TurnstileFailed => ApiError::TurnstileFailed,
        ApiError::TurnstileUnavailable => ApiError::TurnstileUnavailable,
        ApiError::InvalidCredentials => ApiError::InvalidCredentials,
        ApiError::InvalidRefreshToken => ApiError::InvalidRefreshToken,
        ApiError::OtherUser => ApiError::OtherUser,
        ApiError::CookieModeOff => ApiError::CookieModeOff,
        ApiError::CsrfRefused => ApiError::CsrfRefused,
        ApiError::WrongPassword => ApiError::WrongPassword,
        ApiError::MailOff => ApiError::MailOff,
        ApiError::EmailLoginOff => ApiError::EmailLoginOff,
        ApiError::InvalidCode => ApiError::InvalidCode,
        ApiError::PasskeyRefused => ApiError::PasskeyRefused,
        ApiError::InvalidMfaToken => ApiError::InvalidMfaToken,
        ApiError::StepUpRequired => ApiError::StepUpRequired,
        ApiError::RecoveryDelay => ApiError::RecoveryDelay,
        ApiError::PasswordRequired => ApiError::PasswordRequired,
        ApiError::LastCredential => ApiError::LastCredential,
        ApiError::TooManyPasskeys => ApiError::TooManyPasskeys,
        ApiError::FactorsOff => ApiError::FactorsOff,
        ApiError::CodesStopped => ApiError::CodesStopped,
        ApiError::Incomplete(Incomplete { step: NextStep::NeedsSecondFactor { .. }, .. }) => {
            ApiError::incomplete_example(NextStep::NeedsSecondFactor { methods: vec![Method::Totp] })
        },
        ApiError::Incomplete(Incomplete { step: NextStep::NeedsVerifiedEmail, .. }) => {
            ApiError::incomplete_example(NextStep::NeedsVerifiedEmail)
        },
        ApiError::Incomplete(Incomplete { step: NextStep::NeedsEnrolment, .. }) => {
            ApiError::incomplete_example(NextStep::NeedsEnrolment)
        },
        ApiError::Incomplete(Incomplete { step: NextStep::NeedsProof, .. }) => {
            ApiError::incomplete_example(NextStep::NeedsProof)
        },
        ApiError::Incomplete(Incomplete { step: NextStep::Begin { .. }, .. }) => {
            ApiError::incomplete_example(NextStep::Begin { amr: "pwd".to_owned() })
        },
        ApiError::MailCodeRequired => ApiError::MailCodeRequired,
        ApiError::NotAdmin => ApiError::NotAdmin,
        ApiError::UnsupportedGrantType => ApiError::UnsupportedGrantType,
        ApiError::InvalidClient => ApiError::InvalidClient,
        ApiError::UnauthenticatedClient => ApiError::UnauthenticatedClient,
        ApiError::SeveralCredentials => ApiError::SeveralCredentials,
        ApiError::MissingToken => ApiError::MissingToken,
        ApiError::InvalidToken => ApiError::InvalidToken,
        ApiError::ExpiredToken => ApiError::ExpiredToken,
        ApiError::RateLimited(_) => ApiError::RateLimited(RateLimited::example()),
        ApiError::TooManyRequests(_) => ApiError::TooManyRequests(1),
        ApiError::TooManyAttempts(_) => ApiError::TooManyAttempts(32),
        ApiError::ClientLeft => ApiError::ClientLeft,
        ApiError::Overloaded(_) => ApiError::Overloaded(4),
        ApiError::Storage(_) => {
            ApiError::Storage(StoreError::Unavailable { operation: "x", cause: "the cause".to_owned() })
        },
        ApiError::Unhealthy(_) => ApiError::Unhealthy(vec!["D1", "KV"]),
        ApiError::Internal(_) => ApiError::Internal("the cause".to_owned()),
        ApiError::Misconfigured(_) => ApiError::Misconfigured(Vec::new()),
    }

    const FORMATS: [ErrorFormat; 2] = [ErrorFormat::Problem, ErrorFormat::OAuth];

    #[test]
    fn details_use_only_the_characters_of_rfc_6749() {
        for error in examples() {
            let detail = error.row().detail;
            assert!(detail.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{detail}");
            assert!(!detail.contains("the cause"));
        }
    }

    #[test]
    fn every_status_is_registered_and_every_401_has_its_challenge() {
        for error in examples() {
            for row in FORMATS.map(|format| error.formatted(format)) {
                // 499 is not registered. It is used only in the log.
                let is_registered = StatusCode::from_u16(row.status).unwrap().canonical_reason().is_some();
                assert_eq!(is_registered, row.status != 499, "{}", row.status);
                let challenged = error.headers(&row).iter().any(|(name, _)| *name == "WWW-Authenticate");
                let expected = row.status == 401 || matches!(error, ApiError::NotAdmin | ApiError::SeveralCredentials);
                assert_eq!(challenged, expected, "{}", row.code);
            }
        }
    }
}
