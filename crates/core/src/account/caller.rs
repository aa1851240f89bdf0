//! The caller of an endpoint.

use crate::id::Id;

/// The user and the session of an access token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The `sub` claim.
    pub user_id: Id,
    /// The `sid` claim.
    pub session_id: Id,
}
