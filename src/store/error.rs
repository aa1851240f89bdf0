//! What the store returns where it has no answer.

use std::fmt;

use portcullis_core::account::session::OwedMark;

/// Why an operation has no answer.
#[derive(Debug)]
pub enum StoreError {
    /// D1 or KV did not answer, or reported an error.
    Unavailable {
        /// The operation.
        operation: &'static str,
        /// The runtime's message.
        cause: String,
    },
    /// An answer that the schema does not allow.
    Corrupt {
        /// The operation.
        operation: &'static str,
        /// What does not fit.
        cause: String,
    },
    /// Another row has that value already.
    Conflict(TakenName),
    /// The caller may not do this, or it cannot be done. Nothing was changed.
    Denied {
        /// Why.
        denial: Denial,
        /// The marks in KV that earlier revocations of the user's sessions still owe.
        owed_marks: Vec<OwedMark>,
    },
}

/// Why the store denies an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denial {
    /// The caller's session is not in force.
    SessionNotInForce,
    /// The caller is not an admin.
    NotAdmin,
    /// There is no such account, or the caller has no such session.
    NotFound,
    /// There would be no admin any more.
    LastAdmin,
    /// The credentials have changed since they were verified.
    CredentialsChanged,
}

/// The values that no two users share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TakenName {
    /// `users.email_key`.
    Email,
    /// `users.username_key`.
    Username,
}

/// What an operation did, and the marks in KV that the user's sessions still lack, including those of earlier requests.
pub struct WithOwedMarks<T> {
    /// What it did.
    pub value: T,
    /// The marks to write.
    pub owed_marks: Vec<OwedMark>,
}

impl<T> WithOwedMarks<T> {
    /// The same outcome with the marks to write, which are owed also where the operation is denied.
    pub(super) fn attach(outcome: Result<T, StoreError>, owed_marks: Vec<OwedMark>) -> Result<Self, StoreError> {
        match outcome {
            Ok(value) => Ok(Self { value, owed_marks }),
            Err(StoreError::Denied { denial, .. }) => Err(StoreError::Denied { denial, owed_marks }),
            Err(error) => Err(error),
        }
    }
}

impl From<Denial> for StoreError {
    fn from(denial: Denial) -> Self {
        Self::Denied { denial, owed_marks: Vec::new() }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable { operation, cause } | Self::Corrupt { operation, cause } => {
                write!(formatter, "{operation}: {cause}")
            }
            Self::Conflict(name) => write!(formatter, "conflict: {name:?}"),
            Self::Denied { denial, .. } => write!(formatter, "denied: {denial:?}"),
        }
    }
}
