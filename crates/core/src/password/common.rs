//! The passwords that most people chose: a set that is asked whether a text is in it, and holds none of them.
//!
//! It has all passwords of at least 15 characters of a list of a million, which is where `PASSWORD_MIN_LENGTH` begins, and
//! the 100,000 most common ones of at least 8, where it may begin. `scripts/common-passwords.mjs` makes it;
//! `docs/reference/common-passwords.md` has where the list comes from and what was measured.
//!
//! It is a binary fuse filter of 16 bits (Graf and Lemire, "Binary Fuse Filters: Fast and Smaller Than Xor Filters"): what
//! was put into it is found, and so is one in 65,536 of all other texts. Of 8 bits it would be one in 256, and that many
//! good passwords would be refused.

use sha2::{Digest as _, Sha256};
use xorf::{BinaryFuse16Ref, Descriptor, Filter as _, FilterRef as _};

/// The filter reads its fingerprints in place, as numbers of two bytes.
#[repr(C, align(2))]
struct Aligned<T: ?Sized>(T);

static SET: &Aligned<[u8]> = &Aligned(*include_bytes!("common_passwords.bin"));

/// Whether a text, as [`crate::identity::characters::folded`] gives it, is one of them.
#[must_use]
pub fn contains(folded: &str) -> bool {
    // The file is longer than that, as a test sees.
    SET.0.split_at_checked(Descriptor::DMA_LEN).is_some_and(|(descriptor, fingerprints)| {
        BinaryFuse16Ref::from_dma(descriptor, fingerprints).contains(&key(folded))
    })
}

/// What the set has of a text: the first 8 bytes of its SHA-256.
#[must_use]
pub fn key(folded: &str) -> u64 {
    Sha256::digest(folded).first_chunk().copied().map_or(0, u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::{Descriptor, SET, contains};

    #[test]
    fn the_set_is_of_the_size_that_its_fingerprints_take() {
        let number = |at: usize| u32::from_le_bytes(SET.0[at..at + 4].try_into().unwrap()) as usize;
        let (segment_length, mask, segment_count_length) = (number(8), number(12), number(16));
        assert!(segment_length.is_power_of_two());
        assert_eq!(mask, segment_length - 1);
        // Three fingerprints are read, each from the segment behind the one before. Anything shorter would be a panic.
        assert_eq!(SET.0.len(), Descriptor::DMA_LEN + 2 * (segment_count_length + 2 * segment_length));
        assert!(SET.0.len() <= 300_000);
    }

    #[test]
    fn what_is_common_is_in_it() {
        // The list of parts comes from a shorter list of the same origin.
        let common = include_str!("common_passwords.txt").lines().filter(|word| word.chars().count() >= 8);
        let missing: Vec<_> = common.filter(|word| !contains(word)).collect();
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn of_what_nobody_chose_at_most_a_few_in_65536_are_in_it() {
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
