//! Storage: the Worker's only home of SQL and KV keys.
//!
//! Users and sessions live in D1, which is the truth; KV only ever says *revoked*. "Not found", "conflict", "denied" and
//! "failed" stay apart: `Ok(None)`, [`StoreError::Conflict`], [`StoreError::Denied`] and the other errors.
//!
//! Every statement is a file in `sql/`, so that a test finds each of them and reads its query plan.

mod batch;
mod callers;
mod error;
mod rows;

pub mod accounts;
pub mod admin;
pub mod audit;
pub mod cleanup;
pub mod credentials;
pub mod registration;
pub mod revocations;
pub mod sessions;

use std::cell::Cell;

use portcullis_core::costs::Costs;
use worker::Env;

use batch::{Batch, sql, values};
pub use error::{Denial, StoreError, TakenName, WithOwedMarks};

const CHECK_HEALTH: &str = sql!("check_health.sql");

/// The bindings of one request, and a count of what was asked of them.
pub struct Store {
    env: Env,
    costs: Cell<Costs>,
    counts_rows: bool,
}

impl Store {
    /// The bindings of this request. `counts_rows`: whether to read D1's count of rows, which takes time.
    pub fn new(env: Env, counts_rows: bool) -> Self {
        Self { env, costs: Cell::default(), counts_rows }
    }

    /// The same bindings, for what goes on behind the answer.
    pub fn renewed(&self) -> Self {
        Self::new(self.env.clone(), self.counts_rows)
    }

    /// What has been asked so far.
    pub fn costs(&self) -> Costs {
        self.costs.get()
    }

    /// Whether D1 answers and has the schema.
    pub async fn check_database(&self) -> Result<(), StoreError> {
        let mut batch = self.batch("check_health");
        batch.execute(CHECK_HEALTH, values![]);
        batch.run().await.map(|_| ())
    }

    const fn batch(&self, operation: &'static str) -> Batch<'_> {
        Batch::new(self, operation)
    }

    fn count(&self, add: impl FnOnce(&mut Costs)) {
        let mut costs = self.costs.get();
        add(&mut costs);
        self.costs.set(costs);
    }
}
