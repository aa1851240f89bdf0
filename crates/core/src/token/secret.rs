//! What shared secrets have in common: they must be random.

/// 32 random bytes have some 30 different values among them; fewer than this is no randomness.
const MIN_DISTINCT_BYTES: usize = 16;

/// Whether bytes may be random: words and repetitions are of too few different ones.
pub(crate) fn may_be_random(secret: &[u8]) -> bool {
    let mut distinct = secret.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    distinct.len() >= MIN_DISTINCT_BYTES
}
