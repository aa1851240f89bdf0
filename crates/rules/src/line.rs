//! Parses and validates one line of a file of users. An error names the member that is invalid.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use portcullis_core::account::metadata::Metadata;
use portcullis_core::account::roles::{ADMIN, Roles, is_admin};
use portcullis_core::id::{Id, Slot, SlotKey};
use portcullis_core::identity::display_name::Name;
use portcullis_core::identity::email::Email;
use portcullis_core::identity::username::Username;
use portcullis_core::password::{Hasher, Password, SALT_LEN, StoredHash};

/// Maximum time from now to `created_at`, in seconds. Allows for clock skew and detects times in milliseconds.
const MAX_CLOCK_SKEW: u64 = 86_400;
/// A password with two spellings, both of which are tried: the most expensive case.
const NOT_NFC: &str = "e\u{301}";

/// The settings for checking lines.
pub struct Settings {
    pub roles: RoleList,
    /// The current time, in unix seconds.
    pub now: u64,
    /// A hasher with the configured cost.
    pub hasher: Hasher,
    /// The CPU limit of a request, in milliseconds.
    pub cpu_ms: u64,
    /// The slot key of the database.
    pub slot_key: SlotKey,
    pub allow_admins: bool,
    pub wrap_weak: bool,
}

/// The configured roles, and their list as text.
pub struct RoleList {
    roles: Roles,
    text: String,
}

impl RoleList {
    pub fn parse(text: &str) -> Result<Self, String> {
        let roles = Roles::parse(text).map_err(|error| format!("ROLES in wrangler.toml {error}"))?;
        Ok(Self { roles, text: text.to_owned() })
    }

    pub fn check(&self, role: &str) -> Result<(), String> {
        let unknown = |_| format!("{role:?} is not a role: ROLES in wrangler.toml has {}", self.text);
        self.roles.choose(&[role.to_owned()]).map(|_| ()).map_err(unknown)
    }
}

/// A line in the format of docs/migrating/importing.md. `null` counts as absent, since databases export it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default, deserialize_with = "optional")]
    id: Option<Text>,
    email: Text,
    #[serde(default, deserialize_with = "optional")]
    email_verified: Option<Flag>,
    #[serde(default, deserialize_with = "optional")]
    username: Option<Text>,
    #[serde(default, deserialize_with = "optional")]
    name: Option<Text>,
    #[serde(default, deserialize_with = "optional")]
    given_name: Option<Text>,
    #[serde(default, deserialize_with = "optional")]
    family_name: Option<Text>,
    #[serde(default, deserialize_with = "optional")]
    metadata: Option<Object>,
    #[serde(default, deserialize_with = "optional")]
    app_metadata: Option<Object>,
    #[serde(default, deserialize_with = "optional")]
    roles: Option<Texts>,
    // Not `default`: a file without the member was probably made from the wrong columns.
    #[serde(deserialize_with = "optional")]
    password_hash: Option<Text>,
    #[serde(default, deserialize_with = "optional")]
    created_at: Option<Time>,
    #[serde(default, deserialize_with = "optional")]
    disabled: Option<Flag>,
}

/// A row of the table `users`.
#[derive(Serialize)]
pub struct Row {
    pub id: Id,
    email: String,
    pub email_key: String,
    email_verified_at: Option<u64>,
    username: Option<String>,
    pub username_key: Option<String>,
    name: Option<String>,
    given_name: Option<String>,
    family_name: Option<String>,
    metadata: Option<String>,
    app_metadata: Option<String>,
    password_hash: Option<String>,
    roles: String,
    created_at: u64,
    disabled_at: Option<u64>,
    slot: u16,
}

/// A valid user.
pub struct User {
    pub row: Row,
    pub is_admin: bool,
    /// The algorithm of the hash if the hash is weak.
    pub weakness: Option<&'static str>,
}

/// Counts over all users.
#[derive(Default, Serialize)]
pub struct Totals {
    pub users: u64,
    pub admins: u64,
    pub without_password: u64,
    /// The number of weak hashes by algorithm.
    pub weak: BTreeMap<&'static str, u64>,
}

impl Totals {
    pub fn add(&mut self, user: &User) {
        self.admins = self.admins.saturating_add(user.is_admin.into());
        self.without_password = self.without_password.saturating_add(user.row.password_hash.is_none().into());
        if let Some(name) = user.weakness {
            let count = self.weak.entry(name).or_default();
            *count = count.saturating_add(1);
        }
    }
}

/// Parses and validates a line. Errors quote it unescaped.
pub fn read_user(settings: &Settings, text: &[u8]) -> Result<User, String> {
    let text = str::from_utf8(text).map_err(|_| "not UTF-8")?;
    // serde also accepts an array of the values of the members.
    if !text.starts_with('{') {
        return Err("not a JSON object".to_owned());
    }
    let line: Line = parse(text)?;
    let email = Email::parse(&line.email.0).map_err(in_member("email"))?;
    let username = line.username.map(|Text(text)| Username::parse(&text)).transpose().map_err(in_member("username"))?;
    let name = read_name(line.name, "name")?;
    let given_name = read_name(line.given_name, "given_name")?;
    let family_name = read_name(line.family_name, "family_name")?;
    let metadata = read_metadata(line.metadata, "metadata")?;
    let app_metadata = read_metadata(line.app_metadata, "app_metadata")?;
    let hash = line.password_hash.map(|Text(text)| read_hash(settings, &text)).transpose();
    let (password_hash, weakness) = hash.map_err(in_member("password_hash"))?.unzip();
    let roles = read_roles(settings, line.roles).map_err(in_member("roles"))?;
    let row = Row {
        id: line.id.map_or_else(random_id, |Text(text)| read_id(&text)).map_err(in_member("id"))?,
        email: email.address().to_owned(),
        email_key: email.key().to_owned(),
        email_verified_at: time_if(line.email_verified, settings.now),
        slot: Slot::of(email.key(), &settings.slot_key).number(),
        username_key: username.as_ref().map(|username| username.key().to_owned()),
        username: username.map(|username| username.as_str().to_owned()),
        name,
        given_name,
        family_name,
        metadata,
        app_metadata,
        password_hash,
        roles: Value::from(roles.as_slice()).to_string(),
        created_at: line
            .created_at
            .map_or(Ok(settings.now), |time| seconds(time, settings.now))
            .map_err(in_member("created_at"))?,
        disabled_at: time_if(line.disabled, settings.now),
    };
    Ok(User { row, is_admin: is_admin(&roles), weakness: weakness.flatten() })
}

fn in_member<E: std::fmt::Display>(member: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{member}: {error}")
}

/// Parses an object. The error begins with the path of the member that is invalid.
fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_str(text);
    let object = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let message = without_position(error.inner());
        let is_about_a_member = error.inner().is_data() && path != ".";
        if is_about_a_member { format!("{path}: {message}") } else { message }
    })?;
    json.end().map_err(|error| without_position(&error))?;
    Ok(object)
}

/// Removes the position from a message, since its line is not that of the file.
fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&position).map_or_else(|| message.clone(), str::to_owned)
}

/// Parses a member that may be `null`, which counts as absent.
fn optional<'de, D: Deserializer<'de>, T: TryFrom<Value, Error = String>>(from: D) -> Result<Option<T>, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(None),
        value => T::try_from(value).map(Some).map_err(D::Error::custom),
    }
}

#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Text(String);

struct Texts(Vec<String>);

struct Object(Map<String, Value>);

struct Flag(bool);

enum Time {
    Seconds(u64),
    Text(String),
}

impl TryFrom<Value> for Text {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        if let Value::String(text) = value { Ok(Self(text)) } else { Err(expected("text", &value)) }
    }
}

impl TryFrom<Value> for Texts {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        const WANTED: &str = "an array of text";
        let Value::Array(values) = value else { return Err(expected(WANTED, &value)) };
        let text = |value| match value {
            Value::String(text) => Ok(text),
            other => Err(expected(WANTED, &other) + " in it"),
        };
        values.into_iter().map(text).collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<Value> for Object {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        if let Value::Object(members) = value { Ok(Self(members)) } else { Err(expected("an object", &value)) }
    }
}

impl TryFrom<Value> for Flag {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        if let Value::Bool(flag) = value { Ok(Self(flag)) } else { Err(expected("true or false", &value)) }
    }
}

impl TryFrom<Value> for Time {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        const WANTED: &str = "unix seconds or an RFC 3339 time as text";
        match value {
            Value::String(text) => Ok(Self::Text(text)),
            Value::Number(number) => match number.as_u64() {
                Some(seconds) => Ok(Self::Seconds(seconds)),
                None => Err(format!("expected {WANTED}, found {number}")),
            },
            other => Err(expected(WANTED, &other)),
        }
    }
}

/// The text of a type error. Those of serde name Rust types.
fn expected(what: &str, found: &Value) -> String {
    let found = match found {
        Value::Null => "null",
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    format!("expected {what}, found {found}")
}

fn read_name(text: Option<Text>, member: &'static str) -> Result<Option<String>, String> {
    let name = text.map(|Text(text)| Name::parse(&text)).transpose().map_err(in_member(member))?;
    Ok(name.map(|name| name.as_str().to_owned()))
}

fn read_metadata(object: Option<Object>, member: &'static str) -> Result<Option<String>, String> {
    let metadata = object.map(|Object(members)| Metadata::new(members)).transpose().map_err(in_member(member))?;
    Ok(metadata.map(|metadata| metadata.as_str().to_owned()))
}

fn read_roles(settings: &Settings, wanted: Option<Texts>) -> Result<Vec<String>, String> {
    let Some(Texts(wanted)) = wanted else { return Ok(settings.roles.roles.first()) };
    wanted.iter().try_for_each(|role| settings.roles.check(role))?;
    let roles = settings.roles.roles.choose(&wanted).map_err(|_| "a role is repeated")?;
    if is_admin(&roles) && !settings.allow_admins {
        return Err(format!("{ADMIN:?} requires --allow-admins"));
    }
    Ok(roles)
}

/// The stored form of a hash, and its algorithm if it is weak.
fn read_hash(settings: &Settings, text: &str) -> Result<(String, Option<&'static str>), String> {
    let mut hash = StoredHash::import(text).map_err(|error| error.to_string())?;
    let weakness = hash.weakness();
    if settings.wrap_weak && weakness.is_some() {
        hash = settings.hasher.wrap(hash, random()?).map_err(|error| error.to_string())?;
    }
    let password = Password::for_login(NOT_NFC).map_err(|error| error.to_string())?;
    let micros = settings.hasher.max_verify_micros(&password, &hash);
    if micros > settings.cpu_ms.saturating_mul(1000) {
        return Err(too_expensive(micros, settings.cpu_ms));
    }
    Ok((hash.to_string(), weakness))
}

/// The text of the error. The recommended limit has a margin of a quarter, since the cost was measured on one machine.
fn too_expensive(micros: u64, cpu_ms: u64) -> String {
    let about = micros.div_ceil(10_000).saturating_mul(10);
    let needed = micros.saturating_add(micros / 4).div_ceil(100_000).saturating_mul(100);
    format!(
        "verifying it takes about {about} ms of CPU time, but cpu_ms in wrangler.toml is {cpu_ms}: set it to at least \
         {needed} while such hashes exist"
    )
}

/// Parses an id of this service, or a UUID, whose 16 bytes become the id.
fn read_id(text: &str) -> Result<Id, String> {
    let uuid = || {
        let hex: String = text.split('-').collect();
        let hyphens = text.match_indices('-').map(|(at, _)| at).eq([8, 13, 18, 23]);
        let digits = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(&hex, 16).ok().filter(|_| hyphens && digits)?;
        Some(Id::new(number.to_be_bytes()))
    };
    let id = Id::parse(text).or_else(uuid).filter(|id| *id != Id::NIL);
    id.ok_or_else(|| "must be a UUID or 22 characters of base64url, not all zero".to_owned())
}

/// The time for a flag that is set. The file does not say since when.
fn time_if(flag: Option<Flag>, now: u64) -> Option<u64> {
    flag.filter(|Flag(is_set)| *is_set).map(|_| now)
}

fn random_id() -> Result<Id, String> {
    random().map(Id::new)
}

#[expect(clippy::disallowed_methods, reason = "the only source of randomness of this program")]
fn random() -> Result<[u8; SALT_LEN], String> {
    let mut bytes = [0; SALT_LEN];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn seconds(time: Time, now: u64) -> Result<u64, String> {
    let seconds = match time {
        Time::Seconds(seconds) => seconds,
        Time::Text(text) => {
            let time = DateTime::parse_from_rfc3339(&text).map_err(|_| "not a time in the format of RFC 3339")?;
            u64::try_from(time.timestamp()).map_err(|_| "before 1970")?
        }
    };
    if seconds > now.saturating_add(MAX_CLOCK_SKEW) {
        return Err("in the future; it must be in seconds, not milliseconds".to_owned());
    }
    Ok(seconds)
}
