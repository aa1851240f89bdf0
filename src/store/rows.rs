//! Rows that several statements return, and their conversion to domain types.

use portcullis_core::account::client::Client;
use portcullis_core::account::metadata::Metadata;
use portcullis_core::account::roles;
use portcullis_core::account::session::{Session, Transport};
use portcullis_core::account::user::{Account, User};
use portcullis_core::id::Id;
use portcullis_core::sign_in::{self, Factors};
use portcullis_core::token::refresh::{SecretHash, SessionState};
use serde::Deserialize;

use super::batch::Answers;
use super::error::StoreError;

/// The user object of the view `user_objects`. It is one column, since each column that crosses from the runtime takes time.
#[derive(Deserialize)]
struct UserObject {
    id: Id,
    email: String,
    email_verified_at: Option<u64>,
    username: Option<String>,
    name: Option<String>,
    given_name: Option<String>,
    family_name: Option<String>,
    /// A JSON object.
    metadata: Option<String>,
    app_metadata: Option<String>,
    /// A JSON array.
    roles: String,
    created_at: u64,
    disabled_at: Option<u64>,
}

/// A session with its user.
#[derive(Deserialize)]
pub(super) struct SessionRow {
    session_id: Id,
    transport: Transport,
    is_aal2: u8,
    secret_hash: String,
    generation: u32,
    rotated_at: u64,
    expires_at: u64,
    revoked_at: Option<u64>,
    is_too_early: u8,
    user: String,
}

/// An account, and whether another enabled admin exists.
#[derive(Deserialize)]
pub(super) struct AccountRow {
    user: String,
    another_is_admin: u8,
}

impl AccountRow {
    pub(super) fn account(&self, answers: &Answers) -> Result<Account, StoreError> {
        account(answers, &self.user)
    }

    /// Whether it is the only enabled admin.
    pub(super) fn is_last_admin(&self, answers: &Answers) -> Result<bool, StoreError> {
        Ok(self.another_is_admin == 0 && self.account(answers)?.is_enabled_admin())
    }
}

/// The factors of the view `user_objects`.
#[derive(Deserialize)]
struct FactorsObject {
    totp: u8,
    passkey: u8,
    reset: u8,
}

/// What decides which proofs the sign-in of a user needs.
pub(super) fn sign_in_account(answers: &Answers, user: &User, factors: &str) -> Result<sign_in::Account, StoreError> {
    let object: FactorsObject =
        serde_json::from_str(factors).map_err(|error| answers.corrupt(format!("factors: {error}")))?;
    Ok(sign_in::Account {
        factors: Factors { totp: object.totp != 0, passkey: object.passkey != 0 },
        is_admin: roles::is_admin(&user.roles),
        email_verified: user.email_verified,
        factors_reset: object.reset != 0,
    })
}

/// Parses a user object.
pub(super) fn account(answers: &Answers, object: &str) -> Result<Account, StoreError> {
    let object: UserObject = serde_json::from_str(object).map_err(|error| answers.corrupt(format!("user: {error}")))?;
    let roles = serde_json::from_str(&object.roles).map_err(|error| answers.corrupt(format!("roles: {error}")))?;
    let user = User {
        id: object.id,
        email: object.email,
        email_verified: object.email_verified_at.is_some(),
        username: object.username,
        name: object.name,
        given_name: object.given_name,
        family_name: object.family_name,
        metadata: object.metadata.map(Metadata::from_stored),
        app_metadata: object.app_metadata.map(Metadata::from_stored),
        roles,
        created_at: object.created_at,
    };
    Ok(Account { user, disabled_at: object.disabled_at })
}

pub(super) fn session(answers: &Answers, row: SessionRow) -> Result<Session, StoreError> {
    let Account { user, disabled_at } = account(answers, &row.user)?;
    let state = SessionState {
        secret_hash: SecretHash::from_stored(row.secret_hash),
        generation: row.generation,
        rotated_at: row.rotated_at,
        expires_at: row.expires_at,
        revoked: row.revoked_at.is_some(),
        too_early: row.is_too_early != 0,
        user_disabled: disabled_at.is_some(),
    };
    Ok(Session { id: row.session_id, transport: row.transport, is_aal2: row.is_aal2 != 0, state, user })
}

/// The value of the column `roles`.
pub(super) fn roles_to_json(roles: &[String]) -> String {
    serde_json::Value::from(roles).to_string()
}

/// A client from two columns.
pub(super) const fn client(ip: Option<String>, user_agent: Option<String>) -> Client {
    Client { ip, user_agent }
}
