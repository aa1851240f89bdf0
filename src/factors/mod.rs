//! Authentication factors. Each creates a [`Proof`], which every new session needs.

mod breach;
pub mod device;
pub mod email_code;
mod hashing_queue;
pub mod password;

use portcullis_core::account::throttle::Subject;
use portcullis_core::id::{Id, Slot};
use portcullis_core::password::{HashError, PasswordError};
use portcullis_core::sign_in::Method;

use crate::limits::RateLimited;
use crate::platform::webcrypto::CryptoError;
use crate::store::StoreError;

/// A proof that this request authenticated a user. Only this module can create one.
pub struct Proof {
    user_id: Id,
    slot: Slot,
    credentials_version: u64,
    method: Method,
    subject: Option<Subject>,
}

impl Proof {
    /// The authenticated user.
    pub const fn user_id(&self) -> Id {
        self.user_id
    }

    /// The slot of the user.
    pub const fn slot(&self) -> Slot {
        self.slot
    }

    /// The version of the verified credentials. The proof is invalid once they change.
    pub const fn credentials_version(&self) -> u64 {
        self.credentials_version
    }

    /// The authentication method.
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The subject that failed attempts count against; `None` for a new account.
    pub const fn subject(&self) -> Option<Subject> {
        self.subject
    }
}

/// Why authentication fails.
#[derive(Debug)]
pub enum FactorError {
    /// There is no such account, the password is wrong, or the account is disabled. The client cannot tell which.
    InvalidCredentials,
    /// The current password is wrong.
    WrongPassword,
    /// After 50 failures in a row, an unknown device needs a code from a mail beside the password.
    MailCodeRequired,
    /// The code or link is wrong, or its challenge is not live. The client cannot tell which.
    InvalidCode,
    /// Attempts must wait because of failed ones. Seconds until the end of the wait.
    Throttled(u64),
    /// The new password is not allowed.
    NewPassword(PasswordError),
    /// A rate limit is exceeded.
    RateLimited(RateLimited),
    /// The source or the account has used its share of the hashing queue. Seconds until a retry.
    ShareTaken(u64),
    /// The hashing queue is full. Seconds until a retry.
    QueueFull(u64),
    /// The client has disconnected.
    ClientLeft,
    /// A password could not be hashed or verified. Holds the cause.
    Hash(String),
    /// The runtime failed.
    Crypto(CryptoError),
    /// Storage failed or denied the operation.
    Store(StoreError),
}

impl From<HashError> for FactorError {
    fn from(error: HashError) -> Self {
        Self::Hash(error.to_string())
    }
}

impl From<RateLimited> for FactorError {
    fn from(error: RateLimited) -> Self {
        Self::RateLimited(error)
    }
}

impl From<CryptoError> for FactorError {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}

impl From<StoreError> for FactorError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
