//! Storage: the Worker's only home of SQL, KV keys and D1 types.
//!
//! Users and refresh-token families live in D1, which is the truth; KV only ever says *revoked*. "Not found", "conflict"
//! and "failed" stay three outcomes: `Ok(None)`, [`StoreError::Conflict`] and the other errors.
//!
//! Every statement is a file in `sql/`, so that a test finds each of them and reads its query plan.

pub mod accounts;
mod bindings;
pub mod callers;
pub mod changes;
pub mod events;
pub mod refresh_tokens;
pub mod revocations;
pub mod sessions;
pub mod sweep;
pub mod users;

use std::cell::Cell;
use std::fmt;

use serde::{Deserialize, Serialize};
use worker::{D1Result, D1Type, Env};

const CHECK_HEALTH: &str = include_str!("sql/check_health.sql");

/// The bindings of one request, and a count of what was asked of them.
pub struct Store {
    env: Env,
    costs: Cell<Costs>,
    counts_rows: bool,
}

/// What a request cost, counted.
#[derive(Serialize, Debug, Default, Clone, Copy)]
pub struct Costs {
    /// Of D1; a batch is one.
    pub d1_round_trips: u32,
    /// By D1's own count; 0 where rows are not counted.
    pub d1_rows_read: usize,
    /// By D1's own count, index entries included; 0 where rows are not counted.
    pub d1_rows_written: usize,
    /// Reads of KV.
    pub kv_gets: u32,
    /// Writes to KV.
    pub kv_puts: u32,
}

/// A statement and the values of its parameters.
#[derive(Clone, Copy)]
struct Statement<'v> {
    sql: &'static str,
    values: &'v [D1Type<'v>],
}

/// Storage did not give an answer, or a conflicting one.
#[derive(Debug)]
pub enum StoreError {
    /// D1 or KV did not answer, or refused: what was asked, and what it said.
    Unavailable {
        /// The statement or KV operation.
        operation: &'static str,
        /// The runtime's message.
        cause: String,
    },
    /// An answer that the schema does not allow.
    Corrupt {
        /// The statement.
        operation: &'static str,
        /// What does not fit.
        cause: String,
    },
    /// Another row has that value already.
    Conflict(TakenName),
}

/// The values that no two users share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TakenName {
    /// `users.email_key`.
    Email,
    /// `users.username_key`.
    Username,
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable { operation, cause } | Self::Corrupt { operation, cause } => {
                write!(formatter, "{operation}: {cause}")
            }
            Self::Conflict(unique) => write!(formatter, "conflict: {unique:?}"),
        }
    }
}

/// The answers to a batch, in the order of its statements.
struct Answers {
    operation: &'static str,
    results: std::vec::IntoIter<D1Result>,
}

impl Answers {
    /// The rows of the next statement.
    fn rows<T: for<'de> Deserialize<'de>>(&mut self) -> Result<Vec<T>, StoreError> {
        let corrupt = |cause: String| StoreError::Corrupt { operation: self.operation, cause };
        let result = self.results.next().ok_or_else(|| corrupt("an answer is missing".to_owned()))?;
        result.results().map_err(|error| corrupt(error.to_string()))
    }

    /// The first row of the next statement.
    fn row<T: for<'de> Deserialize<'de>>(&mut self) -> Result<Option<T>, StoreError> {
        Ok(self.rows()?.into_iter().next())
    }

    /// Passes over the next statement.
    fn skip(&mut self) {
        self.results.next();
    }

    /// How many rows the next statement changed, by D1's own count.
    fn changes(&mut self) -> Result<usize, StoreError> {
        let corrupt = |cause: &str| StoreError::Corrupt { operation: self.operation, cause: cause.to_owned() };
        let result = self.results.next().ok_or_else(|| corrupt("an answer is missing"))?;
        let meta = result.meta().map_err(|error| corrupt(&error.to_string()))?;
        meta.and_then(|meta| meta.changes).ok_or_else(|| corrupt("no count of changes"))
    }
}

/// The row a changing statement returns for each that it changed.
#[derive(Deserialize)]
struct Changed {}

impl Store {
    /// The bindings of this request. `counts_rows`: whether to read D1's count of rows, which takes time.
    #[must_use]
    pub fn new(env: Env, counts_rows: bool) -> Self {
        Self { env, costs: Cell::default(), counts_rows }
    }

    /// The same bindings, for what goes on behind the answer.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Self::new(self.env.clone(), self.counts_rows)
    }

    /// What has been asked so far.
    #[must_use]
    pub fn costs(&self) -> Costs {
        self.costs.get()
    }

    /// Whether D1 answers and has the schema.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn check_database(&self) -> Result<(), StoreError> {
        self.batch("check_health", &[Statement { sql: CHECK_HEALTH, values: &[] }]).await.map(|_| ())
    }

    /// Runs statements in one round trip and one transaction: all of them, or none.
    async fn batch(&self, operation: &'static str, statements: &[Statement<'_>]) -> Result<Answers, StoreError> {
        self.count(|costs| costs.d1_round_trips = costs.d1_round_trips.saturating_add(1));
        let results = async {
            let database = bindings::database(&self.env)?;
            let prepare = |statement: &Statement<'_>| database.prepare(statement.sql).bind_refs(statement.values);
            let prepared = statements.iter().map(prepare).collect::<Result<_, _>>()?;
            database.batch(prepared).await
        };
        let results = results.await.map_err(|error| d1_error(operation, &error))?;
        for result in results.iter().filter(|_| self.counts_rows) {
            if let Ok(Some(meta)) = result.meta() {
                self.count(|costs| {
                    costs.d1_rows_read = costs.d1_rows_read.saturating_add(meta.rows_read.unwrap_or(0));
                    costs.d1_rows_written = costs.d1_rows_written.saturating_add(meta.rows_written.unwrap_or(0));
                });
            }
        }
        Ok(Answers { operation, results: results.into_iter() })
    }

    fn count(&self, add: impl FnOnce(&mut Costs)) {
        let mut costs = self.costs.get();
        add(&mut costs);
        self.costs.set(costs);
    }
}

/// Unix seconds, as D1 takes them: an i64 would become a `BigInt`, which it refuses.
#[expect(clippy::cast_precision_loss, reason = "seconds and counts stay far below 2^53")]
fn integer(value: u64) -> D1Type<'static> {
    D1Type::Real(value as f64)
}

fn text(value: Option<&str>) -> D1Type<'_> {
    value.map_or(D1Type::Null, D1Type::Text)
}

fn d1_error(operation: &'static str, error: &worker::Error) -> StoreError {
    // Not `D1Error`'s own `Display`: that one panics.
    let cause = match error {
        worker::Error::D1(error) => error.cause(),
        other => other.to_string(),
    };
    let violates = |column: &str| cause.contains(&format!("UNIQUE constraint failed: {column}"));
    if violates("users.email_key") {
        StoreError::Conflict(TakenName::Email)
    } else if violates("users.username_key") {
        StoreError::Conflict(TakenName::Username)
    } else {
        StoreError::Unavailable { operation, cause }
    }
}
