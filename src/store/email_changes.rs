//! Changes of the address of an account.
//!
//! A change is one transaction. Its first statement spends the challenge, or finds the pending change due. All other statements take effect
//! only if its event is recorded.

use portcullis_core::account::audit::{AuditEvent, RevocationReason};
use portcullis_core::account::caller::Caller;
use portcullis_core::account::client::Client;
use portcullis_core::account::email_change::{RESERVED, Schedule};
use portcullis_core::account::session::OwedMark;
use portcullis_core::account::user::User;
use portcullis_core::id::Id;
use portcullis_core::identity::email::Email;
use portcullis_core::mail::challenge::Challenge;
use portcullis_core::mail::kind::Kind;
use serde::{Deserialize, Serialize};

use super::audit::{ActionContext, EventKey, insert_own_event};
use super::batch::{Affected, Batch, Rows, sql, values};
use super::callers::{find_session, in_force};
use super::challenges::{Budgets, NewChallenge, Redemption};
use super::connection::Store;
use super::error::{Denial, StoreError, WithOwedMarks};
use super::outbox::{NewMail, change_columns};
use super::revocations::find_owed_marks;
use super::sessions::{Conditions, NewSession, revoke_recorded};

const DELETE: &str = sql!("email_changes/delete.sql");
const DELETE_CHALLENGES: &str = sql!("email_changes/delete_challenges.sql");
const FIND: &str = sql!("email_changes/find.sql");
const FIND_DUE: &str = sql!("email_changes/find_due.sql");
const FIND_PENDING: &str = sql!("email_changes/find_pending.sql");
const INSERT: &str = sql!("email_changes/insert.sql");
const INSERT_MAIL: &str = sql!("email_changes/insert_mail.sql");
const INSERT_NOTICE: &str = sql!("email_changes/insert_notice.sql");
const RECORD_CANCELLED: &str = sql!("email_changes/record_cancelled.sql");
const RECORD_CANCELLED_BY_CALLER: &str = sql!("email_changes/record_cancelled_by_caller.sql");
const RECORD_DUE: &str = sql!("email_changes/record_due.sql");
const RESERVE: &str = sql!("email_changes/reserve.sql");
const SCHEDULE: &str = sql!("email_changes/schedule.sql");
const SPEND: &str = sql!("email_changes/spend.sql");
const UPDATE_EMAIL: &str = sql!("email_changes/update_email.sql");
const VOID_DEVICES: &str = sql!("admin/void_devices.sql");

/// Why a due change is dropped: the detail of its event.
const OUTDATED: &str = "outdated";
/// How the owner of the old mailbox cancels a change: the detail of its event.
const BY_LINK: &str = "link";

/// A pending change.
#[derive(Deserialize)]
pub struct EmailChange {
    /// The account.
    pub user_id: Id,
    /// Its address.
    pub email: String,
    /// The key of its address.
    pub email_key: String,
    /// The new address, as entered.
    pub new_email: String,
    /// The key of the new address.
    pub new_email_key: String,
    /// The version of the credentials when it was requested.
    pub credentials_version: u64,
    /// Its salt.
    pub salt: Id,
    /// When it was requested, in unix seconds.
    pub requested_at: u64,
    /// When it takes effect, in unix seconds.
    pub takes_effect_at: u64,
    /// When its next step is due, in unix seconds.
    pub next_notice_at: u64,
}

impl EmailChange {
    /// The columns that the link is computed from which cancels it.
    pub fn columns(&self) -> Challenge<'_> {
        change_columns(self.user_id, self.salt, self.credentials_version, &self.email_key)
    }

    /// Its times.
    pub const fn schedule(&self) -> Schedule {
        Schedule {
            requested_at: self.requested_at,
            takes_effect_at: self.takes_effect_at,
            next_notice_at: self.next_notice_at,
        }
    }
}

/// A pending change, as its user sees it.
#[derive(Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PendingEmail {
    /// The new address, as entered.
    pub email: String,
    /// When it takes effect, in unix seconds.
    pub takes_effect_at: u64,
}

/// The mails that ask for a change.
pub struct ChangeMails<'a> {
    /// The id of the mail to the new address. Must be random.
    pub new_id: Id,
    /// The mail to the old address.
    pub old: NewMail<'a>,
}

/// A new address.
#[derive(Clone, Copy)]
struct NewAddress<'a> {
    email: &'a str,
    key: &'a str,
}

/// Changes the address, if the event exists: reserves the former one, voids device tokens and challenges, and ends the sessions except
/// `kept`. Notices to the former address must come before.
fn change<'v>(
    batch: &mut Batch<'v>,
    key: &'v EventKey,
    new: NewAddress<'v>,
    client: Option<&'v Client>,
    proved_both: bool,
) -> Rows<Affected> {
    let event = || values![key.user_id, key.at, &key.id];
    let reserved = values![key.user_id, key.at, &key.id, key.at.saturating_add(RESERVED), proved_both];
    batch.execute(RESERVE, reserved);
    batch.execute(DELETE_CHALLENGES, event());
    batch.execute(UPDATE_EMAIL, values![key.user_id, key.at, &key.id, new.email, new.key]);
    batch.execute(DELETE, event());
    revoke_recorded(batch, key, RevocationReason::EmailChanged, client)
}

impl Redemption<'_> {
    /// Spends the challenge of a change, if the caller's session is in force too and the new address is free.
    fn spend_change(&self, batch: &mut Batch<'_>, caller: Caller) -> Rows<Affected> {
        let not_before = batch.not_before();
        batch.query(SPEND, values![self.id, self.request_id, self.now, caller.session_id, caller.user_id, not_before])
    }
}

impl Store {
    /// Records that the user wants another address, and inserts the challenge and its mails within the budgets, if the credentials have the
    /// given version. If the new address is not free, no code is right, and its owner gets a mail. One round trip.
    pub async fn request_email_change(
        &self,
        context: &ActionContext<'_>,
        budgets: &Budgets,
        challenge: &NewChallenge<'_>,
        mails: &ChangeMails<'_>,
        request_id: Id,
    ) -> Result<(), StoreError> {
        let ActionContext { caller, client, now, .. } = *context;
        let key = EventKey::new(caller.user_id, AuditEvent::EmailChangeRequested, context);
        let version = challenge.user.map(|(_, version)| version).unwrap_or_default();
        let mut batch = self.batch("request_email_change");
        let found = find_session(&mut batch, caller.session_id);
        let recorded = insert_own_event(&mut batch, context, &key, version, None);
        let last = budgets.use_all(&mut batch, Some(&key), request_id, now);
        challenge.insert(&mut batch, client, request_id, last, now);
        let new_mail = values![
            mails.new_id,
            challenge.id,
            challenge.new_email.map(Email::key),
            Kind::ChangeNew.as_str(),
            Kind::AccountExists.as_str(),
            challenge.locale.as_str(),
            now,
            client.ip.as_deref(),
            client.user_agent.as_deref(),
        ];
        batch.execute(INSERT_MAIL, new_mail);
        mails.old.insert(&mut batch, challenge.id, client, request_id, None, now);
        let answers = batch.run().await?;
        in_force(&answers, found, caller, now)?;
        if answers.row(recorded)?.is_none() {
            return Err(Denial::SessionNotInForce.into());
        }
        Ok(())
    }

    /// Spends the challenge of a change, changes the address of the caller, ends every session and begins a new one. Returns the number of
    /// sessions that ended, and another session that ended because its cookie was replaced; `None` if the challenge was spent, the account
    /// changed or the new address is not free. One round trip.
    pub async fn change_email(
        &self,
        redemption: &Redemption<'_>,
        caller: Caller,
        (email, email_key): (&str, &str),
        new_session: &NewSession,
        notice: Option<&NewMail<'_>>,
    ) -> Result<WithOwedMarks<Option<(usize, Option<OwedMark>)>>, StoreError> {
        let key = redemption.key(AuditEvent::EmailChanged);
        let client = redemption.client;
        let mut batch = self.batch("change_email");
        let found = find_session(&mut batch, caller.session_id);
        let spent = redemption.spend_change(&mut batch, caller);
        redemption.record(&mut batch, &key, None);
        if let Some(notice) = notice {
            notice.insert_notice(&mut batch, &key, client);
        }
        let new = NewAddress { email, key: email_key };
        let revoked = change(&mut batch, &key, new, Some(client), true);
        let renews = Some(caller.session_id);
        let conditions = Conditions { event: Some(&key.id), renews, ..Conditions::default() };
        let begun = new_session.insert(&mut batch, &conditions, client, redemption.now);
        let owed = find_owed_marks(&mut batch, caller.user_id);
        let answers = batch.run().await?;
        let (spent, revoked) = (answers.row(spent)?, answers.rows(revoked)?.len());
        let replaced = begun.replaced(&answers)?;
        let outcome = in_force(&answers, found, caller, redemption.now).map(|_| spent.map(|_| (revoked, replaced)));
        WithOwedMarks::attach(outcome, answers.rows(owed)?.into_iter().chain(replaced).collect())
    }

    /// Spends the challenge of a change, and lets the change wait. It replaces one that waits already. `false` if the challenge was spent,
    /// the account changed or the new address is not free. One round trip.
    pub async fn delay_email_change(
        &self,
        redemption: &Redemption<'_>,
        caller: Caller,
        salt: Id,
        notice: Option<&NewMail<'_>>,
    ) -> Result<bool, StoreError> {
        let key = redemption.key(AuditEvent::EmailChangePending);
        let schedule = Schedule::new(redemption.now);
        let mut batch = self.batch("delay_email_change");
        let found = find_session(&mut batch, caller.session_id);
        let spent = redemption.spend_change(&mut batch, caller);
        redemption.record(&mut batch, &key, None);
        let values = values![
            redemption.id,
            redemption.request_id,
            salt,
            schedule.requested_at,
            schedule.takes_effect_at,
            schedule.next_notice_at,
        ];
        batch.execute(INSERT, values);
        if let Some(notice) = notice {
            notice.insert_notice(&mut batch, &key, redemption.client);
        }
        let answers = batch.run().await?;
        in_force(&answers, found, caller, redemption.now)?;
        Ok(answers.row(spent)?.is_some())
    }

    /// Cancels the pending change of the caller. `false` if there is none. One round trip.
    pub async fn cancel_own_email_change(&self, context: &ActionContext<'_>) -> Result<bool, StoreError> {
        let ActionContext { caller, client, now, .. } = *context;
        let key = EventKey::new(caller.user_id, AuditEvent::EmailChangeCancelled, context);
        let mut batch = self.batch("cancel_own_email_change");
        let found = find_session(&mut batch, caller.session_id);
        let values = values![
            caller.session_id,
            caller.user_id,
            now,
            &key.id,
            key.event.as_str(),
            client.ip.as_deref(),
            client.user_agent.as_deref(),
        ];
        let recorded = batch.query::<Affected>(RECORD_CANCELLED_BY_CALLER, values);
        batch.execute(DELETE, values![key.user_id, key.at, &key.id]);
        let answers = batch.run().await?;
        in_force(&answers, found, caller, now)?;
        Ok(answers.row(recorded)?.is_some())
    }

    /// Finds the pending change of an account. One round trip.
    pub async fn find_email_change(&self, user_id: Id) -> Result<Option<EmailChange>, StoreError> {
        let mut batch = self.batch("find_email_change");
        let found = batch.query(FIND, values![user_id, self.sessions_not_before]);
        batch.run().await?.row(found)
    }

    /// Cancels a pending change for the owner of the old mailbox, who says that somebody else asked for it. So it ends every session of the
    /// account and voids its device tokens. Returns the number of sessions; `None` if the change was cancelled before. One round trip.
    pub async fn cancel_email_change(
        &self,
        pending: &EmailChange,
        event_id: &str,
        client: &Client,
        now: u64,
    ) -> Result<WithOwedMarks<Option<usize>>, StoreError> {
        let key = event_key(pending, AuditEvent::EmailChangeCancelled, event_id, now);
        let mut batch = self.batch("cancel_email_change");
        let recorded = record_cancelled(&mut batch, &key, pending, Some(client), BY_LINK);
        let event = || values![key.user_id, key.at, &key.id];
        batch.execute(VOID_DEVICES, event());
        batch.execute(DELETE, event());
        let revoked = revoke_recorded(&mut batch, &key, RevocationReason::EmailChangeCancelled, Some(client));
        let owed = find_owed_marks(&mut batch, key.user_id);
        let answers = batch.run().await?;
        let revoked = answers.rows(revoked)?.len();
        let value = answers.row(recorded)?.map(|_| revoked);
        Ok(WithOwedMarks { value, owed_marks: answers.rows(owed)? })
    }

    /// The pending changes whose next step is due. One round trip.
    pub async fn find_due_email_changes(&self, limit: u64, now: u64) -> Result<Vec<EmailChange>, StoreError> {
        let mut batch = self.batch("find_due_email_changes");
        let due = batch.query(FIND_DUE, values![now, limit]);
        batch.run().await?.rows(due)
    }

    /// Inserts a notice of a pending change and sets the time of the next step, unless another run has. One round trip.
    pub async fn remind_of_email_change(
        &self,
        pending: &EmailChange,
        next: Schedule,
        notice: &NewMail<'_>,
        now: u64,
    ) -> Result<(), StoreError> {
        let EmailChange { user_id, salt, next_notice_at, .. } = *pending;
        let mut batch = self.batch("remind_of_email_change");
        let notice = values![
            notice.id,
            notice.kind.as_str(),
            user_id,
            salt,
            next_notice_at,
            notice.locale.as_str(),
            now,
            &pending.new_email,
        ];
        batch.execute(INSERT_NOTICE, notice);
        let next = values![user_id, salt, next_notice_at, next.next_notice_at, next.takes_effect_at];
        batch.execute(SCHEDULE, next);
        batch.run().await.map(|_| ())
    }

    /// Carries a due change out and ends every session of the account; or drops it, if the account changed, is disabled, the new address is not
    /// free or the change was requested before `SESSIONS_NOT_BEFORE`. Returns the event, if this run recorded one, and the number of sessions that ended. One round trip.
    pub async fn complete_email_change(
        &self,
        pending: &EmailChange,
        notice: &NewMail<'_>,
        event_id: &str,
        now: u64,
    ) -> Result<Option<(AuditEvent, usize)>, StoreError> {
        let key = event_key(pending, AuditEvent::EmailChanged, event_id, now);
        let dropped_key = event_key(pending, AuditEvent::EmailChangeCancelled, event_id, now);
        let client = Client::default();
        let mut batch = self.batch("complete_email_change");
        let due = values![key.user_id, key.at, &key.id, key.event.as_str(), pending.salt, self.sessions_not_before];
        let recorded = batch.query::<Affected>(RECORD_DUE, due);
        notice.insert_notice(&mut batch, &key, &client);
        let new = NewAddress { email: &pending.new_email, key: &pending.new_email_key };
        let revoked = change(&mut batch, &key, new, None, false);
        // Without the first event the change is still there.
        let dropped = record_cancelled(&mut batch, &dropped_key, pending, None, OUTDATED);
        batch.execute(DELETE, values![dropped_key.user_id, dropped_key.at, &dropped_key.id]);
        let answers = batch.run().await?;
        let revoked = answers.rows(revoked)?.len();
        let recorded = answers.row(recorded)?.map(|_| (key.event, revoked));
        Ok(recorded.or(answers.row(dropped)?.map(|_| (dropped_key.event, 0))))
    }

    /// Finds the user of the caller's session, if it is in force, and the pending change. One round trip.
    pub async fn find_me(&self, caller: Caller, now: u64) -> Result<(User, Option<PendingEmail>), StoreError> {
        let mut batch = self.batch("find_me");
        let found = find_session(&mut batch, caller.session_id);
        let pending = batch.query(FIND_PENDING, values![caller.user_id, self.sessions_not_before]);
        let answers = batch.run().await?;
        let session = in_force(&answers, found, caller, now)?;
        Ok((session.user, answers.row(pending)?))
    }
}

fn event_key(pending: &EmailChange, event: AuditEvent, event_id: &str, now: u64) -> EventKey {
    EventKey { user_id: pending.user_id, at: now, id: format!("{event_id}.{}", event.as_str()), event }
}

/// Records that a pending change ended without effect, if it is still pending.
fn record_cancelled<'v>(
    batch: &mut Batch<'v>,
    key: &'v EventKey,
    pending: &EmailChange,
    client: Option<&'v Client>,
    detail: &'static str,
) -> Rows<Affected> {
    let values = values![
        key.user_id,
        key.at,
        &key.id,
        key.event.as_str(),
        pending.salt,
        client.and_then(|client| client.ip.as_deref()),
        client.and_then(|client| client.user_agent.as_deref()),
        detail,
    ];
    batch.query(RECORD_CANCELLED, values)
}
