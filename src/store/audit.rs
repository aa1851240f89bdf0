//! The audit trail. `users` records registrations, `refresh_tokens` records logins and revocations, and `audit_events` records
//! everything else. Nothing is written twice.
//!
//! An action on an account is one transaction. Its first statement inserts the event, if the caller is allowed to act and the action
//! changes something. All other statements take effect only if that event exists. So every change is recorded, and every record is
//! of a change. Profile changes share one row per hour, which holds the id of the last one.

use portcullis_core::account::audit::{AuditEntry, AuditEvent, Cursor};
use portcullis_core::account::caller::Caller;
use portcullis_core::account::client::Client;
use portcullis_core::account::throttle::Subject;
use portcullis_core::id::Id;
use portcullis_core::identity::email::Email;
use serde::Deserialize;

use super::batch::{Affected, Answers, Batch, Rows, Value, sql, values};
use super::callers::{admin_in_force, find_session, in_force};
use super::connection::Store;
use super::error::{Denial, StoreError};
use super::rows::{SessionRow, client};

const COUNT_FAILED_LOGIN: &str = sql!("audit/count_failed_login.sql");
const COUNT_REGISTRATION_ATTEMPT: &str = sql!("audit/count_registration_attempt.sql");
const FIND_EVENTS: &str = sql!("audit/find_events.sql");
const FIND_LOGINS: &str = sql!("audit/find_logins.sql");
const FIND_REGISTRATION: &str = sql!("audit/find_registration.sql");
const FIND_REVOCATIONS: &str = sql!("audit/find_revocations.sql");
const INSERT_OWN_EVENT: &str = sql!("audit/insert_own_event.sql");

/// The context of an action on an account.
pub struct ActionContext<'a> {
    /// The user who acts.
    pub caller: Caller,
    /// The client that sends the request.
    pub client: &'a Client,
    /// Built from the millisecond and the request id.
    pub event_id: String,
    /// Current time, in unix seconds.
    pub now: u64,
}

/// The key of the event that the other statements of an action depend on.
pub(super) struct EventKey {
    pub(super) user_id: Id,
    pub(super) at: u64,
    pub(super) id: String,
    pub(super) event: AuditEvent,
}

impl EventKey {
    pub(super) fn new(user_id: Id, event: AuditEvent, context: &ActionContext<'_>) -> Self {
        // One request may record several events in one second.
        let id = format!("{}.{}", context.event_id, event.as_str());
        Self { user_id, at: context.now, id, event }
    }
}

/// Records an action of a user on their own account, if the session is in force and the credentials have the given version. The
/// event of a deletion holds neither IP address nor session. `subject`: what wrong passwords of the action count against; if a wait has
/// begun, nothing is recorded.
pub(super) fn insert_own_event<'v>(
    batch: &mut Batch<'v>,
    context: &'v ActionContext<'_>,
    key: &'v EventKey,
    credentials_version: u64,
    subject: Option<Subject>,
) -> Rows<Affected> {
    let caller = context.caller;
    let kept = key.event != AuditEvent::Deleted;
    let values = values![
        caller.session_id,
        caller.user_id,
        key.at,
        &key.id,
        key.event.as_str(),
        kept.then_some(caller.session_id),
        context.client.ip.as_deref().filter(|_| kept),
        context.client.user_agent.as_deref().filter(|_| kept),
        credentials_version,
        subject,
    ];
    batch.query(INSERT_OWN_EVENT, values)
}

/// A failed attempt.
pub struct Failure {
    /// What it is counted against.
    pub subject: Subject,
    /// The user; `None` if there is no such account.
    pub user_id: Option<Id>,
    /// The session of the access token, if the request had to confirm the password.
    pub session_id: Option<Id>,
}

/// Counts a failure in the row of its hour, if the throttle counted it in this transaction; [`AuditEvent::LoginThrottled`] only if
/// it began a wait.
pub(super) fn count_failure<'v>(
    batch: &mut Batch<'v>,
    event: AuditEvent,
    failure: &Failure,
    client: &'v Client,
    request_id: Id,
    now: u64,
) {
    let Failure { subject, user_id, session_id } = *failure;
    // Without an account, nobody can read the entry, so the client is not stored.
    let client = user_id.map(|_| client);
    let values = values![
        user_id.map(|id| id.to_string()).unwrap_or_default(),
        now,
        session_id,
        client.and_then(|client| client.ip.as_deref()),
        client.and_then(|client| client.user_agent.as_deref()),
        event.as_str(),
        subject,
        request_id,
        event == AuditEvent::LoginThrottled,
    ];
    batch.execute(COUNT_FAILED_LOGIN, values);
}

/// A query for a part of an audit trail.
pub struct Excerpt {
    /// Only entries since this time, in unix seconds. The registration is always included.
    pub since: u64,
    /// Only entries before this position.
    pub before: Cursor,
    /// Maximum number of entries.
    pub limit: usize,
}

#[derive(Deserialize)]
struct EventRow {
    at: u64,
    id: String,
    kind: AuditEvent,
    count: u64,
    last_at: u64,
    actor_id: Option<Id>,
    session_id: Option<Id>,
    ip: Option<String>,
    user_agent: Option<String>,
    other_ip: Option<String>,
    other_user_agent: Option<String>,
    detail: Option<String>,
}

#[derive(Deserialize)]
struct LoginRow {
    created_at: u64,
    session_id: Id,
    created_ip: Option<String>,
    created_user_agent: Option<String>,
}

#[derive(Deserialize)]
struct RevocationRow {
    revoked_at: u64,
    session_id: Id,
    revoked_ip: Option<String>,
    revoked_user_agent: Option<String>,
    revoked_reason: String,
}

#[derive(Deserialize)]
struct RegistrationRow {
    created_at: u64,
    ip: Option<String>,
    user_agent: Option<String>,
}

impl Store {
    /// Counts an attempt to register the address of an existing account, in the row of its hour. One round trip; one row written,
    /// plus an index entry for the first of an hour.
    pub async fn count_registration_attempt(&self, email: &Email, client: &Client, now: u64) -> Result<(), StoreError> {
        let values = values![email.key(), now, client.ip.as_deref(), client.user_agent.as_deref()];
        let mut batch = self.batch("count_registration_attempt");
        batch.execute(COUNT_REGISTRATION_ATTEMPT, values);
        batch.run().await.map(|_| ())
    }

    /// Reads the audit trail of the caller: from each source the latest entries, one more than the limit, unsorted. One round trip.
    pub async fn own_trail(&self, caller: Caller, excerpt: &Excerpt, now: u64) -> Result<Vec<AuditEntry>, StoreError> {
        let mut batch = self.batch("own_trail");
        let trail = TrailQuery::add(&mut batch, caller, caller.user_id, excerpt, now);
        let answers = batch.run().await?;
        in_force(&answers, trail.caller, caller, now)?;
        Ok(trail.records.entries(&answers, &excerpt.before)?.unwrap_or_default())
    }

    /// Reads the audit trail of an account for an admin, like [`Self::own_trail`]. One round trip.
    pub async fn trail_of(
        &self,
        caller: Caller,
        user_id: Id,
        excerpt: &Excerpt,
        now: u64,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut batch = self.batch("trail_of");
        let trail = TrailQuery::add(&mut batch, caller, user_id, excerpt, now);
        let answers = batch.run().await?;
        admin_in_force(&answers, trail.caller, caller, now)?;
        Ok(trail.records.entries(&answers, &excerpt.before)?.ok_or(Denial::NotFound)?)
    }
}

/// The statements that read a trail.
struct TrailQuery {
    caller: Rows<SessionRow>,
    records: TrailRecords,
}

/// The sources of a trail.
struct TrailRecords {
    registration: Rows<RegistrationRow>,
    events: Rows<EventRow>,
    open_sessions: Rows<LoginRow>,
    ended_sessions: Rows<LoginRow>,
    revocations: Rows<RevocationRow>,
}

impl TrailQuery {
    fn add<'v>(batch: &mut Batch<'v>, caller: Caller, user_id: Id, excerpt: &'v Excerpt, now: u64) -> Self {
        let Excerpt { since, before, limit } = excerpt;
        // One entry more than requested shows whether there are more.
        let limit = u64::try_from(*limit).unwrap_or(u64::MAX).saturating_add(1);
        let values = || values![user_id, *since, before.at, &before.id, limit, caller.session_id, caller.user_id, now];
        let logins = |are_ended: bool| values().into_iter().chain([Value::from(are_ended)]).collect();
        Self {
            caller: find_session(batch, caller.session_id),
            records: TrailRecords {
                registration: batch.query(FIND_REGISTRATION, values![user_id]),
                events: batch.query(FIND_EVENTS, values()),
                open_sessions: batch.query(FIND_LOGINS, logins(false)),
                ended_sessions: batch.query(FIND_LOGINS, logins(true)),
                revocations: batch.query(FIND_REVOCATIONS, values()),
            },
        }
    }
}

impl TrailRecords {
    /// The entries, unsorted; `None` if the account does not exist and has no recent entries.
    fn entries(self, answers: &Answers, before: &Cursor) -> Result<Option<Vec<AuditEntry>>, StoreError> {
        let registration = answers.row(self.registration)?;
        let exists = registration.is_some();
        let registered = registration.map(|row| AuditEntry {
            client: client(row.ip, row.user_agent),
            ..AuditEntry::new(row.created_at, String::new(), AuditEvent::Registered)
        });
        let registered = registered.filter(|entry| (entry.at, &entry.id) < (before.at, &before.id));
        let events = answers.rows(self.events)?.into_iter().map(|row| AuditEntry {
            at: row.at,
            id: row.id,
            event: row.kind,
            count: row.count,
            last_at: row.last_at,
            actor_id: row.actor_id,
            session_id: row.session_id,
            client: client(row.ip, row.user_agent),
            other: client(row.other_ip, row.other_user_agent),
            detail: row.detail,
        });
        // The order within one second: registration, logins, events by their millisecond, revocations. The prefixes of the ids
        // produce it, and the statements sort by the same prefixes.
        let mut logins = answers.rows(self.open_sessions)?;
        logins.extend(answers.rows(self.ended_sessions)?);
        let logins = logins.into_iter().map(|row| AuditEntry {
            session_id: Some(row.session_id),
            client: client(row.created_ip, row.created_user_agent),
            ..AuditEntry::new(row.created_at, format!("!{}", row.session_id), AuditEvent::LoggedIn)
        });
        let revocations = answers.rows(self.revocations)?.into_iter().map(|row| AuditEntry {
            session_id: Some(row.session_id),
            client: client(row.revoked_ip, row.revoked_user_agent),
            detail: Some(row.revoked_reason),
            ..AuditEntry::new(row.revoked_at, format!("~{}", row.session_id), AuditEvent::Revoked)
        });
        let entries: Vec<_> = registered.into_iter().chain(events).chain(logins).chain(revocations).collect();
        Ok((exists || !entries.is_empty()).then_some(entries))
    }
}
