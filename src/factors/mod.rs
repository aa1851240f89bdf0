//! What users prove themselves by. Each factor gives a [`Proof`], and without one no session begins.

mod hashing_queue;
pub mod password;

use portcullis_core::id::{Id, Slot};
use portcullis_core::password::{HashError, PasswordError};
use portcullis_core::sign_in::Method;

use crate::platform::webcrypto::CryptoError;
use crate::store::StoreError;

/// A proof of who a user is, given in this request. Only this module makes one.
pub struct Proof {
    user_id: Id,
    slot: Slot,
    credentials_version: u64,
    method: Method,
}

impl Proof {
    /// Whose it is.
    pub const fn user_id(&self) -> Id {
        self.user_id
    }

    /// The slot of that user.
    pub const fn slot(&self) -> Slot {
        self.slot
    }

    /// The version of the credentials that were proved: once they change, the proof is worth nothing.
    pub const fn credentials_version(&self) -> u64 {
        self.credentials_version
    }

    /// How it was given.
    pub const fn method(&self) -> Method {
        self.method
    }
}

/// Why there is no proof.
#[derive(Debug)]
pub enum FactorError {
    /// There is no such account, the password is wrong, or the account is disabled: nobody is told which.
    InvalidCredentials,
    /// The current password is wrong.
    WrongPassword,
    /// The new password is not allowed.
    NewPassword(PasswordError),
    /// The source or the account has its share of the hashing queue already. Seconds until a retry.
    ShareTaken(u64),
    /// The hashing queue is full. Seconds until a retry.
    QueueFull(u64),
    /// The client has left.
    ClientLeft,
    /// A password could not be hashed or verified: says why.
    Hash(String),
    /// The runtime failed.
    Crypto(CryptoError),
    /// Storage failed or denied it.
    Store(StoreError),
}

impl From<HashError> for FactorError {
    fn from(error: HashError) -> Self {
        Self::Hash(error.to_string())
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
