//! Storage: D1, KV and the static assets; and the binding of the metrics. All SQL and all KV keys of the Worker are here.
//!
//! D1 holds users and sessions and is authoritative. KV holds only marks of revoked sessions, and a copy of the signing keys. "Not found" is `Ok(None)`, a conflict
//! is [`StoreError::Conflict`], a denial is [`StoreError::Denied`]; failures are the other errors.
//!
//! Every statement is a file in `sql/`, so that a test can check the query plan of each.

mod assets;
mod batch;
mod callers;
mod connection;
mod error;
mod health;
mod metrics;
mod rows;

pub mod accounts;
pub mod admin;
pub mod audit;
pub mod challenges;
pub mod cleanup;
pub mod credentials;
pub mod email_changes;
pub mod factor_use;
pub mod factors;
pub mod invitations;
pub mod outbox;
pub mod passkeys;
pub mod registration;
pub mod revocations;
pub mod sessions;
pub mod sign_ins;
pub mod signing_keys;
pub mod stats;
pub mod throttles;

pub use connection::Store;
pub use error::{Denial, StoreError, TakenName, WithOwedMarks};
