//! The keys of an issuer, and when to fetch them. Times in unix seconds.

use std::sync::Arc;

use portcullis_core::token::verifying_key::{VerifyingKey, parse_public_set};

/// How long keys are used before they are fetched again. Equal to their `max-age`.
const FRESH: u64 = 300;
/// How long keys are used while the issuer does not answer.
const STALE: u64 = 3600;
/// How long to wait after a failed fetch, or after one for an unknown `kid`.
const PAUSE: u64 = 30;
/// How long to wait instead while tokens are refused with `keys_unavailable`: after a failed fetch if no key may be used, and before
/// another fetch for an unknown `kid` if the last one has not succeeded.
const RETRY: u64 = 2;

/// The cached keys of an issuer.
#[derive(Default)]
pub(crate) struct KeyCache {
    keys: Vec<Arc<VerifyingKey>>,
    fetched_at: Option<u64>,
    attempted_at: Option<u64>,
    failed_at: Option<u64>,
    /// Whether no fetch has begun since the last success.
    is_certain: bool,
}

/// Whether that much time has passed. After the clock is set back, that is unknown, so the answer is yes.
fn has_passed(since: Option<u64>, seconds: u64, now: u64) -> bool {
    since.and_then(|since| now.checked_sub(since)).is_none_or(|passed| passed >= seconds)
}

impl KeyCache {
    /// Whether the keys are too old to be used.
    pub(crate) fn is_stale(&self, now: u64) -> bool {
        has_passed(self.fetched_at, STALE, now)
    }

    /// Whether to fetch the keys before one is used.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        let pause = if self.is_stale(now) { RETRY } else { PAUSE };
        has_passed(self.fetched_at, FRESH, now) && has_passed(self.failed_at, pause, now)
    }

    /// Whether to fetch the keys for an unknown `kid`.
    pub(crate) fn may_look_again(&self, now: u64) -> bool {
        has_passed(self.attempted_at, if self.is_certain { PAUSE } else { RETRY }, now)
    }

    /// Whether an unknown key does not exist. It may be new while a fetch is in progress, and after one that failed or was cancelled.
    pub(crate) fn is_certain(&self) -> bool {
        self.is_certain
    }

    pub(crate) fn find(&self, kid: &str) -> Option<Arc<VerifyingKey>> {
        self.keys.iter().find(|key| key.kid() == kid).cloned()
    }

    /// Records that a fetch begins. That is all that is recorded of a fetch that is cancelled.
    pub(crate) fn begin(&mut self, now: u64) {
        self.attempted_at = Some(now);
        self.is_certain = false;
    }

    /// Stores a fetched JWK Set. Returns `false` if the text is not one, or has no key for access tokens. An issuer that signs
    /// publishes a key; without this check, a wrong answer would remove all of them.
    pub(crate) fn replace(&mut self, json: &str, now: u64) -> bool {
        let Some(keys) = parse_public_set(json).filter(|keys| !keys.is_empty()) else { return false };
        self.keys = keys.into_iter().map(Arc::new).collect();
        self.fetched_at = Some(now);
        self.failed_at = None;
        self.is_certain = true;
        true
    }

    /// Records that a fetch failed.
    pub(crate) fn fail(&mut self, now: u64) {
        self.failed_at = Some(now);
    }
}
