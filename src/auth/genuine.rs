//! Signatures that were found genuine, so that a token which comes again is not verified again: nothing that is true of a key,
//! a message and a signature changes. Whatever does change (the time, whether the key may still sign, whether the session was
//! revoked) is judged every time all the same.

use std::collections::{BTreeSet, VecDeque};

use sha2::{Digest as _, Sha256};

/// How many are kept: 64 bytes each, and the tree's own.
const MOST: usize = 4096;

/// A key, a message and a signature, as one. SHA-256, so that no two are taken for each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signed([u8; 32]);

impl Signed {
    /// A message and the signature that a key is said to have made over it.
    #[must_use]
    pub fn new(kid: &str, signature: &[u8], message: &[u8]) -> Self {
        let mut hash = Sha256::new();
        // The length first, so that one part cannot pass for another.
        for part in [kid.as_bytes(), signature, message] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

/// Those found genuine last. Only genuine ones get in, so nobody can push others out with what they made up.
#[derive(Default)]
pub struct Genuine {
    known: BTreeSet<Signed>,
    /// The oldest first.
    order: VecDeque<Signed>,
}

impl Genuine {
    /// Whether this was found genuine before. That it was not says nothing.
    #[must_use]
    pub fn has(&self, signed: Signed) -> bool {
        self.known.contains(&signed)
    }

    /// Remembers it, in place of the oldest if there are too many.
    pub fn remember(&mut self, signed: Signed) {
        if !self.known.insert(signed) {
            return;
        }
        self.order.push_back(signed);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Genuine, MOST, Signed};

    #[test]
    fn only_the_very_same_key_signature_and_message_are_known_again() {
        let mut genuine = Genuine::default();
        genuine.remember(Signed::new("key", b"signature", b"message"));
        assert!(genuine.has(Signed::new("key", b"signature", b"message")));
        for (kid, signature, message) in [
            ("kez", "signature", "message"),
            ("key", "signaturf", "message"),
            ("key", "signature", "messagf"),
            ("keys", "ignature", "message"),
            ("key", "signaturem", "essage"),
            ("key", "", "signaturemessage"),
            ("", "", ""),
        ] {
            assert!(!genuine.has(Signed::new(kid, signature.as_bytes(), message.as_bytes())), "{kid} {signature}");
        }
    }

    #[test]
    fn the_oldest_makes_room_and_no_more_are_kept_than_may_be() {
        let signed = |n: usize| Signed::new("key", &n.to_le_bytes(), b"");
        let mut genuine = Genuine::default();
        for n in 0..MOST {
            genuine.remember(signed(n));
        }
        // What is known already takes no room.
        genuine.remember(signed(1));
        assert!((0..MOST).all(|n| genuine.has(signed(n))));
        genuine.remember(signed(MOST));
        assert!(!genuine.has(signed(0)));
        assert!((1..=MOST).all(|n| genuine.has(signed(n))));
        assert_eq!((genuine.known.len(), genuine.order.len()), (MOST, MOST));
    }
}
