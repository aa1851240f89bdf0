//! Users, as the API returns them.

use serde::Serialize;

use crate::account::metadata::Metadata;
use crate::account::roles;
use crate::id::Id;

/// A user, as returned to the user. Times in unix seconds.
#[derive(Clone, Serialize, Debug)]
pub struct User {
    /// The `sub` claim.
    pub id: Id,
    /// The e-mail address as entered.
    pub email: String,
    /// The username as entered.
    pub username: Option<String>,
    /// The display name.
    pub name: Option<String>,
    /// First name.
    pub given_name: Option<String>,
    /// Last name.
    pub family_name: Option<String>,
    /// The metadata that the user may change.
    pub metadata: Option<Metadata>,
    /// The metadata that only admins may change.
    pub app_metadata: Option<Metadata>,
    /// The `roles` claim.
    pub roles: Vec<String>,
    /// When the account was created.
    pub created_at: u64,
}

/// A user, as returned to admins.
#[derive(Clone, Serialize, Debug)]
pub struct Account {
    /// The members that the user sees too.
    #[serde(flatten)]
    pub user: User,
    /// When the account was disabled, in unix seconds.
    pub disabled_at: Option<u64>,
}

impl Account {
    /// Whether the account is enabled and has the role `admin`.
    #[must_use]
    pub fn is_enabled_admin(&self) -> bool {
        roles::is_admin(&self.user.roles) && self.disabled_at.is_none()
    }
}
