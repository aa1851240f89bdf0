//! bcrypt (Provos and Mazières, "A Future-Adaptable Password Scheme").

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::ImportedHashError::{self, Malformed, TooCostly};
use super::{Algorithm, Parsed, Scheme, decimal};

/// Length of a hash, in bytes.
const HASH_BYTES: usize = 23;
/// Maximum length of a password that bcrypt reads, in bytes, including the final NUL.
const KEY_BYTES: usize = 72;
/// Accepted costs. The minimum is bcrypt's own.
const COSTS: std::ops::RangeInclusive<u32> = 4..=14;
/// OWASP's minimum cost.
const MIN_COST: u32 = 10;
/// CPU time of one of the 2^cost rounds of the key schedule, in nanoseconds. A cost of 10 takes 82 ms.
const ROUND_NANOS: u64 = 80_000;

/// Ignores trailing bits, which implementations fill differently in the salt.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::BCRYPT,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

#[derive(Clone, PartialEq, Eq)]
pub struct Bcrypt {
    version: char,
    cost: u32,
    salt: [u8; 16],
}

/// Reads the fields of `$2b$12$` and 22 characters of salt followed by the hash.
pub fn read(version: &str, cost: &str, salt_and_hash: &str) -> Parsed {
    let (salt, hash) = salt_and_hash.split_at_checked(22).ok_or(Malformed("invalid length"))?;
    let hash = BASE64.decode(hash).map_err(|_| Malformed("invalid hash"))?;
    Ok((Scheme::Bcrypt(Bcrypt::read(version, cost, salt)?), hash))
}

impl Bcrypt {
    pub fn read(version: &str, cost: &str, salt: &str) -> Result<Self, ImportedHashError> {
        let cost = decimal(cost.strip_prefix('0').unwrap_or(cost)).ok_or(Malformed("invalid cost"))?;
        if !COSTS.contains(&cost) {
            return Err(TooCostly("the cost of bcrypt must be 4 to 14"));
        }
        let salt = BASE64.decode(salt).ok().and_then(|salt| salt.try_into().ok()).ok_or(Malformed("invalid salt"))?;
        Ok(Self { version: version.chars().last().unwrap_or('b'), cost, salt })
    }
}

impl Algorithm for Bcrypt {
    fn name(&self) -> &'static str {
        "bcrypt"
    }

    fn is_weak(&self) -> bool {
        self.cost < MIN_COST
    }

    fn check_length(&self, length: usize) -> Result<(), ImportedHashError> {
        if length == HASH_BYTES { Ok(()) } else { Err(Malformed("invalid length")) }
    }

    fn nanos(&self, _length: usize) -> u64 {
        1u64.checked_shl(self.cost).unwrap_or(u64::MAX).saturating_mul(ROUND_NANOS)
    }

    fn reads_whole(&self, text: &str) -> bool {
        text.len() < KEY_BYTES
    }

    /// A text that contains NUL matches nothing: implementations differ in whether the password ends there. Moreover the key
    /// is repeated, so `a` and `a\0a` have the same hash.
    fn compute(&self, text: &str, computed: &mut [u8]) -> bool {
        let key: Vec<u8> = text.bytes().chain([0]).take(KEY_BYTES).collect();
        let hash = ::bcrypt::bcrypt(self.cost, self.salt, &key);
        computed.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        !text.contains('\0')
    }

    fn encode_hash(&self, hash: &[u8]) -> String {
        BASE64.encode(hash)
    }
}

impl fmt::Display for Bcrypt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, cost, salt } = self;
        write!(formatter, "$2{version}${cost:02}${}", BASE64.encode(salt))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_verifies, parse};

    /// From jBCrypt, which are OpenBSD's, and from Openwall's `crypt_blowfish`. The last two were made with libxcrypt.
    #[test]
    fn published_vectors_verify() {
        for (hash, password) in [
            ("$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.", ""),
            ("$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe", "a"),
            ("$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i", "abc"),
            ("$2a$06$.rCVZVOThsIa97pEDOxvGuRRgzG64bvtJ0938xuqzv18d3ZpQhstC", "abcdefghijklmnopqrstuvwxyz"),
            ("$2a$06$fPIsBO8qRqkjj273rfaOI.HtSV9jLDpTbZn782DC6/t7qT67P6FfO", "~!@#$%^&*()      ~!@#$%^&*()PNBFRD"),
            ("$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"),
            ("$2b$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a", "U*U*U"),
            ("$2b$05$abcdefghijklmnopqrstuugNuK9ETKQu/36F/tv.X7gt84Yn7bMl2", "\u{451}\u{ff} caf\u{e9}"),
            ("$2y$05$abcdefghijklmnopqrstuugNuK9ETKQu/36F/tv.X7gt84Yn7bMl2", "\u{451}\u{ff} caf\u{e9}"),
        ] {
            assert_verifies(hash, password);
            assert_eq!(parse(&format!("bcrypt${hash}")).to_string(), hash);
        }
    }

    #[test]
    fn only_72_bytes_are_read_and_nul_matches_nothing() {
        // Openwall's.
        let text = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        let hash = parse("$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui");
        assert!(hash.verify(text));
        assert!(hash.verify(&format!("{text}chars after 72 are ignored")));
        assert!(!hash.verify(text.strip_suffix('9').unwrap()));
        let a = parse("$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe");
        for twin in ["a\0", "a\0a", "a\0a\0a", "a\0b", "\0a"] {
            assert!(!a.verify(twin), "{twin:?}");
        }
        assert!(!parse("$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.").verify("\0"));
    }

    #[test]
    fn trailing_bits_of_a_salt_are_ignored() {
        let odd = parse("$2a$06$m0CrhHm10qJ3lXRY.5zDGP3rS2KdeeWLuGmsfGlMfOxih58VYVfxe");
        assert!(odd.verify("a"));
        assert_eq!(odd.to_string(), "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe");
    }
}
