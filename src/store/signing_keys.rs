//! The signing keys that the scheduled event makes: in D1, and in KV beside it.
//!
//! | key in KV | value | lifetime |
//! |---|---|---|
//! | `signing-keys` | JSON: when it was written, the `kid` that signed, the rows of D1 | a period after the last run of the scheduled event |

use portcullis_core::token::rotation::{KeptKeys, PERIOD, StoredKey};
use serde::Serialize;

use super::batch::{sql, values};
use super::connection::Store;
use super::error::StoreError;

const DELETE: &str = sql!("signing_keys/delete.sql");
const INSERT: &str = sql!("signing_keys/insert.sql");
const LIST: &str = sql!("signing_keys/list.sql");
const REPLACE: &str = sql!("signing_keys/replace.sql");

const KEPT: &str = "signing-keys";

/// Changes of the keys, for one transaction.
#[derive(Default)]
pub struct KeyChanges {
    /// Keys to delete.
    pub delete: Vec<StoredKey>,
    /// New keys to add, unless their period has one.
    pub insert: Vec<StoredKey>,
    /// Keys to add again, likewise.
    pub restore: Vec<StoredKey>,
    /// Keys whose private part is encrypted anew, each with its earlier text.
    pub replace: Vec<(StoredKey, String)>,
}

impl KeyChanges {
    /// Whether there is nothing to change.
    pub const fn is_empty(&self) -> bool {
        self.delete.is_empty() && self.insert.is_empty() && self.restore.is_empty() && self.replace.is_empty()
    }
}

impl Store {
    /// Lists the keys in D1. One round trip.
    pub async fn list_signing_keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        self.change_signing_keys(&KeyChanges::default()).await
    }

    /// Changes the keys, and lists those that are there then: for a period, another run may have made the key. One round trip.
    pub async fn change_signing_keys(&self, changes: &KeyChanges) -> Result<Vec<StoredKey>, StoreError> {
        let mut batch = self.batch("change_signing_keys");
        if !changes.delete.is_empty() {
            let keys: Vec<_> = changes.delete.iter().map(|key| (key.period, &key.kid)).collect();
            batch.execute(DELETE, values![json(&keys)?]);
        }
        for key in changes.restore.iter().chain(&changes.insert) {
            let StoredKey { period, kid, algorithm, created_at, activates_at, retires_at, expires_at, private_key } =
                key;
            let times = (*created_at, *activates_at, *retires_at, *expires_at);
            batch.execute(INSERT, values![*period, kid, algorithm, times.0, times.1, times.2, times.3, private_key]);
        }
        if !changes.replace.is_empty() {
            let texts: Vec<_> = changes.replace.iter().map(|(key, old)| (key.period, old, &key.private_key)).collect();
            batch.execute(REPLACE, values![json(&texts)?]);
        }
        let keys = batch.query(LIST, values![]);
        batch.run().await?.rows(keys)
    }

    /// The keys in KV, if there are any. One KV get.
    pub async fn find_kept_keys(&self) -> Result<Option<KeptKeys>, StoreError> {
        let kept = self.read(KEPT).await?;
        kept.map(|json| serde_json::from_str(&json)).transpose().map_err(|error| corrupt(&error))
    }

    /// Keeps the keys in KV. One KV put.
    pub async fn keep_keys(&self, keys: &KeptKeys) -> Result<(), StoreError> {
        self.write(KEPT, &json(keys)?, PERIOD).await
    }
}

fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| corrupt(&error))
}

fn corrupt(error: &serde_json::Error) -> StoreError {
    StoreError::Corrupt { operation: "signing_keys", cause: error.to_string() }
}
