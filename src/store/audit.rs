//! The audit trail. Registrations are recorded in `users`, log-ins and revocations in `refresh_tokens`, everything else in
//! `audit_events`: nothing is written twice.
//!
//! An action on an account is one transaction. Its first statement inserts the event that records it, if the caller may, and if
//! there is something to change; all others take place only if that event is there. So nothing changes without being recorded,
//! nor is anything recorded that did not happen. Changes of a profile share one row per hour, which names the last of them.

use portcullis_core::account::audit::{AuditEntry, AuditEvent, Cursor};
use portcullis_core::account::caller::Caller;
use portcullis_core::account::client::Client;
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
const FIND_LOG_INS: &str = sql!("audit/find_log_ins.sql");
const FIND_REGISTRATION: &str = sql!("audit/find_registration.sql");
const FIND_REVOCATIONS: &str = sql!("audit/find_revocations.sql");
const INSERT_OWN_EVENT: &str = sql!("audit/insert_own_event.sql");

/// What every action on an account is told: who acts, from where, when, and the name of its event.
pub struct ActionContext<'a> {
    /// Who.
    pub caller: Caller,
    /// From where.
    pub client: &'a Client,
    /// Of the millisecond and the request.
    pub event_id: String,
    /// Unix seconds.
    pub now: u64,
}

/// The event that an action hangs on, as its statements name it.
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

/// Records what a user does to their own account, if the session is in force and the credentials are of that version. Of a
/// deletion neither address nor session is kept.
pub(super) fn insert_own_event<'v>(
    batch: &mut Batch<'v>,
    context: &'v ActionContext<'_>,
    key: &'v EventKey,
    credentials_version: u64,
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
    ];
    batch.query(INSERT_OWN_EVENT, values)
}

/// Which part of an audit trail is asked for.
pub struct Excerpt {
    /// Only what happened since, in unix seconds. The registration is kept as long as the account.
    pub since: u64,
    /// Only what comes before this place.
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
struct LogInRow {
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
    /// Counts a failed log-in of an account, or of none, in the row of its hour. `session_id`: the one it came from, where
    /// the password was asked for beside an access token. One round trip; one row written, with an index entry for the
    /// first of an hour, whether there is such an account or not.
    pub async fn count_failed_login(
        &self,
        user_id: Option<Id>,
        session_id: Option<Id>,
        client: &Client,
        now: u64,
    ) -> Result<(), StoreError> {
        // The client of a failed log-in to no account is shown to nobody, so it is not kept.
        let client = user_id.map(|_| client);
        let values = values![
            user_id.map(|id| id.to_string()).unwrap_or_default(),
            now,
            session_id,
            client.and_then(|client| client.ip.as_deref()),
            client.and_then(|client| client.user_agent.as_deref()),
        ];
        let mut batch = self.batch("count_failed_login");
        batch.execute(COUNT_FAILED_LOGIN, values);
        batch.run().await.map(|_| ())
    }

    /// Counts an attempt to register an address that belongs to an account, in the row of its hour. One round trip; one row
    /// written, with an index entry for the first of an hour.
    pub async fn count_registration_attempt(&self, email: &Email, client: &Client, now: u64) -> Result<(), StoreError> {
        let values = values![email.key(), now, client.ip.as_deref(), client.user_agent.as_deref()];
        let mut batch = self.batch("count_registration_attempt");
        batch.execute(COUNT_REGISTRATION_ATTEMPT, values);
        batch.run().await.map(|_| ())
    }

    /// The audit trail of the caller, in no order: of every record the latest, and one more than the limit. One round trip.
    pub async fn own_trail(&self, caller: Caller, excerpt: &Excerpt, now: u64) -> Result<Vec<AuditEntry>, StoreError> {
        let mut batch = self.batch("own_trail");
        let trail = TrailQuery::add(&mut batch, caller, caller.user_id, excerpt, now);
        let answers = batch.run().await?;
        in_force(&answers, trail.caller, caller, now)?;
        Ok(trail.records.entries(&answers, &excerpt.before)?.unwrap_or_default())
    }

    /// The audit trail of an account, for an admin, as [`Self::own_trail`]. One round trip.
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

/// The statements of a trail.
struct TrailQuery {
    caller: Rows<SessionRow>,
    records: TrailRecords,
}

/// Where a trail is recorded.
struct TrailRecords {
    registration: Rows<RegistrationRow>,
    events: Rows<EventRow>,
    open_sessions: Rows<LogInRow>,
    ended_sessions: Rows<LogInRow>,
    revocations: Rows<RevocationRow>,
}

impl TrailQuery {
    fn add<'v>(batch: &mut Batch<'v>, caller: Caller, user_id: Id, excerpt: &'v Excerpt, now: u64) -> Self {
        let Excerpt { since, before, limit } = excerpt;
        // One entry more than asked for tells whether there are more.
        let limit = u64::try_from(*limit).unwrap_or(u64::MAX).saturating_add(1);
        let values = || values![user_id, *since, before.at, &before.id, limit, caller.session_id, caller.user_id, now];
        let log_ins = |are_ended: bool| values().into_iter().chain([Value::from(are_ended)]).collect();
        Self {
            caller: find_session(batch, caller.session_id),
            records: TrailRecords {
                registration: batch.query(FIND_REGISTRATION, values![user_id]),
                events: batch.query(FIND_EVENTS, values()),
                open_sessions: batch.query(FIND_LOG_INS, log_ins(false)),
                ended_sessions: batch.query(FIND_LOG_INS, log_ins(true)),
                revocations: batch.query(FIND_REVOCATIONS, values()),
            },
        }
    }
}

impl TrailRecords {
    /// The entries, that of the registration first, in no order; `None` if there is no such account, nor has been one lately.
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
        // Of one second: the registration, log-ins, what the events tell by their milliseconds, and revocations. The statements
        // order by the same.
        let mut log_ins = answers.rows(self.open_sessions)?;
        log_ins.extend(answers.rows(self.ended_sessions)?);
        let log_ins = log_ins.into_iter().map(|row| AuditEntry {
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
        let entries: Vec<_> = registered.into_iter().chain(events).chain(log_ins).chain(revocations).collect();
        Ok((exists || !entries.is_empty()).then_some(entries))
    }
}
