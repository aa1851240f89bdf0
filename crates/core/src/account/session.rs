//! Sessions.

use serde::{Deserialize, Serialize};

use crate::account::user::User;
use crate::id::Id;
use crate::token::refresh::SessionState;

/// How the refresh token of a session travels.
#[derive(Deserialize, Serialize, Clone, Copy, PartialEq, Eq, Default, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// In the bodies of requests and responses.
    #[default]
    Body,
    /// In a cookie, which scripts cannot read.
    Cookie,
}

impl Transport {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Cookie => "cookie",
        }
    }
}

/// Maximum idle lifetime of a session that is not remembered, in seconds: a day.
const MAX_UNREMEMBERED_IDLE_TTL: u64 = 86_400;

/// How the refresh token of a session is delivered. The session keeps it for its whole life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// How the token travels.
    pub transport: Transport,
    /// Whether the session outlives the browser.
    pub remember: bool,
}

impl Delivery {
    /// The idle lifetime, given the configured one, in seconds.
    #[must_use]
    pub fn idle_ttl(self, configured: u64) -> u64 {
        if self.remember { configured } else { configured.min(MAX_UNREMEMBERED_IDLE_TTL) }
    }
}

/// A session and its user.
pub struct Session {
    /// The `sid` claim.
    pub id: Id,
    /// How the refresh token travels.
    pub transport: Transport,
    /// Whether the user authenticated with two factors.
    pub is_aal2: bool,
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
