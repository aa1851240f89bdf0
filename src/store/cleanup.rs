//! The cleanup deletes sessions that ended long ago, old entries of the audit trail, old failures of known devices and signed-in users,
//! and what sign-ins and requests for mails leave behind from D1, in bounded steps.
//!
//! It walks the sessions in the order of their primary key, so that it needs no index: an index on the end of a session would be
//! written with every login, and with every refresh if it included the idle end. Each step stores its position in its own
//! transaction, so an interrupted cleanup continues there. A walk reads every row, so a new one starts at most once a day.

use std::time::Duration;

use portcullis_core::token::device::DeviceToken;
use serde::Deserialize;
use worker::Delay;

use super::batch::{sql, values};
use super::connection::Store;
use super::error::StoreError;
use super::factors::CONFIRMATION_TTL;
use super::registration::PENDING_TTL;

const ADVANCE: &str = sql!("cleanup/advance.sql");
const DELETE_AUDIT_EVENTS: &str = sql!("cleanup/delete_audit_events.sql");
const DELETE_BUDGETS: &str = sql!("cleanup/delete_budgets.sql");
const DELETE_CHALLENGES: &str = sql!("cleanup/delete_challenges.sql");
const DELETE_REGISTRATIONS: &str = sql!("cleanup/delete_registrations.sql");
const DELETE_DELETED_PASSKEYS: &str = sql!("cleanup/delete_deleted_passkeys.sql");
const DELETE_RESERVED_EMAILS: &str = sql!("cleanup/delete_reserved_emails.sql");
const DELETE_SESSIONS: &str = sql!("cleanup/delete_sessions.sql");
const DELETE_SIGN_INS: &str = sql!("cleanup/delete_sign_ins.sql");
const DELETE_THROTTLES: &str = sql!("cleanup/delete_throttles.sql");
const DELETE_UNCONFIRMED_TOTP: &str = sql!("cleanup/delete_unconfirmed_totp.sql");

/// Age at which failures of devices and users are forgotten, in seconds. By then the token of the device has expired.
const THROTTLE_AGE: u64 = DeviceToken::TTL;
/// Age at which expired challenges are deleted, in seconds. A registration can be sent a new code until then.
const CHALLENGE_AGE: u64 = PENDING_TTL;
/// Rows per step.
const STEP: u64 = 2_000;
/// Maximum statements per run. D1 allows 1,000 per invocation of a Worker.
const MAX_STATEMENTS: u32 = 800;
/// Maximum steps through the audit trail, one statement each. The remaining statements are for the sessions, two per step.
const MAX_EVENT_STEPS: u32 = 200;
/// Maximum steps through each table that sign-ins and requests for mails fill, one statement each.
const MAX_MAIL_STEPS: u32 = 15;
/// Pause between two steps, in which D1 runs the statements of waiting requests. In local workerd, it frees this thread.
const PAUSE: Duration = Duration::from_millis(5);
/// The position of a finished walk. Sorts after every key.
const END: &str = "~";

/// The result of a cleanup.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CleanedUp {
    /// Number of deleted sessions.
    pub sessions: usize,
    /// Number of deleted entries of the audit trail.
    pub events: usize,
    /// Whether it reached the end of both. If not, the next cleanup continues.
    pub complete: bool,
}

#[derive(Deserialize)]
struct Advanced {
    upto: String,
}

impl Store {
    /// Deletes sessions that ended more than `age` seconds ago, and entries of the audit trail that are older than that. Rows
    /// deleted before an error stay deleted.
    pub async fn clean_up(&self, age: u64, now: u64) -> Result<CleanedUp, StoreError> {
        let before = now.saturating_sub(age);
        self.delete_old_throttles(now).await?;
        for (sql, before) in [
            (DELETE_CHALLENGES, now.saturating_sub(CHALLENGE_AGE)),
            (DELETE_REGISTRATIONS, now),
            (DELETE_RESERVED_EMAILS, now),
            (DELETE_BUDGETS, now),
            (DELETE_SIGN_INS, now),
            (DELETE_UNCONFIRMED_TOTP, now.saturating_sub(CONFIRMATION_TTL)),
            (DELETE_DELETED_PASSKEYS, now),
        ] {
            self.delete_old(sql, before, MAX_MAIL_STEPS).await?;
        }
        let (events, event_steps, events_done) = self.delete_old(DELETE_AUDIT_EVENTS, before, MAX_EVENT_STEPS).await?;
        let (sessions, sessions_done) = self.delete_old_sessions(before, now, session_steps(event_steps)).await?;
        Ok(CleanedUp { sessions, events, complete: events_done && sessions_done })
    }

    /// Forgets failures of devices and users that no longer count, the number of a step at most.
    async fn delete_old_throttles(&self, now: u64) -> Result<(), StoreError> {
        let mut batch = self.batch("delete_old_throttles");
        batch.execute(DELETE_THROTTLES, values![now.saturating_sub(THROTTLE_AGE), STEP, now]);
        batch.run().await.map(|_| ())
    }

    /// Deletes old rows of a table. Returns the number of deleted rows, the number of steps, and whether no old row is left.
    async fn delete_old(
        &self,
        sql: &'static str,
        before: u64,
        max_steps: u32,
    ) -> Result<(usize, u32, bool), StoreError> {
        let mut total = 0_usize;
        for steps in 1..=max_steps {
            let mut batch = self.batch("delete_old");
            let deleted = batch.execute(sql, values![before, STEP]);
            let deleted = batch.run().await?.changes(deleted)?;
            total = total.saturating_add(deleted);
            if u64::try_from(deleted).unwrap_or(u64::MAX) < STEP {
                return Ok((total, steps, true));
            }
            Delay::from(PAUSE).await;
        }
        Ok((total, max_steps, false))
    }

    async fn delete_old_sessions(&self, before: u64, now: u64, steps: u32) -> Result<(usize, bool), StoreError> {
        let mut total = 0_usize;
        for _ in 0..steps {
            let mut batch = self.batch("delete_old_sessions");
            let advanced = batch.query::<Advanced>(ADVANCE, values![STEP, now]);
            let deleted = batch.execute(DELETE_SESSIONS, values![before]);
            let answers = batch.run().await?;
            let Some(Advanced { upto }) = answers.row(advanced)? else {
                return Err(answers.corrupt("the position of the walk is missing".to_owned()));
            };
            total = total.saturating_add(answers.changes(deleted)?);
            if upto == END {
                return Ok((total, true));
            }
            Delay::from(PAUSE).await;
        }
        Ok((total, false))
    }
}

/// Maximum steps through the sessions, after a number of steps through the trail.
const fn session_steps(event_steps: u32) -> u32 {
    MAX_STATEMENTS.saturating_sub(event_steps) / 2
}

#[cfg(test)]
mod tests {
    use super::{MAX_EVENT_STEPS, MAX_MAIL_STEPS, STEP, session_steps};

    #[test]
    fn a_run_stays_within_the_statement_limit_of_an_invocation() {
        // One for the throttles, seven small tables, and the secrets that are encrypted again, two per step of 20.
        let others = 1 + 7 * MAX_MAIL_STEPS + 40;
        for event_steps in 0..=MAX_EVENT_STEPS {
            assert!(others + event_steps + 2 * session_steps(event_steps) <= 1_000);
        }
    }

    /// The largest database: 10 GB of sessions, at 589 bytes each (docs/performance/scale.md).
    #[test]
    fn hourly_runs_walk_through_the_largest_database_within_a_day() {
        let max_sessions = 10_000_000_000 / 589;
        assert!(24 * u64::from(session_steps(1)) * STEP > max_sessions);
    }
}
