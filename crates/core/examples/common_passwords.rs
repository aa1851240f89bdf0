//! Makes the set of the commonest passwords, and tells what of a list is refused; see docs/reference/common-passwords.md.
//!
//! ```text
//! common_passwords make FILE
//!     reads a list from stdin, one password a line, the most common one first, writes the set into the file, and says
//!     how many passwords it has
//! common_passwords measure
//!     reads such a list and says how many of its first passwords of at least 15 characters are refused, without the set and
//!     with it
//! ```

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write as _};
use std::process::ExitCode;

use portcullis_core::identity::characters;
use portcullis_core::password::{common, strength};
use xorf::{BinaryFuse16, Descriptor, DmaSerializable as _};

/// What `PASSWORD_MIN_LENGTH` is by default: of these, all that the list has.
const LONG: usize = 15;
/// What it is at least: of these, only the most common ones.
const SHORT: usize = 8;
const COMMONEST: usize = 100_000;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["make", file] => list().and_then(|list| make(&list, file)),
        ["measure"] => list().and_then(|list| measure(&list)),
        _ => {
            Err("usage: common_passwords make FILE | measure; see crates/core/examples/common_passwords.rs".to_owned())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nowhere to report to if even this fails.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn list() -> Result<String, String> {
    io::read_to_string(io::stdin()).map_err(|error| error.to_string())
}

/// The passwords of a list that have at least that many characters, folded, each once.
fn folded(list: &str, min_chars: usize) -> Vec<String> {
    let mut seen = HashSet::new();
    let folded = list.lines().map(characters::folded).filter(|password| password.chars().count() >= min_chars);
    folded.filter(|password| seen.insert(password.clone())).collect()
}

fn make(list: &str, file: &str) -> Result<(), String> {
    let passwords = folded(list, SHORT);
    let is_chosen = |(rank, password): &(usize, &String)| *rank < COMMONEST || password.chars().count() >= LONG;
    let chosen = passwords.iter().enumerate().filter(is_chosen);
    let mut keys: Vec<_> = chosen.map(|(_, password)| common::key(password)).collect();
    // The order decides the bytes.
    keys.sort_unstable();
    keys.dedup();
    let set = BinaryFuse16::try_from(&keys)?;
    let mut descriptor = [0; Descriptor::DMA_LEN];
    set.dma_copy_descriptor_to(&mut descriptor);
    let written = fs::write(file, [&descriptor, set.dma_fingerprints()].concat());
    written.and_then(|()| writeln!(io::stderr(), "{} passwords", keys.len())).map_err(|error| error.to_string())
}

fn measure(list: &str) -> Result<(), String> {
    let long = folded(list, LONG);
    let lines = [100, 1_000, 3_000, 10_000].into_iter().map(|count| {
        let first: Vec<_> = long.iter().take(count).collect();
        let without = first.iter().filter(|password| strength::is_composed(password, &[])).count();
        let with = first.iter().filter(|password| strength::is_guessable(password, &[])).count();
        format!("of the first {}: {without} without the set, {with} with it\n", first.len())
    });
    io::stdout().write_all(lines.collect::<String>().as_bytes()).map_err(|error| error.to_string())
}
