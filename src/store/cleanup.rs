//! The cleanup: rows of sessions that ended long ago and old entries of the audit trail are deleted from D1, in bounded steps.
//!
//! Sessions are walked in the order of their primary key, so that no index has to be kept for it: one on the end of a session
//! would be written with every log-in, and with every refresh if the idle end were in it. Where the walk has got to is kept in
//! the same transaction as each step, so a cleanup that breaks off goes on there. As a walk reads every row, one begins at
//! most once a day.

use std::time::Duration;

use serde::Deserialize;
use worker::Delay;

use super::batch::{sql, values};
use super::connection::Store;
use super::error::StoreError;

const ADVANCE: &str = sql!("cleanup/advance.sql");
const DELETE_AUDIT_EVENTS: &str = sql!("cleanup/delete_audit_events.sql");
const DELETE_SESSIONS: &str = sql!("cleanup/delete_sessions.sql");

/// Rows that a step reads.
const STEP: u64 = 2_000;
/// Maximum statements per run: a Worker may send a thousand to D1 per invocation.
const MAX_STATEMENTS: u32 = 900;
/// Maximum steps of them through the audit trail, of one statement each; the rest is for the sessions, whose steps have two.
const MAX_EVENT_STEPS: u32 = 200;
/// Pause between two steps: whoever waits for D1, or in local workerd for this very thread, comes in between.
const REST: Duration = Duration::from_millis(5);
/// Comes behind every key: the place of a walk that has arrived.
const END: &str = "~";

/// What a cleanup did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CleanedUp {
    /// Number of deleted rows of ended sessions.
    pub sessions: usize,
    /// Number of deleted entries of the audit trail.
    pub events: usize,
    /// Whether it got to the end of both; if not, the next one goes on.
    pub complete: bool,
}

#[derive(Deserialize)]
struct Advanced {
    upto: String,
}

impl Store {
    /// Deletes sessions that ended, and entries of the audit trail that were made, more than `age` seconds ago. What was deleted
    /// before an error stays deleted.
    pub async fn clean_up(&self, age: u64, now: u64) -> Result<CleanedUp, StoreError> {
        let before = now.saturating_sub(age);
        let (events, event_steps, events_done) = self.delete_old_events(before).await?;
        let (sessions, sessions_done) = self.delete_old_sessions(before, now, session_steps(event_steps)).await?;
        Ok(CleanedUp { sessions, events, complete: events_done && sessions_done })
    }

    /// The number of deleted entries, the number of steps, and whether that is all.
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
            Delay::from(REST).await;
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
                return Err(answers.corrupt("no place kept".to_owned()));
            };
            total = total.saturating_add(answers.changes(deleted)?);
            if upto == END {
                return Ok((total, true));
            }
            Delay::from(REST).await;
        }
        Ok((total, false))
    }
}

/// The number of steps through the sessions that a run may take after a number of steps through the trail.
const fn session_steps(event_steps: u32) -> u32 {
    MAX_STATEMENTS.saturating_sub(event_steps) / 2
}

#[cfg(test)]
mod tests {
    use super::{MAX_EVENT_STEPS, STEP, session_steps};

    #[test]
    fn a_run_asks_d1_no_more_than_a_worker_may() {
        for event_steps in 0..=MAX_EVENT_STEPS {
            assert!(event_steps + 2 * session_steps(event_steps) <= 1_000);
        }
    }

    /// Sessions alone, at 589 bytes each (docs/performance/scale.md), in the 10 GB that a database may have.
    #[test]
    fn hourly_runs_walk_through_the_fullest_database_within_a_day() {
        let max_sessions = 10_000_000_000 / 589;
        assert!(24 * u64::from(session_steps(1)) * STEP > max_sessions);
    }
}
