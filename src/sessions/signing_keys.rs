//! The keys that sign and verify access tokens: those of `SIGNING_KEYS`, and the isolate's copy of those that the scheduled event made.
//!
//! With `KEY_ROTATION = "manual"`, requests read the latter only to publish them and to judge a token with an unknown `kid`, because
//! they verify also after the rotation was turned off. Otherwise, an isolate reads them when it first needs them, and again in the
//! background when its copy is old ([`Age`]).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use portcullis_core::id::Id;
use portcullis_core::token::keys::SigningKey;
use portcullis_core::token::rotation::{Age, AutomaticKey, KeyRing, RETRY_AGE, StoredKey};
use worker::Delay;

use super::log_failure;
use crate::config::Config;
use crate::context::{Context, KeyCopy, Keychain};
use crate::log::{self, Event};
use crate::platform::data_keys::DataKeys;
use crate::platform::webcrypto::{CryptoError, Keys};
use crate::store::{Store, StoreError};

/// Pause of a request that waits for the reading of another one, and the maximum number of them. Waiting requests poll, because the
/// runtime does not allow one request to resolve the promise of another.
const PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSES: u32 = 300;
/// Seconds after which a reading is considered lost.
const LOST_AFTER_SECONDS: u64 = 30;

/// The keys at one moment. A reading that ends meanwhile does not change them.
pub struct Ring {
    keychain: Rc<Keychain>,
    copy: Rc<KeyCopy>,
}

impl Ring {
    /// The keys as the rules see them.
    pub fn keys(&self) -> KeyRing<'_> {
        self.keychain.ring(&self.copy)
    }

    /// Signs a message with a key of the ring.
    pub async fn sign(&self, key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.copy.imported.sign(key, message).await
    }

    /// Verifies a signature with a key of the ring.
    pub async fn verify(&self, key: &SigningKey, signature: &[u8], message: &[u8]) -> Result<bool, CryptoError> {
        self.copy.imported.verify(key, signature, message).await
    }
}

impl Keychain {
    /// The keys of an isolate that has not read any others.
    pub fn new(config: Rc<Config>, configured: Keys, data_keys: Option<DataKeys>) -> Self {
        let copy = KeyCopy { automatic: Vec::new(), imported: configured.clone() };
        Self {
            config,
            configured,
            data_keys,
            copy: RefCell::new(Rc::new(copy)),
            read_at: Cell::default(),
            tried_at: Cell::default(),
            reading_since: Cell::default(),
            has_failed: Cell::default(),
            refused: RefCell::default(),
        }
    }

    /// The keys as the rules see them.
    pub(super) fn ring<'k>(&'k self, copy: &'k KeyCopy) -> KeyRing<'k> {
        KeyRing {
            configured: &self.config.signing_keys,
            automatic: &copy.automatic,
            is_automatic: self.config.rotates_keys,
        }
    }

    /// Uses another copy.
    pub(super) fn replace_copy(&self, copy: KeyCopy, now: u64) {
        self.copy.replace(Rc::new(copy));
        self.read_at.set(Some(now));
    }

    fn without_automatic(&self) -> KeyCopy {
        KeyCopy { automatic: Vec::new(), imported: self.configured.clone() }
    }

    fn begin_reading(&self, now: u64) {
        self.tried_at.set(Some(now));
        self.reading_since.set(Some(now));
    }
}

/// The keys that sign. Never fails: without the copy, a key of `SIGNING_KEYS` signs.
pub async fn for_signing(context: &Context<'_>) -> Ring {
    if context.config.rotates_keys {
        match age(context) {
            Age::Old => renew_after_reply(context),
            Age::TooOld if is_due(context) => {
                if let Err(error) = read(context).await {
                    log_failure(context.request_id, &error);
                }
            }
            Age::New | Age::TooOld => {}
        }
    }
    current(context)
}

/// The keys that verify a token with this `kid`. An unknown one has the copy read again, but not many times a minute, however many forged
/// tokens there are. If it cannot be read, the token cannot be judged.
pub async fn for_token(context: &Context<'_>, kid: &str) -> Result<Ring, StoreError> {
    let ring = current(context);
    if ring.keys().find(kid).is_some() {
        if context.config.rotates_keys && age(context) != Age::New {
            renew_after_reply(context);
        }
        return Ok(ring);
    }
    if context.keychain.data_keys.is_none() {
        return Ok(ring);
    }
    if is_due(context) {
        read(context).await?;
    } else if context.keychain.has_failed.get() {
        return Err(unreadable());
    }
    Ok(current(context))
}

/// The keys to publish. Whoever reads them keeps them for a while, so the copy must be new. If it was never read, nothing is published
/// rather than a list that lacks the key that signs.
pub async fn for_publishing(context: &Context<'_>) -> Result<Ring, StoreError> {
    let keychain = context.keychain;
    let needs_copy = || context.config.rotates_keys && keychain.read_at.get().is_none();
    if keychain.data_keys.is_some() && age(context) != Age::New && is_due(context) {
        if let Err(error) = read(context).await {
            if needs_copy() {
                return Err(error);
            }
            log_failure(context.request_id, &error);
        }
    } else if needs_copy() {
        return Err(unreadable());
    }
    Ok(current(context))
}

fn current(context: &Context<'_>) -> Ring {
    Ring { keychain: Rc::clone(context.keychain), copy: context.keychain.copy.borrow().clone() }
}

fn age(context: &Context<'_>) -> Age {
    Age::of(context.keychain.read_at.get(), context.now)
}

/// Whether another reading may begin, or one goes on.
fn is_due(context: &Context<'_>) -> bool {
    let Keychain { tried_at, .. } = &**context.keychain;
    is_reading(context.keychain, context.now)
        || tried_at.get().is_none_or(|tried_at| context.now >= tried_at.saturating_add(RETRY_AGE))
}

fn is_reading(keychain: &Keychain, now: u64) -> bool {
    keychain.reading_since.get().is_some_and(|since| now < since.saturating_add(LOST_AFTER_SECONDS))
}

fn renew_after_reply(context: &Context<'_>) {
    if is_reading(context.keychain, context.now) || !is_due(context) {
        return;
    }
    let (keychain, store, request_id) = (Rc::clone(context.keychain), context.store.renewed(), context.request_id);
    let now = context.now;
    // Marked here, so that the requests until then begin no other reading.
    keychain.begin_reading(now);
    context.background.wait_until(async move {
        // Let the runtime send the reply first.
        Delay::from(Duration::ZERO).await;
        if let Err(error) = finish_reading(&keychain, &store, request_id, now).await {
            log_failure(request_id, &error);
        }
    });
}

/// Reads the keys, unless another request does so: then waits for that.
async fn read(context: &Context<'_>) -> Result<(), StoreError> {
    let keychain = context.keychain;
    if is_reading(keychain, context.now) {
        for _ in 0..MAX_PAUSES {
            Delay::from(PAUSE).await;
            if keychain.reading_since.get().is_none() {
                return if keychain.has_failed.get() { Err(unreadable()) } else { Ok(()) };
            }
        }
        return Err(unreadable());
    }
    keychain.begin_reading(context.now);
    finish_reading(keychain, &context.store.renewed(), context.request_id, context.now).await
}

/// Ends a reading that has begun. Its costs are logged apart from those of the request.
async fn finish_reading(keychain: &Keychain, store: &Store, request_id: Id, now: u64) -> Result<(), StoreError> {
    let found = find(keychain, store, request_id, now).await;
    let result = found.map(|copy| keychain.replace_copy(copy, now));
    keychain.has_failed.set(result.is_err());
    keychain.reading_since.set(None);
    if keychain.config.log_costs {
        log::write_costs(request_id, "Keys", None, store.costs());
    }
    result
}

/// Finds the keys in KV. Asks D1 if KV has none, if its list is old, or if one of them does not open. If D1 does not answer, what KV has
/// is used, unless the isolate has read a newer list.
async fn find(keychain: &Keychain, store: &Store, request_id: Id, now: u64) -> Result<KeyCopy, StoreError> {
    let mut kept_copy = None;
    match store.find_kept_keys().await {
        Ok(Some(kept)) => {
            let (copy, refused) = open(keychain, request_id, &kept.keys).await;
            if kept.is_current(now) && refused == 0 {
                return Ok(copy);
            }
            let is_newer = keychain.read_at.get().is_none_or(|read_at| read_at < kept.at);
            kept_copy = Some(if is_newer { copy } else { KeyCopy::clone(&keychain.copy.borrow()) });
        }
        // While D1 has keys, the scheduled event writes them to KV.
        Ok(None) if !keychain.config.rotates_keys => return Ok(keychain.without_automatic()),
        Ok(None) => {}
        Err(error) => log_failure(request_id, &error),
    }
    match (store.list_signing_keys().await, kept_copy) {
        (Ok(stored), _) => Ok(open(keychain, request_id, &stored).await.0),
        (Err(error), Some(copy)) => {
            log_failure(request_id, &error);
            Ok(copy)
        }
        (Err(error), None) => Err(error),
    }
}

/// Opens keys, except those that are too old to be used, and returns the number of those that do not open. These are logged once an
/// isolate and keep no other from being used. A key that the isolate has already is not opened again.
pub(super) async fn open(keychain: &Keychain, request_id: Id, stored: &[StoredKey]) -> (KeyCopy, usize) {
    let known = keychain.copy.borrow().clone();
    let mut copy = keychain.without_automatic();
    let Some(data_keys) = &keychain.data_keys else { return (copy, 0) };
    let mut refused: usize = 0;
    for stored in stored.iter().filter(|stored| stored.created_at >= keychain.config.keys_not_before) {
        let opened = match known.automatic.iter().find(|key| key.stored() == stored) {
            Some(key) => {
                copy.imported.take_over(key.key(), &known.imported).map(|()| Rc::clone(key)).map_err(|e| e.to_string())
            }
            None => open_one(&mut copy, data_keys, stored).await,
        };
        match opened {
            Ok(key) => copy.automatic.push(key),
            Err(cause) => {
                refused = refused.saturating_add(1);
                if keychain.refused.borrow_mut().insert((stored.period, stored.kid.clone())) {
                    let (period, kid) = (stored.period, &stored.kid);
                    log::write(request_id, &Event::KeyRefused { period, kid, cause: &cause });
                }
            }
        }
    }
    (copy, refused)
}

async fn open_one(copy: &mut KeyCopy, data_keys: &DataKeys, stored: &StoredKey) -> Result<Rc<AutomaticKey>, String> {
    let jwk = decrypt(data_keys, stored).await?;
    let key = AutomaticKey::new(stored.clone(), &jwk).ok_or("it is not the key that its row names")?;
    copy.imported.add(key.key()).await.map_err(|error| error.to_string())?;
    Ok(Rc::new(key))
}

/// The private JWK of a key.
pub(super) async fn decrypt(data_keys: &DataKeys, stored: &StoredKey) -> Result<Vec<u8>, String> {
    let row = stored.row();
    let jwk = data_keys.decrypt(&StoredKey::place(&row), &stored.private_key).await;
    jwk.map_err(|error| error.to_string())
}

fn unreadable() -> StoreError {
    StoreError::Unavailable { operation: "read_signing_keys", cause: "the last reading failed".to_owned() }
}
