//! Sends the mails of the outbox, after the reply and every minute.
//!
//! A row is in the outbox from the transaction of what it tells until the sender has accepted the mail, so a mail is sent at least once,
//! each time with the same id. It is sent again if the Worker ends, or D1 fails, between the two.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use portcullis_core::account::audit::AuditEvent;
use portcullis_core::id::Id;
use portcullis_core::identity::email::Email;
use portcullis_core::mail::budget::{Budget, mailbox};
use portcullis_core::mail::challenge::{Challenge, Use};
use portcullis_core::mail::delivery::{Outcome, next_attempt, warned_at};
use portcullis_core::mail::kind::Kind;
use portcullis_core::mail::locale::Locale;
use portcullis_core::mail::message::Mail;
use worker::{Delay, Env};

use super::sender::{self, Letter};
use crate::config::{Config, Mail as MailConfig};
use crate::context::Context;
use crate::log::{self, Event};
use crate::platform::clock::now_millis;
use crate::store::outbox::{ClaimedMail, MailChallenge, MailChange};
use crate::store::{Store, StoreError};

/// Time for which a mail is leased, in seconds. Longer than any attempt takes.
const LEASE: u64 = 60;
/// Maximum number of mails of one run of the scheduled event. Each takes three of the 1,000 requests of an invocation, of which the owed
/// marks may take 816, and five of the 1,000 statements.
const MAX_DUE: u64 = 45;
/// Number of mails that are sent at the same time. An invocation has six connections.
const AT_ONCE: usize = 5;

/// What is needed to send mails.
struct Run<'a> {
    config: &'a Config,
    mail: &'a MailConfig,
    env: &'a Env,
    store: &'a Store,
    request_id: Id,
}

/// What becomes of a leased mail.
enum Fate {
    /// Nothing is sent: the address is unknown, the code was used already, or the change is no longer pending.
    Unneeded,
    /// An attempt was made.
    Attempted(Outcome),
}

/// Sends mails after the reply.
pub fn send_after_reply(context: &Context<'_>, ids: Vec<Id>) {
    if ids.is_empty() {
        return;
    }
    let (config, env) = (Rc::clone(context.config), context.env.clone());
    let (store, request_id) = (context.store.renewed(), context.request_id);
    context.background.wait_until(async move {
        // Let the runtime send the reply first.
        Delay::from(Duration::ZERO).await;
        send(&config, &env, &store, request_id, &ids).await;
        if config.log_costs {
            log::write_costs(request_id, "Mails", None, store.costs());
        }
    });
}

/// Sends the mails that are due.
pub async fn send_due(config: &Config, env: &Env, store: &Store, run_id: Id) {
    match store.find_due_mails(MAX_DUE, now()).await {
        Ok(due) => send(config, env, store, run_id, &due).await,
        Err(error) => log_fault(run_id, &error),
    }
}

/// Sends mails. A failure is logged; the scheduled event sends what is left.
pub async fn send(config: &Config, env: &Env, store: &Store, request_id: Id, ids: &[Id]) {
    let Some(mail) = &config.mail else { return };
    let run = Run { config, mail, env, store, request_id };
    for ids in ids.chunks(AT_ONCE) {
        // Leased just before they are sent, so that slow ones before them do not use up the lease.
        let leased_at = now();
        match store.claim_mails(ids, leased_at.saturating_add(LEASE), leased_at).await {
            Ok(claimed) => {
                join_all(claimed.iter().map(|claimed| run.send_one(claimed))).await;
            }
            // The next run sends them.
            Err(error) => return log_fault(request_id, &error),
        }
    }
}

impl Run<'_> {
    /// Sends a leased mail. Its failure is logged, and does not concern the others.
    async fn send_one(&self, claimed: &ClaimedMail) {
        let fate = self.attempt(claimed).await;
        if let Err(error) = self.settle(claimed, fate).await {
            log_fault(self.request_id, &error);
        }
    }

    async fn attempt(&self, claimed: &ClaimedMail) -> Fate {
        let Some(to) = &claimed.email else { return Fate::Unneeded };
        let challenge = claimed.challenge.as_ref();
        if challenge.is_some_and(|challenge| challenge.is_spent) {
            return Fate::Unneeded;
        }
        let live = challenge.filter(|challenge| challenge.expires_at > now());
        let columns = live.and_then(MailChallenge::columns);
        if claimed.has_challenge && columns.is_none() {
            return Fate::Attempted(Outcome::Refused { reason: "expired".to_owned() });
        }
        // A later version may have written it, before it was rolled back.
        let Some(kind) = Kind::parse(&claimed.kind) else {
            return Fate::Attempted(Outcome::delayed("unknown_kind"));
        };
        let pending = claimed.change.as_ref().filter(|_| kind == Kind::EmailChangePending);
        if kind == Kind::EmailChangePending && pending.is_none() {
            return Fate::Unneeded;
        }
        match self.may_send(claimed, kind, to).await {
            Ok(true) => {}
            Ok(false) => return Fate::Unneeded,
            Err(error) => {
                log_fault(self.request_id, &error);
                return Fate::Attempted(Outcome::delayed("storage"));
            }
        }
        let new_key = challenge.and_then(|challenge| challenge.new_email_key.as_deref());
        let (code, link, other_link) = match (columns, pending) {
            (Some(columns), _) => self.secrets(kind, columns, new_key),
            (None, Some(pending)) => {
                let link = self.cancel_link(pending);
                (None, link.clone(), link)
            }
            (None, None) => (None, None, None),
        };
        let expires_at = live.map(|challenge| challenge.expires_at);
        let mail = Mail {
            kind,
            locale: Locale::parse(&claimed.locale).unwrap_or_else(|| self.mail.locales.choose(None)),
            name: claimed.name.as_deref(),
            email: to,
            code: code.as_deref(),
            // From the request on, whose time the mail tells. So every attempt sends the same body, as services demand of one idempotency
            // key.
            minutes: expires_at.unwrap_or_default().saturating_sub(claimed.at) / 60,
            link: link.as_deref(),
            other_link: other_link.as_deref(),
            // Every notice of a pending change tells when it was requested.
            at: pending.map_or(claimed.at, |pending| pending.requested_at),
            ip: claimed.client.ip.as_deref(),
            user_agent: claimed.client.user_agent.as_deref(),
            detail: claimed.detail.as_deref(),
        };
        let letter = Letter { id: claimed.id, mail, expires_at };
        Fate::Attempted(sender::send(self.config, self.mail, self.env, self.request_id, &letter).await)
    }

    /// Whether a notice is within the budget of its mailbox. A proved mailbox has none. An unproved one may be a stranger's, of which
    /// anybody can register many spellings.
    async fn may_send(&self, claimed: &ClaimedMail, kind: Kind, to: &str) -> Result<bool, StoreError> {
        // A further attempt has used the budget before.
        if claimed.is_proved || claimed.attempts > 1 || !kind.can_be_many() {
            return Ok(true);
        }
        let mailbox = Email::parse(to).map_or_else(|_| to.to_owned(), |email| mailbox(&email));
        let key = format!("notices:{}", self.config.challenge_keys.hash(&mailbox));
        self.store.use_budget(&key, Budget::UNPROVED_NOTICES, self.request_id, now()).await
    }

    /// The code, the link that does what the code does, and the link that undoes it.
    fn secrets(
        &self,
        kind: Kind,
        columns: Challenge<'_>,
        new_key: Option<&str>,
    ) -> (Option<String>, Option<String>, Option<String>) {
        let keys = &self.config.challenge_keys;
        let code = |columns: &Challenge<'_>, of| keys.code(columns, of).map(|code| code.to_string());
        let link = |name| keys.link(&columns, Use::Link).map(|token| self.page(name, &token));
        match kind {
            // The address changes only where both codes are typed, so these have no link.
            Kind::ChangeNew => {
                let new = new_key.map(|email_key| Challenge { email_key, ..columns });
                (new.and_then(|new| code(&new, Use::Code)), None, None)
            }
            Kind::ChangeOld => (code(&columns, Use::OldCode), None, None),
            Kind::Verify | Kind::Register => (code(&columns, Use::Code), link("token"), link("disown")),
            _ => (code(&columns, Use::Code), link("token"), None),
        }
    }

    /// The link that cancels a pending change of the address.
    fn cancel_link(&self, pending: &MailChange) -> Option<String> {
        let token = self.config.challenge_keys.link(&pending.columns(), Use::Cancel)?;
        Some(self.page("token", &token))
    }

    /// The link to the page that asks what a token is for. In the fragment, no server sees it. `name`: `token`, or `disown` for a page
    /// that offers nothing else.
    fn page(&self, name: &str, token: &str) -> String {
        format!("{}/account/confirm#{name}={token}", self.config.parties.issuer)
    }

    async fn settle(&self, claimed: &ClaimedMail, fate: Fate) -> Result<(), StoreError> {
        let Fate::Attempted(outcome) = fate else { return self.store.delete_mail(claimed, None, now()).await };
        let (mail_id, kind) = (claimed.id, claimed.kind.as_str());
        match outcome {
            Outcome::Accepted => {
                log::write(self.request_id, &Event::MailSent { mail_id, kind, user_id: claimed.user_id });
                self.delete_accepted(claimed).await
            }
            Outcome::Refused { reason } => self.give_up(claimed, &reason).await,
            Outcome::Delayed { reason, retry_after } => {
                let Some(next) = next_attempt(claimed.at, claimed.attempts, retry_after, now()) else {
                    return self.give_up(claimed, &reason).await;
                };
                log::write(self.request_id, &Event::MailDelayed { mail_id, kind, reason: &reason });
                self.store.postpone_mail(claimed, next).await
            }
        }
    }

    async fn delete_accepted(&self, claimed: &ClaimedMail) -> Result<(), StoreError> {
        let limit = self.mail.daily_limit;
        if limit == 0 {
            return self.store.delete_mail(claimed, Some(AuditEvent::MailSent), now()).await;
        }
        let sent = self.store.delete_accepted_mail(claimed, self.request_id, now()).await?;
        if let Some(sent) = sent.filter(|sent| *sent == warned_at(limit)) {
            log::write(self.request_id, &Event::MailLimitNear { sent, limit });
        }
        Ok(())
    }

    async fn give_up(&self, claimed: &ClaimedMail, reason: &str) -> Result<(), StoreError> {
        let (mail_id, kind) = (claimed.id, claimed.kind.as_str());
        log::write(self.request_id, &Event::MailFailed { mail_id, kind, reason });
        self.store.delete_mail(claimed, Some(AuditEvent::MailFailed), now()).await
    }
}

fn log_fault(request_id: Id, error: &StoreError) {
    log::write(request_id, &Event::StorageFault { cause: &error.to_string() });
}

/// Current time, in unix seconds.
fn now() -> u64 {
    now_millis() / 1000
}
