//! Compares this crate with the `argon2` crate for any parameters: both refuse them, or both compute the same tag. All runs share
//! one memory.
//!
//! `cargo install cargo-fuzz`, then, in crates/argon2-simd128:
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run differential -- -max_total_time=300` (the sanitizer needs an unstable flag).

#![no_main]

use std::sync::Mutex;

use argon2_simd128::{Input, Memory, Params, Variant, Version, hash};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    variant: u8,
    first_version: bool,
    memory_kib: u16,
    passes: u8,
    lanes: u8,
    tag_len: u16,
    password: &'a [u8],
    salt: &'a [u8],
    secret: &'a [u8],
    associated_data: &'a [u8],
}

static MEMORY: Mutex<Memory> = Mutex::new(Memory::new());

fuzz_target!(|case: Case| {
    let (variant, algorithm) = [
        (Variant::D, argon2::Algorithm::Argon2d),
        (Variant::I, argon2::Algorithm::Argon2i),
        (Variant::Id, argon2::Algorithm::Argon2id),
    ][usize::from(case.variant % 3)];
    let version = if case.first_version { Version::V0x10 } else { Version::V0x13 };
    // Limited, so that a run takes milliseconds.
    let (memory_kib, passes, lanes) =
        (u32::from(case.memory_kib % 4096), u32::from(case.passes % 5), u32::from(case.lanes % 33));
    let associated_data = &case.associated_data[..case.associated_data.len().min(32)];
    let tag_len = usize::from(case.tag_len % 1100);

    let params = Params { variant, version, memory_kib, passes, lanes };
    let input = Input { password: case.password, salt: case.salt, secret: case.secret, associated_data };
    let mut tag = vec![0xa5; tag_len];
    let hashed = hash(&params, &input, &mut MEMORY.lock().unwrap(), &mut tag);

    let oracle = || {
        let costs = argon2::ParamsBuilder::new()
            .m_cost(memory_kib)
            .t_cost(passes)
            .p_cost(lanes)
            .data(argon2::AssociatedData::new(associated_data).ok()?)
            .output_len(tag_len)
            .build()
            .ok()?;
        let version = argon2::Version::try_from(version as u32).ok()?;
        let argon2 = argon2::Argon2::new_with_secret(case.secret, algorithm, version, costs).ok()?;
        let mut tag = vec![0; tag_len];
        argon2.hash_password_into(case.password, case.salt, &mut tag).ok()?;
        Some(tag)
    };
    match oracle() {
        Some(expected) => assert_eq!((hashed, tag), (Ok(()), expected)),
        None => assert_eq!((hashed.is_err(), tag), (true, vec![0xa5; tag_len])),
    }
});
