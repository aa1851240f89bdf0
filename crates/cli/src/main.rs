//! The rules of the Worker as a command-line program, for `npm run import` and the other commands about accounts. It validates
//! users with the same code as `/register`.
//!
//! ```text
//! rules email-key ADDRESS
//!     prints the key by which the address is compared
//! rules check-role --roles LIST ROLE
//!     checks that the configured list contains the role
//! rules check-users --roles LIST --now SECONDS --cpu-ms MS --argon2 M,T,P --slot-key HEX [--allow-admins] [--wrap-weak]
//!     reads users from stdin, one JSON object per line; prints for each {"line": N, COLUMNS} or {"line": N, "error": TEXT},
//!     and finally {"users": COUNT, "admins": COUNT, "without_password": COUNT, "weak": {"bcrypt": COUNT, ...}}
//!     --cpu-ms is the CPU limit of a request; --argon2 is the configured cost of a hash; --slot-key is the slot key of the
//!     database; --wrap-weak wraps weak hashes in hashes of the configured cost
//! ```
//!
//! Exit status: 0 on success, 1 after an error that was printed, 2 for invalid arguments.

mod line;

use std::collections::HashMap;
use std::io::{self, BufRead, Read, Write};
use std::process::ExitCode;
use std::thread;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use line::{RoleList, Row, Settings, Totals, User, read_user};
use portcullis_core::id::SlotKey;
use portcullis_core::identity::email::Email;
use portcullis_core::password::{HashCost, Hasher};

/// Maximum length of a line, in bytes.
const MAX_LINE_BYTES: u64 = 64 * 1024;
/// Maximum length of an error, in characters before escaping.
const MAX_ERROR_CHARS: usize = 400;
/// Number of lines that are checked in parallel. Wrapping a hash takes about 35 ms.
const BATCH_SIZE: usize = 256;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["email-key", address] => {
            Email::parse(address).map_err(|error| error.to_string()).and_then(|email| print(&email.key()))
        }
        ["check-role", "--roles", list, role] => RoleList::parse(list).and_then(|roles| roles.check(role)),
        ["check-users", options @ ..] => match Options::read(options) {
            Some(options) => options.settings().and_then(|settings| check_users(&settings)),
            None => return usage(),
        },
        _ => return usage(),
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

fn usage() -> ExitCode {
    let _ = writeln!(io::stderr(), "usage: rules email-key | check-role | check-users; see crates/cli/src/main.rs");
    ExitCode::from(2)
}

fn print(text: &impl std::fmt::Display) -> Result<(), String> {
    writeln!(io::stdout(), "{text}").map_err(|error| error.to_string())
}

/// The options of check-users.
#[derive(Default)]
struct Options<'a> {
    roles: &'a str,
    now: u64,
    cpu_ms: u64,
    cost: Option<HashCost>,
    slot_key: Option<SlotKey>,
    allow_admins: bool,
    wrap_weak: bool,
}

impl<'a> Options<'a> {
    fn read(mut arguments: &[&'a str]) -> Option<Self> {
        let mut options = Self::default();
        loop {
            arguments = match arguments {
                [] => break,
                ["--roles", roles, rest @ ..] => {
                    options.roles = roles;
                    rest
                }
                ["--now", now, rest @ ..] => {
                    options.now = now.parse().ok()?;
                    rest
                }
                ["--cpu-ms", cpu_ms, rest @ ..] => {
                    options.cpu_ms = cpu_ms.parse().ok()?;
                    rest
                }
                ["--argon2", cost, rest @ ..] => {
                    options.cost = Some(read_cost(cost)?);
                    rest
                }
                ["--slot-key", key, rest @ ..] => {
                    options.slot_key = Some(SlotKey::parse(key)?);
                    rest
                }
                ["--allow-admins", rest @ ..] => {
                    options.allow_admins = true;
                    rest
                }
                ["--wrap-weak", rest @ ..] => {
                    options.wrap_weak = true;
                    rest
                }
                _ => return None,
            };
        }
        let is_complete =
            options.now != 0 && options.cpu_ms != 0 && options.cost.is_some() && options.slot_key.is_some();
        is_complete.then_some(options)
    }

    fn settings(self) -> Result<Settings<'a>, String> {
        let is_valid = |cost: &HashCost| {
            cost.is_strong_enough()
                && cost.memory_kib <= HashCost::MAX_MEMORY_KIB
                && cost.iterations <= HashCost::MAX_ITERATIONS
        };
        let hasher = self.cost.filter(is_valid).and_then(|cost| Hasher::new(cost).ok());
        Ok(Settings {
            roles: RoleList::parse(self.roles)?,
            now: self.now,
            hasher: hasher.ok_or(
                "ARGON2_MEMORY_KIB and ARGON2_ITERATIONS in wrangler.toml are outside the limits of the Worker",
            )?,
            cpu_ms: self.cpu_ms,
            slot_key: self.slot_key.ok_or("there is no slot key")?,
            allow_admins: self.allow_admins,
            wrap_weak: self.wrap_weak,
        })
    }
}

fn read_cost(text: &str) -> Option<HashCost> {
    let numbers: Vec<u32> = text.split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let [memory_kib, iterations] = numbers.try_into().ok()?;
    Some(HashCost { memory_kib, iterations })
}

/// The output for a line, and at the end.
#[derive(Serialize)]
#[serde(untagged)]
enum Checked {
    Row {
        line: u64,
        #[serde(flatten)]
        row: Box<Row>,
    },
    Error {
        line: u64,
        error: String,
    },
    End(Totals),
}

fn check_users(settings: &Settings<'_>) -> Result<(), String> {
    let failed = |error: io::Error| error.to_string();
    let mut printed = io::BufWriter::new(io::stdout().lock());
    let mut print = |checked: &Checked| {
        serde_json::to_writer(&mut printed, checked).map_err(io::Error::from).and_then(|()| printed.write_all(b"\n"))
    };
    let mut seen = Seen::default();
    let mut totals = Totals::default();
    let mut lines = Lines { input: io::stdin().lock(), line: 0 };
    loop {
        let batch = lines.by_ref().take(BATCH_SIZE).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        if batch.is_empty() {
            break;
        }
        for (line, user) in check_batch(settings, &batch)? {
            totals.users = totals.users.saturating_add(1);
            let checked = match user.and_then(|user| seen.check_unique(user, line)) {
                Ok(user) => {
                    totals.add(&user);
                    Checked::Row { line, row: Box::new(user.row) }
                }
                Err(error) => Checked::Error { line, error: printable(&error) },
            };
            print(&checked).map_err(failed)?;
        }
    }
    print(&Checked::End(totals)).map_err(failed)?;
    printed.flush().map_err(failed)
}

/// Reads non-empty lines with their numbers. A line that is too long is `None`.
struct Lines<R> {
    input: R,
    line: u64,
}

type NumberedLine = (u64, Option<Vec<u8>>);

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<NumberedLine>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut bytes = Vec::new();
            match self.input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
            self.line = self.line.saturating_add(1);
            if bytes.len() as u64 == MAX_LINE_BYTES && !bytes.ends_with(b"\n") {
                return Some(self.input.skip_until(b'\n').map(|_| (self.line, None)));
            }
            // Programs on Windows write a byte order mark.
            let text =
                bytes.strip_prefix("\u{feff}".as_bytes()).filter(|_| self.line == 1).unwrap_or(&bytes).trim_ascii();
            if !text.is_empty() {
                return Some(Ok((self.line, Some(text.to_vec()))));
            }
        }
    }
}

type NumberedUser = (u64, Result<User, String>);

/// Checks lines on all cores, and returns the results in the order of the lines.
fn check_batch(settings: &Settings<'_>, lines: &[NumberedLine]) -> Result<Vec<NumberedUser>, String> {
    let check = |(line, text): &NumberedLine| {
        let text = text.as_ref().ok_or_else(|| "the line is longer than 64 KiB".to_owned());
        (*line, text.and_then(|text| read_user(settings, text)))
    };
    let chunk_len = lines.len().div_ceil(thread::available_parallelism().map_or(1, usize::from)).max(1);
    let mut checked = Vec::with_capacity(lines.len());
    thread::scope(|scope| {
        let threads: Vec<_> =
            lines.chunks(chunk_len).map(|lines| scope.spawn(|| lines.iter().map(check).collect::<Vec<_>>())).collect();
        for thread in threads {
            checked.extend(thread.join().map_err(|_| "a thread panicked while checking a line")?);
        }
        Ok::<(), &str>(())
    })?;
    Ok(checked)
}

/// Shortens an error and escapes control characters, since it quotes untrusted input that must not act on a terminal.
fn printable(text: &str) -> String {
    let escape = |c: char| if matches!(c, '"' | '\'' | '\\') { c.to_string() } else { c.escape_debug().to_string() };
    let is_cut = text.chars().nth(MAX_ERROR_CHARS).is_some();
    text.chars().take(MAX_ERROR_CHARS).map(escape).chain(is_cut.then(|| "…".to_owned())).collect()
}

/// The line of every unique value. The values are hashed to save memory.
#[derive(Default)]
struct Seen(HashMap<[u8; 16], u64>);

impl Seen {
    fn check_unique(&mut self, user: User, line: u64) -> Result<User, String> {
        let row = &user.row;
        let id = row.id.to_string();
        let values = [
            ("id", Some(id.as_str())),
            ("e-mail address", Some(row.email_key.as_str())),
            ("username", row.username_key.as_deref()),
        ];
        for (what, value) in values.into_iter().filter_map(|(what, value)| Some((what, value?))) {
            let hash = Sha256::new().chain_update(what).chain_update([0]).chain_update(value).finalize();
            let key = hash.first_chunk().copied().unwrap_or_default();
            let first = *self.0.entry(key).or_insert(line);
            if first != line {
                return Err(format!("the {what} is the same as in line {first}"));
            }
        }
        Ok(user)
    }
}
