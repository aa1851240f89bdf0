//! Users, as the API returns them.

use serde::Serialize;

use crate::account::metadata::Metadata;
use crate::account::roles;
use crate::id::Id;

/// A user. Times in unix seconds.
#[derive(Clone, Serialize, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct User {
    /// The id, which is the `sub` claim of access tokens.
    pub id: Id,
    /// The e-mail address, as entered.
    pub email: String,
    /// Whether the user has proved ownership of the address, here or before an import.
    pub email_verified: bool,
    /// The username, as entered.
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
    /// The roles, which are the `roles` claim of access tokens.
    pub roles: Vec<String>,
    /// When the account was created, in unix seconds.
    pub created_at: u64,
}

/// A user, as admins see it.
#[derive(Clone, Serialize, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
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

#[cfg(feature = "openapi")]
impl User {
    /// The user in the examples of the documentation.
    #[must_use]
    pub fn example() -> Self {
        Self {
            id: Id::example(),
            email: "ada@example.org".to_owned(),
            email_verified: false,
            username: Some("ada".to_owned()),
            name: Some("Ada Lovelace".to_owned()),
            given_name: Some("Ada".to_owned()),
            family_name: Some("Lovelace".to_owned()),
            metadata: Some(Metadata::from_stored(r#"{"theme":"dark"}"#.to_owned())),
            app_metadata: None,
            roles: vec!["user".to_owned()],
            created_at: 1_796_083_200,
        }
    }
}

#[cfg(feature = "openapi")]
impl Account {
    /// The account in the examples of the documentation.
    #[must_use]
    pub fn example() -> Self {
        Self { user: User::example(), disabled_at: None }
    }
}
