//! The cleanup deletes sessions that ended long ago, old entries of the audit trail and old failures of known devices and signed-in
//! users from D1, in bounded steps.
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

const ADVANCE: &str = sql!("cleanup/advance.sql");
const DELETE_AUDIT_EVENTS: &str = sql!("cleanup/delete_audit_events.sql");
const DELETE_SESSIONS: &str = sql!("cleanup/delete_sessions.sql");
const DELETE_THROTTLES: &str = sql!("cleanup/delete_throttles.sql");

/// Age at which failures of devices and users are forgotten, in seconds. By then the token of the device has expired.
const THROTTLE_AGE: u64 = DeviceToken::TTL;
/// Rows per step.
const STEP: u64 = 2_000;
/// Maximum statements per run. D1 allows 1,000 per invocation of a Worker.
const MAX_STATEMENTS: u32 = 900;
/// Maximum steps through the audit trail, one statement each. The remaining statements are for the sessions, two per step.
const MAX_EVENT_STEPS: u32 = 200;
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
        let (events, event_steps, events_done) = self.delete_old_events(before).await?;
        let (sessions, sessions_done) = self.delete_old_sessions(before, now, session_steps(event_steps)).await?;
        Ok(CleanedUp { sessions, events, complete: events_done && sessions_done })
    }

    /// Forgets failures of devices and users that no longer count, the number of a step at most.
    async fn delete_old_throttles(&self, now: u64) -> Result<(), StoreError> {
        let mut batch = self.batch("delete_old_throttles");
        batch.execute(DELETE_THROTTLES, values![now.saturating_sub(THROTTLE_AGE), STEP]);
        batch.run().await.map(|_| ())
    }

    /// Returns the number of deleted entries, the number of steps, and whether no old entry is left.
    async fn delete_old_events(&self, before: u64) -> Result<(usize, u32, bool), StoreError> {
        let mut total = 0_usize;
        for steps in 1..=MAX_EVENT_STEPS {
            let mut batch = self.batch("delete_old_events");
            let deleted = batch.execute(DELETE_AUDIT_EVENTS, values![before, STEP]);
            let deleted = batch.run().await?.changes(deleted)?;
            total = total.saturating_add(deleted);
            if u64::try_from(deleted).unwrap_or(u64::MAX) < STEP {
                return Ok((total, steps, true));
            }
            Delay::from(PAUSE).await;
        }
        Ok((total, MAX_EVENT_STEPS, false))
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
    use super::{MAX_EVENT_STEPS, STEP, session_steps};

    #[test]
    fn a_run_stays_within_the_statement_limit_of_an_invocation() {
        for event_steps in 0..=MAX_EVENT_STEPS {
            assert!(event_steps + 2 * session_steps(event_steps) <= 1_000);
        }
    }

    /// The largest database: 10 GB of sessions, at 589 bytes each (docs/performance/scale.md).
    #[test]
    fn hourly_runs_walk_through_the_largest_database_within_a_day() {
        let max_sessions = 10_000_000_000 / 589;
        assert!(24 * u64::from(session_steps(1)) * STEP > max_sessions);
    }
}
