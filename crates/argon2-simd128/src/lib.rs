//! Argon2 (RFC 9106), every variant, both versions, any number of lanes, in one thread, for WebAssembly in V8.
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
//! The results are those of the `argon2` crate and of the reference implementation. What differs is what they cost:
//!
//! - The compression function G is written for the SIMD128 of WebAssembly (`simd128.rs`, chosen on `wasm32`; elsewhere, and
//!   with the feature `scalar`, `scalar.rs`). It enables the instructions by itself, so no compiler flag decides whether
//!   they are used.
//! - [`Memory`] is kept from hash to hash, so that its pages are neither mapped nor filled anew for each.
//!
//! There is no `unsafe` in it, and nothing panics.

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

/// The type y: which blocks are referenced (RFC 9106 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variant {
    /// By what is in memory, throughout.
    D = 0,
    /// By the position alone, so that memory accesses tell nothing of the password.
    I = 1,
    /// By the position in the first half of the first pass, then by what is in memory.
    Id = 2,
}

/// The version v.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// The first: later passes overwrite the blocks.
    V0x10 = 0x10,
    /// That of RFC 9106: later passes are added to the blocks by XOR.
    V0x13 = 0x13,
}

/// What a hash costs, and of which kind it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Params {
    /// y.
    pub variant: Variant,
    /// v.
    pub version: Version,
    /// m, the memory in KiB, which are blocks: at least 8p. Used is the next lower multiple of 4p.
    pub memory_kib: u32,
    /// t: at least 1.
    pub passes: u32,
    /// p, the degree of parallelism: 1 to 2^24-1. Lanes are filled one after another here.
    pub lanes: u32,
}

/// What is hashed. Each at most 2^32-1 bytes. No `Debug`: there is a password in it.
#[derive(Clone, Copy, Default)]
pub struct Input<'a> {
    /// P.
    pub password: &'a [u8],
    /// S, the nonce: at least 8 bytes, as in the reference implementation.
    pub salt: &'a [u8],
    /// K, empty for none.
    pub secret: &'a [u8],
    /// X, empty for none.
    pub associated_data: &'a [u8],
}

/// Why there is no hash. Nothing was written to the tag then.
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
    /// The memory could not be allocated. Afterwards none is held.
    OutOfMemory,
    /// A block that would be read while it is written, or one outside of the memory: cannot happen, and is no reason to
    /// panic.
    BlockIndex,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Lanes => "the number of lanes p must be 1 to 2^24-1",
            Self::MemoryTooSmall => "the memory m must be at least 8 KiB a lane",
            Self::Passes => "the number of passes t must be at least 1",
            Self::TagLength => "the tag must have 4 to 2^32-1 bytes",
            Self::SaltTooShort => "the salt must have at least 8 bytes",
            Self::InputTooLong => "an input has more than 2^32-1 bytes",
            Self::OutOfMemory => "out of memory",
            Self::BlockIndex => "a block index that cannot be",
        })
    }
}

impl std::error::Error for Error {}

/// Computes the tag, as long as `tag` is (RFC 9106 §3.2; the numbers in the code are that section's). What `memory` held
/// before does not matter, and nothing of this hash remains in it.
///
/// # Errors
/// [`Error`] names the first bound that does not hold.
pub fn hash(params: &Params, input: &Input<'_>, memory: &mut Memory, tag: &mut [u8]) -> Result<(), Error> {
    let shape = Shape::new(params)?;
    let tag_len = u32::try_from(tag.len()).ok().filter(|len| *len >= 4).ok_or(Error::TagLength)?;
    if input.salt.len() < 8 {
        return Err(Error::SaltTooShort);
    }
    // 1.
    let mut h0 = h0(params, input, tag_len)?;
    // 2.
    let mut blocks = memory.borrow(shape.blocks())?;
    // 3. to 6.
    shape.fill(&mut blocks, &h0)?;
    // 7.
    let mut last = shape.last(&blocks)?;
    // 8.
    h_prime(&[&last], tag)?;
    wipe(&mut h0);
    wipe(&mut last);
    Ok(())
}

/// H0, over the parameters and the inputs, each with its length in front.
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
