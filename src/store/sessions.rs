//! Sessions: one row of `refresh_tokens` for each, for its whole life.

use portcullis_core::account::audit::RevocationReason;
use portcullis_core::account::caller::Caller;
use portcullis_core::account::client::Client;
use portcullis_core::account::session::{OwedMark, Session};
use portcullis_core::account::user::User;
use portcullis_core::id::Id;
use portcullis_core::token::refresh::{RefreshToken, SecretHash};
use serde::Deserialize;

use super::audit::EventKey;
use super::batch::{Affected, Answers, Batch, Rows, Value, sql, values};
use super::callers::{find_session, in_force};
use super::connection::Store;
use super::error::{Denial, StoreError, WithOwedMarks};
use super::revocations::{find_owed_marks, find_owed_marks_of_session};
use super::rows::{account, client, session};

const INSERT: &str = sql!("sessions/insert.sql");
const INSERT_RENEWED: &str = sql!("sessions/insert_renewed.sql");
const INSERT_REUSE_EVENT: &str = sql!("sessions/insert_reuse_event.sql");
const LIST: &str = sql!("sessions/list.sql");
const REPLACE_HASH: &str = sql!("sessions/replace_hash.sql");
const REVOKE: &str = sql!("sessions/revoke.sql");
const REVOKE_ALL: &str = sql!("sessions/revoke_all.sql");
const REVOKE_EXCESS: &str = sql!("sessions/revoke_excess.sql");
const REVOKE_OWN: &str = sql!("sessions/revoke_own.sql");
const REVOKE_RECORDED: &str = sql!("sessions/revoke_recorded.sql");
const REVOKE_REUSED: &str = sql!("sessions/revoke_reused.sql");
const ROTATE: &str = sql!("sessions/rotate.sql");

/// A session to begin. Times in unix seconds.
pub struct NewSession {
    /// Whose it is.
    pub user_id: Id,
    /// As it was when the credentials were verified: another one since then begins no session.
    pub credentials_version: u64,
    /// Its first token.
    pub token: RefreshToken,
    /// How the user authenticated: values of RFC 8176, separated by spaces.
    pub amr: String,
    /// When the user authenticated.
    pub authenticated_at: u64,
    /// Its idle end.
    pub expires_at: u64,
    /// Its absolute end.
    pub absolute_expires_at: u64,
    /// The end of its first access token.
    pub access_expires_at: u64,
}

impl NewSession {
    fn values<'v>(&'v self, client: &'v Client, now: u64) -> Vec<Value<'v>> {
        values![
            self.token.session_id(),
            self.user_id,
            self.credentials_version,
            self.token.secret_hash().as_str().to_owned(),
            now,
            client.ip.as_deref(),
            client.user_agent.as_deref(),
            self.expires_at,
            self.absolute_expires_at,
            self.access_expires_at,
            &self.amr,
            self.authenticated_at,
        ]
    }

    /// Begins it, unless the account has been disabled or its credentials changed.
    pub(super) fn insert<'v>(&'v self, batch: &mut Batch<'v>, client: &'v Client, now: u64) -> Rows<Affected> {
        batch.query(INSERT, self.values(client, now))
    }

    /// Begins it, if the event is there.
    pub(super) fn insert_renewed<'v>(
        &'v self,
        batch: &mut Batch<'v>,
        key: &'v EventKey,
        client: &'v Client,
    ) -> Rows<Affected> {
        let values = self.values(client, key.at).into_iter().chain([Value::from(&key.id)]);
        batch.query(INSERT_RENEWED, values.collect())
    }
}

/// Revokes all sessions of the user of an event, if the event is there.
pub(super) fn revoke_recorded<'v>(
    batch: &mut Batch<'v>,
    key: &'v EventKey,
    reason: RevocationReason,
    client: Option<&'v Client>,
) -> Rows<Affected> {
    let values = values![
        key.user_id,
        key.at,
        &key.id,
        reason.as_str(),
        client.and_then(|client| client.ip.as_deref()),
        client.and_then(|client| client.user_agent.as_deref()),
    ];
    batch.query(REVOKE_RECORDED, values)
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
    Issued(Box<Issued>),
    /// Nothing; the session as it stands, if there is one of that id.
    Refused(Option<Box<Session>>),
    /// The session was revoked, since the token had been rotated out; the session as it was.
    Reused(WithOwedMarks<Box<Session>>),
}

/// A session that is refreshed.
pub struct Issued {
    /// The number of times that the token was presented since it was rotated out: 0 for the rotation itself.
    pub retries: u64,
    /// The idle end, in unix seconds.
    pub expires_at: u64,
    /// The client that rotated it.
    pub rotated_by: Client,
    /// Whose it is.
    pub user: User,
}

#[derive(Deserialize)]
struct RotationRow {
    grace_retries: u64,
    expires_at: u64,
    rotated_ip: Option<String>,
    rotated_user_agent: Option<String>,
    user: String,
}

#[derive(Deserialize)]
struct RevokedRow {
    user_id: Id,
}

/// Which sessions of an account are asked for.
pub struct SessionsQuery {
    /// Only those that began before this one: when it began, and its id.
    pub before: (u64, String),
    /// Maximum number of sessions.
    pub limit: usize,
}

/// A session as it is shown to the user it belongs to. Times in unix seconds.
#[derive(Deserialize, Debug)]
pub struct SessionSummary {
    /// The `sid` claim.
    pub session_id: Id,
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

impl SessionsQuery {
    pub(super) fn add<'v>(
        &'v self,
        batch: &mut Batch<'v>,
        user_id: Id,
        caller: Caller,
        now: u64,
    ) -> Rows<SessionSummary> {
        let (began_at, session_id) = &self.before;
        // One more than asked for tells whether there are more.
        let limit = u64::try_from(self.limit).unwrap_or(u64::MAX).saturating_add(1);
        let values = values![user_id, now, *began_at, session_id, limit, caller.session_id, caller.user_id];
        batch.query(LIST, values)
    }
}

impl Store {
    /// Begins a session after a log-in, and replaces an outdated hash of the same password if `rehashed` holds the old
    /// and the new one; revokes the sessions that the account then has beyond `max_sessions`. One round trip. `false`: the account
    /// was disabled, deleted, or had its credentials changed since they were read, and no session began.
    pub async fn insert_session(
        &self,
        session: &NewSession,
        client: &Client,
        rehashed: Option<(&str, &str)>,
        max_sessions: u64,
        now: u64,
    ) -> Result<WithOwedMarks<bool>, StoreError> {
        let (ip, user_agent) = (client.ip.as_deref(), client.user_agent.as_deref());
        let mut batch = self.batch("insert_session");
        let inserted = session.insert(&mut batch, client, now);
        let values = values![session.token.session_id(), session.user_id, now, max_sessions, ip, user_agent];
        let revoked = batch.query::<OwedMark>(REVOKE_EXCESS, values);
        if let Some((old, new)) = rehashed {
            batch.execute(REPLACE_HASH, values![session.user_id, old, new]);
        }
        let answers = batch.run().await?;
        Ok(WithOwedMarks { value: answers.row(inserted)?.is_some(), owed_marks: answers.rows(revoked)? })
    }

    /// Presents a token: rotates it, lets a grace retry pass, revokes the session after a reuse, or changes nothing. One round
    /// trip and one row written if the token rotates. Otherwise a second round trip, which writes five rows for a reuse and none
    /// for any other refusal.
    ///
    /// The statement compares and sets in one step: the token's secret and generation, the session's and the user's
    /// state are all in its condition. So however many requests present one token at once, one of them rotates and
    /// the others find the generation already moved; and no refresh that comes after an acknowledged revocation, in the
    /// order in which D1 runs statements, finds `revoked_at IS NULL`. With a `user_id`, only a session of theirs moves.
    ///
    /// `event_id` names the event if it is a reuse.
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
        let (session_id, secret_hash) = (token.session_id(), token.secret_hash());
        let (ip, user_agent) = (client.ip.as_deref(), client.user_agent.as_deref());
        let (secret, generation) = (secret_hash.as_str(), token.generation());
        let RotationTimes { grace, idle, access } = times;
        let rotate = || values![session_id, secret, generation, now, grace, idle, ip, user_agent, access, user_id];
        let reuse = || values![session_id, secret, generation, now, grace, ip, user_agent, user_id];
        let mut batch = self.batch(OPERATION);
        let rotated = batch.query(ROTATE, rotate());
        let answers = batch.run().await?;
        if let Some(row) = answers.row(rotated)? {
            return issued(&answers, row);
        }
        // Again, and in the same transaction what to judge by and what a reuse calls for: a row that is read after the
        // statement may be another, and whoever presents a stolen token may leave before a third round trip.
        let mut batch = self.batch(OPERATION);
        let rotated = batch.query(ROTATE, rotate());
        let found = find_session(&mut batch, session_id);
        batch.execute(INSERT_REUSE_EVENT, reuse().into_iter().chain([Value::from(event_id)]).collect());
        let revoked = batch.query::<Affected>(REVOKE_REUSED, reuse());
        let owed = find_owed_marks_of_session(&mut batch, session_id, Some(&secret_hash));
        let answers = batch.run().await?;
        if let Some(row) = answers.row(rotated)? {
            return issued(&answers, row);
        }
        let Some(row) = answers.row(found)? else { return Ok(Rotation::Refused(None)) };
        let session = Box::new(session(&answers, row)?);
        if answers.row(revoked)?.is_none() {
            return Ok(Rotation::Refused(Some(session)));
        }
        Ok(Rotation::Reused(WithOwedMarks { value: session, owed_marks: answers.rows(owed)? }))
    }

    /// A session and its user. One round trip.
    pub async fn find_session(&self, session_id: Id) -> Result<Option<Session>, StoreError> {
        let mut batch = self.batch("find_session");
        let found = find_session(&mut batch, session_id);
        let answers = batch.run().await?;
        answers.row(found)?.map(|row| session(&answers, row)).transpose()
    }

    /// Revokes a session; with a secret, only if it is the session's. Gives whose it is if this revoked it. One round trip, three
    /// rows written.
    pub async fn revoke_session(
        &self,
        session_id: Id,
        secret_hash: Option<&SecretHash>,
        reason: RevocationReason,
        client: &Client,
        now: u64,
    ) -> Result<WithOwedMarks<Option<Id>>, StoreError> {
        let values = values![
            session_id,
            secret_hash.map(SecretHash::as_str),
            now,
            reason.as_str(),
            client.ip.as_deref(),
            client.user_agent.as_deref(),
        ];
        let mut batch = self.batch("revoke_session");
        let revoked = batch.query::<RevokedRow>(REVOKE, values);
        let owed = find_owed_marks_of_session(&mut batch, session_id, secret_hash);
        let answers = batch.run().await?;
        let owner = answers.row(revoked)?.map(|row| row.user_id);
        Ok(WithOwedMarks { value: owner, owed_marks: answers.rows(owed)? })
    }

    /// Revokes every session of the caller that has not expired, or whose access tokens have not, but for its own if `keep_own`. A
    /// session may expire before its last access token where lifetimes were shortened meanwhile. Gives the number of sessions it
    /// revoked. One round trip.
    pub async fn revoke_all_sessions(
        &self,
        caller: Caller,
        keep_own: bool,
        reason: RevocationReason,
        client: &Client,
        now: u64,
    ) -> Result<WithOwedMarks<usize>, StoreError> {
        let values = values![
            caller.user_id,
            caller.session_id,
            now,
            reason.as_str(),
            client.ip.as_deref(),
            client.user_agent.as_deref(),
            keep_own.then_some(caller.session_id),
        ];
        self.revoke_as("revoke_all_sessions", caller, REVOKE_ALL, values, now, |revoked| Ok(revoked.len())).await
    }

    /// Revokes one session of the caller. One round trip, three rows written.
    pub async fn revoke_own_session(
        &self,
        caller: Caller,
        session_id: Id,
        reason: RevocationReason,
        client: &Client,
        now: u64,
    ) -> Result<WithOwedMarks<()>, StoreError> {
        let values = values![
            session_id,
            caller.user_id,
            caller.session_id,
            now,
            reason.as_str(),
            client.ip.as_deref(),
            client.user_agent.as_deref(),
        ];
        let outcome = |revoked: Vec<Affected>| {
            if revoked.is_empty() { Err(Denial::NotFound.into()) } else { Ok(()) }
        };
        self.revoke_as("revoke_own_session", caller, REVOKE_OWN, values, now, outcome).await
    }

    /// Runs a statement that revokes sessions of the caller. It has to have in its own condition that the caller's session is in
    /// force.
    async fn revoke_as<T>(
        &self,
        operation: &'static str,
        caller: Caller,
        revoke: &'static str,
        values: Vec<Value<'_>>,
        now: u64,
        outcome: impl FnOnce(Vec<Affected>) -> Result<T, StoreError>,
    ) -> Result<WithOwedMarks<T>, StoreError> {
        let mut batch = self.batch(operation);
        let found = find_session(&mut batch, caller.session_id);
        let revoked = batch.query(revoke, values);
        let owed = find_owed_marks(&mut batch, caller.user_id);
        let answers = batch.run().await?;
        let revoked = answers.rows(revoked)?;
        let outcome = in_force(&answers, found, caller, now).and_then(|_| outcome(revoked));
        WithOwedMarks::attach(outcome, answers.rows(owed)?)
    }

    /// The sessions of the caller that are in force, those that began last first: one more than the limit, if there are more.
    /// One round trip.
    pub async fn list_own_sessions(
        &self,
        caller: Caller,
        query: &SessionsQuery,
        now: u64,
    ) -> Result<Vec<SessionSummary>, StoreError> {
        let mut batch = self.batch("list_own_sessions");
        let found = find_session(&mut batch, caller.session_id);
        let sessions = query.add(&mut batch, caller.user_id, caller, now);
        let answers = batch.run().await?;
        in_force(&answers, found, caller, now)?;
        answers.rows(sessions)
    }
}

fn issued(answers: &Answers, rotated: RotationRow) -> Result<Rotation, StoreError> {
    Ok(Rotation::Issued(Box::new(Issued {
        retries: rotated.grace_retries,
        expires_at: rotated.expires_at,
        rotated_by: client(rotated.rotated_ip, rotated.rotated_user_agent),
        user: account(answers, &rotated.user)?.user,
    })))
}
