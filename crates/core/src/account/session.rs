//! Sessions.

use serde::Deserialize;

use crate::account::user::User;
use crate::id::Id;
use crate::token::refresh::SessionState;

/// A session and the user it belongs to.
pub struct Session {
    /// The `sid` claim.
    pub id: Id,
    /// What the rule judges by.
    pub state: SessionState,
    /// Whose it is.
    pub user: User,
}

impl Session {
    /// Whether it is in force, and that user's.
    #[must_use]
    pub fn is_in_force_for(&self, user_id: Id, now: u64) -> bool {
        self.user.id == user_id && self.state.is_in_force(now)
    }
}

/// A session that was revoked, and whose mark is not known to be in KV.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwedMark {
    /// Whose session it was.
    pub user_id: Id,
    /// The `sid` claim.
    pub session_id: Id,
    /// Until when an access token of it can live, in unix seconds.
    pub access_expires_at: u64,
}
