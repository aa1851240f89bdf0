//! The Argon2 of this workspace and that of the `argon2` crate in one WebAssembly module without imports. The tests compare their
//! results, the benchmark their speed.
//!
//! ```js
//! const { exports: argon2 } = await WebAssembly.instantiate(module);
//! const put = (bytes) => new Uint8Array(argon2.memory.buffer, argon2.room(), bytes.length).set(bytes);
//! put([...password, ...salt, ...secret, ...associatedData]);
//! const failed = argon2.ours(2, 0x13, 19456, 2, 1, 32, password.length, salt.length, 0, 0);
//! const tag = new Uint8Array(argon2.memory.buffer, argon2.room(), 32).slice();
//! ```
//!
//! The parameters of `ours` and `theirs` are the variant (0 d, 1 i, 2 id), the version (0x10, 0x13), m in KiB, t, p, the length of
//! the tag, and the lengths of the password, the salt, the secret and the associated data, which follow one another in the
//! buffer `room`. On success they return 0 and write the tag to the start of the buffer; otherwise they return 1 and leave it
//! unchanged. `memory_kib` returns the amount of memory that `ours` holds.

use std::cell::RefCell;

use argon2_simd128::{Input, Memory, Params, Variant, Version, hash};

/// Size of the buffer for the inputs and the tag, in bytes.
const ROOM: usize = 65_536;

struct State {
    room: [u8; ROOM],
    memory: Memory,
}

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State { room: [0; ROOM], memory: Memory::new() }) };
}

/// The address of the buffer of 65,536 bytes.
#[expect(unsafe_code, reason = "an export; no other item has this name")]
#[unsafe(no_mangle)]
pub extern "C" fn room() -> *const u8 {
    STATE.with_borrow(|state| state.room.as_ptr())
}

/// The memory that `ours` holds, in KiB.
#[expect(unsafe_code, reason = "an export; no other item has this name")]
#[unsafe(no_mangle)]
pub extern "C" fn memory_kib() -> usize {
    STATE.with_borrow(|state| state.memory.kib())
}

/// Hashes with `argon2-simd128`.
#[expect(unsafe_code, reason = "an export; no other item has this name")]
#[unsafe(no_mangle)]
pub extern "C" fn ours(
    variant: u32,
    version: u32,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    tag_len: usize,
    password_len: usize,
    salt_len: usize,
    secret_len: usize,
    associated_data_len: usize,
) -> u32 {
    STATE.with_borrow_mut(|State { room, memory }| {
        let lens = [password_len, salt_len, secret_len, associated_data_len];
        run(room, tag_len, lens, |[password, salt, secret, associated_data], tag| {
            let variant = [Variant::D, Variant::I, Variant::Id].into_iter().find(|known| *known as u32 == variant)?;
            let version = [Version::V0x10, Version::V0x13].into_iter().find(|known| *known as u32 == version)?;
            let params = Params { variant, version, memory_kib, passes, lanes };
            hash(&params, &Input { password, salt, secret, associated_data }, memory, tag).ok()
        })
    })
}

/// Hashes with `argon2`, which permits at most 32 bytes of associated data.
#[expect(unsafe_code, reason = "an export; no other item has this name")]
#[unsafe(no_mangle)]
pub extern "C" fn theirs(
    variant: u32,
    version: u32,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    tag_len: usize,
    password_len: usize,
    salt_len: usize,
    secret_len: usize,
    associated_data_len: usize,
) -> u32 {
    STATE.with_borrow_mut(|State { room, .. }| {
        let lens = [password_len, salt_len, secret_len, associated_data_len];
        run(room, tag_len, lens, |[password, salt, secret, associated_data], tag| {
            let known = [argon2::Algorithm::Argon2d, argon2::Algorithm::Argon2i, argon2::Algorithm::Argon2id];
            let variant = known.into_iter().find(|known| *known as u32 == variant)?;
            let params = argon2::ParamsBuilder::new()
                .m_cost(memory_kib)
                .t_cost(passes)
                .p_cost(lanes)
                .data(argon2::AssociatedData::new(associated_data).ok()?)
                .build()
                .ok()?;
            let version = argon2::Version::try_from(version).ok()?;
            let argon2 = argon2::Argon2::new_with_secret(secret, variant, version, params).ok()?;
            argon2.hash_password_into(password, salt, tag).ok()
        })
    })
}

/// Splits the inputs, hashes them, and writes the tag to the buffer.
fn run(
    room: &mut [u8; ROOM],
    tag_len: usize,
    lens: [usize; 4],
    hash: impl FnOnce([&[u8]; 4], &mut [u8]) -> Option<()>,
) -> u32 {
    let mut tag = vec![0; tag_len.min(ROOM)];
    let inputs = room.to_vec();
    let mut rest = &inputs[..];
    let mut parts: [&[u8]; 4] = [&[]; 4];
    for (part, len) in parts.iter_mut().zip(lens) {
        let Some((taken, after)) = rest.split_at_checked(len) else { return 1 };
        (*part, rest) = (taken, after);
    }
    let Some(()) = hash(parts, &mut tag) else { return 1 };
    for (byte, hashed) in room.iter_mut().zip(tag) {
        *byte = hashed;
    }
    0
}
