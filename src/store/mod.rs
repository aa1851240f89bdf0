//! Storage: the only home of SQL, KV keys and D1 types.
//!
//! Users and refresh-token families live in D1, which is the truth; KV only ever says *revoked*. "Not found", "conflict"
//! and "failed" stay three outcomes: `Ok(None)`, [`StoreError::Conflict`] and the other errors.
//!
//! Every statement is a file in `sql/`, so that a test finds each of them and reads its query plan.

pub mod refresh_tokens;
pub mod revocations;
pub mod users;

use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use worker::{D1PreparedStatement, D1Result, D1Type, Env};

use crate::log::Costs;

/// The name of the D1 binding in `wrangler.toml`.
const DATABASE: &str = "DB";
/// The name of the KV binding in `wrangler.toml`.
const REVOCATIONS: &str = "REVOCATIONS";

const CHECK_HEALTH: &str = include_str!("sql/check_health.sql");

/// The bindings of one request, and a count of what was asked of them.
pub struct Store<'a> {
    env: &'a Env,
    costs: Cell<Costs>,
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
    Conflict(Unique),
}

/// The values that no two users share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unique {
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
}

impl<'a> Store<'a> {
    /// The bindings of this request.
    #[must_use]
    pub fn new(env: &'a Env) -> Self {
        Self { env, costs: Cell::default() }
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
        let statement = self.statement("check_health", CHECK_HEALTH, &[])?;
        self.batch("check_health", vec![statement]).await.map(|_| ())
    }

    fn statement(
        &self,
        operation: &'static str,
        sql: &'static str,
        values: &[D1Type<'_>],
    ) -> Result<D1PreparedStatement, StoreError> {
        let database = self.env.d1(DATABASE);
        database
            .and_then(|database| database.prepare(sql).bind_refs(values))
            .map_err(|error| d1_error(operation, &error))
    }

    /// Runs statements in one round trip and one transaction: all of them, or none.
    async fn batch(
        &self,
        operation: &'static str,
        statements: Vec<D1PreparedStatement>,
    ) -> Result<Answers, StoreError> {
        self.count(|costs| costs.d1_round_trips = costs.d1_round_trips.saturating_add(1));
        let database = self.env.d1(DATABASE).map_err(|error| d1_error(operation, &error))?;
        let results = database.batch(statements).await.map_err(|error| d1_error(operation, &error))?;
        for result in &results {
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
        StoreError::Conflict(Unique::Email)
    } else if violates("users.username_key") {
        StoreError::Conflict(Unique::Username)
    } else {
        StoreError::Unavailable { operation, cause }
    }
}
