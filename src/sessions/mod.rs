//! Sessions: beginning, refreshing and ending them, for every way to sign in.

pub mod bearer;
pub mod begin;
pub mod changes;
pub mod cookie;
mod delivery;
pub mod end;
pub mod enrolment;
pub mod marks;
pub mod refresh;
pub mod refresh_token;
pub mod rotation;
pub mod signing_keys;

#[cfg(feature = "openapi")]
pub use delivery::TokenResponse;

use portcullis_core::id::Id;
use portcullis_core::sign_in::NextStep;
use portcullis_core::token::access::Rejection;

use crate::http::{NotRepresentable, RequestError};
use crate::limits::RateLimited;
use crate::log::{self, Event};
use crate::platform::webcrypto::CryptoError;
use crate::store::StoreError;

/// Why an operation on a session or its tokens fails.
#[derive(Debug)]
pub enum SessionError {
    /// The request carries no usable credentials.
    Request(RequestError),
    /// The access token is not accepted.
    AccessToken(Rejection),
    /// The refresh token is not accepted. The same error for every reason.
    RefreshToken,
    /// The refresh token is of another user than the page expects.
    OtherUser,
    /// The request asks for a cookie, and cookie mode is off.
    CookieModeOff,
    /// A page that may not use cookies sent the request.
    CsrfRefused,
    /// The account was disabled, deleted or had its credentials changed since they were verified.
    AccountChanged,
    /// The change needs a more recent authentication, or one with two factors.
    StepUpRequired,
    /// A session that used a recovery code cannot change factors for a day after a reset of the password.
    RecoveryDelay,
    /// An authenticator app needs a password beside it.
    PasswordRequired,
    /// The `mfa_token` in place of an access token is not accepted.
    MfaToken,
    /// A further proof is needed before a session begins.
    Incomplete(Incomplete),
    /// Failed attempts made further ones wait. Seconds until the end of the wait.
    Throttled(u64),
    /// A rate limit is exceeded.
    RateLimited(RateLimited),
    /// A bug: an impossible state occurred.
    Internal(String),
    /// The runtime failed.
    Crypto(CryptoError),
    /// Storage failed or denied the operation.
    Store(StoreError),
}

/// A sign-in that needs a further proof.
#[derive(Debug)]
pub struct Incomplete {
    /// What is needed.
    pub step: NextStep,
    /// The token with which the sign-in goes on; `None` for a step-up, which is one request.
    pub mfa_token: Option<String>,
}

impl From<RequestError> for SessionError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<NotRepresentable> for SessionError {
    fn from(NotRepresentable(cause): NotRepresentable) -> Self {
        Self::Internal(cause)
    }
}

impl From<RateLimited> for SessionError {
    fn from(error: RateLimited) -> Self {
        Self::RateLimited(error)
    }
}

impl From<CryptoError> for SessionError {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}

impl From<StoreError> for SessionError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Logs a failure of the store that happens outside a request.
fn log_failure(request_id: Id, error: &StoreError) {
    log::write(request_id, &Event::StorageFault { cause: &error.to_string() });
}
