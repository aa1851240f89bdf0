//! The sweep: rows of sessions that ended long ago and old entries of the audit trail are taken out of D1, in bounded steps.
//!
//! Families are walked in the order of their primary key, so that no index has to be kept for it: one on the end of a session
//! would be written with every refresh. Where the walk has got to is kept in the same transaction as each step, so a sweep
//! that breaks off goes on there.

use serde::Deserialize;

use super::{Statement, Store, StoreError, integer};

const ADVANCE_SWEEP: &str = include_str!("sql/advance_sweep.sql");
const SWEEP_EVENTS: &str = include_str!("sql/sweep_events.sql");
const SWEEP_FAMILIES: &str = include_str!("sql/sweep_families.sql");

/// Rows that a step looks at, of either table.
const STEP: u64 = 1_000;
/// Steps of one run, of three statements each: a Worker may ask D1 a thousand times an invocation.
const MOST_STEPS: u32 = 300;
/// Comes behind every key: where a walk has arrived.
const END: &str = "~";

/// What a sweep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Swept {
    /// Rows of ended sessions that are gone.
    pub sessions: usize,
    /// Entries of the audit trail that are gone.
    pub events: usize,
    /// Whether it got to the end of both tables; if not, the next one goes on.
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
        const OPERATION: &str = "sweep";
        let before = now.saturating_sub(age);
        let statements = [
            Statement { sql: ADVANCE_SWEEP, values: &[integer(STEP)] },
            Statement { sql: SWEEP_FAMILIES, values: &[integer(before)] },
            Statement { sql: SWEEP_EVENTS, values: &[integer(before), integer(STEP)] },
        ];
        let mut swept = Swept::default();
        let mut families_done = false;
        for _ in 0..MOST_STEPS {
            let mut answers = self.batch(OPERATION, &statements).await?;
            let advanced: Option<Advanced> = answers.row()?;
            let upto = advanced.map(|advanced| advanced.upto);
            let upto = upto.ok_or(StoreError::Corrupt { operation: OPERATION, cause: "no place kept".to_owned() })?;
            families_done |= upto == END;
            swept.sessions = swept.sessions.saturating_add(answers.changes()?);
            let events = answers.changes()?;
            swept.events = swept.events.saturating_add(events);
            if families_done && u64::try_from(events).unwrap_or(u64::MAX) < STEP {
                swept.complete = true;
                break;
            }
        }
        Ok(swept)
    }
}
