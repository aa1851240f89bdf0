//! Sessions.

use serde::Deserialize;

use crate::account::user::User;
use crate::id::Id;
use crate::token::refresh::SessionState;

/// A session and its user.
pub struct Session {
    /// The `sid` claim.
    pub id: Id,
    /// The state that [`judge`](crate::token::refresh::judge) needs.
    pub state: SessionState,
    /// The owner.
    pub user: User,
}

impl Session {
    /// Whether the session is in force and belongs to the user.
    #[must_use]
    pub fn is_in_force_for(&self, user_id: Id, now: u64) -> bool {
        self.user.id == user_id && self.state.is_in_force(now)
    }
}

/// A revoked session whose mark is not yet known to be in KV.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwedMark {
    /// The owner of the session.
    pub user_id: Id,
    /// The `sid` claim.
    pub session_id: Id,
    /// Expiry of the last access token of the session, in unix seconds.
    pub access_expires_at: u64,
}
