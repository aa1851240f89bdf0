//! Checks the lines of a file of users, which comes in pieces.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::line::{RoleList, Row, Settings, Totals, User, read_user};
use portcullis_core::id::SlotKey;
use portcullis_core::password::{HashCost, Hasher};

/// Maximum length of a line with its end, in bytes.
const MAX_LINE_BYTES: usize = 64 * 1024;
/// Maximum length of an error, in characters before escaping.
const MAX_ERROR_CHARS: usize = 400;

/// How users are checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The configured roles.
    roles: String,
    /// The current time, in unix seconds.
    now: u64,
    /// The CPU limit of a request, in milliseconds.
    cpu_ms: u64,
    /// The configured cost of a hash.
    memory_kib: u32,
    iterations: u32,
    /// The slot key of the database.
    slot_key: String,
    allow_admins: bool,
    /// Wraps weak hashes in hashes of the configured cost.
    wrap_weak: bool,
}

impl Options {
    fn settings(&self) -> Result<Settings, String> {
        let cost = HashCost { memory_kib: self.memory_kib, iterations: self.iterations };
        let is_valid = cost.is_strong_enough()
            && cost.memory_kib <= HashCost::MAX_MEMORY_KIB
            && cost.iterations <= HashCost::MAX_ITERATIONS;
        let hasher = if is_valid { Hasher::new(cost).ok() } else { None };
        Ok(Settings {
            roles: RoleList::parse(&self.roles)?,
            now: self.now,
            hasher: hasher.ok_or(
                "ARGON2_MEMORY_KIB and ARGON2_ITERATIONS in wrangler.toml are outside the limits of the Worker",
            )?,
            cpu_ms: self.cpu_ms,
            slot_key: SlotKey::parse(&self.slot_key).ok_or("the slot key is invalid")?,
            allow_admins: self.allow_admins,
            wrap_weak: self.wrap_weak,
        })
    }
}

/// What is returned for a line, and at the end.
#[derive(Serialize)]
#[serde(untagged)]
enum Checked<'a> {
    Row {
        line: u64,
        #[serde(flatten)]
        row: Box<Row>,
    },
    Error {
        line: u64,
        error: String,
    },
    End(&'a Totals),
}

pub struct Checker {
    settings: Settings,
    lines: Lines,
    seen: Seen,
    totals: Totals,
}

impl Checker {
    pub fn new(options: &Options) -> Result<Self, String> {
        Ok(Self {
            settings: options.settings()?,
            lines: Lines::default(),
            seen: Seen::default(),
            totals: Totals::default(),
        })
    }

    pub fn check(&mut self, piece: &[u8]) -> Result<String, String> {
        let Self { settings, lines, seen, totals } = self;
        let mut output = String::new();
        lines.push(piece, |line, text| {
            totals.users = totals.users.saturating_add(1);
            let text = text.ok_or_else(|| "the line is longer than 64 KiB".to_owned());
            let user = text.and_then(|text| read_user(settings, text));
            let checked = match user.and_then(|user| seen.check_unique(user, line)) {
                Ok(user) => {
                    totals.add(&user);
                    Checked::Row { line, row: Box::new(user.row) }
                }
                Err(error) => Checked::Error { line, error: printable(&error) },
            };
            write(&mut output, &checked)
        })?;
        Ok(output)
    }

    pub fn end(mut self) -> Result<String, String> {
        let mut output = self.check(b"\n")?;
        write(&mut output, &Checked::End(&self.totals))?;
        Ok(output)
    }
}

fn write(output: &mut String, checked: &Checked<'_>) -> Result<(), String> {
    output.push_str(&serde_json::to_string(checked).map_err(|error| error.to_string())?);
    output.push('\n');
    Ok(())
}

/// Splits the pieces of a file into lines.
#[derive(Default)]
struct Lines {
    /// The line that has not ended yet, unless it is too long.
    rest: Vec<u8>,
    is_too_long: bool,
    number: u64,
}

impl Lines {
    /// Acts on the lines that end in a piece and are not empty, with their numbers. A line that is too long is `None`.
    fn push(
        &mut self,
        piece: &[u8],
        mut act: impl FnMut(u64, Option<&[u8]>) -> Result<(), String>,
    ) -> Result<(), String> {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.is_too_long |= self.rest.len().saturating_add(part.len()) > MAX_LINE_BYTES;
            if self.is_too_long {
                self.rest.clear();
            } else {
                self.rest.extend_from_slice(part);
            }
            if !part.ends_with(b"\n") {
                break;
            }
            self.number = self.number.saturating_add(1);
            // Programs on Windows write a byte order mark.
            let mark = "\u{feff}".as_bytes();
            let text = self.rest.strip_prefix(mark).filter(|_| self.number == 1).unwrap_or(&self.rest).trim_ascii();
            if self.is_too_long {
                act(self.number, None)?;
            } else if !text.is_empty() {
                act(self.number, Some(text))?;
            }
            self.rest.clear();
            self.is_too_long = false;
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Lines, MAX_LINE_BYTES};

    /// The lines of a file in pieces of that size. The last line has no end.
    fn lines(file: &[u8], size: usize) -> Vec<(u64, Option<Vec<u8>>)> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for piece in file.chunks(size).chain([&b"\n"[..]]) {
            let act = |number, text: Option<&[u8]>| {
                found.push((number, text.map(<[u8]>::to_vec)));
                Ok(())
            };
            lines.push(piece, act).unwrap();
        }
        found
    }

    #[test]
    fn a_line_may_have_64_kib_with_its_end() {
        let long = |len: usize| [b"a\n", vec![b'b'; len].as_slice(), b"\nc"].concat();
        for size in [1000, usize::MAX] {
            let fits = lines(&long(MAX_LINE_BYTES - 1), size);
            assert_eq!(fits[1], (2, Some(vec![b'b'; MAX_LINE_BYTES - 1])));
            let exceeds = lines(&long(MAX_LINE_BYTES), size);
            assert_eq!(exceeds, [(1, Some(b"a".to_vec())), (2, None), (3, Some(b"c".to_vec()))]);
        }
    }

    #[test]
    fn empty_lines_count_and_only_the_first_byte_order_mark_is_removed() {
        let file = "\u{feff}a\r\n\r\n \n\u{feff}b";
        for size in [1, 2, 100] {
            let marked = "\u{feff}b".as_bytes().to_vec();
            assert_eq!(lines(file.as_bytes(), size), [(1, Some(b"a".to_vec())), (4, Some(marked))]);
        }
    }

    proptest! {
        #[test]
        fn the_size_of_the_pieces_does_not_matter(file in "[ab\n\r ]{0,40}", size in 1_usize..50) {
            prop_assert_eq!(lines(file.as_bytes(), size), lines(file.as_bytes(), usize::MAX));
        }
    }
}
