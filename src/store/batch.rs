//! Statements that run together. Each answer is read by the handle of its statement.

use std::borrow::Cow;
use std::marker::PhantomData;

use portcullis_core::account::throttle::Subject;
use portcullis_core::id::Id;
use serde::Deserialize;
use worker::{D1Result, D1Type};

use super::connection::Store;
use super::error::{StoreError, TakenName};
use crate::platform::d1;

/// The value of a parameter.
pub(super) enum Value<'v> {
    Null,
    Integer(u64),
    Text(Cow<'v, str>),
}

/// The parameter values of a statement, in order.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::batch::Value::from($value)),*] };
}
pub(super) use values;

/// A statement from a file in `sql/`. Only the statement is part of the Worker, not the comment at its head.
macro_rules! sql {
    ($file:literal) => {{
        use $crate::store::batch::{bytes, statement};
        const FILE: &str = include_str!(concat!("sql/", $file));
        const BYTES: [u8; statement(FILE).len()] = bytes(statement(FILE));
        const {
            match str::from_utf8(&BYTES) {
                Ok(statement) => statement,
                Err(_) => FILE,
            }
        }
    }};
}
pub(super) use sql;

/// The part of a file after its leading comment.
pub(super) const fn statement(file: &str) -> &str {
    let mut rest = file.as_bytes();
    while let [b'-', b'-', ..] = rest {
        while let [byte, after @ ..] = rest {
            rest = after;
            if *byte == b'\n' {
                break;
            }
        }
    }
    // The removed part ends with a line break, so the rest is UTF-8 too.
    match str::from_utf8(rest) {
        Ok(statement) => statement,
        Err(_) => file,
    }
}

/// A copy of a text of `N` bytes.
pub(super) const fn bytes<const N: usize>(text: &str) -> [u8; N] {
    match text.as_bytes().first_chunk() {
        Some(bytes) => *bytes,
        None => [0; N],
    }
}

/// Statements that run in one round trip and one transaction.
pub(super) struct Batch<'v> {
    store: &'v Store,
    operation: &'static str,
    statements: Vec<(&'static str, Vec<Value<'v>>)>,
}

/// The handle of a statement that returns rows.
pub(super) struct Rows<T> {
    index: usize,
    row: PhantomData<T>,
}

impl<T> Clone for Rows<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Rows<T> {}

/// The handle of a statement that returns no rows. Its answer is the number of changed rows.
#[derive(Clone, Copy)]
pub(super) struct Changes {
    index: usize,
}

/// The row that a writing statement returns for each affected row.
#[derive(Deserialize)]
pub(super) struct Affected {}

/// The answers to a batch.
pub(super) struct Answers {
    pub(super) operation: &'static str,
    results: Vec<D1Result>,
}

impl Store {
    /// An empty batch. `operation` names it in errors.
    pub(super) const fn batch(&self, operation: &'static str) -> Batch<'_> {
        Batch { store: self, operation, statements: Vec::new() }
    }
}

impl<'v> Batch<'v> {
    /// What began before this time is refused.
    pub(super) const fn not_before(&self) -> u64 {
        self.store.sessions_not_before
    }

    /// Adds a statement that returns rows.
    pub(super) fn query<T>(&mut self, sql: &'static str, values: Vec<Value<'v>>) -> Rows<T> {
        Rows { index: self.add(sql, values), row: PhantomData }
    }

    /// Adds a statement that returns no rows.
    pub(super) fn execute(&mut self, sql: &'static str, values: Vec<Value<'v>>) -> Changes {
        Changes { index: self.add(sql, values) }
    }

    fn add(&mut self, sql: &'static str, values: Vec<Value<'v>>) -> usize {
        self.statements.push((sql, values));
        self.statements.len().saturating_sub(1)
    }

    /// Runs the statements.
    pub(super) async fn run(self) -> Result<Answers, StoreError> {
        let Self { store, operation, statements } = self;
        store.count(|costs| costs.d1_round_trips = costs.d1_round_trips.saturating_add(1));
        let results = async {
            let database = d1::database(&store.env)?;
            let prepare = |(sql, values): &(&'static str, Vec<Value<'_>>)| {
                let values: Vec<_> = values.iter().map(Value::to_d1).collect();
                database.prepare(*sql).bind_refs(&values)
            };
            let prepared = statements.iter().map(prepare).collect::<Result<_, _>>()?;
            database.batch(prepared).await
        };
        let results = results.await.map_err(|error| failure(operation, &error))?;
        for result in results.iter().filter(|_| store.counts_rows) {
            if let Ok(Some(meta)) = result.meta() {
                store.count(|costs| {
                    costs.d1_rows_read = costs.d1_rows_read.saturating_add(meta.rows_read.unwrap_or(0));
                    costs.d1_rows_written = costs.d1_rows_written.saturating_add(meta.rows_written.unwrap_or(0));
                });
            }
        }
        Ok(Answers { operation, results })
    }
}

impl Answers {
    /// The rows of a statement.
    pub(super) fn rows<T: for<'de> Deserialize<'de>>(&self, statement: Rows<T>) -> Result<Vec<T>, StoreError> {
        self.result(statement.index)?.results().map_err(|error| self.corrupt(error.to_string()))
    }

    /// The first row of a statement.
    pub(super) fn row<T: for<'de> Deserialize<'de>>(&self, statement: Rows<T>) -> Result<Option<T>, StoreError> {
        Ok(self.rows(statement)?.into_iter().next())
    }

    /// The number of rows that a statement changed, as reported by D1.
    pub(super) fn changes(&self, statement: Changes) -> Result<usize, StoreError> {
        let meta = self.result(statement.index)?.meta().map_err(|error| self.corrupt(error.to_string()))?;
        meta.and_then(|meta| meta.changes).ok_or_else(|| self.corrupt("no count of changes".to_owned()))
    }

    /// An error for an answer that violates the schema.
    pub(super) const fn corrupt(&self, cause: String) -> StoreError {
        StoreError::Corrupt { operation: self.operation, cause }
    }

    fn result(&self, index: usize) -> Result<&D1Result, StoreError> {
        self.results.get(index).ok_or_else(|| self.corrupt("an answer is missing".to_owned()))
    }
}

impl Value<'_> {
    /// The value for D1. Integers become floats because an i64 would become a `BigInt`, which D1 refuses.
    #[expect(clippy::cast_precision_loss, reason = "seconds and counts stay far below 2^53")]
    fn to_d1(&self) -> D1Type<'_> {
        match self {
            Self::Null => D1Type::Null,
            Self::Integer(number) => D1Type::Real(*number as f64),
            Self::Text(text) => D1Type::Text(text),
        }
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Integer(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u16> for Value<'_> {
    fn from(number: u16) -> Self {
        Self::Integer(number.into())
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Integer(flag.into())
    }
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(text: &'v str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'v> From<&'v String> for Value<'v> {
    fn from(text: &'v String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<Subject> for Value<'_> {
    fn from(subject: Subject) -> Self {
        Self::Text(Cow::Owned(subject.to_string()))
    }
}

impl From<Id> for Value<'_> {
    fn from(id: Id) -> Self {
        Self::Text(Cow::Owned(id.to_string()))
    }
}

impl<T: Into<Self>> From<Option<T>> for Value<'_> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The constraints that the registration of a passkey violates if it is repeated. A removed passkey is stored as NULL. The challenge of
/// a new account holds its id.
const PASSKEY_EXISTS: [&str; 4] = [
    "UNIQUE constraint failed: passkeys.credential_id",
    "NOT NULL constraint failed: passkeys.credential_id",
    "UNIQUE constraint failed: users.id",
    "UNIQUE constraint failed: registrations.id",
];

fn failure(operation: &'static str, error: &worker::Error) -> StoreError {
    // `Display` of `D1Error` panics.
    let cause = match error {
        worker::Error::D1(error) => error.cause(),
        other => other.to_string(),
    };
    // A reserved address is stored as NULL.
    if cause.contains("UNIQUE constraint failed: users.email_key")
        || cause.contains("NOT NULL constraint failed: users.email_key")
    {
        StoreError::Conflict(TakenName::Email)
    } else if cause.contains("UNIQUE constraint failed: users.username_key") {
        StoreError::Conflict(TakenName::Username)
    } else if PASSKEY_EXISTS.iter().any(|constraint| cause.contains(constraint)) {
        StoreError::PasskeyExists
    } else {
        StoreError::Unavailable { operation, cause }
    }
}

#[cfg(test)]
mod tests {
    use super::statement;

    #[test]
    fn the_leading_comment_of_a_file_is_removed() {
        assert_eq!(statement("-- ?1 id.\n-- Cost: 1.\nSELECT 1 -- one\n"), "SELECT 1 -- one\n");
        assert_eq!(statement("SELECT 1"), "SELECT 1");
        assert_eq!(statement("-- nothing"), "");
    }
}
