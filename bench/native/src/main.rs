//! Computes a native hash with argon2-rust's AVX2 for each line of input and prints it in base16, or an empty line without AVX2.
//! The arguments are the password, the salt, m in KiB, t, p and the length of the hash.

use std::io::{BufRead as _, Write as _};

use argon2_rust::params::Memory;
use argon2_rust::{__internal::hash_with_backend, Algorithm, Backend, Params, Version};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [password, salt, m, t, p, length] = arguments.as_slice() else {
        return Err("usage: argon2-native PASSWORD SALT M T P LENGTH".into());
    };
    let params = Params::builder().memory(Memory::kib(m.parse()?)).passes(t.parse()?).lanes(p.parse()?).build()?;
    let (password, salt) = (password.as_bytes(), salt.as_bytes());
    let (id, version) = (Algorithm::Argon2id, Version::V0x13);
    let mut tag = vec![0; length.parse()?];
    for line in std::io::stdin().lock().lines() {
        line?;
        let mut answer = String::new();
        if Backend::Avx2.is_available() {
            // SAFETY: `is_available` has confirmed that the processor supports AVX2.
            unsafe { hash_with_backend(Backend::Avx2, id, version, &params, password, salt, b"", b"", &mut tag) }?;
            answer = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        }
        writeln!(std::io::stdout(), "{answer}")?;
    }
    Ok(())
}
