//! The variable-length hash function H' (RFC 9106 §3.3).

use blake2::digest::block_api::{UpdateCore as _, VariableOutputCore as _};
use blake2::digest::block_buffer::LazyBuffer;
use blake2::{Blake2b512, Blake2bVarCore, Digest as _};

use crate::Error;
use crate::memory::wipe;

/// H'^T(A), where T is the length of `out` and A is the concatenation of the parts.
///
/// # Errors
/// [`Error::TagLength`] if `out` is empty or too long.
pub(crate) fn h_prime(parts: &[&[u8]], out: &mut [u8]) -> Result<(), Error> {
    let len = u32::try_from(out.len()).map_err(|_| Error::TagLength)?.to_le_bytes();
    if out.len() <= 64 {
        return h(std::iter::once(&len[..]).chain(parts.iter().copied()), out);
    }
    // V_1
    let mut hasher = Blake2b512::new();
    hasher.update(len);
    for part in parts {
        hasher.update(part);
    }
    let mut v: [u8; 64] = hasher.finalize().into();
    // W_1 to W_r are the first halves of V_1 to V_r. V_{r+1} follows whole and has 33 to 64 bytes.
    let mut rest = out;
    loop {
        let Some((w, after)) = rest.split_first_chunk_mut::<32>() else { return Err(Error::TagLength) };
        let (half, _) = v.split_at(32);
        w.copy_from_slice(half);
        if after.len() <= 64 {
            let result = h([&v[..]].into_iter(), after);
            wipe(&mut v);
            return result;
        }
        v = Blake2b512::digest(v).into();
        rest = after;
    }
}

/// H^x(A), where x is the length of `out`: 1 to 64 bytes.
fn h<'a>(parts: impl Iterator<Item = &'a [u8]>, out: &mut [u8]) -> Result<(), Error> {
    let mut hasher = Blake2bVarCore::new(out.len()).map_err(|_| Error::TagLength)?;
    let mut buffer = LazyBuffer::default();
    for part in parts {
        buffer.digest_blocks(part, |blocks| hasher.update_blocks(blocks));
    }
    let mut full = blake2::digest::Output::<Blake2bVarCore>::default();
    hasher.finalize_variable_core(&mut buffer, &mut full);
    for (byte, hashed) in out.iter_mut().zip(full) {
        *byte = hashed;
    }
    Ok(())
}
