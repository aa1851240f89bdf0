//! People.

use serde::{Deserialize, Serialize};
use worker::D1Type;

use super::refresh_tokens::{END_EXCESS_SESSIONS, Ending, INSERT_FAMILY, NewFamily};
use super::{Changed, Statement, Store, StoreError, integer, text};
use portcullis_core::account::client::Client;
use portcullis_core::id::Id;
use portcullis_core::identity::display_name::Name;
use portcullis_core::identity::email::Email;
use portcullis_core::identity::username::Username;

const FIND_TAKEN: &str = include_str!("sql/find_taken.sql");
const FIND_USER_BY_EMAIL: &str = include_str!("sql/find_user_by_email.sql");
const FIND_USER_BY_USERNAME: &str = include_str!("sql/find_user_by_username.sql");
const INSERT_USER: &str = include_str!("sql/insert_user.sql");
const UPDATE_PASSWORD_HASH: &str = include_str!("sql/update_password_hash.sql");

/// A person, as shown to themselves. Times in unix seconds.
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
    /// The `roles` claim.
    pub roles: Vec<String>,
    /// When the account was made.
    pub created_at: u64,
}

/// A person as shown to admins.
#[derive(Clone, Serialize, Debug)]
pub struct Account {
    /// As shown to themselves.
    #[serde(flatten)]
    pub user: User,
    /// When the account was disabled, in unix seconds.
    pub disabled_at: Option<u64>,
}

/// What a log-in needs to know of an account.
pub struct Credentials {
    /// Whose they are.
    pub user: User,
    /// A PHC string, or that of another system; see [`portcullis_core::password::StoredHash`].
    pub password_hash: String,
    /// Counts the changes of the password.
    pub password_version: u64,
    /// Whether the account is disabled.
    pub disabled: bool,
}

/// By what a person logs in.
pub enum LoginName<'a> {
    /// Compared by [`Email::key`].
    Email(&'a Email),
    /// Compared by [`Username::key`].
    Username(&'a Username),
}

/// Which names of a registration belong to somebody already.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// The e-mail address.
    pub email: bool,
    /// The username.
    pub username: bool,
}

/// An account to be made.
pub struct NewUser<'a> {
    /// Random.
    pub id: Id,
    /// Must be nobody's yet.
    pub email: &'a Email,
    /// Must be nobody's yet.
    pub username: Option<&'a Username>,
    /// To show.
    pub name: Option<&'a Name>,
    /// A PHC string.
    pub password_hash: &'a str,
    /// The `roles` claim.
    pub roles: &'a [String],
}

#[derive(Deserialize)]
pub(super) struct UserRow {
    id: Id,
    email: String,
    username: Option<String>,
    name: Option<String>,
    pub(super) roles: String,
    created_at: u64,
    pub(super) disabled_at: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct CredentialsRow {
    password_hash: String,
    password_version: u64,
    #[serde(flatten)]
    user: UserRow,
}

#[derive(Deserialize)]
struct TakenRow {
    email_taken: u8,
    username_taken: u8,
}

impl Store {
    /// Which of these names belong to somebody already. One round trip.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn find_taken(&self, email: &Email, username: Option<&Username>) -> Result<Taken, StoreError> {
        const OPERATION: &str = "find_taken";
        let values = [D1Type::Text(email.key()), text(username.map(Username::key))];
        let statement = Statement { sql: FIND_TAKEN, values: &values };
        let row: Option<TakenRow> = self.batch(OPERATION, &[statement]).await?.row()?;
        let row = row.ok_or(StoreError::Corrupt { operation: OPERATION, cause: "no row".to_owned() })?;
        Ok(Taken { email: row.email_taken != 0, username: row.username_taken != 0 })
    }

    /// Makes an account and its first session, both or neither. One round trip.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when a name was taken meanwhile.
    pub async fn insert_user(
        &self,
        user: &NewUser<'_>,
        family: &NewFamily<'_>,
        client: &Client,
        now: u64,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "insert_user";
        let id = user.id.to_string();
        let roles = roles_to_json(user.roles);
        let values = [
            D1Type::Text(&id),
            D1Type::Text(user.email.address()),
            D1Type::Text(user.email.key()),
            text(user.username.map(Username::as_str)),
            text(user.username.map(Username::key)),
            text(user.name.map(Name::as_str)),
            D1Type::Text(user.password_hash),
            D1Type::Text(&roles),
            integer(now),
            text(client.ip.as_deref()),
            text(client.user_agent.as_deref()),
        ];
        let ids = family.ids();
        let statements = [
            Statement { sql: INSERT_USER, values: &values },
            Statement { sql: INSERT_FAMILY, values: &family.values(&ids, client, now) },
        ];
        self.batch(OPERATION, &statements).await.map(|_| ())
    }

    /// What a log-in by that name needs. One round trip.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn find_credentials(&self, name: &LoginName<'_>) -> Result<Option<Credentials>, StoreError> {
        const OPERATION: &str = "find_credentials";
        let (sql, key) = match name {
            LoginName::Email(email) => (FIND_USER_BY_EMAIL, email.key()),
            LoginName::Username(username) => (FIND_USER_BY_USERNAME, username.key()),
        };
        let statement = Statement { sql, values: &[D1Type::Text(key)] };
        let row: Option<CredentialsRow> = self.batch(OPERATION, &[statement]).await?.row()?;
        row.map(|row| credentials(OPERATION, row)).transpose()
    }

    /// Begins a session after a log-in, and replaces an outdated hash of the same password if `rehashed` holds the old
    /// and the new one; ends what the account then has more than `max_sessions` of. One round trip. `false`: the account was
    /// disabled, deleted, or had its password changed since its credentials were read, and no session began.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn insert_session(
        &self,
        family: &NewFamily<'_>,
        client: &Client,
        rehashed: Option<(&str, &str)>,
        max_sessions: u64,
        now: u64,
    ) -> Result<Ending<bool>, StoreError> {
        const OPERATION: &str = "insert_session";
        let ids = family.ids();
        let new_family = family.values(&ids, client, now);
        let end_excess = ids.end_excess(client, max_sessions, now);
        let mut statements = vec![
            Statement { sql: INSERT_FAMILY, values: &new_family },
            Statement { sql: END_EXCESS_SESSIONS, values: &end_excess },
        ];
        let rehash = rehashed.map(|(old, new)| [D1Type::Text(&ids.user_id), D1Type::Text(old), D1Type::Text(new)]);
        statements.extend(rehash.iter().map(|values| Statement { sql: UPDATE_PASSWORD_HASH, values }));
        let mut answers = self.batch(OPERATION, &statements).await?;
        let inserted: Option<Changed> = answers.row()?;
        Ok(Ending { outcome: inserted.is_some(), owed: answers.rows()? })
    }
}

pub(super) fn account(operation: &'static str, row: UserRow) -> Result<Account, StoreError> {
    let roles = roles_from_json(operation, &row.roles)?;
    let UserRow { id, email, username, name, created_at, disabled_at, .. } = row;
    Ok(Account { user: User { id, email, username, name, roles, created_at }, disabled_at })
}

pub(super) fn credentials(operation: &'static str, row: CredentialsRow) -> Result<Credentials, StoreError> {
    let CredentialsRow { password_hash, password_version, user } = row;
    let Account { user, disabled_at } = account(operation, user)?;
    Ok(Credentials { user, password_hash, password_version, disabled: disabled_at.is_some() })
}

/// Roles as the column `roles` holds them.
pub(super) fn roles_to_json(roles: &[String]) -> String {
    serde_json::Value::from(roles).to_string()
}

/// Roles out of the column `roles`.
pub(super) fn roles_from_json(operation: &'static str, json: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(json).map_err(|error| StoreError::Corrupt { operation, cause: format!("roles: {error}") })
}
