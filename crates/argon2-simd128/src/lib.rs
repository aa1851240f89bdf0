//! Argon2 (RFC 9106) for WebAssembly in V8: all variants, both versions, any number of lanes, in one thread.
//!
//! ```
//! use argon2_simd128::{Input, Memory, Params, Variant, Version, hash};
//!
//! let params = Params { variant: Variant::Id, version: Version::V0x13, memory_kib: 64, passes: 2, lanes: 1 };
//! let input = Input { password: b"correct horse", salt: b"sixteen bytes...", ..Input::default() };
//! let mut memory = Memory::new();
//! let mut tag = [0; 32];
//! hash(&params, &input, &mut memory, &mut tag)?;
//! # Ok::<(), argon2_simd128::Error>(())
//! ```
//!
//! The results equal those of the `argon2` crate and of the reference implementation. The differences are in performance:
//!
//! - The compression function G uses the SIMD128 instructions of WebAssembly: `simd128.rs` on `wasm32`, `scalar.rs` elsewhere and
//!   with the feature `scalar`. `simd128.rs` enables the instructions itself, so no compiler flag is needed.
//! - [`Memory`] is reused for the next hash, so its pages need not be allocated and zeroed again.
//!
//! The crate contains no `unsafe` code and does not panic.

#[cfg(any(not(target_arch = "wasm32"), feature = "scalar"))]
#[path = "scalar.rs"]
mod block;
#[cfg(all(target_arch = "wasm32", not(feature = "scalar")))]
#[path = "simd128.rs"]
mod block;
mod fill;
mod h_prime;
mod memory;

use std::fmt;

use blake2::{Blake2b512, Digest as _};

use fill::Shape;
use h_prime::h_prime;
pub use memory::Memory;
use memory::wipe;

/// The type y, which determines how blocks are referenced (RFC 9106 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variant {
    /// By the content of the memory.
    D = 0,
    /// By the position, so that memory accesses reveal nothing about the password.
    I = 1,
    /// By the position in the first half of the first pass, then by the content of the memory.
    Id = 2,
}

/// The version v.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// The first version. Later passes overwrite the blocks.
    V0x10 = 0x10,
    /// The version of RFC 9106. Later passes XOR the blocks.
    V0x13 = 0x13,
}

/// The parameters of a hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Params {
    /// y.
    pub variant: Variant,
    /// v.
    pub version: Version,
    /// m, the memory in KiB, that is, in blocks: at least 8p. It is rounded down to a multiple of 4p.
    pub memory_kib: u32,
    /// t, the number of passes: at least 1.
    pub passes: u32,
    /// p, the degree of parallelism: 1 to 2^24-1. The lanes are filled one after another.
    pub lanes: u32,
}

/// The inputs of a hash, each at most 2^32-1 bytes long. No `Debug`, since they contain a password.
#[derive(Clone, Copy, Default)]
pub struct Input<'a> {
    /// P, the password.
    pub password: &'a [u8],
    /// S, the nonce: at least 8 bytes long, as in the reference implementation.
    pub salt: &'a [u8],
    /// K, the secret. May be empty.
    pub secret: &'a [u8],
    /// X, the associated data. May be empty.
    pub associated_data: &'a [u8],
}

/// Why no hash was computed. The tag is unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// p is not 1 to 2^24-1.
    Lanes,
    /// m is less than 8p.
    MemoryTooSmall,
    /// t is 0.
    Passes,
    /// The tag, T, is not 4 to 2^32-1 bytes long.
    TagLength,
    /// The salt is shorter than 8 bytes.
    SaltTooShort,
    /// The password, the salt, the secret or the associated data is longer than 2^32-1 bytes.
    InputTooLong,
    /// The memory could not be allocated. None is held afterwards.
    OutOfMemory,
    /// A block index is out of range, or the same block would be read and written. This cannot happen; the error replaces a panic.
    BlockIndex,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Lanes => "the number of lanes p must be 1 to 2^24-1",
            Self::MemoryTooSmall => "the memory m must be at least 8 KiB per lane",
            Self::Passes => "the number of passes t must be at least 1",
            Self::TagLength => "the tag must be 4 to 2^32-1 bytes long",
            Self::SaltTooShort => "the salt must be at least 8 bytes long",
            Self::InputTooLong => "an input is longer than 2^32-1 bytes",
            Self::OutOfMemory => "out of memory",
            Self::BlockIndex => "invalid block index",
        })
    }
}

impl std::error::Error for Error {}

/// Fills `tag` (RFC 9106 §3.2; the numbers in the code are the steps of that section). The previous content of `memory` has no
/// influence, and it is wiped afterwards.
///
/// # Errors
/// [`Error`] names the first violated bound.
// Not inlined, so that a caller optimised for size does not change how it is compiled.
#[inline(never)]
pub fn hash(params: &Params, input: &Input<'_>, memory: &mut Memory, tag: &mut [u8]) -> Result<(), Error> {
    let shape = Shape::new(params)?;
    let tag_len = u32::try_from(tag.len()).ok().filter(|len| *len >= 4).ok_or(Error::TagLength)?;
    if input.salt.len() < 8 {
        return Err(Error::SaltTooShort);
    }
    // 1.
    let mut h0 = h0(params, input, tag_len)?;
    let last = (|| {
        // 2.
        let mut blocks = memory.borrow(shape.blocks())?;
        // 3. to 6.
        shape.fill(&mut blocks, &h0)?;
        // 7.
        shape.last(&blocks)
    })();
    wipe(&mut h0);
    let mut last = last?;
    // 8.
    let result = h_prime(&[&last], tag);
    wipe(&mut last);
    result
}

/// H0: the hash of the parameters and the inputs, each input preceded by its length.
fn h0(params: &Params, input: &Input<'_>, tag_len: u32) -> Result<[u8; 64], Error> {
    let mut hasher = Blake2b512::new();
    for number in
        [params.lanes, tag_len, params.memory_kib, params.passes, params.version as u32, params.variant as u32]
    {
        hasher.update(number.to_le_bytes());
    }
    for bytes in [input.password, input.salt, input.secret, input.associated_data] {
        let len = u32::try_from(bytes.len()).map_err(|_| Error::InputTooLong)?;
        hasher.update(len.to_le_bytes());
        hasher.update(bytes);
    }
    Ok(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use argon2::{Algorithm, Argon2, AssociatedData, ParamsBuilder};
    use proptest::collection::vec;
    use proptest::prelude::{Strategy as _, any, prop_assert, prop_assert_eq};
    use proptest::sample::select;
    use proptest::test_runner::{Config, TestRunner};

    use super::{Error, Input, Memory, Params, Variant, Version, hash};

    const PARAMS: Params =
        Params { variant: Variant::Id, version: Version::V0x13, memory_kib: 64, passes: 2, lanes: 2 };
    const INPUT: Input<'_> = Input { password: b"password", salt: b"somesalt", secret: &[], associated_data: &[] };

    /// The tag computed by the `argon2` crate.
    fn oracle(params: &Params, input: &Input<'_>, tag_len: usize) -> Vec<u8> {
        let algorithm = match params.variant {
            Variant::D => Algorithm::Argon2d,
            Variant::I => Algorithm::Argon2i,
            Variant::Id => Algorithm::Argon2id,
        };
        let version = argon2::Version::try_from(params.version as u32).unwrap();
        let costs = ParamsBuilder::new()
            .m_cost(params.memory_kib)
            .t_cost(params.passes)
            .p_cost(params.lanes)
            .data(AssociatedData::new(input.associated_data).unwrap())
            .build()
            .unwrap();
        let argon2 = Argon2::new_with_secret(input.secret, algorithm, version, costs).unwrap();
        let mut tag = vec![0; tag_len];
        argon2.hash_password_into(input.password, input.salt, &mut tag).unwrap();
        tag
    }

    #[test]
    fn tags_equal_those_of_the_argon2_crate_whatever_the_memory_contained() {
        let params = (
            select(&[Variant::D, Variant::I, Variant::Id]),
            select(&[Version::V0x10, Version::V0x13]),
            1..=5_u32,
            1..=9_u32,
            // Covers segments of many address blocks and segments of few blocks.
            proptest::strategy::Union::new([0..=40_u32, 0..=2000]),
        )
            .prop_map(|(variant, version, passes, lanes, more)| Params {
                variant,
                version,
                memory_kib: 8 * lanes + more,
                passes,
                lanes,
            });
        let bytes = |from, to| vec(any::<u8>(), from..=to);
        let inputs = (bytes(0, 200), bytes(8, 100), bytes(0, 100), bytes(0, 32));
        let memory = std::cell::RefCell::new(Memory::new());
        let cases = (params, inputs, 4..=300_usize, any::<u8>());
        TestRunner::new(Config::with_cases(600))
            .run(&cases, |(params, (password, salt, secret, associated_data), tag_len, poison)| {
                let mut memory = memory.borrow_mut();
                memory.poison(poison);
                let input =
                    Input { password: &password, salt: &salt, secret: &secret, associated_data: &associated_data };
                let mut tag = vec![poison; tag_len];
                prop_assert_eq!(hash(&params, &input, &mut memory, &mut tag), Ok(()));
                prop_assert_eq!(tag, oracle(&params, &input, tag_len));
                prop_assert!(memory.is_wiped(params.memory_kib / (4 * params.lanes) * 4 * params.lanes));
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn a_parameter_out_of_bounds_is_refused_and_writes_nothing() {
        let short_salt = Input { salt: b"7 bytes", ..INPUT };
        let mut memory = Memory::new();
        for (params, input, tag_len, error) in [
            (Params { lanes: 0, ..PARAMS }, INPUT, 32, Error::Lanes),
            (Params { lanes: 1 << 24, memory_kib: u32::MAX, ..PARAMS }, INPUT, 32, Error::Lanes),
            (Params { lanes: u32::MAX, memory_kib: u32::MAX, ..PARAMS }, INPUT, 32, Error::Lanes),
            (Params { memory_kib: 15, ..PARAMS }, INPUT, 32, Error::MemoryTooSmall),
            (Params { memory_kib: 0, ..PARAMS }, INPUT, 32, Error::MemoryTooSmall),
            (Params { lanes: (1 << 24) - 1, ..PARAMS }, INPUT, 32, Error::MemoryTooSmall),
            (Params { passes: 0, ..PARAMS }, INPUT, 32, Error::Passes),
            (PARAMS, INPUT, 3, Error::TagLength),
            (PARAMS, INPUT, 0, Error::TagLength),
            (PARAMS, short_salt, 32, Error::SaltTooShort),
            (PARAMS, Input { salt: b"", ..INPUT }, 32, Error::SaltTooShort),
        ] {
            let mut tag = vec![0xa5; tag_len];
            assert_eq!(hash(&params, &input, &mut memory, &mut tag), Err(error), "{params:?}");
            assert_eq!(tag, vec![0xa5; tag_len]);
            assert_eq!(memory.kib(), 0);
        }
        for (params, tag_len) in [(Params { memory_kib: 16, ..PARAMS }, 4), (Params { passes: 1, ..PARAMS }, 64)] {
            let mut tag = vec![0; tag_len];
            hash(&params, &INPUT, &mut memory, &mut tag).unwrap();
            assert_eq!(tag, oracle(&params, &INPUT, tag_len));
        }
    }

    #[test]
    fn memory_grows_to_the_maximum_needed_and_is_kept() {
        let mut memory = Memory::new();
        for (memory_kib, held) in [(64, 64), (16, 64), (127, 120), (64, 120)] {
            hash(&Params { memory_kib, ..PARAMS }, &INPUT, &mut memory, &mut [0; 32]).unwrap();
            assert_eq!(memory.kib(), held);
        }
    }
}
