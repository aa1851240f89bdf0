//! Access tokens whose signature was found genuine, so that one that comes again is neither verified nor read again: nothing
//! about its text changes. Whatever does change (the time, the state of its key, whether its session was revoked) is judged
//! every time all the same.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use crate::token::access::VerifiedToken;

/// How many are kept: some 400 bytes each, or a few KiB.
const MAX_TOKENS: usize = 4096;
/// Of a token that is kept, in bytes: several times the size of any of ours. Whoever has a key may sign longer ones.
const MAX_BYTES: usize = 2048;

/// The SHA-256 of a compact token, signature included, so that none is taken for another. The token itself is not kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Of a token in its compact form; `None` if it is too long to be kept.
    #[must_use]
    pub fn new(compact: &str) -> Option<Self> {
        (compact.len() <= MAX_BYTES).then(|| Self(Sha256::digest(compact).into()))
    }
}

/// Those found genuine last. Only genuine ones get in, so nobody can push others out with what they made up.
pub struct VerifiedTokenCache<T = VerifiedToken> {
    tokens: BTreeMap<TokenHash, Rc<T>>,
    /// The oldest first.
    order: VecDeque<TokenHash>,
}

impl<T> Default for VerifiedTokenCache<T> {
    fn default() -> Self {
        Self { tokens: BTreeMap::new(), order: VecDeque::new() }
    }
}

impl<T> VerifiedTokenCache<T> {
    /// The token of that hash, if it is known. That it is not says nothing of it.
    #[must_use]
    pub fn find(&self, hash: TokenHash) -> Option<Rc<T>> {
        self.tokens.get(&hash).cloned()
    }

    /// Remembers a token, in place of the oldest if there are too many.
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
    fn only_the_very_same_token_is_known_again() {
        let mut known = VerifiedTokenCache::default();
        let hash = |compact: &str| TokenHash::new(compact).unwrap();
        known.remember(hash("header.claims.signature"), Rc::new(1));
        assert_eq!(known.find(hash("header.claims.signature")), Some(Rc::new(1)));
        for other in
            ["header.claims.signatur", "header.claims.signaturf", "heades.claims.signature", "header.claims", ""]
        {
            assert_eq!(known.find(hash(other)), None, "{other}");
        }
        assert!(TokenHash::new(&"x".repeat(2048)).is_some() && TokenHash::new(&"x".repeat(2049)).is_none());
    }

    #[test]
    fn the_oldest_makes_room_and_no_more_are_kept_than_may_be() {
        let hash = |n: usize| TokenHash::new(&n.to_string()).unwrap();
        let mut known = VerifiedTokenCache::default();
        for n in 0..MAX_TOKENS {
            known.remember(hash(n), Rc::new(n));
        }
        // What is known already takes no room.
        known.remember(hash(1), Rc::new(1));
        assert!((0..MAX_TOKENS).all(|n| known.find(hash(n)) == Some(Rc::new(n))));
        known.remember(hash(MAX_TOKENS), Rc::new(MAX_TOKENS));
        assert_eq!(known.find(hash(0)), None);
        assert!((1..=MAX_TOKENS).all(|n| known.find(hash(n)) == Some(Rc::new(n))));
        assert_eq!((known.tokens.len(), known.order.len()), (MAX_TOKENS, MAX_TOKENS));
    }
}
