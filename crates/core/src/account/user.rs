//! Users, as they are shown.

use serde::Serialize;

use crate::account::metadata::Metadata;
use crate::account::roles;
use crate::id::Id;

/// A user, as shown to themselves. Times in unix seconds.
#[derive(Clone, Serialize, Debug)]
pub struct User {
    /// The `sub` claim.
    pub id: Id,
    /// As it was entered.
    pub email: String,
    /// As it was entered.
    pub username: Option<String>,
    /// To show.
    pub name: Option<String>,
    /// First name.
    pub given_name: Option<String>,
    /// Last name.
    pub family_name: Option<String>,
    /// What the user keeps.
    pub metadata: Option<Metadata>,
    /// What admins keep about the user.
    pub app_metadata: Option<Metadata>,
    /// The `roles` claim.
    pub roles: Vec<String>,
    /// When the account was made.
    pub created_at: u64,
}

/// A user, as shown to admins.
#[derive(Clone, Serialize, Debug)]
pub struct Account {
    /// As shown to themselves.
    #[serde(flatten)]
    pub user: User,
    /// When the account was disabled, in unix seconds.
    pub disabled_at: Option<u64>,
}

impl Account {
    /// Whether it grants access to the admin routes now.
    #[must_use]
    pub fn is_enabled_admin(&self) -> bool {
        roles::is_admin(&self.user.roles) && self.disabled_at.is_none()
    }
}
