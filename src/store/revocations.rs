//! Revocation marks in KV, for `/verify`, which does not read D1.
//!
//! | key | value | lifetime |
//! |---|---|---|
//! | `revoked:{sid}` | time of the mark, in unix seconds | until the last access token of the session expires, at least 60 s |
//!
//! A mark is written after D1 has stored the revocation. A mark means that the session is revoked; a missing mark means nothing. The
//! statement that ends a session also adds a row to `owed_marks`, which stays until the mark is written, so no mark is lost.

use portcullis_core::account::session::OwedMark;
use portcullis_core::id::Id;
use portcullis_core::token::refresh::SecretHash;
use serde::Serialize;

use super::batch::{Batch, Rows, sql, values};
use super::connection::Store;
use super::error::StoreError;
use crate::platform::kv;

const DELETE_OWED_MARKS: &str = sql!("revocations/delete_owed_marks.sql");
const FIND_OWED_MARKS: &str = sql!("revocations/find_owed_marks.sql");
const FIND_OWED_MARKS_OF_SESSION: &str = sql!("revocations/find_owed_marks_of_session.sql");
const LIST_OWED_MARKS: &str = sql!("revocations/list_owed_marks.sql");

/// Minimum `expirationTtl` of KV, in seconds.
const MIN_TTL: u64 = 60;

/// Finds the marks still to be written for the sessions of a user.
pub(super) fn find_owed_marks(batch: &mut Batch<'_>, user_id: Id) -> Rows<OwedMark> {
    batch.query(FIND_OWED_MARKS, values![user_id])
}

/// Finds the marks still to be written for the user of a session; with a secret, only if the session has that secret.
pub(super) fn find_owed_marks_of_session<'v>(
    batch: &mut Batch<'v>,
    session_id: Id,
    secret_hash: Option<&'v SecretHash>,
) -> Rows<OwedMark> {
    batch.query(FIND_OWED_MARKS_OF_SESSION, values![session_id, secret_hash.map(SecretHash::as_str)])
}

impl Store {
    /// Marks a session as revoked for `lifetime` seconds, at least [`MIN_TTL`]. One KV put.
    pub async fn mark_revoked(&self, sid: Id, lifetime: u64, now: u64) -> Result<(), StoreError> {
        self.write(&key(sid), &now.to_string(), lifetime.max(MIN_TTL)).await
    }

    /// Whether a session is marked as revoked. One KV get.
    pub async fn is_marked_revoked(&self, sid: Id) -> Result<bool, StoreError> {
        Ok(self.read(&key(sid)).await?.is_some())
    }

    /// Lists the marks still to be written, in the order of their keys, after the given one. One round trip.
    pub async fn list_owed_marks(&self, after: Option<&OwedMark>, limit: u64) -> Result<Vec<OwedMark>, StoreError> {
        let (user_id, session_id) =
            after.map(|mark| (mark.user_id.to_string(), mark.session_id.to_string())).unwrap_or_default();
        let mut batch = self.batch("list_owed_marks");
        let owed = batch.query(LIST_OWED_MARKS, values![user_id, session_id, limit]);
        batch.run().await?.rows(owed)
    }

    /// Deletes the rows of marks that are written or no longer needed. One round trip, one row written for each.
    pub async fn forget_owed_marks(&self, marks: &[OwedMark]) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Key(Id, Id);
        const OPERATION: &str = "forget_owed_marks";
        if marks.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = marks.iter().map(|mark| Key(mark.user_id, mark.session_id)).collect();
        let corrupt = |error: serde_json::Error| StoreError::Corrupt { operation: OPERATION, cause: error.to_string() };
        let keys = serde_json::to_string(&keys).map_err(corrupt)?;
        let mut batch = self.batch(OPERATION);
        batch.execute(DELETE_OWED_MARKS, values![keys]);
        batch.run().await.map(|_| ())
    }

    /// Checks that KV answers.
    pub async fn check_revocations(&self) -> Result<(), StoreError> {
        self.read("health").await.map(|_| ())
    }

    pub(super) async fn write(&self, key: &str, value: &str, ttl: u64) -> Result<(), StoreError> {
        self.count(|costs| costs.kv_puts = costs.kv_puts.saturating_add(1));
        kv::put(&self.env, key, value, ttl).await.map_err(|error| kv_error("kv_put", &error))
    }

    pub(super) async fn read(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.count(|costs| costs.kv_gets = costs.kv_gets.saturating_add(1));
        kv::get(&self.env, key).await.map_err(|error| kv_error("kv_get", &error))
    }
}

fn key(sid: Id) -> String {
    format!("revoked:{sid}")
}

fn kv_error(operation: &'static str, error: &worker::Error) -> StoreError {
    StoreError::Unavailable { operation, cause: error.to_string() }
}
