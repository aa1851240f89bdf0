//! argon2-rust as WebAssembly, with the interface of crates/argon2-simd128/wasm-check: `room` is the buffer for the password, the
//! salt and the tag. Memory is reused between hashes, as in Portcullis.

use std::cell::RefCell;

use argon2_rust::params::Memory;
use argon2_rust::{Algorithm, Argon2, Hasher, Params, Version};

thread_local! {
    static ROOM: RefCell<[u8; 1024]> = const { RefCell::new([0; 1024]) };
    static HASHER: RefCell<Option<Hasher>> = const { RefCell::new(None) };
}

#[unsafe(no_mangle)]
pub extern "C" fn room() -> *const u8 {
    ROOM.with_borrow(|room| room.as_ptr())
}

/// Computes Argon2id, version 0x13. Returns 0 and writes the tag to the start of the buffer, or returns 1 on an error.
#[unsafe(no_mangle)]
pub extern "C" fn hash(m: u32, t: u32, p: u32, tag_len: usize, password_len: usize, salt_len: usize) -> u32 {
    let params = Params::builder().memory(Memory::kib(m.into())).passes(t).lanes(p).build();
    let Ok(params) = params else { return 1 };
    let mut tag = vec![0; tag_len];
    ROOM.with_borrow_mut(|room| {
        let (password, rest) = room.split_at(password_len);
        let hashed = HASHER.with_borrow_mut(|hasher| {
            let hasher =
                hasher.get_or_insert_with(|| Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hasher());
            hasher.hash_into(password, &rest[..salt_len], &mut tag)
        });
        room[..tag_len].copy_from_slice(&tag);
        u32::from(hashed.is_err())
    })
}
