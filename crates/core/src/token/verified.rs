//! A cache of verified access tokens, per isolate. A cached token is not verified and parsed again.
//!
//! Only what cannot change is cached. The time, the state of the key and the revocation of the session are checked every time.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use crate::token::access::VerifiedToken;

/// Maximum number of tokens. Each needs about 400 bytes, at most a few KiB.
const MAX_TOKENS: usize = 4096;
/// Maximum length of a cached token, in bytes. Issued tokens are shorter, also with metadata, but a key holder may sign longer ones.
const MAX_BYTES: usize = 8192;

/// The SHA-256 of a compact token including its signature. The token itself is not stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Hashes a token in compact form. `None` if it is too long for the cache.
    #[must_use]
    pub fn new(compact: &str) -> Option<Self> {
        (compact.len() <= MAX_BYTES).then(|| Self(Sha256::digest(compact).into()))
    }
}

/// The most recently verified tokens. Invalid tokens are not cached, so forged tokens cannot evict others.
pub struct VerifiedTokenCache<T = VerifiedToken> {
    tokens: BTreeMap<TokenHash, Rc<T>>,
    /// Ordered from the oldest to the newest.
    order: VecDeque<TokenHash>,
}

impl<T> Default for VerifiedTokenCache<T> {
    fn default() -> Self {
        Self { tokens: BTreeMap::new(), order: VecDeque::new() }
    }
}

impl<T> VerifiedTokenCache<T> {
    /// The token with that hash, if it is cached.
    #[must_use]
    pub fn find(&self, hash: TokenHash) -> Option<Rc<T>> {
        self.tokens.get(&hash).cloned()
    }

    /// Adds a verified token. Evicts the oldest one if the cache is full.
    pub fn remember(&mut self, hash: TokenHash, token: Rc<T>) {
        if self.tokens.insert(hash, token).is_some() {
            return;
        }
        self.order.push_back(hash);
        if self.order.len() > MAX_TOKENS
            && let Some(oldest) = self.order.pop_front()
        {
            self.tokens.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::{MAX_TOKENS, TokenHash, VerifiedTokenCache};

    #[test]
    fn only_an_identical_token_is_found() {
        let mut cache = VerifiedTokenCache::default();
        let hash = |compact: &str| TokenHash::new(compact).unwrap();
        cache.remember(hash("header.claims.signature"), Rc::new(1));
        assert_eq!(cache.find(hash("header.claims.signature")), Some(Rc::new(1)));
        for other in
            ["header.claims.signatur", "header.claims.signaturf", "heades.claims.signature", "header.claims", ""]
        {
            assert_eq!(cache.find(hash(other)), None, "{other}");
        }
        assert!(TokenHash::new(&"x".repeat(8192)).is_some() && TokenHash::new(&"x".repeat(8193)).is_none());
    }

    #[test]
    fn a_full_cache_evicts_its_oldest_token() {
        let hash = |n: usize| TokenHash::new(&n.to_string()).unwrap();
        let mut cache = VerifiedTokenCache::default();
        for n in 0..MAX_TOKENS {
            cache.remember(hash(n), Rc::new(n));
        }
        // Adding a cached token again evicts nothing.
        cache.remember(hash(1), Rc::new(1));
        assert!((0..MAX_TOKENS).all(|n| cache.find(hash(n)) == Some(Rc::new(n))));
        cache.remember(hash(MAX_TOKENS), Rc::new(MAX_TOKENS));
        assert_eq!(cache.find(hash(0)), None);
        assert!((1..=MAX_TOKENS).all(|n| cache.find(hash(n)) == Some(Rc::new(n))));
        assert_eq!((cache.tokens.len(), cache.order.len()), (MAX_TOKENS, MAX_TOKENS));
    }
}
