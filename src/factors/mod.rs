//! Authentication factors. Each creates a [`Proof`], which every new session needs.

mod breach;
pub mod device;
pub mod email_code;
mod hashing_queue;
pub mod passkey;
pub mod password;
pub mod pending;
mod proved;
pub mod recovery_code;
pub mod second;
pub mod totp;

use portcullis_core::account::caller::{AuthenticatedCaller, Caller};
use portcullis_core::account::throttle::Subject;
use portcullis_core::id::{Id, Slot};
use portcullis_core::password::{HashError, PasswordError};
use portcullis_core::sign_in::{self, Method, NextStep, Policy, next_step};

use crate::context::Context;
use crate::limits::RateLimited;
use crate::platform::webcrypto::CryptoError;
use crate::store::StoreError;
use crate::store::credentials::OwnCredentials;

/// A proof that this request authenticated a user. Only this module can create one.
pub struct Proof {
    user_id: Id,
    slot: Slot,
    credentials_version: u64,
    methods: Vec<Method>,
    account: sign_in::Account,
    subject: Option<Subject>,
    authenticated_at: u64,
}

impl Proof {
    /// The proof of a session that replaces that of the caller and is worth as much. `credentials_version`: the one that it begins with.
    pub fn renewed(
        caller: &AuthenticatedCaller,
        slot: Slot,
        credentials_version: u64,
        account: sign_in::Account,
    ) -> Self {
        Self {
            user_id: caller.caller.user_id,
            slot,
            credentials_version,
            methods: caller.methods.clone(),
            account,
            subject: None,
            authenticated_at: caller.authenticated_at,
        }
    }

    /// The same proof with a further method.
    fn with(mut self, method: Method) -> Self {
        if !self.methods.contains(&method) {
            self.methods.push(method);
        }
        self
    }

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

    /// The authentication methods.
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// What these proofs are sufficient for.
    pub fn next_step(&self, policy: Policy) -> NextStep {
        next_step(&self.methods, &self.account, &policy)
    }

    /// What these proofs would be sufficient for together with one of this method.
    pub fn next_step_with(&self, method: Method, policy: Policy) -> NextStep {
        let methods: Vec<_> = self.methods.iter().copied().chain([method]).collect();
        next_step(&methods, &self.account, &policy)
    }

    /// Whether an admin removed the factors since the last sign-in.
    pub const fn ends_reset(&self) -> bool {
        self.account.factors_reset
    }

    /// When the user authenticated, in unix seconds.
    pub const fn authenticated_at(&self) -> u64 {
        self.authenticated_at
    }

    /// The subject that failed attempts count against; `None` for a new account.
    pub const fn subject(&self) -> Option<Subject> {
        self.subject
    }
}

/// The proof of a step-up before anything is proved.
pub fn step_up(context: &Context<'_>, caller: Caller, own: &OwnCredentials) -> Proof {
    Proof {
        user_id: caller.user_id,
        slot: own.credentials.slot,
        credentials_version: own.credentials.version,
        methods: Vec::new(),
        account: own.credentials.account,
        subject: None,
        authenticated_at: context.now,
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
    /// The sign-in does not exist, is over or was tried too often. The client cannot tell which.
    InvalidMfaToken,
    /// The passkey is not accepted. The client cannot tell why.
    PasskeyRefused,
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
    /// `DATA_SECRETS` is not set, so there are no authenticator apps and recovery codes.
    Off,
    /// A password could not be hashed or verified. Holds the cause.
    Hash(String),
    /// A stored secret cannot be read. Holds the cause.
    Corrupt(String),
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
