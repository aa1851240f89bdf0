//! The outbox: mails to send. A row is written in the transaction of what it tells and deleted once the mail is accepted, so a mail is sent
//! at least once. Whoever sends it leases the row first, so that two senders do not send it at the same time.

use portcullis_core::account::audit::{AuditEvent, MANY_EVICTED};
use portcullis_core::account::client::Client;
use portcullis_core::id::Id;
use portcullis_core::mail::budget::Budget;
use portcullis_core::mail::challenge::{Challenge, Purpose};
use portcullis_core::mail::kind::Kind;
use portcullis_core::mail::locale::Locale;
use serde::Deserialize;

use super::audit::{EventKey, Failure};
use super::batch::{Affected, Batch, Rows, sql, values};
use super::connection::Store;
use super::error::StoreError;
use super::rows::client;

const CLAIM: &str = sql!("outbox/claim.sql");
const COUNT_ACCEPTED: &str = sql!("outbox/count_accepted.sql");
const COUNT_MAIL: &str = sql!("audit/count_mail.sql");
const DELETE: &str = sql!("outbox/delete.sql");
const FIND_DUE: &str = sql!("outbox/find_due.sql");
const INSERT: &str = sql!("outbox/insert.sql");
const INSERT_EVICTED: &str = sql!("outbox/insert_evicted.sql");
const INSERT_OF_CHALLENGE: &str = sql!("outbox/insert_of_challenge.sql");
const INSERT_NOTICE: &str = sql!("outbox/insert_notice.sql");
const INSERT_SESSION_NOTICE: &str = sql!("outbox/insert_session_notice.sql");
const INSERT_THROTTLED: &str = sql!("outbox/insert_throttled.sql");
const POSTPONE: &str = sql!("outbox/postpone.sql");
const USE_BUDGET: &str = sql!("budgets/use_for_notice.sql");

/// The key of the budget that counts all mails.
const ALL_MAILS: &str = "all";
/// The window of that budget, in seconds.
const DAY: u64 = 86_400;

/// A mail to insert.
pub struct NewMail<'a> {
    /// Must be random. Stays the same for every attempt.
    pub id: Id,
    /// The kind of mail.
    pub kind: Kind,
    /// The account that it is about.
    pub user_id: Option<Id>,
    /// The recipient; `None` for an unknown address, to which nothing is sent.
    pub email: Option<&'a str>,
    /// The language.
    pub locale: Locale,
    /// What else it tells.
    pub detail: Option<&'a str>,
}

/// What a notice about a session depends on.
pub(super) struct SessionNotice<'a> {
    /// The session.
    pub(super) session_id: Id,
    /// The id of the event; `None` if the session itself is the event.
    pub(super) event_id: Option<&'a str>,
    /// How often its user gets such a notice.
    pub(super) budget: Budget,
}

impl<'v> NewMail<'v> {
    /// Inserts a mail of a challenge, if it is live and the budget was used.
    pub(super) fn insert(
        &self,
        batch: &mut Batch<'v>,
        challenge_id: Id,
        client: &'v Client,
        request_id: Id,
        budget: Option<&'v str>,
        now: u64,
    ) {
        let values = values![
            self.id,
            self.kind.as_str(),
            self.user_id,
            self.email,
            challenge_id,
            self.locale.as_str(),
            now,
            client.ip.as_deref(),
            client.user_agent.as_deref(),
            self.detail,
            request_id,
            budget,
            self.kind.has_code(),
        ];
        batch.execute(INSERT, values);
    }

    /// Inserts a notice to the user of an event, if the event exists.
    pub(super) fn insert_notice(&self, batch: &mut Batch<'v>, key: &'v EventKey, client: &'v Client) {
        let values = values![
            self.id,
            self.kind.as_str(),
            key.user_id,
            key.at,
            &key.id,
            self.locale.as_str(),
            client.ip.as_deref(),
            client.user_agent.as_deref(),
            self.detail,
        ];
        batch.execute(INSERT_NOTICE, values);
    }

    /// Inserts a notice to the user of a session, if the session and the event exist and the user got no such notice in the window of the
    /// budget.
    pub(super) fn insert_session_notice(
        &self,
        batch: &mut Batch<'v>,
        session: &SessionNotice<'v>,
        client: &'v Client,
        request_id: Id,
        now: u64,
    ) -> Rows<Affected> {
        let values = values![
            self.id,
            self.kind.as_str(),
            session.session_id,
            now,
            session.event_id,
            self.locale.as_str(),
            client.ip.as_deref(),
            client.user_agent.as_deref(),
            self.budget_key(),
        ];
        let inserted = batch.query(INSERT_SESSION_NOTICE, values);
        self.use_budget(batch, None, session.budget, request_id, now);
        inserted
    }

    /// Inserts a notice that failures made attempts wait, if this request began the wait and there was no such notice in the window of the
    /// budget. It goes to the user; without one, nothing is sent, and the work is the same.
    pub(super) fn insert_throttled(
        &self,
        batch: &mut Batch<'v>,
        failure: &Failure,
        client: &'v Client,
        request_id: Id,
        now: u64,
    ) -> Rows<Affected> {
        let subject = failure.subject.to_string();
        let values = values![
            self.id,
            self.kind.as_str(),
            failure.user_id,
            failure.subject,
            request_id,
            now,
            self.locale.as_str(),
            client.ip.as_deref(),
            client.user_agent.as_deref(),
            self.budget_key() + &subject,
        ];
        let inserted = batch.query(INSERT_THROTTLED, values);
        self.use_budget(batch, Some(subject), Budget::NOTICE, request_id, now);
        inserted
    }

    /// Inserts a notice that many sessions were evicted, if they become many.
    pub(super) fn insert_evicted(
        &self,
        batch: &mut Batch<'v>,
        user_id: Id,
        evicted: u64,
        client: &'v Client,
        now: u64,
    ) -> Rows<Affected> {
        let values = values![
            self.id,
            self.kind.as_str(),
            user_id,
            now,
            evicted,
            MANY_EVICTED,
            self.locale.as_str(),
            client.ip.as_deref(),
            client.user_agent.as_deref(),
        ];
        batch.query(INSERT_EVICTED, values)
    }

    /// The beginning of the key of its budget.
    fn budget_key(&self) -> String {
        format!("notice:{}:", self.kind.as_str())
    }

    /// Uses up the budget, if the notice was inserted. `owner`: the end of the key; `None`: the user of the notice.
    fn use_budget(&self, batch: &mut Batch<'v>, owner: Option<String>, budget: Budget, request_id: Id, now: u64) {
        let values = values![self.id, self.budget_key(), owner, now, budget.window, request_id];
        batch.execute(USE_BUDGET, values);
    }
}

/// Inserts the mail with the code of a challenge to its account, if the challenge exists.
pub(super) fn insert_of_challenge(batch: &mut Batch<'_>, id: Id, kind: Kind, challenge_id: Id) {
    batch.execute(INSERT_OF_CHALLENGE, values![id, kind.as_str(), challenge_id]);
}

/// A leased mail.
pub struct ClaimedMail {
    /// Its id.
    pub id: Id,
    /// Its kind.
    pub kind: String,
    /// The account that it is about.
    pub user_id: Option<Id>,
    /// The recipient; `None`: nothing is sent.
    pub email: Option<String>,
    /// The language.
    pub locale: String,
    /// When what it tells happened, in unix seconds.
    pub at: u64,
    /// The client that caused it.
    pub client: Client,
    /// What else it tells.
    pub detail: Option<String>,
    /// Number of attempts, including this one.
    pub attempts: u32,
    /// The name of the user, if the address is verified. Otherwise somebody else may have chosen it.
    pub name: Option<String>,
    /// Whether it has a code. Then it is sent only with a live challenge.
    pub has_challenge: bool,
    /// Whether the account has the address, and somebody has proved to have its mailbox.
    pub is_proved: bool,
    /// The challenge, if the cleanup has not deleted it.
    pub challenge: Option<MailChallenge>,
    /// The pending change of the address, of mails without a challenge.
    pub change: Option<MailChange>,
}

impl ClaimedMail {
    /// Counts an event in the trail of the account, and deletes the mail.
    fn delete<'v>(&'v self, batch: &mut Batch<'v>, event: Option<AuditEvent>, now: u64) {
        if let Some((event, user_id)) = event.zip(self.user_id) {
            batch.execute(COUNT_MAIL, values![user_id, now, event.as_str(), &self.kind, self.id]);
        }
        batch.execute(DELETE, values![self.id]);
    }
}

/// The challenge of a mail.
#[derive(Deserialize)]
pub struct MailChallenge {
    id: Id,
    purpose: String,
    user_id: Option<Id>,
    email_key: String,
    /// The key of the new address of a change.
    pub new_email_key: Option<String>,
    credentials_version: Option<u64>,
    salt: Id,
    /// When it expires, in unix seconds.
    pub expires_at: u64,
    /// Whether the code was used.
    pub is_spent: bool,
}

impl MailChallenge {
    /// The columns that code and link are computed from; `None` for an unknown address.
    pub fn columns(&self) -> Option<Challenge<'_>> {
        Some(Challenge {
            id: self.id,
            purpose: Purpose::parse(&self.purpose)?,
            salt: self.salt,
            user_id: self.user_id?,
            credentials_version: self.credentials_version?,
            email_key: &self.email_key,
        })
    }
}

/// The pending change of a mail.
#[derive(Deserialize)]
pub struct MailChange {
    /// When it was requested, in unix seconds. Every notice tells this time.
    pub requested_at: u64,
    user_id: Id,
    email_key: String,
    credentials_version: u64,
    salt: Id,
}

impl MailChange {
    /// The columns that the link is computed from which cancels it.
    pub fn columns(&self) -> Challenge<'_> {
        change_columns(self.user_id, self.salt, self.credentials_version, &self.email_key)
    }
}

/// The columns of a pending change. It has no id of its own, because an account has at most one.
pub(super) const fn change_columns(user_id: Id, salt: Id, credentials_version: u64, email_key: &str) -> Challenge<'_> {
    Challenge { id: user_id, purpose: Purpose::Change, salt, user_id, credentials_version, email_key }
}

#[derive(Deserialize)]
struct DueRow {
    id: Id,
}

#[derive(Deserialize)]
struct CountedRow {
    used: u64,
}

#[derive(Deserialize)]
struct ClaimedRow {
    id: Id,
    kind: String,
    user_id: Option<Id>,
    email: Option<String>,
    locale: String,
    at: u64,
    ip: Option<String>,
    user_agent: Option<String>,
    detail: Option<String>,
    attempts: u32,
    has_challenge: u8,
    is_proved: u8,
    name: Option<String>,
    challenge: Option<String>,
    change: Option<String>,
}

impl Store {
    /// The mails that are due, those that wait longest first. One round trip.
    pub async fn find_due_mails(&self, limit: u64, now: u64) -> Result<Vec<Id>, StoreError> {
        let mut batch = self.batch("find_due_mails");
        let due = batch.query::<DueRow>(FIND_DUE, values![now, limit]);
        let answers = batch.run().await?;
        Ok(answers.rows(due)?.into_iter().map(|row| row.id).collect())
    }

    /// Leases mails that are due. Others may lease them again at `until`. One round trip.
    pub async fn claim_mails(&self, ids: &[Id], until: u64, now: u64) -> Result<Vec<ClaimedMail>, StoreError> {
        let ids = ids.iter().map(Id::to_string).collect::<serde_json::Value>().to_string();
        let mut batch = self.batch("claim_mails");
        let claimed = batch.query::<ClaimedRow>(CLAIM, values![ids, now, until]);
        let answers = batch.run().await?;
        let mail = |row: ClaimedRow| ClaimedMail {
            id: row.id,
            kind: row.kind,
            user_id: row.user_id,
            email: row.email,
            locale: row.locale,
            at: row.at,
            client: client(row.ip, row.user_agent),
            detail: row.detail,
            attempts: row.attempts,
            name: row.name,
            has_challenge: row.has_challenge != 0,
            is_proved: row.is_proved != 0,
            // A corrupt challenge has no code. As an error, it would keep the other mails from being sent.
            challenge: row.challenge.and_then(|object| serde_json::from_str(&object).ok()),
            change: row.change.and_then(|object| serde_json::from_str(&object).ok()),
        };
        Ok(answers.rows(claimed)?.into_iter().map(mail).collect())
    }

    /// Deletes a mail. `event`: what is counted in the trail of its account, once even if two attempts end like this. One round trip.
    pub async fn delete_mail(&self, mail: &ClaimedMail, event: Option<AuditEvent>, now: u64) -> Result<(), StoreError> {
        let mut batch = self.batch("delete_mail");
        mail.delete(&mut batch, event, now);
        batch.run().await.map(|_| ())
    }

    /// Deletes a mail that was accepted. Returns how many were accepted since the window of the day began, this one included; `None` if
    /// another attempt deleted it. One round trip.
    pub async fn delete_accepted_mail(
        &self,
        mail: &ClaimedMail,
        request_id: Id,
        now: u64,
    ) -> Result<Option<u64>, StoreError> {
        let mut batch = self.batch("delete_accepted_mail");
        let counted = batch.query::<CountedRow>(COUNT_ACCEPTED, values![mail.id, ALL_MAILS, now, DAY, request_id]);
        mail.delete(&mut batch, Some(AuditEvent::MailSent), now);
        let answers = batch.run().await?;
        Ok(answers.row(counted)?.map(|row| row.used))
    }

    /// Sets the time of the next attempt, unless a later attempt has begun. One round trip.
    pub async fn postpone_mail(&self, mail: &ClaimedMail, until: u64) -> Result<(), StoreError> {
        let mut batch = self.batch("postpone_mail");
        batch.execute(POSTPONE, values![mail.id, until, mail.attempts]);
        batch.run().await.map(|_| ())
    }
}
