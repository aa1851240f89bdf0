//! Errors of the store.

use std::fmt;

use portcullis_core::account::session::OwedMark;

/// An error of the store.
#[derive(Debug)]
pub enum StoreError {
    /// D1, KV or the static assets did not answer, or reported an error.
    Unavailable {
        /// The operation.
        operation: &'static str,
        /// The runtime's message.
        cause: String,
    },
    /// An answer violates the schema.
    Corrupt {
        /// The operation.
        operation: &'static str,
        /// The violation.
        cause: String,
    },
    /// Another account has the name.
    Conflict(TakenName),
    /// The passkey is registered already, or was removed a moment ago.
    PasskeyExists,
    /// The operation is not allowed or not possible. Nothing was changed.
    Denied {
        /// The reason.
        denial: Denial,
        /// The KV marks that are still to be written for the user's earlier revocations.
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
    /// No enabled admin would remain.
    LastAdmin,
    /// The credentials have changed since they were verified.
    CredentialsChanged,
    /// Failed attempts made further ones wait, for this number of seconds.
    Throttled(u64),
}

/// The unique names of a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TakenName {
    /// `users.email_key`.
    Email,
    /// `users.username_key`.
    Username,
}

/// The result of an operation, and the KV marks still to be written for the user's sessions, including those of earlier requests.
pub struct WithOwedMarks<T> {
    /// The result.
    pub value: T,
    /// The marks to write.
    pub owed_marks: Vec<OwedMark>,
}

impl<T> WithOwedMarks<T> {
    /// Adds the marks to a result or a denial. A denied operation returns them too, since earlier revocations may still owe them.
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
            Self::PasskeyExists => formatter.write_str("the passkey exists"),
            Self::Conflict(name) => write!(formatter, "conflict: {name:?}"),
            Self::Denied { denial, .. } => write!(formatter, "denied: {denial:?}"),
        }
    }
}
