//! The configuration: every variable and secret, read and checked once. A bad one refuses to serve.
//!
//! docs/reference/configuration.md lists them; a test compares the names and defaults.

mod addresses;

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::http::split_origin;
use portcullis_core::account::resource_server::ResourceServers;
use portcullis_core::account::roles::Roles;
use portcullis_core::password::{HashCost, Hasher};
use portcullis_core::token::access::Parties;
use portcullis_core::token::keys::SigningKeys;
use portcullis_core::token::profile::ProfileClaim;
use portcullis_core::token::refresh::REFRESH_TOKEN;
use portcullis_core::token::sealed::{SealingKeys, SealingSecrets};

pub use addresses::Addresses;

/// The most that `CLOCK_LEEWAY_SECONDS` may be, in seconds.
pub const MAX_CLOCK_LEEWAY: u64 = 60;

/// A checked configuration. Durations in seconds.
pub struct Config {
    /// `ISSUER`, `AUDIENCE`, `CLIENT_ID`.
    pub parties: Parties,
    /// `ACCESS_TOKEN_TTL_SECONDS`.
    pub access_token_ttl: u64,
    /// `REFRESH_IDLE_TTL_SECONDS`: a session that is not refreshed for so long ends.
    pub refresh_idle_ttl: u64,
    /// `SESSION_TTL_SECONDS`: a session ends so long after its log-in, refreshed or not.
    pub session_ttl: u64,
    /// `REFRESH_GRACE_SECONDS`: so long after a refresh its token gets the same successor again.
    pub refresh_grace: u64,
    /// `CLOCK_LEEWAY_SECONDS`: granted to `exp` and `nbf`.
    pub clock_leeway: u64,
    /// `PASSWORD_MIN_LENGTH`, in code points.
    pub password_min_length: usize,
    /// `ARGON2_MEMORY_KIB`, `ARGON2_ITERATIONS`, `ARGON2_PARALLELISM`.
    pub hasher: Hasher,
    /// `ISSUER`, `ALSO_ANSWERS_AT`: where requests are answered.
    pub addresses: Addresses,
    /// `ALLOWED_ORIGINS`: as browsers send them.
    pub allowed_origins: Vec<String>,
    /// `BASE_PATH`: empty, or with a leading and no trailing slash.
    pub base_path: String,
    /// `REGISTRATION`.
    pub registration_open: bool,
    /// `ROLES`: those there are.
    pub roles: Roles,
    /// `MAX_SESSIONS_PER_USER`.
    pub max_sessions: u64,
    /// `AUDIT_TTL_SECONDS`: for so long the audit trail is kept, and with it the rows of ended sessions.
    pub audit_ttl: u64,
    /// `RESOURCE_SERVERS`: who may ask `/introspect`.
    pub resource_servers: ResourceServers,
    /// `LOG_COSTS`: whether every request, and the cleanup, logs its round trips, rows and KV operations.
    pub log_costs: bool,
    /// `LOG_REFRESHES`: whether every refresh is logged.
    pub log_refreshes: bool,
    /// `ACCESS_TOKEN_CLAIMS`.
    pub access_token_claims: Vec<ProfileClaim>,
    /// `SIGNING_KEYS`, a secret. With keys of HS256 only if `ALLOW_HS256`.
    pub signing_keys: SigningKeys,
    /// `TOKEN_SECRET`, a secret: the keys of the refresh tokens.
    pub refresh_token_keys: SealingKeys,
}

/// One thing that is wrong: which variable, and what, never its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The variable's name.
    pub variable: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

/// How a variable was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// Not set, `null`, or empty.
    Absent,
    /// Set to this text.
    Text(String),
    /// Set to something else than text.
    NotText,
}

impl Config {
    /// Reads the variables and secrets of a Worker.
    ///
    /// # Errors
    /// Every [`Problem`] there is.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn from_env(env: &worker::Env) -> Result<Self, Vec<Problem>> {
        // Not `Env::var`: on a variable that is `null` it throws through the WebAssembly, and the request hangs.
        // A secret is read like a variable: the runtime makes no difference.
        Self::read(|name| match js_sys::Reflect::get(env, &name.into()) {
            Ok(value) if value.is_undefined() || value.is_null() => Found::Absent,
            Ok(value) => match value.as_string() {
                Some(text) if text.is_empty() => Found::Absent,
                Some(text) => Found::Text(text),
                None => Found::NotText,
            },
            Err(_) => Found::NotText,
        })
    }

    /// The path of `ISSUER`; empty if it has none.
    #[must_use]
    pub fn issuer_path(&self) -> &str {
        split_origin(&self.parties.issuer).1
    }

    /// Reads and checks every variable through `find`.
    ///
    /// # Errors
    /// Every [`Problem`] there is.
    pub fn read(find: impl Fn(&'static str) -> Found) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader { find, problems: Vec::new() };
        let issuer = reader.required("ISSUER", addresses::issuer);
        let audience = reader.required("AUDIENCE", |text| Ok(text.to_owned()));
        let client_id = reader.text("CLIENT_ID", "first-party", |text| Ok(text.to_owned()));
        let access_token_ttl = reader.number("ACCESS_TOKEN_TTL_SECONDS", 900, 1..=86_400);
        let refresh_idle_ttl = reader.number("REFRESH_IDLE_TTL_SECONDS", 604_800, 1..=31_536_000);
        let session_ttl = reader.number("SESSION_TTL_SECONDS", 2_592_000, 1..=31_536_000);
        let refresh_grace = reader.number("REFRESH_GRACE_SECONDS", 30, 0..=300);
        let clock_leeway = reader.number("CLOCK_LEEWAY_SECONDS", 0, 0..=MAX_CLOCK_LEEWAY);
        let password_min_length = reader.number("PASSWORD_MIN_LENGTH", 15, 8..=64);
        let cost = HashCost {
            memory_kib: reader.number("ARGON2_MEMORY_KIB", 19_456, 1..=HashCost::MAX_MEMORY_KIB),
            iterations: reader.number("ARGON2_ITERATIONS", 2, 1..=HashCost::MAX_ITERATIONS),
            parallelism: reader.number("ARGON2_PARALLELISM", 1, 1..=HashCost::MAX_PARALLELISM),
        };
        let also_answers_at = reader.text("ALSO_ANSWERS_AT", "", addresses::other_addresses);
        let allowed_origins = reader.text("ALLOWED_ORIGINS", "", addresses::allowed_origins);
        let base_path = reader.text("BASE_PATH", "", base_path);
        let registration_open = reader.text("REGISTRATION", "open", |text| one_of(text, "open", "closed"));
        let roles = reader.text("ROLES", "user,admin", |text| Roles::parse(text).map_err(|error| error.to_string()));
        let max_sessions = reader.number("MAX_SESSIONS_PER_USER", 100, 1..=500);
        let audit_ttl = reader.number("AUDIT_TTL_SECONDS", 7_776_000, 86_400..=315_360_000);
        let resource_servers = reader.text("RESOURCE_SERVERS", "", resource_servers);
        let log_costs = reader.text("LOG_COSTS", "false", |text| one_of(text, "true", "false"));
        let log_refreshes = reader.text("LOG_REFRESHES", "false", |text| one_of(text, "true", "false"));
        let access_token_claims = reader.text("ACCESS_TOKEN_CLAIMS", "", profile_claims);
        let allow_hs256 = reader.text("ALLOW_HS256", "false", |text| one_of(text, "true", "false"));
        let signing_keys =
            reader.required("SIGNING_KEYS", |text| SigningKeys::parse(text).map_err(|error| error.to_string()));
        let sealing_secrets =
            reader.required("TOKEN_SECRET", |text| SealingSecrets::parse(text).map_err(|error| error.to_string()));

        let hasher = if cost.is_strong_enough() { Hasher::new(cost).ok() } else { None };
        if hasher.is_none() {
            reader.problem("ARGON2_MEMORY_KIB", "with ARGON2_ITERATIONS must be at least one of OWASP's equivalents: 47104/1, 19456/2, 12288/3, 9216/4, 7168/5");
        }
        let symmetric = signing_keys.iter().flat_map(SigningKeys::iter).any(|key| key.algorithm().is_symmetric());
        if symmetric && allow_hs256 == Some(false) {
            reader.problem("SIGNING_KEYS", "has an HS256 key, with which everyone who verifies tokens can also make them: set ALLOW_HS256 to \"true\" if that is wanted");
        }
        if signing_keys.is_some() && sealing_secrets.is_some() && reader.is_shared("TOKEN_SECRET", "SIGNING_KEYS") {
            reader.problem("TOKEN_SECRET", "must not be a key of SIGNING_KEYS as well");
        }
        // An access token never outlives its session, so a shorter session would cut every one of them short.
        if refresh_idle_ttl < access_token_ttl {
            reader.problem("REFRESH_IDLE_TTL_SECONDS", "must not be shorter than ACCESS_TOKEN_TTL_SECONDS");
        }
        if session_ttl < refresh_idle_ttl {
            reader.problem("SESSION_TTL_SECONDS", "must not be shorter than REFRESH_IDLE_TTL_SECONDS");
        }
        let config = (|| {
            let issuer = issuer?;
            Some(Self {
                addresses: Addresses::new(&issuer, also_answers_at?),
                parties: Parties { issuer, audience: audience?, client_id: client_id? },
                access_token_ttl,
                refresh_idle_ttl,
                session_ttl,
                refresh_grace,
                clock_leeway,
                password_min_length,
                hasher: hasher?,
                allowed_origins: allowed_origins?,
                base_path: base_path?,
                registration_open: registration_open?,
                roles: roles?,
                max_sessions,
                audit_ttl,
                resource_servers: resource_servers?,
                log_costs: log_costs?,
                log_refreshes: log_refreshes?,
                access_token_claims: access_token_claims?,
                signing_keys: signing_keys?,
                refresh_token_keys: sealing_secrets?.keys(REFRESH_TOKEN)?,
            })
        })();
        match config {
            Some(config) if reader.problems.is_empty() => Ok(config),
            _ => Err(reader.problems),
        }
    }

    /// How long an access token is accepted after it was signed, in seconds: so long its key outlives its last signature.
    #[must_use]
    pub fn key_overlap(&self) -> u64 {
        self.access_token_ttl.saturating_add(self.clock_leeway)
    }
}

struct Reader<F> {
    find: F,
    problems: Vec<Problem>,
}

impl<F: Fn(&'static str) -> Found> Reader<F> {
    fn problem(&mut self, variable: &'static str, problem: &str) {
        self.problems.push(Problem { variable, problem: problem.to_owned() });
    }

    /// Whether a part of one variable stands in another: a secret has one use.
    fn is_shared(&self, name: &'static str, other: &'static str) -> bool {
        match ((self.find)(name), (self.find)(other)) {
            (Found::Text(text), Found::Text(other)) => text
                .split(',')
                .map(|part| part.trim().trim_end_matches('='))
                .any(|part| !part.is_empty() && other.contains(part)),
            _ => false,
        }
    }

    fn required<T>(&mut self, name: &'static str, check: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        match (self.find)(name) {
            Found::Absent => {
                self.problem(name, "is not set");
                None
            }
            found => self.checked(name, found, check),
        }
    }

    fn text<T>(&mut self, name: &'static str, default: &str, check: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let found = match (self.find)(name) {
            Found::Absent => Found::Text(default.to_owned()),
            found => found,
        };
        self.checked(name, found, check)
    }

    fn number<T>(&mut self, name: &'static str, default: T, range: RangeInclusive<T>) -> T
    where
        T: Copy + FromStr + PartialOrd + fmt::Display,
    {
        let out_of_range = || format!("must be a whole number from {} to {}", range.start(), range.end());
        let check = |text: &str| {
            // `FromStr` would take a leading plus sign.
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = if digits { text.parse().ok() } else { None };
            number.filter(|number| range.contains(number)).ok_or_else(out_of_range)
        };
        match (self.find)(name) {
            Found::Absent => default,
            // The default stands in for a bad number, which is reported, so that the other checks go on.
            found => self.checked(name, found, check).unwrap_or(default),
        }
    }

    fn checked<T>(&mut self, name: &'static str, found: Found, check: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let checked = match found {
            Found::Text(text) => check(&text),
            Found::Absent | Found::NotText => Err("must be text: put it in quotes".to_owned()),
        };
        checked.map_err(|problem| self.problem(name, &problem)).ok()
    }
}

fn one_of(text: &str, yes: &str, no: &str) -> Result<bool, String> {
    match text {
        _ if text == yes => Ok(true),
        _ if text == no => Ok(false),
        _ => Err(format!("must be \"{yes}\" or \"{no}\"")),
    }
}

fn profile_claims(text: &str) -> Result<Vec<ProfileClaim>, String> {
    let mut claims = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let claim = ProfileClaim::parse(name);
        let claim = claim.ok_or(
            "must list claims separated by commas: email, name, given_name, family_name, preferred_username, user_metadata, app_metadata",
        )?;
        if claims.contains(&claim) {
            return Err("must list no claim twice".to_owned());
        }
        claims.push(claim);
    }
    Ok(claims)
}

fn base_path(text: &str) -> Result<String, String> {
    let segment = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    match text.strip_prefix('/') {
        None if text.is_empty() => Ok(String::new()),
        Some(rest) if rest.split('/').all(segment) => Ok(text.to_owned()),
        _ => Err("must be empty or like \"/auth\": a leading slash, no trailing one, unreserved characters".to_owned()),
    }
}

fn resource_servers(text: &str) -> Result<ResourceServers, String> {
    if text.is_empty() {
        return Ok(ResourceServers::default());
    }
    ResourceServers::parse(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Config, Found, Problem};
    use portcullis_core::token::profile::ProfileClaim;

    const SIGNING_KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}]}"#;
    const TOKEN_SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    fn read(changes: &[(&'static str, &str)]) -> Result<Config, Vec<Problem>> {
        let mut values = HashMap::from([
            ("ISSUER", "https://auth.example.org"),
            ("AUDIENCE", "https://api.example.org"),
            ("SIGNING_KEYS", SIGNING_KEYS),
            ("TOKEN_SECRET", TOKEN_SECRET),
        ]);
        values.extend(changes.iter().copied());
        Config::read(|name| match values.get(name) {
            None | Some(&"<absent>") => Found::Absent,
            Some(&"<number>") => Found::NotText,
            Some(text) => Found::Text((*text).to_owned()),
        })
    }

    fn blamed(changes: &[(&'static str, &str)]) -> Vec<&'static str> {
        read(changes).err().unwrap_or_default().into_iter().map(|problem| problem.variable).collect()
    }

    #[test]
    fn defaults_are_those_of_the_readme() {
        let config = read(&[]).ok().unwrap();
        assert_eq!(config.parties.client_id, "first-party");
        assert_eq!((config.access_token_ttl, config.refresh_idle_ttl, config.session_ttl), (900, 604_800, 2_592_000));
        assert_eq!((config.refresh_grace, config.clock_leeway, config.password_min_length), (30, 0, 15));
        assert!(config.allowed_origins.is_empty() && config.base_path.is_empty() && config.issuer_path().is_empty());
        assert!(
            config.registration_open
                && config.resource_servers.is_empty()
                && !config.log_costs
                && !config.log_refreshes
        );
        assert_eq!((config.roles.first(), config.audit_ttl), (vec!["user".to_owned()], 7_776_000));
        assert!(config.access_token_claims.is_empty());
        assert_eq!(config.key_overlap(), 900);
    }

    #[test]
    fn an_hs256_key_is_taken_only_where_it_is_allowed() {
        let symmetric = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
        let alone = format!(r#"{{"keys":[{symmetric}]}}"#);
        let behind = SIGNING_KEYS.replace("]}", &format!(",{symmetric}]}}"));
        for keys in [&alone, &behind] {
            assert_eq!(blamed(&[("SIGNING_KEYS", keys)]), ["SIGNING_KEYS"]);
            assert_eq!(blamed(&[("SIGNING_KEYS", keys), ("ALLOW_HS256", "false")]), ["SIGNING_KEYS"]);
            assert_eq!(blamed(&[("SIGNING_KEYS", keys), ("ALLOW_HS256", "yes")]), ["ALLOW_HS256"]);
            assert!(read(&[("SIGNING_KEYS", keys), ("ALLOW_HS256", "true")]).is_ok());
        }
        assert!(read(&[("ALLOW_HS256", "true")]).is_ok());
    }

    #[test]
    fn every_bad_value_is_blamed_on_its_variable() {
        for (variable, bad) in [
            ("ISSUER", "<absent>"),
            ("ISSUER", "auth.example.org"),
            ("ISSUER", "http://auth.example.org"),
            ("ISSUER", "http://localhost.evil.org"),
            ("ISSUER", "https://auth.example.org/"),
            ("ISSUER", "https://Auth.example.org"),
            ("ISSUER", "https://auth.example.org:443"),
            ("ISSUER", "https://auth.example.org?x=1"),
            ("ISSUER", "https://auth.example.org#x"),
            ("ISSUER", "https://u:p@auth.example.org"),
            ("AUDIENCE", "<absent>"),
            ("ACCESS_TOKEN_TTL_SECONDS", "15m"),
            ("ACCESS_TOKEN_TTL_SECONDS", "+900"),
            ("ACCESS_TOKEN_TTL_SECONDS", "-1"),
            ("ACCESS_TOKEN_TTL_SECONDS", "0"),
            ("ACCESS_TOKEN_TTL_SECONDS", "900.5"),
            ("ACCESS_TOKEN_TTL_SECONDS", "99999999999999999999"),
            ("ACCESS_TOKEN_TTL_SECONDS", "<number>"),
            ("REFRESH_IDLE_TTL_SECONDS", "899"),
            ("SESSION_TTL_SECONDS", "604799"),
            ("REFRESH_GRACE_SECONDS", "301"),
            ("CLOCK_LEEWAY_SECONDS", "61"),
            ("PASSWORD_MIN_LENGTH", "7"),
            ("ARGON2_MEMORY_KIB", "19455"),
            ("ARGON2_MEMORY_KIB", "1000000"),
            ("ALSO_ANSWERS_AT", "*"),
            ("ALSO_ANSWERS_AT", "auth.example.net"),
            ("ALSO_ANSWERS_AT", "https://*.example.net"),
            ("ALSO_ANSWERS_AT", "https://auth.example.net/"),
            ("ALSO_ANSWERS_AT", "https://auth.example.net/auth"),
            ("ALSO_ANSWERS_AT", "https://auth.example.net:443"),
            ("ALSO_ANSWERS_AT", "https://Auth.example.net"),
            ("ALSO_ANSWERS_AT", "http://auth.example.net"),
            ("ALSO_ANSWERS_AT", "https://u:p@auth.example.net"),
            ("ALSO_ANSWERS_AT", "https://auth.example.net https://login.example.net"),
            ("ALSO_ANSWERS_AT", "null"),
            ("ALLOWED_ORIGINS", "*"),
            ("ALLOWED_ORIGINS", "null"),
            ("ALLOWED_ORIGINS", "https://app.example.org/"),
            ("ALLOWED_ORIGINS", "https://app.example.org,http://app.example.org"),
            ("ALLOWED_ORIGINS", "https://*.example.org"),
            ("BASE_PATH", "auth"),
            ("BASE_PATH", "/"),
            ("BASE_PATH", "/auth/"),
            ("BASE_PATH", "/a//b"),
            ("BASE_PATH", "/../auth"),
            ("BASE_PATH", "/au th"),
            ("REGISTRATION", "maybe"),
            ("ROLES", "admin"),
            ("MAX_SESSIONS_PER_USER", "0"),
            ("MAX_SESSIONS_PER_USER", "501"),
            ("AUDIT_TTL_SECONDS", "86399"),
            ("RESOURCE_SERVERS", "orders-api"),
            ("RESOURCE_SERVERS", "[{}]"),
            ("LOG_COSTS", "1"),
            ("LOG_REFRESHES", "yes"),
            ("ALLOW_HS256", "TRUE"),
            ("ACCESS_TOKEN_CLAIMS", "phone_number"),
            ("ACCESS_TOKEN_CLAIMS", "Email"),
            ("ACCESS_TOKEN_CLAIMS", "email name"),
            ("ACCESS_TOKEN_CLAIMS", "email,name,email"),
            ("SIGNING_KEYS", "<absent>"),
            ("SIGNING_KEYS", "{}"),
            ("TOKEN_SECRET", "<absent>"),
            ("TOKEN_SECRET", "c2hvcnQ"),
        ] {
            assert_eq!(blamed(&[(variable, bad)]), [variable], "{variable}={bad}");
        }
        assert_eq!(blamed(&[("ARGON2_ITERATIONS", "1")]), ["ARGON2_MEMORY_KIB"]);
    }

    #[test]
    fn one_secret_has_one_use() {
        let shared = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
        assert_eq!(blamed(&[("TOKEN_SECRET", shared)]), ["TOKEN_SECRET"]);
        assert_eq!(blamed(&[("TOKEN_SECRET", &format!("{shared}="))]), ["TOKEN_SECRET"]);
        assert_eq!(blamed(&[("TOKEN_SECRET", &format!("{TOKEN_SECRET},{shared}"))]), ["TOKEN_SECRET"]);
    }

    #[test]
    fn all_problems_are_told_at_once_and_no_value_is_shown() {
        let problems = read(&[("TOKEN_SECRET", "hunter2"), ("SIGNING_KEYS", "hunter2"), ("REGISTRATION", "hunter2")]);
        let problems = problems.err().unwrap();
        assert_eq!(problems.len(), 3);
        assert!(!format!("{problems:?}").contains("hunter2"));
    }

    #[test]
    fn good_values_are_taken() {
        let config = read(&[
            ("ISSUER", "http://127.0.0.1:8787/auth/v1"),
            ("ALLOWED_ORIGINS", "https://app.example.org, http://localhost:5173"),
            ("BASE_PATH", "/auth/v1"),
            ("REGISTRATION", "closed"),
            ("REFRESH_GRACE_SECONDS", "0"),
            ("ACCESS_TOKEN_CLAIMS", "preferred_username, email"),
        ]);
        let config = config.ok().unwrap();
        assert_eq!(config.access_token_claims, [ProfileClaim::PreferredUsername, ProfileClaim::Email]);
        assert_eq!(config.allowed_origins, ["https://app.example.org", "http://localhost:5173"]);
        assert_eq!(config.base_path, "/auth/v1");
        assert_eq!(config.issuer_path(), "/auth/v1");
        assert!(!config.registration_open);
        assert_eq!(config.refresh_grace, 0);
    }
}
