//! The sweep: rows of sessions that ended long ago and old entries of the audit trail are deleted from D1, in bounded steps.
//!
//! Families are walked in the order of their primary key, so that no index has to be kept for it: one on the end of a session
//! would be written with every log-in, and with every refresh if the idle end were in it. Where the walk has got to is kept in
//! the same transaction as each step, so a sweep that breaks off goes on there. As a walk reads every row, one begins at
//! most once a day.

use std::time::Duration;

use serde::Deserialize;
use worker::Delay;

use super::{Statement, Store, StoreError, integer};

const ADVANCE_SWEEP: &str = include_str!("sql/advance_sweep.sql");
const SWEEP_EVENTS: &str = include_str!("sql/sweep_events.sql");
const SWEEP_FAMILIES: &str = include_str!("sql/sweep_families.sql");

/// Rows that a step looks at: D1 answers nobody else while it runs.
const STEP: u64 = 2_000;
/// Statements of a run: a Worker may send D1 a thousand an invocation.
const MAX_STATEMENTS: u32 = 900;
/// Of these at most for the trail, of which a step is one; what is left is for the families, of which a step is two.
const MAX_EVENT_STEPS: u32 = 200;
/// Between two steps: whoever waits for D1, or in local workerd for this very thread, comes in between.
const REST: Duration = Duration::from_millis(5);
/// Comes behind every key: where a walk has arrived.
const END: &str = "~";

/// What a sweep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Swept {
    /// Rows of ended sessions that are gone.
    pub sessions: usize,
    /// Entries of the audit trail that are gone.
    pub events: usize,
    /// Whether it got to the end of both; if not, the next one goes on.
    pub complete: bool,
}

#[derive(Deserialize)]
struct Advanced {
    upto: String,
}

impl Store {
    /// Takes out sessions that ended, and entries of the audit trail that were made, more than `age` seconds ago.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`]. What was deleted until then stays deleted.
    pub async fn sweep(&self, age: u64, now: u64) -> Result<Swept, StoreError> {
        let before = now.saturating_sub(age);
        let (events, event_steps, events_done) = self.sweep_events(before).await?;
        let (sessions, families_done) = self.sweep_families(before, now, family_steps(event_steps)).await?;
        Ok(Swept { sessions, events, complete: events_done && families_done })
    }

    /// How many went, in how many steps, and whether that is all.
    async fn sweep_events(&self, before: u64) -> Result<(usize, u32, bool), StoreError> {
        let mut swept = 0_usize;
        for steps in 1..=MAX_EVENT_STEPS {
            let values = [integer(before), integer(STEP)];
            let statement = Statement { sql: SWEEP_EVENTS, values: &values };
            let step = self.batch("sweep_events", &[statement]).await?.changes()?;
            swept = swept.saturating_add(step);
            if u64::try_from(step).unwrap_or(u64::MAX) < STEP {
                return Ok((swept, steps, true));
            }
            Delay::from(REST).await;
        }
        Ok((swept, MAX_EVENT_STEPS, false))
    }

    async fn sweep_families(&self, before: u64, now: u64, steps: u32) -> Result<(usize, bool), StoreError> {
        const OPERATION: &str = "sweep_families";
        let mut swept = 0_usize;
        for _ in 0..steps {
            let statements = [
                Statement { sql: ADVANCE_SWEEP, values: &[integer(STEP), integer(now)] },
                Statement { sql: SWEEP_FAMILIES, values: &[integer(before)] },
            ];
            let mut answers = self.batch(OPERATION, &statements).await?;
            let advanced: Option<Advanced> = answers.row()?;
            let no_place = || StoreError::Corrupt { operation: OPERATION, cause: "no place kept".to_owned() };
            let Advanced { upto } = advanced.ok_or_else(no_place)?;
            swept = swept.saturating_add(answers.changes()?);
            if upto == END {
                return Ok((swept, true));
            }
            Delay::from(REST).await;
        }
        Ok((swept, false))
    }
}

/// How many steps through the families a run may take behind so many through the trail.
const fn family_steps(event_steps: u32) -> u32 {
    MAX_STATEMENTS.saturating_sub(event_steps) / 2
}

#[cfg(test)]
mod tests {
    use super::{MAX_EVENT_STEPS, STEP, family_steps};

    #[test]
    fn a_run_asks_d1_no_more_than_a_worker_may() {
        for event_steps in 0..=MAX_EVENT_STEPS {
            assert!(event_steps + 2 * family_steps(event_steps) <= 1_000);
        }
    }

    /// Families alone, at 589 bytes each (docs/scale.md), in the 10 GB that a database may have.
    #[test]
    fn hourly_runs_walk_through_the_fullest_database_within_a_day() {
        let most_families = 10_000_000_000 / 589;
        assert!(24 * u64::from(family_steps(1)) * STEP > most_families);
    }
}
