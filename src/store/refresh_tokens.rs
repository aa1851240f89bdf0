//! Families of refresh tokens: one row a signed-in session, for its whole life.

use serde::Deserialize;
use worker::D1Type;

use super::callers::{Caller, Refusal};
use super::events::{INSERT_REUSE_EVENT, ReuseEvent};
use super::users::{User, UserRow, account, roles_from_json};
use super::{Changed, Statement, Store, StoreError, integer, text};
use crate::auth::client::Client;
use crate::auth::id::Id;
use crate::auth::refresh_token::{FamilyState, RefreshToken, SecretHash};

const FIND_FAMILY: &str = include_str!("sql/find_family.sql");
pub(super) const FIND_SESSION: &str = include_str!("sql/find_session.sql");
pub(super) const INSERT_FAMILY: &str = include_str!("sql/insert_family.sql");
const REVOKE_ALL_FAMILIES: &str = include_str!("sql/revoke_all_families.sql");
const LIST_SESSIONS: &str = include_str!("sql/list_sessions.sql");
const REVOKE_FAMILY: &str = include_str!("sql/revoke_family.sql");
const REVOKE_OWN_FAMILY: &str = include_str!("sql/revoke_own_family.sql");
const ROTATE: &str = include_str!("sql/rotate.sql");

/// A session to begin. Times in unix seconds.
pub struct NewFamily<'a> {
    /// Whose it is.
    pub user_id: Id,
    /// As it was when the password was verified: another one since then begins no session.
    pub password_version: u64,
    /// Its first token.
    pub token: &'a RefreshToken,
    /// Its idle end.
    pub expires_at: u64,
    /// Its absolute end.
    pub absolute_expires_at: u64,
    /// The end of its first access token.
    pub access_expires_at: u64,
}

/// The texts of a new family's identifiers, for its statement to borrow.
pub(super) struct Ids {
    pub(super) family_id: String,
    pub(super) user_id: String,
    secret_hash: SecretHash,
}

impl NewFamily<'_> {
    pub(super) fn ids(&self) -> Ids {
        Ids {
            family_id: self.token.family_id().to_string(),
            user_id: self.user_id.to_string(),
            secret_hash: self.token.secret_hash(),
        }
    }

    /// The values of [`INSERT_FAMILY`].
    pub(super) fn values<'v>(&self, ids: &'v Ids, client: &'v Client, now: u64) -> [D1Type<'v>; 10] {
        [
            D1Type::Text(&ids.family_id),
            D1Type::Text(&ids.user_id),
            integer(self.password_version),
            D1Type::Text(ids.secret_hash.as_str()),
            integer(now),
            text(client.ip.as_deref()),
            text(client.user_agent.as_deref()),
            integer(self.expires_at),
            integer(self.absolute_expires_at),
            integer(self.access_expires_at),
        ]
    }
}

/// A session and the person it belongs to.
pub struct Session {
    /// The `sid` claim.
    pub family_id: Id,
    /// What the rule judges by.
    pub state: FamilyState,
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

/// A session as it is shown to the person it belongs to. Times in unix seconds.
#[derive(Deserialize, Debug)]
pub struct SessionSummary {
    /// The `sid` claim.
    pub family_id: Id,
    /// The log-in.
    pub created_at: u64,
    /// Its address.
    pub created_ip: Option<String>,
    /// Its user agent.
    pub created_user_agent: Option<String>,
    /// The last refresh, or the log-in.
    pub rotated_at: u64,
    /// Its address.
    pub rotated_ip: Option<String>,
    /// Its user agent.
    pub rotated_user_agent: Option<String>,
    /// The idle end.
    pub expires_at: u64,
    /// The absolute end.
    pub absolute_expires_at: u64,
}

/// Why a session is ended, as the column `revoked_reason` and the log name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// One of its tokens was handed to `/revoke`.
    Logout,
    /// The person ended it from another session.
    EndedByUser,
    /// "Log out everywhere".
    LogoutAll,
    /// A rotated-out token came back.
    Reuse,
    /// The person changed the password from another session.
    PasswordChanged,
    /// An admin ended it.
    EndedByAdmin,
    /// An admin shut the account out.
    Disabled,
}

impl Reason {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::EndedByUser => "ended_by_user",
            Self::LogoutAll => "logout_all",
            Self::Reuse => "reuse",
            Self::PasswordChanged => "password_changed",
            Self::EndedByAdmin => "ended_by_admin",
            Self::Disabled => "disabled",
        }
    }
}

/// How long things last that a refresh moves, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct RotationTimes {
    /// The grace window.
    pub grace: u64,
    /// The idle lifetime.
    pub idle: u64,
    /// The lifetime of an access token.
    pub access: u64,
}

/// What the rotating statement did.
pub enum Rotation {
    /// The successor is to be issued.
    Issued(Issued),
    /// Nothing; the session as it stands, if there is one of that id.
    Refused(Option<Session>),
}

/// A session that is refreshed.
pub struct Issued {
    /// How often the token was presented since it was rotated out: 0 for the rotation itself.
    pub retries: u64,
    /// The idle end, in unix seconds.
    pub expires_at: u64,
    /// Who rotated it.
    pub rotated_by: Client,
    /// Whose it is.
    pub user: User,
}

/// What became of a session that was to be ended.
#[derive(Clone, Copy, Debug)]
pub struct Revocation {
    /// Whether this ended it; if not, it had ended before.
    pub ended_now: bool,
    /// Whose it is.
    pub user_id: Id,
    /// Until when an access token of it can live.
    pub access_expires_at: u64,
}

/// A session that was just ended.
#[derive(Deserialize, Clone, Copy, Debug)]
pub struct Ended {
    /// The `sid` claim.
    pub family_id: Id,
    /// Until when an access token of it can live.
    pub access_expires_at: u64,
    /// 0 for a session that was over before; those are there where an account is deleted with all it held.
    #[serde(default = "in_force")]
    pub in_force: u8,
}

const fn in_force() -> u8 {
    1
}

#[derive(Deserialize)]
pub(super) struct SessionRow {
    family_id: Id,
    user_id: Id,
    secret_hash: String,
    generation: u32,
    rotated_at: u64,
    expires_at: u64,
    revoked_at: Option<u64>,
    email: String,
    username: Option<String>,
    name: Option<String>,
    roles: String,
    created_at: u64,
    disabled_at: Option<u64>,
}

#[derive(Deserialize)]
struct RotationRow {
    grace_retries: u64,
    expires_at: u64,
    rotated_ip: Option<String>,
    rotated_user_agent: Option<String>,
    /// JSON: a column costs as much to take over from the runtime as all of it.
    user: String,
}

#[derive(Deserialize)]
struct FamilyRow {
    user_id: Id,
    access_expires_at: u64,
}

impl Store<'_> {
    /// Presents a token: rotates it, lets a grace retry pass, or changes nothing. One round trip, one row written; if it
    /// changes nothing, another.
    ///
    /// The statement compares and sets in one step: the token's secret and generation, the session's and the user's
    /// state are all in its condition. So however many requests present one token at once, one of them rotates and
    /// the others find the generation already moved; and no refresh that comes after an acknowledged revocation, in the
    /// order in which D1 runs statements, finds `revoked_at IS NULL`. With a `user_id`, only a session of theirs moves.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn rotate(
        &self,
        token: &RefreshToken,
        user_id: Option<Id>,
        times: RotationTimes,
        client: &Client,
        now: u64,
    ) -> Result<Rotation, StoreError> {
        const OPERATION: &str = "rotate";
        let family_id = token.family_id().to_string();
        let secret_hash = token.secret_hash();
        let user_id = user_id.map(|id| id.to_string());
        let values = [
            D1Type::Text(&family_id),
            D1Type::Text(secret_hash.as_str()),
            integer(token.generation().into()),
            integer(now),
            integer(times.grace),
            integer(times.idle),
            text(client.ip.as_deref()),
            text(client.user_agent.as_deref()),
            integer(times.access),
            text(user_id.as_deref()),
        ];
        let rotate = Statement { sql: ROTATE, values: &values };
        if let Some(rotated) = self.batch(OPERATION, &[rotate]).await?.row()? {
            return issued(OPERATION, rotated).map(Rotation::Issued);
        }
        // Again, and in the same transaction what to judge by: a row that is read after the statement may be another.
        let find = Statement { sql: FIND_SESSION, values: &[D1Type::Text(&family_id)] };
        let mut answers = self.batch(OPERATION, &[rotate, find]).await?;
        if let Some(rotated) = answers.row()? {
            return issued(OPERATION, rotated).map(Rotation::Issued);
        }
        Ok(Rotation::Refused(answers.row()?.map(|row| session(OPERATION, row)).transpose()?))
    }

    /// A session and its user. One round trip.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn find_session(&self, family_id: Id) -> Result<Option<Session>, StoreError> {
        const OPERATION: &str = "find_session";
        let family_id = family_id.to_string();
        let statement = Statement { sql: FIND_SESSION, values: &[D1Type::Text(&family_id)] };
        let row = self.batch(OPERATION, &[statement]).await?.row()?;
        row.map(|row| session(OPERATION, row)).transpose()
    }

    /// Ends a session; with a secret, only if it is the family's. `None`: there is no such session. One round trip, one row
    /// written.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn revoke_family(
        &self,
        family_id: Id,
        secret_hash: Option<&SecretHash>,
        reason: Reason,
        client: &Client,
        now: u64,
    ) -> Result<Option<Revocation>, StoreError> {
        let family_id = family_id.to_string();
        let secret_hash = secret_hash.map(SecretHash::as_str);
        self.revoke_recording(&family_id, secret_hash, reason, None, client, now).await
    }

    /// The same after a reuse, which is recorded if this ended the session. Two rows and an index entry written.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn revoke_reused(
        &self,
        family_id: Id,
        secret_hash: &SecretHash,
        event: &ReuseEvent,
        client: &Client,
        now: u64,
    ) -> Result<Option<Revocation>, StoreError> {
        let family_id = family_id.to_string();
        let values = event.values(&family_id, secret_hash, client, now);
        let record = Statement { sql: INSERT_REUSE_EVENT, values: &values };
        self.revoke_recording(&family_id, Some(secret_hash.as_str()), Reason::Reuse, Some(record), client, now).await
    }

    async fn revoke_recording(
        &self,
        family_id: &str,
        secret_hash: Option<&str>,
        reason: Reason,
        record: Option<Statement<'_>>,
        client: &Client,
        now: u64,
    ) -> Result<Option<Revocation>, StoreError> {
        let values = [
            D1Type::Text(family_id),
            text(secret_hash),
            integer(now),
            D1Type::Text(reason.as_str()),
            text(client.ip.as_deref()),
            text(client.user_agent.as_deref()),
        ];
        let find_values = [D1Type::Text(family_id), text(secret_hash)];
        let revoke = Statement { sql: REVOKE_FAMILY, values: &values };
        let find = Statement { sql: FIND_FAMILY, values: &find_values };
        let recorded = record.is_some();
        let statements: Vec<_> = record.into_iter().chain([revoke, find]).collect();
        let mut answers = self.batch("revoke_family", &statements).await?;
        if recorded {
            answers.skip();
        }
        let ended: Option<Changed> = answers.row()?;
        let family: Option<FamilyRow> = answers.row()?;
        Ok(family.map(|family| Revocation {
            ended_now: ended.is_some(),
            user_id: family.user_id,
            access_expires_at: family.access_expires_at,
        }))
    }

    /// Ends every session of the caller, but for its own if `keep_own`, those too that have expired so lately that an access
    /// token of them may still be accepted with `leeway`, in seconds. Gives the sessions that it ended. One
    /// round trip.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn revoke_all_families(
        &self,
        caller: Caller,
        keep_own: bool,
        leeway: u64,
        reason: Reason,
        client: &Client,
        now: u64,
    ) -> Result<Result<Vec<Ended>, Refusal>, StoreError> {
        let user_id = caller.user_id.to_string();
        let own = caller.family_id.to_string();
        let values = [
            D1Type::Text(&user_id),
            D1Type::Text(&own),
            integer(now),
            D1Type::Text(reason.as_str()),
            text(client.ip.as_deref()),
            text(client.user_agent.as_deref()),
            text(keep_own.then_some(own.as_str())),
            integer(leeway),
        ];
        let statement = Statement { sql: REVOKE_ALL_FAMILIES, values: &values };
        self.ask_as("revoke_all_families", caller, statement, now).await
    }

    /// Ends one session of the caller. One round trip, one row written.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn revoke_own_family(
        &self,
        caller: Caller,
        family_id: Id,
        reason: Reason,
        client: &Client,
        now: u64,
    ) -> Result<Result<Ended, Refusal>, StoreError> {
        let user_id = caller.user_id.to_string();
        let own = caller.family_id.to_string();
        let family_id = family_id.to_string();
        let values = [
            D1Type::Text(&family_id),
            D1Type::Text(&user_id),
            D1Type::Text(&own),
            integer(now),
            D1Type::Text(reason.as_str()),
            text(client.ip.as_deref()),
            text(client.user_agent.as_deref()),
        ];
        let statement = Statement { sql: REVOKE_OWN_FAMILY, values: &values };
        let rows = self.ask_as("revoke_own_family", caller, statement, now).await?;
        Ok(rows.and_then(|rows| rows.into_iter().next().ok_or(Refusal::NotFound)))
    }

    /// The sessions of the caller that are in force, of the thousand begun last. One round trip.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_sessions(
        &self,
        caller: Caller,
        now: u64,
    ) -> Result<Result<Vec<SessionSummary>, Refusal>, StoreError> {
        let user_id = caller.user_id.to_string();
        let own = caller.family_id.to_string();
        let values = [D1Type::Text(&user_id), integer(now), D1Type::Text(&own)];
        self.ask_as("list_sessions", caller, Statement { sql: LIST_SESSIONS, values: &values }, now).await
    }
}

fn issued(operation: &'static str, rotated: RotationRow) -> Result<Issued, StoreError> {
    let user: UserRow = serde_json::from_str(&rotated.user)
        .map_err(|error| StoreError::Corrupt { operation, cause: error.to_string() })?;
    Ok(Issued {
        retries: rotated.grace_retries,
        expires_at: rotated.expires_at,
        rotated_by: Client { ip: rotated.rotated_ip, user_agent: rotated.rotated_user_agent },
        user: account(operation, user)?.user,
    })
}

pub(super) fn session(operation: &'static str, row: SessionRow) -> Result<Session, StoreError> {
    let roles = roles_from_json(operation, &row.roles)?;
    Ok(Session {
        family_id: row.family_id,
        state: FamilyState {
            secret_hash: SecretHash::from_stored(row.secret_hash),
            generation: row.generation,
            rotated_at: row.rotated_at,
            expires_at: row.expires_at,
            revoked: row.revoked_at.is_some(),
            user_disabled: row.disabled_at.is_some(),
        },
        user: User {
            id: row.user_id,
            email: row.email,
            username: row.username,
            name: row.name,
            roles,
            created_at: row.created_at,
        },
    })
}
