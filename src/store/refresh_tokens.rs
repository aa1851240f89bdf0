//! Families of refresh tokens: one row a signed-in session, for its whole life.

use serde::Deserialize;
use worker::D1Type;

use super::callers::{Caller, CallerIds, Refusal, in_force};
use super::events::INSERT_REUSE_EVENT;
use super::revocations::{FIND_OWED_MARKS, OwedMark};
use super::users::{User, UserRow, account, roles_from_json};
use super::{Answers, Changed, Statement, Store, StoreError, integer, text};
use portcullis_core::account::client::Client;
use portcullis_core::id::Id;
use portcullis_core::token::refresh::{FamilyState, RefreshToken, SecretHash};

pub(super) const END_EXCESS_SESSIONS: &str = include_str!("sql/end_excess_sessions.sql");
const END_REUSED: &str = include_str!("sql/end_reused.sql");
const FIND_OWED_MARKS_OF_FAMILY: &str = include_str!("sql/find_owed_marks_of_family.sql");
pub(super) const FIND_SESSION: &str = include_str!("sql/find_session.sql");
pub(super) const INSERT_FAMILY: &str = include_str!("sql/insert_family.sql");
const REVOKE_ALL_FAMILIES: &str = include_str!("sql/revoke_all_families.sql");
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

impl Ids {
    /// The values of [`END_EXCESS_SESSIONS`].
    pub(super) fn end_excess<'v>(&'v self, client: &'v Client, max_sessions: u64, now: u64) -> [D1Type<'v>; 6] {
        [
            D1Type::Text(&self.family_id),
            D1Type::Text(&self.user_id),
            integer(now),
            integer(max_sessions),
            text(client.ip.as_deref()),
            text(client.user_agent.as_deref()),
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

/// Why a session is ended, as the column `revoked_reason` and the log name it. `reuse`, `session_limit` and `expired` are in the
/// statements that decide them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// One of its tokens was handed to `/revoke`.
    Logout,
    /// The person ended it from another session.
    EndedByUser,
    /// "Log out everywhere".
    LogoutAll,
    /// The user changed the password.
    PasswordChanged,
    /// An admin ended it.
    EndedByAdmin,
    /// An admin disabled the account.
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
    Refused(Option<Box<Session>>),
    /// The session ended, since the token had been rotated out; the session as it was.
    Reused(Ending<Box<Session>>),
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

/// The result of an ending, and the marks in KV that the user's sessions still lack, including those owed by earlier requests.
pub struct Ending<T> {
    /// What became of it.
    pub outcome: T,
    /// The marks to write.
    pub owed: Vec<OwedMark>,
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
struct EndedRow {
    user_id: Id,
}

impl Store {
    /// Presents a token: rotates it, lets a grace retry pass, ends the session after a reuse, or changes nothing. One round
    /// trip and one row written if the token rotates. Otherwise a second round trip, which writes five rows for a reuse and none
    /// for any other refusal.
    ///
    /// The statement compares and sets in one step: the token's secret and generation, the session's and the user's
    /// state are all in its condition. So however many requests present one token at once, one of them rotates and
    /// the others find the generation already moved; and no refresh that comes after an acknowledged revocation, in the
    /// order in which D1 runs statements, finds `revoked_at IS NULL`. With a `user_id`, only a session of theirs moves.
    ///
    /// `event_id` names the event if it is a reuse.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn rotate(
        &self,
        token: &RefreshToken,
        user_id: Option<Id>,
        times: RotationTimes,
        event_id: &str,
        client: &Client,
        now: u64,
    ) -> Result<Rotation, StoreError> {
        const OPERATION: &str = "rotate";
        let family_id = token.family_id().to_string();
        let secret_hash = token.secret_hash();
        let user_id = user_id.map(|id| id.to_string());
        let values = || {
            [
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
            ]
        };
        let rotate_values = values();
        let rotate = Statement { sql: ROTATE, values: &rotate_values };
        if let Some(rotated) = self.batch(OPERATION, &[rotate]).await?.row()? {
            return issued(OPERATION, rotated).map(Rotation::Issued);
        }
        // Again, and in the same transaction what to judge by and what a reuse calls for: a row that is read after the
        // statement may be another, and whoever presents a stolen token may leave before a third round trip.
        let event_values: Vec<_> = values().into_iter().chain([D1Type::Text(event_id)]).collect();
        let find_values = [D1Type::Text(&family_id), D1Type::Text(secret_hash.as_str())];
        let statements = [
            rotate,
            Statement { sql: FIND_SESSION, values: &[D1Type::Text(&family_id)] },
            Statement { sql: INSERT_REUSE_EVENT, values: &event_values },
            Statement { sql: END_REUSED, values: &rotate_values },
            Statement { sql: FIND_OWED_MARKS_OF_FAMILY, values: &find_values },
        ];
        let mut answers = self.batch(OPERATION, &statements).await?;
        if let Some(rotated) = answers.row()? {
            return issued(OPERATION, rotated).map(Rotation::Issued);
        }
        let Some(session) = answers.row()?.map(|row| session(OPERATION, row)).transpose()? else {
            return Ok(Rotation::Refused(None));
        };
        answers.skip();
        let ended: Option<Changed> = answers.row()?;
        let session = Box::new(session);
        if ended.is_none() {
            return Ok(Rotation::Refused(Some(session)));
        }
        Ok(Rotation::Reused(Ending { outcome: session, owed: answers.rows()? }))
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

    /// Ends a session; with a secret, only if it is the family's. Gives whose it is if this ended it. One round trip, three
    /// rows written.
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
    ) -> Result<Ending<Option<Id>>, StoreError> {
        let family_id = family_id.to_string();
        let secret_hash = secret_hash.map(SecretHash::as_str);
        let values = [
            D1Type::Text(&family_id),
            text(secret_hash),
            integer(now),
            D1Type::Text(reason.as_str()),
            text(client.ip.as_deref()),
            text(client.user_agent.as_deref()),
        ];
        let find_values = [D1Type::Text(&family_id), text(secret_hash)];
        let statements = [
            Statement { sql: REVOKE_FAMILY, values: &values },
            Statement { sql: FIND_OWED_MARKS_OF_FAMILY, values: &find_values },
        ];
        let mut answers = self.batch("revoke_family", &statements).await?;
        let ended: Option<EndedRow> = answers.row()?;
        Ok(Ending { outcome: ended.map(|row| row.user_id), owed: answers.rows()? })
    }

    /// Ends every session of the caller, but for its own if `keep_own`, those too that have expired so lately that an access
    /// token of them may still be accepted with `leeway`, in seconds. Gives how many it ended. One round trip.
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
    ) -> Result<Ending<Result<usize, Refusal>>, StoreError> {
        let ids = CallerIds::new(caller);
        let values = [
            D1Type::Text(&ids.user_id),
            D1Type::Text(&ids.family_id),
            integer(now),
            D1Type::Text(reason.as_str()),
            text(client.ip.as_deref()),
            text(client.user_agent.as_deref()),
            text(keep_own.then_some(ids.family_id.as_str())),
            integer(leeway),
        ];
        let revoke = Statement { sql: REVOKE_ALL_FAMILIES, values: &values };
        self.end_as("revoke_all_families", caller, &ids, revoke, now, |answers| {
            Ok(Ok(answers.rows::<Changed>()?.len()))
        })
        .await
    }

    /// Ends one session of the caller. One round trip, three rows written.
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
    ) -> Result<Ending<Result<(), Refusal>>, StoreError> {
        let ids = CallerIds::new(caller);
        let family_id = family_id.to_string();
        let values = [
            D1Type::Text(&family_id),
            D1Type::Text(&ids.user_id),
            D1Type::Text(&ids.family_id),
            integer(now),
            D1Type::Text(reason.as_str()),
            text(client.ip.as_deref()),
            text(client.user_agent.as_deref()),
        ];
        let revoke = Statement { sql: REVOKE_OWN_FAMILY, values: &values };
        self.end_as("revoke_own_family", caller, &ids, revoke, now, |answers| {
            Ok(answers.row::<Changed>()?.map(|_| ()).ok_or(Refusal::NotFound))
        })
        .await
    }

    /// Runs a statement that ends sessions of the caller. It has to have in its own condition that the caller's session is in
    /// force.
    async fn end_as<T>(
        &self,
        operation: &'static str,
        caller: Caller,
        ids: &CallerIds,
        statement: Statement<'_>,
        now: u64,
        outcome: impl FnOnce(&mut Answers) -> Result<Result<T, Refusal>, StoreError>,
    ) -> Result<Ending<Result<T, Refusal>>, StoreError> {
        let statements = [
            Statement { sql: FIND_SESSION, values: &ids.find() },
            statement,
            Statement { sql: FIND_OWED_MARKS, values: &[D1Type::Text(&ids.user_id)] },
        ];
        let mut answers = self.batch(operation, &statements).await?;
        let caller = in_force(operation, &mut answers, caller, now)?;
        let ended = outcome(&mut answers)?;
        Ok(Ending { outcome: caller.and(ended), owed: answers.rows()? })
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
