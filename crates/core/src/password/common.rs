//! The set of the most common passwords.
//!
//! Sources: two public lists. The set contains all their passwords of at least 15 characters, the default of
//! `PASSWORD_MIN_LENGTH`, and the 100,000 most common ones of at least 8, its minimum. `scripts/common-passwords.mjs` builds
//! it; `docs/reference/common-passwords.md` describes the lists and the measurements.
//!
//! The set is a binary fuse filter with 16-bit fingerprints (Graf and Lemire, "Binary Fuse Filters: Fast and Smaller Than Xor
//! Filters"). It has no false negatives, and false positives for one in 65,536 texts. No password can be read from it.

use sha2::{Digest as _, Sha256};
use xorf::{BinaryFuse16Ref, Descriptor, Filter as _, FilterRef as _};

/// The filter reads its 16-bit fingerprints in place.
#[repr(C, align(2))]
struct Aligned<T: ?Sized>(T);

static SET: &Aligned<[u8]> = &Aligned(*include_bytes!("common_passwords.bin"));

/// Whether the set contains a text, which must be [folded](crate::identity::characters::folded).
#[must_use]
pub fn contains(folded: &str) -> bool {
    // A test checks that the file is longer.
    SET.0.split_at_checked(Descriptor::DMA_LEN).is_some_and(|(descriptor, fingerprints)| {
        BinaryFuse16Ref::from_dma(descriptor, fingerprints).contains(&key(folded))
    })
}

/// The element of the set for a text: the first 8 bytes of its SHA-256.
#[must_use]
pub fn key(folded: &str) -> u64 {
    Sha256::digest(folded).first_chunk().copied().map_or(0, u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::{Descriptor, SET, contains};

    #[test]
    fn the_size_of_the_set_fits_its_descriptor() {
        let number = |at: usize| u32::from_le_bytes(SET.0[at..at + 4].try_into().unwrap()) as usize;
        let (segment_length, mask, segment_count_length) = (number(8), number(12), number(16));
        assert!(segment_length.is_power_of_two());
        assert_eq!(mask, segment_length - 1);
        // A look-up reads fingerprints in three successive segments. In a shorter file it would panic.
        assert_eq!(SET.0.len(), Descriptor::DMA_LEN + 2 * (segment_count_length + 2 * segment_length));
        assert!(SET.0.len() <= 300_000);
    }

    #[test]
    fn the_set_contains_common_passwords() {
        // The list of parts comes from a shorter list of the same source.
        let common = include_str!("common_passwords.txt").lines().filter(|word| word.chars().count() >= 8);
        let missing: Vec<_> = common.filter(|word| !contains(word)).collect();
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn the_false_positive_rate_is_about_one_in_65536() {
        let words = ["harbour", "lantern", "otter", "velvet", "trombone", "meadow", "quartz", "saffron"];
        let found = (0_usize..4 * 65_536).filter(|number| {
            let passphrase: Vec<_> = (0..6).map(|place| words[(number >> (3 * place)) & 7]).collect();
            contains(&passphrase.join(" "))
        });
        assert!(found.count() <= 12);
        let found =
            (0_u32..4 * 65_536).filter(|number| contains(&format!("no. {number} of these {:x}", number * 7_919)));
        assert!(found.count() <= 12);
    }
}
