//! Storage: the Worker's only home of SQL and KV keys.
//!
//! Users and sessions live in D1, which is the truth; KV only ever says *revoked*. "Not found", "conflict", "denied" and
//! "failed" stay apart: `Ok(None)`, [`StoreError::Conflict`], [`StoreError::Denied`] and the other errors.
//!
//! Every statement is a file in `sql/`, so that a test finds each of them and reads its query plan.

mod batch;
mod callers;
mod connection;
mod error;
mod health;
mod rows;

pub mod accounts;
pub mod admin;
pub mod audit;
pub mod cleanup;
pub mod credentials;
pub mod registration;
pub mod revocations;
pub mod sessions;

pub use connection::Store;
pub use error::{Denial, StoreError, TakenName, WithOwedMarks};
