//! Revocation marks in KV, for `/verify`, which does not ask D1.
//!
//! | key | value | lives |
//! |---|---|---|
//! | `revoked:{sid}` | the unix second of the revocation | as long as an access token of the session can, at least 60 s |
//!
//! A mark is written after D1 has accepted the revocation, and only ever says *revoked*: without one, nothing is known. D1
//! keeps in `owed_marks` which are still to be written, from the statement that ends a session on, so none is forgotten.

use serde::{Deserialize, Serialize};
use worker::D1Type;

use super::{Statement, Store, StoreError, bindings, integer};
use portcullis_core::id::Id;

const DELETE_OWED_MARKS: &str = include_str!("sql/delete_owed_marks.sql");
pub(super) const FIND_OWED_MARKS: &str = include_str!("sql/find_owed_marks.sql");
const LIST_OWED_MARKS: &str = include_str!("sql/list_owed_marks.sql");

/// The least `expirationTtl` KV takes, in seconds.
const MIN_TTL: u64 = 60;

/// A session that has ended, and whose mark is not known to be in KV.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwedMark {
    /// Whose session it was.
    pub user_id: Id,
    /// The `sid` claim.
    pub session_id: Id,
    /// Until when an access token of it can live, in unix seconds.
    pub access_expires_at: u64,
}

impl Store {
    /// Marks a session as revoked for as long as an access token of it can live, in seconds. One KV put.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn mark_revoked(&self, sid: Id, longest: u64, now: u64) -> Result<(), StoreError> {
        self.count(|costs| costs.kv_puts = costs.kv_puts.saturating_add(1));
        let put = bindings::put(&self.env, &key(sid), &now.to_string(), longest.max(MIN_TTL)).await;
        put.map_err(|error| kv_error("kv_put", &error))
    }

    /// Whether a session is marked as revoked. One KV get.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn is_marked_revoked(&self, sid: Id) -> Result<bool, StoreError> {
        Ok(self.read(&key(sid)).await?.is_some())
    }

    /// The marks that are owed, in the order of their keys, behind that one. One round trip.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_owed_marks(&self, after: Option<&OwedMark>, limit: u64) -> Result<Vec<OwedMark>, StoreError> {
        let ids = after.map(|mark| (mark.user_id.to_string(), mark.session_id.to_string())).unwrap_or_default();
        let values = [D1Type::Text(&ids.0), D1Type::Text(&ids.1), integer(limit)];
        self.batch("list_owed_marks", &[Statement { sql: LIST_OWED_MARKS, values: &values }]).await?.rows()
    }

    /// Forgets marks that have been written, or no longer matter. One round trip, one row written for each.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn forget_owed_marks(&self, marks: &[OwedMark]) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Key(Id, Id);
        if marks.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = marks.iter().map(|mark| Key(mark.user_id, mark.session_id)).collect();
        let corrupt =
            |error: serde_json::Error| StoreError::Corrupt { operation: "forget_owed_marks", cause: error.to_string() };
        let keys = serde_json::to_string(&keys).map_err(corrupt)?;
        let statement = Statement { sql: DELETE_OWED_MARKS, values: &[D1Type::Text(&keys)] };
        self.batch("forget_owed_marks", &[statement]).await.map(|_| ())
    }

    /// Whether KV answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn check_revocations(&self) -> Result<(), StoreError> {
        self.read("health").await.map(|_| ())
    }

    async fn read(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.count(|costs| costs.kv_gets = costs.kv_gets.saturating_add(1));
        bindings::get(&self.env, key).await.map_err(|error| kv_error("kv_get", &error))
    }
}

fn key(sid: Id) -> String {
    format!("revoked:{sid}")
}

fn kv_error(operation: &'static str, error: &worker::Error) -> StoreError {
    StoreError::Unavailable { operation, cause: error.to_string() }
}
