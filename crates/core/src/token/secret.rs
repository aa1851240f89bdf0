//! A check that shared secrets are random.

/// Minimum number of distinct bytes. 32 random bytes contain about 30.
const MIN_DISTINCT_BYTES: usize = 16;

/// Whether bytes may be random. Words and repetitions have too few distinct bytes.
pub(crate) fn may_be_random(secret: &[u8]) -> bool {
    let mut distinct = secret.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    distinct.len() >= MIN_DISTINCT_BYTES
}
