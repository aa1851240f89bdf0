//! The sweep: rows of sessions that ended long ago and old entries of the audit trail are taken out of D1, in bounded steps.
//!
//! Families are walked in the order of their primary key, so that no index has to be kept for it: one on the end of a session
//! would be written with every log-in, and with every refresh if the idle end were in it. Where the walk has got to is kept in
//! the same transaction as each step, so a sweep that breaks off goes on there. As a walk reads every row, one begins at
//! most once a day.

use serde::Deserialize;

use super::{Statement, Store, StoreError, integer};

const ADVANCE_SWEEP: &str = include_str!("sql/advance_sweep.sql");
const SWEEP_EVENTS: &str = include_str!("sql/sweep_events.sql");
const SWEEP_FAMILIES: &str = include_str!("sql/sweep_families.sql");

/// Rows that a step looks at.
const STEP: u64 = 1_000;
/// Steps of one run through the trail, of one statement each, and through the families, of two: a Worker may ask D1 a
/// thousand times an invocation.
const MOST_EVENT_STEPS: u32 = 200;
/// See [`MOST_EVENT_STEPS`].
const MOST_FAMILY_STEPS: u32 = 300;
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

impl Store<'_> {
    /// Takes out sessions that ended, and entries of the audit trail that were made, more than `age` seconds ago.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`]. What was taken out until then stays out.
    pub async fn sweep(&self, age: u64, now: u64) -> Result<Swept, StoreError> {
        let before = now.saturating_sub(age);
        let (events, events_done) = self.sweep_events(before).await?;
        let (sessions, families_done) = self.sweep_families(before, now).await?;
        Ok(Swept { sessions, events, complete: events_done && families_done })
    }

    async fn sweep_events(&self, before: u64) -> Result<(usize, bool), StoreError> {
        let mut swept = 0_usize;
        for _ in 0..MOST_EVENT_STEPS {
            let values = [integer(before), integer(STEP)];
            let statement = Statement { sql: SWEEP_EVENTS, values: &values };
            let step = self.batch("sweep_events", &[statement]).await?.changes()?;
            swept = swept.saturating_add(step);
            if u64::try_from(step).unwrap_or(u64::MAX) < STEP {
                return Ok((swept, true));
            }
        }
        Ok((swept, false))
    }

    async fn sweep_families(&self, before: u64, now: u64) -> Result<(usize, bool), StoreError> {
        const OPERATION: &str = "sweep_families";
        let mut swept = 0_usize;
        for _ in 0..MOST_FAMILY_STEPS {
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
        }
        Ok((swept, false))
    }
}
