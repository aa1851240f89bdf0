//! Revocation marks in KV, for `/verify`, which does not ask D1.
//!
//! | key | value | lives |
//! |---|---|---|
//! | `revoked:{sid}` | the unix second of the revocation | as long as an access token of the session can, at least 60 s |
//!
//! A mark is written after D1 has accepted the revocation, and only ever says *revoked*: without one, nothing is known.

use super::{REVOCATIONS, Store, StoreError, bindings};
use crate::auth::id::Id;

/// The least `expirationTtl` KV takes, in seconds.
const MIN_TTL: u64 = 60;

impl Store<'_> {
    /// Marks a session as revoked for as long as an access token of it can live, in seconds. One KV put.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn mark_revoked(&self, sid: Id, longest: u64, now: u64) -> Result<(), StoreError> {
        self.count(|costs| costs.kv_puts = costs.kv_puts.saturating_add(1));
        let put = async {
            let put = self.env.kv(REVOCATIONS)?.put(&key(sid), now.to_string())?;
            put.expiration_ttl(longest.max(MIN_TTL)).execute().await?;
            Ok(())
        };
        put.await.map_err(|error| kv_error("kv_put", &error))
    }

    /// Whether a session is marked as revoked. One KV get.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn is_marked_revoked(&self, sid: Id) -> Result<bool, StoreError> {
        Ok(self.read(&key(sid)).await?.is_some())
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
        bindings::get(self.env, key).await.map_err(|error| kv_error("kv_get", &error))
    }
}

fn key(sid: Id) -> String {
    format!("revoked:{sid}")
}

fn kv_error(operation: &'static str, error: &worker::Error) -> StoreError {
    StoreError::Unavailable { operation, cause: error.to_string() }
}
