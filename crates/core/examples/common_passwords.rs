//! Builds the set of the most common passwords, and measures how many passwords of a list are refused. See
//! docs/reference/common-passwords.md.
//!
//! ```text
//! common_passwords make FILE
//!     reads a list from stdin, one password per line, most common first; writes the set to FILE and prints its size
//! common_passwords measure
//!     reads such a list; prints how many of its first passwords of at least 15 characters are refused, without and with the
//!     set
//! ```

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write as _};
use std::process::ExitCode;

use portcullis_core::identity::characters;
use portcullis_core::password::{common, strength};
use xorf::{BinaryFuse16, Descriptor, DmaSerializable as _};

/// Minimum length of the passwords that are all included, in characters: the default of `PASSWORD_MIN_LENGTH`.
const LONG: usize = 15;
/// Minimum length of the passwords of which the most common are included, in characters: the minimum of `PASSWORD_MIN_LENGTH`.
const SHORT: usize = 8;
/// Number of the most common passwords that are included.
const MOST_COMMON: usize = 100_000;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["make", file] => read_list().and_then(|list| make(&list, file)),
        ["measure"] => read_list().and_then(|list| measure(&list)),
        _ => {
            Err("usage: common_passwords make FILE | measure; see crates/core/examples/common_passwords.rs".to_owned())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A failure to write to stderr cannot be reported.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn read_list() -> Result<String, String> {
    io::read_to_string(io::stdin()).map_err(|error| error.to_string())
}

/// The distinct folded passwords of at least `min_chars` characters, in the order of the list.
fn folded(list: &str, min_chars: usize) -> Vec<String> {
    let mut seen = HashSet::new();
    let folded = list.lines().map(characters::folded).filter(|password| password.chars().count() >= min_chars);
    folded.filter(|password| seen.insert(password.clone())).collect()
}

fn make(list: &str, file: &str) -> Result<(), String> {
    let passwords = folded(list, SHORT);
    let is_included = |(rank, password): &(usize, &String)| *rank < MOST_COMMON || password.chars().count() >= LONG;
    let included = passwords.iter().enumerate().filter(is_included);
    let mut keys: Vec<_> = included.map(|(_, password)| common::key(password)).collect();
    // The same keys in the same order give the same bytes.
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
