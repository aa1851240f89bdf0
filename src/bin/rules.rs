//! The Worker's rules on the command line, for `npm run import` and `npm run grant`, so that what comes in beside `/register`
//! is read by the same code. A native program; the Worker has nothing of it.
//!
//! ```text
//! rules email-key ADDRESS
//!     prints what the address is compared by
//! rules check-role --roles LIST ROLE
//!     says whether the list, which is that of the configuration, has that role
//! rules check-users --roles LIST --now SECONDS
//!     reads users from stdin, one JSON object a line, and prints for each {"line": n, and its columns} or
//!     {"line": n, "error": "..."}; at the end {"users": how many}
//! ```
//!
//! Ends with 0, with 1 for an error that it printed, with 2 for wrong arguments.

#[path = "../auth/mod.rs"]
#[expect(dead_code, reason = "the Worker uses the rest")]
#[cfg_attr(
    test,
    expect(
        clippy::arithmetic_side_effects,
        clippy::string_slice,
        clippy::format_collect,
        reason = "as in lib.rs: these are the same tests"
    )
)]
mod auth;

use std::collections::HashMap;
use std::io::{self, BufRead, Read, Write};
use std::process::ExitCode;

use chrono::DateTime;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use auth::email::Email;
use auth::id::Id;
use auth::password::StoredHash;
use auth::profile::{Name, Username};
use auth::roles::Roles;

/// Of a line, in bytes: far beyond any user that can be taken.
const MAX_LINE_BYTES: u64 = 64 * 1024;
/// How far `created_at` may lie ahead, in seconds: clocks differ, but milliseconds are no seconds.
const MAX_AHEAD: u64 = 86_400;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["email-key", address] => {
            Email::parse(address).map_err(|error| error.to_string()).and_then(|email| print(&email.key()))
        }
        ["check-role", "--roles", list, role] => RoleList::parse(list).and_then(|roles| roles.check(role)),
        ["check-users", "--roles", list, "--now", now] => {
            let Ok(now) = now.parse() else { return usage() };
            RoleList::parse(list).and_then(|roles| check_users(&Settings { roles, now }))
        }
        _ => return usage(),
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

fn usage() -> ExitCode {
    let _ = writeln!(io::stderr(), "usage: rules email-key | check-role | check-users; see src/bin/rules.rs");
    ExitCode::from(2)
}

fn print(text: &impl std::fmt::Display) -> Result<(), String> {
    writeln!(io::stdout(), "{text}").map_err(|error| error.to_string())
}

/// The roles there are, and how the configuration lists them.
struct RoleList<'a> {
    roles: Roles,
    text: &'a str,
}

impl<'a> RoleList<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        let roles = Roles::parse(text).map_err(|error| format!("ROLES in wrangler.toml {error}"))?;
        Ok(Self { roles, text })
    }

    fn check(&self, role: &str) -> Result<(), String> {
        let unknown = |_| format!("{role:?} is not a role: ROLES in wrangler.toml has {}", self.text);
        self.roles.choose(&[role.to_owned()]).map(|_| ()).map_err(unknown)
    }
}

struct Settings<'a> {
    roles: RoleList<'a>,
    /// Unix seconds.
    now: u64,
}

/// A line, as docs/importing-users.md describes it. `null` is as good as nothing, since that is what databases give.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: Option<String>,
    email: String,
    username: Option<String>,
    name: Option<String>,
    roles: Option<Vec<String>>,
    password_hash: String,
    created_at: Option<Time>,
    disabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "created_at must be unix seconds, or a time of RFC 3339")]
enum Time {
    Seconds(u64),
    Text(String),
}

/// The columns of `users`.
#[derive(Serialize)]
struct Row {
    id: Id,
    email: String,
    email_key: String,
    username: Option<String>,
    username_key: Option<String>,
    name: Option<String>,
    password_hash: String,
    roles: String,
    created_at: u64,
    disabled_at: Option<u64>,
}

/// What is printed of a line.
#[derive(Serialize)]
#[serde(untagged)]
enum Checked {
    Row {
        line: u64,
        #[serde(flatten)]
        row: Row,
    },
    Error {
        line: u64,
        error: String,
    },
    End {
        users: u64,
    },
}

fn check_users(settings: &Settings<'_>) -> Result<(), String> {
    let failed = |error: io::Error| error.to_string();
    let mut input = io::stdin().lock();
    let mut printed = io::BufWriter::new(io::stdout().lock());
    let mut print = |checked: &Checked| {
        serde_json::to_writer(&mut printed, checked).map_err(io::Error::from).and_then(|()| printed.write_all(b"\n"))
    };
    let mut seen = Seen::default();
    let (mut line, mut users) = (0u64, 0u64);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
            break;
        }
        line = line.saturating_add(1);
        let whole = bytes.len() as u64 != MAX_LINE_BYTES || bytes.ends_with(b"\n");
        if !whole {
            input.skip_until(b'\n').map_err(failed)?;
        }
        // Windows writes a mark in front of UTF-8.
        let text = bytes.strip_prefix("\u{feff}".as_bytes()).filter(|_| line == 1).unwrap_or(&bytes).trim_ascii();
        if text.is_empty() {
            continue;
        }
        users = users.saturating_add(1);
        let row = if whole { read_user(settings, text) } else { Err("longer than 64 KiB".to_owned()) };
        let checked = match row.and_then(|row| seen.unique(row, line)) {
            Ok(row) => Checked::Row { line, row },
            Err(error) => Checked::Error { line, error },
        };
        print(&checked).map_err(failed)?;
    }
    print(&Checked::End { users }).map_err(failed)?;
    printed.flush().map_err(failed)
}

fn read_user(settings: &Settings<'_>, text: &[u8]) -> Result<Row, String> {
    let text = str::from_utf8(text).map_err(|_| "not UTF-8")?;
    // A struct would also be read from an array of its members' values.
    if !text.starts_with('{') {
        return Err("not a JSON object".to_owned());
    }
    let line: Line = serde_json::from_str(text).map_err(|error| without_position(&error))?;
    let email = Email::parse(&line.email).map_err(|error| error.to_string())?;
    let username = line.username.map(|text| Username::parse(&text)).transpose().map_err(|error| error.to_string())?;
    let name = line.name.map(|text| Name::parse(&text)).transpose().map_err(|error| error.to_string())?;
    let password_hash = StoredHash::import(&line.password_hash).map_err(|error| format!("password_hash: {error}"))?;
    let roles = match line.roles {
        Some(wanted) => {
            wanted.iter().try_for_each(|role| settings.roles.check(role))?;
            settings.roles.roles.choose(&wanted).map_err(|_| "roles has one of them twice")?
        }
        None => settings.roles.roles.first(),
    };
    Ok(Row {
        id: line.id.map_or_else(random_id, |text| read_id(&text))?,
        email: email.address().to_owned(),
        email_key: email.key().to_owned(),
        username_key: username.as_ref().map(|username| username.key().to_owned()),
        username: username.map(|username| username.as_str().to_owned()),
        name: name.map(|name| name.as_str().to_owned()),
        password_hash: password_hash.to_string(),
        roles: serde_json::Value::from(roles).to_string(),
        created_at: line.created_at.map_or(Ok(settings.now), |time| seconds(time, settings.now))?,
        disabled_at: line.disabled.filter(|disabled| *disabled).map(|_| settings.now),
    })
}

/// The message alone: its "line 1" is not the line of the file.
fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&position).map_or_else(|| message.clone(), str::to_owned)
}

/// Ours, or a UUID, whose 16 bytes it keeps.
fn read_id(text: &str) -> Result<Id, String> {
    let uuid = || {
        let hex: String = text.split('-').collect();
        let hyphens = text.match_indices('-').map(|(at, _)| at).eq([8, 13, 18, 23]);
        let digits = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(&hex, 16).ok().filter(|_| hyphens && digits)?;
        Some(Id::new(number.to_be_bytes()))
    };
    let id = Id::parse(text).or_else(uuid).filter(|id| *id != Id::NOBODY);
    id.ok_or_else(|| "id must be a UUID, or 22 characters of base64url, and not all zero".to_owned())
}

#[expect(clippy::disallowed_methods, reason = "this program's one source of randomness")]
fn random_id() -> Result<Id, String> {
    let mut bytes = [0; Id::LEN];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(Id::new(bytes))
}

fn seconds(time: Time, now: u64) -> Result<u64, String> {
    let seconds = match time {
        Time::Seconds(seconds) => seconds,
        Time::Text(text) => {
            let time = DateTime::parse_from_rfc3339(&text).map_err(|_| "created_at is not a time of RFC 3339")?;
            u64::try_from(time.timestamp()).map_err(|_| "created_at is before 1970")?
        }
    };
    if seconds > now.saturating_add(MAX_AHEAD) {
        return Err("created_at is in the future: it must be seconds, not milliseconds".to_owned());
    }
    Ok(seconds)
}

/// The values that no two users share, and the line of each: of the values only hashes, so that what grows with the file is small.
#[derive(Default)]
struct Seen(HashMap<[u8; 16], u64>);

impl Seen {
    fn unique(&mut self, row: Row, line: u64) -> Result<Row, String> {
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
                return Err(format!("the {what} is that of line {first}"));
            }
        }
        Ok(row)
    }
}
