//! The audit trail. Registrations are recorded in `users`, log-ins and ended sessions in `refresh_tokens`, everything else in
//! `events`: nothing is written twice.

use serde::Deserialize;
use worker::D1Type;

use super::callers::{Caller, CallerIds, Refusal, admin_in_force, in_force};
use super::refresh_tokens::FIND_SESSION;
use super::{Answers, Statement, Store, StoreError, integer, text};
use portcullis_core::account::audit::{Cursor, Entry, Kind};
use portcullis_core::account::client::Client;
use portcullis_core::id::Id;
use portcullis_core::identity::email::Email;

const COUNT_FAILED_LOGIN: &str = include_str!("sql/count_failed_login.sql");
const COUNT_REGISTRATION_ATTEMPT: &str = include_str!("sql/count_registration_attempt.sql");
const FIND_ENDINGS: &str = include_str!("sql/find_endings.sql");
const FIND_EVENTS: &str = include_str!("sql/find_events.sql");
const FIND_LOG_INS: &str = include_str!("sql/find_log_ins.sql");
const FIND_REGISTRATION: &str = include_str!("sql/find_registration.sql");
pub(super) const INSERT_REUSE_EVENT: &str = include_str!("sql/insert_reuse_event.sql");

/// Which part of an audit trail is asked for.
pub struct Excerpt {
    /// Only what happened since, in unix seconds. The registration is kept as long as the account.
    pub since: u64,
    /// Only what comes before this place.
    pub before: Cursor,
    /// So many entries.
    pub limit: usize,
}

#[derive(Deserialize)]
struct EventRow {
    at: u64,
    id: String,
    kind: Kind,
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
    family_id: Id,
    created_ip: Option<String>,
    created_user_agent: Option<String>,
}

#[derive(Deserialize)]
struct EndingRow {
    revoked_at: u64,
    family_id: Id,
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
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn count_failed_login(
        &self,
        user_id: Option<Id>,
        session_id: Option<Id>,
        client: &Client,
        now: u64,
    ) -> Result<(), StoreError> {
        // From where nobody in particular failed is shown to nobody, so it is not kept.
        let client = user_id.map(|_| client);
        let user_id = user_id.map(|id| id.to_string()).unwrap_or_default();
        let session_id = session_id.map(|id| id.to_string());
        let values = [
            D1Type::Text(&user_id),
            integer(now),
            text(session_id.as_deref()),
            text(client.and_then(|client| client.ip.as_deref())),
            text(client.and_then(|client| client.user_agent.as_deref())),
        ];
        self.batch("count_failed_login", &[Statement { sql: COUNT_FAILED_LOGIN, values: &values }]).await.map(|_| ())
    }

    /// Counts an attempt to register an address that belongs to an account, in the row of its hour. One round trip; one row
    /// written, with an index entry for the first of an hour.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn count_registration_attempt(&self, email: &Email, client: &Client, now: u64) -> Result<(), StoreError> {
        let values =
            [D1Type::Text(email.key()), integer(now), text(client.ip.as_deref()), text(client.user_agent.as_deref())];
        let statement = Statement { sql: COUNT_REGISTRATION_ATTEMPT, values: &values };
        self.batch("count_registration_attempt", &[statement]).await.map(|_| ())
    }

    /// The audit trail of the caller, in no order: of every record the latest, and one more than the limit. One round trip.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn own_trail(
        &self,
        caller: Caller,
        excerpt: &Excerpt,
        now: u64,
    ) -> Result<Result<Vec<Entry>, Refusal>, StoreError> {
        const OPERATION: &str = "own_trail";
        let mut answers = self.trail(OPERATION, caller, caller.user_id, excerpt, now).await?;
        if let Err(refusal) = in_force(OPERATION, &mut answers, caller, now)? {
            return Ok(Err(refusal));
        }
        Ok(Ok(entries(&mut answers, &excerpt.before)?.unwrap_or_default()))
    }

    /// The audit trail of an account, for an admin, as [`Self::own_trail`]. One round trip.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn trail_of(
        &self,
        caller: Caller,
        user_id: Id,
        excerpt: &Excerpt,
        now: u64,
    ) -> Result<Result<Vec<Entry>, Refusal>, StoreError> {
        const OPERATION: &str = "trail_of";
        let mut answers = self.trail(OPERATION, caller, user_id, excerpt, now).await?;
        if let Err(refusal) = admin_in_force(OPERATION, &mut answers, caller, now)? {
            return Ok(Err(refusal));
        }
        Ok(entries(&mut answers, &excerpt.before)?.ok_or(Refusal::NotFound))
    }

    async fn trail(
        &self,
        operation: &'static str,
        caller: Caller,
        user_id: Id,
        excerpt: &Excerpt,
        now: u64,
    ) -> Result<Answers, StoreError> {
        let query = TrailQuery::new(caller, user_id, excerpt, now);
        let (open, ended) = (query.log_ins(false), query.log_ins(true));
        let values = query.values();
        let statements = [
            Statement { sql: FIND_SESSION, values: &query.caller.find() },
            Statement { sql: FIND_REGISTRATION, values: &query.user() },
            Statement { sql: FIND_EVENTS, values: &values },
            Statement { sql: FIND_LOG_INS, values: &open },
            Statement { sql: FIND_LOG_INS, values: &ended },
            Statement { sql: FIND_ENDINGS, values: &values },
        ];
        self.batch(operation, &statements).await
    }
}

/// The texts of an excerpt, for its statements to borrow.
struct TrailQuery<'a> {
    user_id: String,
    caller: CallerIds,
    excerpt: &'a Excerpt,
    now: u64,
}

impl<'a> TrailQuery<'a> {
    fn new(caller: Caller, user_id: Id, excerpt: &'a Excerpt, now: u64) -> Self {
        Self { user_id: user_id.to_string(), caller: CallerIds::new(caller), excerpt, now }
    }

    /// The values of [`FIND_REGISTRATION`].
    fn user(&self) -> [D1Type<'_>; 1] {
        [D1Type::Text(&self.user_id)]
    }

    /// The values of [`FIND_LOG_INS`], for the sessions that have been ended or for the others.
    fn log_ins(&self, are_ended: bool) -> Vec<D1Type<'_>> {
        self.values().into_iter().chain([integer(are_ended.into())]).collect()
    }

    /// The values of the other statements of a trail. One entry more than asked for tells whether there are more.
    fn values(&self) -> [D1Type<'_>; 8] {
        let Excerpt { since, before, limit } = self.excerpt;
        [
            D1Type::Text(&self.user_id),
            integer(*since),
            integer(before.at),
            D1Type::Text(&before.id),
            integer(u64::try_from(*limit).unwrap_or(u64::MAX).saturating_add(1)),
            D1Type::Text(&self.caller.family_id),
            D1Type::Text(&self.caller.user_id),
            integer(self.now),
        ]
    }
}

/// The entries out of the answers to the statements of a trail, that of the registration first, in no order;
/// `None` if there is no such account, nor has been one lately.
fn entries(answers: &mut Answers, before: &Cursor) -> Result<Option<Vec<Entry>>, StoreError> {
    let registration: Option<RegistrationRow> = answers.row()?;
    let events: Vec<EventRow> = answers.rows()?;
    let mut log_ins: Vec<LogInRow> = answers.rows()?;
    log_ins.extend(answers.rows::<LogInRow>()?);
    let endings: Vec<EndingRow> = answers.rows()?;
    let exists = registration.is_some();
    let registered = registration.map(|row| Entry {
        client: Client { ip: row.ip, user_agent: row.user_agent },
        ..Entry::new(row.created_at, String::new(), Kind::Registered)
    });
    let registered = registered.filter(|entry| (entry.at, &entry.id) < (before.at, &before.id));
    let events = events.into_iter().map(|row| Entry {
        at: row.at,
        id: row.id,
        kind: row.kind,
        count: row.count,
        last_at: row.last_at,
        actor_id: row.actor_id,
        session_id: row.session_id,
        client: Client { ip: row.ip, user_agent: row.user_agent },
        other: Client { ip: row.other_ip, user_agent: row.other_user_agent },
        detail: row.detail,
    });
    // Of one second: the registration, log-ins, what the events tell by their milliseconds, and what ended. The statements
    // order by the same.
    let log_ins = log_ins.into_iter().map(|row| Entry {
        session_id: Some(row.family_id),
        client: Client { ip: row.created_ip, user_agent: row.created_user_agent },
        ..Entry::new(row.created_at, format!("!{}", row.family_id), Kind::LoggedIn)
    });
    let endings = endings.into_iter().map(|row| Entry {
        session_id: Some(row.family_id),
        client: Client { ip: row.revoked_ip, user_agent: row.revoked_user_agent },
        detail: Some(row.revoked_reason),
        ..Entry::new(row.revoked_at, format!("~{}", row.family_id), Kind::Revoked)
    });
    let entries: Vec<_> = registered.into_iter().chain(events).chain(log_ins).chain(endings).collect();
    Ok((exists || !entries.is_empty()).then_some(entries))
}
