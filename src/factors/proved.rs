//! Second factors that were right.

use portcullis_core::id::Id;
use portcullis_core::sign_in::Method;

use super::Proof;
use crate::store::factor_use::FactorUse;

/// Whose factor it is.
#[derive(Clone, Copy)]
pub struct Owner {
    /// The user.
    pub user_id: Id,
    /// The session of the caller, in a step-up.
    pub session_id: Option<Id>,
}

/// A second factor that was right. It is used up in the transaction that begins the session.
pub struct ProvedFactor {
    pub(super) method: Method,
    pub(super) used: FactorUse,
}

impl ProvedFactor {
    /// Adds it to the other proofs.
    pub fn complete(&self, proof: Proof) -> Proof {
        proof.with(self.method)
    }

    /// What it uses up.
    pub fn into_use(self) -> FactorUse {
        self.used
    }
}
