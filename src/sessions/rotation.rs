//! The scheduled event: makes signing keys ahead of time, deletes old ones, encrypts them under the first data secret, and keeps them in
//! KV. With `KEY_ROTATION = "manual"`, it makes none, and does the rest until the last one is gone.
//!
//! Several may run at once: for each period, the first key wins, and the others read which it is.

use portcullis_core::id::Id;
use portcullis_core::token::keys::SigningKey;
use portcullis_core::token::rotation::{KeptKeys, StoredKey, to_make};

use super::log_failure;
use super::signing_keys::{decrypt, open};
use crate::context::{KeyCopy, Keychain};
use crate::log::{self, Event};
use crate::platform::clock::now_millis;
use crate::platform::data_keys::DataKeys;
use crate::platform::webcrypto::{CryptoError, generate_es256};
use crate::store::signing_keys::KeyChanges;
use crate::store::{Store, StoreError};

/// Maximum number of keys that one run stores again. D1 allows 1,000 statements per invocation, most of which the cleanup may use.
const MAX_RESTORED: usize = 4;

/// Runs the steps. A failure is logged, and the next run continues.
pub async fn rotate(keychain: &Keychain, store: &Store, run_id: Id) {
    let Some(data_keys) = &keychain.data_keys else { return };
    let now = now_millis() / 1000;
    if let Err(error) = run(keychain, data_keys, store, run_id, now).await {
        log_failure(run_id, &error);
    }
}

/// 1. Read D1 and KV.
/// 2. Change D1, and read what it has then.
/// 3. Keep that in KV, but only what opens.
/// 4. Use it in this isolate.
async fn run(keychain: &Keychain, data_keys: &DataKeys, store: &Store, run_id: Id, now: u64) -> Result<(), StoreError> {
    // 1.
    let mut stored = store.list_signing_keys().await?;
    if stored.is_empty() && !keychain.config.rotates_keys {
        return Ok(());
    }
    let kept = match store.find_kept_keys().await {
        Ok(kept) => kept,
        Err(error) => {
            log_failure(run_id, &error);
            None
        }
    };
    // 2.
    let in_kv = kept.as_ref().map(|kept| kept.keys.as_slice()).unwrap_or_default();
    let changes = changes(keychain, data_keys, run_id, now, (stored.clone(), in_kv)).await;
    if !changes.is_empty() {
        stored = store.change_signing_keys(&changes).await?;
        report(run_id, &changes, &stored);
    }
    // 3.
    let (copy, _) = open(keychain, run_id, &stored).await;
    let active = keychain.ring(&copy).active(now).map(|key| key.kid().to_owned());
    let before = kept.and_then(|kept| kept.active);
    if before != active
        && let Some(kid) = &active
    {
        log::write(run_id, &Event::KeyActivated { kid, retired: before.as_deref() });
    }
    let keys = copy.automatic.iter().map(|key| key.stored().clone()).collect();
    if let Err(error) = store.keep_keys(&KeptKeys { at: now, active, keys }).await {
        log_failure(run_id, &error);
    }
    // 4.
    keychain.replace_copy(copy, now);
    Ok(())
}

/// What is to change in D1. A key that only KV has comes back, because D1 was restored to an earlier time.
async fn changes(
    keychain: &Keychain,
    data_keys: &DataKeys,
    run_id: Id,
    now: u64,
    (stored, kept): (Vec<StoredKey>, &[StoredKey]),
) -> KeyChanges {
    let config = &keychain.config;
    let is_obsolete = |key: &StoredKey| key.is_obsolete(now, config.keys_not_before, config.refresh_idle_ttl);
    let (delete, mut present): (Vec<_>, Vec<_>) = stored.into_iter().partition(is_obsolete);
    let mut changes = KeyChanges { delete, ..KeyChanges::default() };
    for key in &present {
        if let Some(encrypted) = encrypted_again(keychain, data_keys, key).await {
            changes.replace.push((encrypted, key.private_key.clone()));
        }
    }
    let is_lost = |key: &&StoredKey| !is_obsolete(key) && present.iter().all(|other| other.period != key.period);
    let lost: Vec<_> = kept.iter().filter(is_lost).take(MAX_RESTORED).cloned().collect();
    let (KeyCopy { automatic: lost, .. }, _) = open(keychain, run_id, &lost).await;
    changes.restore.extend(lost.iter().map(|key| key.stored().clone()));
    present.extend(changes.restore.iter().cloned());
    if config.rotates_keys {
        for period in to_make(now, config.keys_not_before, &present) {
            match make(data_keys, period, now).await {
                Ok(key) => changes.insert.push(key),
                Err(error) => log::write(run_id, &Event::InternalError { cause: &error.to_string() }),
            }
        }
    }
    changes
}

/// Logs the changes that took place, by what D1 has then.
fn report(run_id: Id, changes: &KeyChanges, stored: &[StoredKey]) {
    for StoredKey { kid, .. } in &changes.delete {
        log::write(run_id, &Event::KeyDeleted { kid });
    }
    let won = |key: &&StoredKey| stored.iter().any(|other| other.kid == key.kid);
    for StoredKey { kid, .. } in changes.restore.iter().filter(won) {
        log::write(run_id, &Event::KeyRestored { kid });
    }
    for StoredKey { kid, activates_at, .. } in changes.insert.iter().filter(won) {
        log::write(run_id, &Event::KeyCreated { kid, activates_at: *activates_at });
    }
    if !changes.replace.is_empty() {
        log::write(run_id, &Event::Reencrypted { secrets: changes.replace.len() });
    }
}

/// The key under the first data secret, if it is under another one. A key that cannot be decrypted stays as it is, and is reported when it
/// is opened.
async fn encrypted_again(keychain: &Keychain, data_keys: &DataKeys, key: &StoredKey) -> Option<StoredKey> {
    if keychain.config.data_secrets.as_ref()?.is_under_first(&key.private_key) {
        return None;
    }
    let jwk = decrypt(data_keys, key).await.ok()?;
    encrypt(data_keys, key.clone(), &jwk).await.ok()
}

async fn make(data_keys: &DataKeys, period: u64, now: u64) -> Result<StoredKey, CryptoError> {
    let jwk = generate_es256().await?;
    let key = SigningKey::from_json(jwk.as_bytes());
    let key = key.ok_or_else(|| CryptoError::new("generateKey", "the key is not valid".to_owned()))?;
    encrypt(data_keys, StoredKey::new(period, key.kid().to_owned(), now), jwk.as_bytes()).await
}

async fn encrypt(data_keys: &DataKeys, mut stored: StoredKey, jwk: &[u8]) -> Result<StoredKey, CryptoError> {
    let row = stored.row();
    stored.private_key = data_keys.encrypt(&StoredKey::place(&row), jwk).await?;
    Ok(stored)
}
