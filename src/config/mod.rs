//! The configuration: every variable and secret, read and checked once. If one is invalid, every request gets a 503.
//!
//! docs/reference/configuration.md lists them. A test compares names and defaults.

mod addresses;
mod mail;
mod metrics;
mod reader;
mod webauthn;

use portcullis_core::account::client::SourceProxy;
use portcullis_core::account::resource_server::ResourceServers;
use portcullis_core::account::roles::Roles;
use portcullis_core::account::throttle::NameKey;
use portcullis_core::at_rest::DataSecrets;
use portcullis_core::mail::challenge::ChallengeKeys;
use portcullis_core::password::strength::MIN_OWN_WORD;
use portcullis_core::password::{HashCost, Hasher};
use portcullis_core::rate_limit::RateLimits;
use portcullis_core::sign_in::{Mfa, Policy};
use portcullis_core::token::access::Parties;
use portcullis_core::token::device::DEVICE_TOKEN;
use portcullis_core::token::keys::{MAX_TIME, SigningKeys};
use portcullis_core::token::mfa::MFA_TOKEN;
use portcullis_core::token::profile::ProfileClaim;
use portcullis_core::token::refresh::REFRESH_TOKEN;
use portcullis_core::token::rotation::MAX_ACCESS_TOKEN_TTL;
use portcullis_core::token::sealed::{SealingKeys, SealingSecrets};
use portcullis_core::webauthn::challenge::PasskeyChallengeKeys;

pub use addresses::Addresses;
use addresses::Issuer;
pub use mail::{EmailVerification, Mail, Sender};
pub use metrics::MetricsApi;
use reader::Reader;
pub use reader::{Found, Problem};
pub use webauthn::WebAuthn;

/// A checked configuration. Durations in seconds.
#[expect(clippy::struct_excessive_bools, reason = "each is a variable of its own")]
pub struct Config {
    /// `ISSUER`, `AUDIENCE`, `CLIENT_ID`.
    pub parties: Parties,
    /// `ACCESS_TOKEN_TTL_SECONDS`.
    pub access_token_ttl: u64,
    /// `REFRESH_IDLE_TTL_SECONDS`: lifetime of a session that is not refreshed.
    pub refresh_idle_ttl: u64,
    /// `SESSION_TTL_SECONDS`: maximum lifetime of a session.
    pub session_ttl: u64,
    /// `SESSIONS_NOT_BEFORE`: sessions, challenges, links and device tokens of before are refused, in unix seconds.
    pub sessions_not_before: u64,
    /// `REFRESH_GRACE_SECONDS`: period after a refresh in which the same token gets the same successor again.
    pub refresh_grace: u64,
    /// `PASSWORD_MIN_LENGTH`, in code points.
    pub password_min_length: usize,
    /// `PASSWORD_CONTEXT_WORDS`: words of the organisation, which are parts of guessable passwords.
    pub password_context_words: Vec<String>,
    /// `BREACH_CHECK`, `BREACH_CHECK_URL`: `None` if it is off.
    pub breach_check: Option<BreachCheck>,
    /// `ARGON2_MEMORY_KIB`, `ARGON2_ITERATIONS`.
    pub hasher: Hasher,
    /// `ISSUER`, `ALSO_ANSWERS_AT`: the addresses where requests are answered.
    pub addresses: Addresses,
    /// `ALLOWED_ORIGINS`: as browsers send them.
    pub allowed_origins: Vec<String>,
    /// `COOKIE_MODE`: whether refresh tokens may be delivered in cookies.
    pub cookie_mode: bool,
    /// The path of `ISSUER`, a prefix of every endpoint: empty, or with a leading and no trailing slash.
    pub base_path: String,
    /// `REGISTRATION`.
    pub registration_open: bool,
    /// `PAGES`, `DOCS`: what is served to browsers.
    pub pages: Pages,
    /// `ROLES`: the defined roles.
    pub roles: Roles,
    /// `MAX_SESSIONS_PER_USER`.
    pub max_sessions: u64,
    /// `SOURCE_HEADER`, `SOURCE_SECRET`.
    pub source_proxy: Option<SourceProxy>,
    /// `TURNSTILE_SECRET`, `TURNSTILE_SITE_KEY`, `TURNSTILE_URL`: `None` without a secret.
    pub turnstile: Option<Turnstile>,
    /// `RATE_LIMITS`: the limits that the bindings of the rate limiters have.
    pub rate_limits: RateLimits,
    /// `METRICS_URL`, `METRICS_TOKEN`, `METRICS_DATASET`: `None` if the metrics cannot be read.
    pub metrics_api: Option<MetricsApi>,
    /// `AUDIT_TTL_SECONDS`: retention of the audit trail and of the rows of ended sessions.
    pub audit_ttl: u64,
    /// `RESOURCE_SERVERS`: the servers that may call `/introspect`.
    pub resource_servers: ResourceServers,
    /// `LOG`: whether every request and scheduled event logs its round trips, rows and KV operations.
    pub log_costs: bool,
    /// `LOG`: whether every refresh is logged.
    pub log_refreshes: bool,
    /// `ACCESS_TOKEN_CLAIMS`.
    pub access_token_claims: Vec<ProfileClaim>,
    /// `SIGNING_KEYS`, a secret. HS256 keys require `ALLOW_HS256`.
    pub signing_keys: SigningKeys,
    /// `KEY_ROTATION`: whether the scheduled event makes signing keys, and these sign.
    pub rotates_keys: bool,
    /// `KEYS_NOT_BEFORE`, in unix seconds: signing keys that the scheduled event made before this are not used.
    pub keys_not_before: u64,
    /// `TOKEN_SECRET`, a secret: the keys of refresh tokens.
    pub refresh_token_keys: SealingKeys,
    /// `TOKEN_SECRET`: the keys of device tokens.
    pub device_token_keys: SealingKeys,
    /// `TOKEN_SECRET`: the key of name hashes.
    pub name_key: NameKey,
    /// `TOKEN_SECRET`: the keys of challenges, codes and links in mails.
    pub challenge_keys: ChallengeKeys,
    /// `DATA_SECRETS`, a secret: the keys of encrypted columns and of recovery codes; `None` without it.
    pub data_secrets: Option<DataSecrets>,
    /// `TOKEN_SECRET`: the keys of the challenges of passkeys.
    pub passkey_challenge_keys: PasskeyChallengeKeys,
    /// `WEBAUTHN_RP_ID`, `WEBAUTHN_ORIGINS`, `WEBAUTHN_COUNTER`.
    pub webauthn: WebAuthn,
    /// `MAIL` and what belongs to it; `None`: no mails are sent.
    pub mail: Option<Mail>,
    /// `EMAIL_VERIFICATION`.
    pub email_verification: EmailVerification,
    /// `TOKEN_SECRET`: the keys of the tokens of sign-ins that need a further proof.
    pub mfa_token_keys: SealingKeys,
    /// `MFA`, `MAIL`, `EMAIL_VERIFICATION`: which proofs a sign-in needs.
    pub policy: Policy,
    /// `AAL2_SESSION_TTL_SECONDS`: maximum lifetime of a session with two factors and of those of admins.
    pub aal2_session_ttl: u64,
    /// `EMAIL_LOGIN`: whether a code from a mail is sufficient to sign in.
    pub email_login: bool,
}

/// The check of new passwords against a list of passwords from data breaches.
pub struct BreachCheck {
    /// Whether a listed password is refused. Otherwise, the response has a warning.
    pub refuses: bool,
    /// The address of the range API, without a slash at the end.
    pub url: String,
}

/// The check of registrations by Turnstile.
pub struct Turnstile {
    /// The secret key.
    pub secret: String,
    /// The site key, which the account pages use.
    pub site_key: Option<String>,
    /// The address of the siteverify API.
    pub url: String,
    /// The hosts whose pages may get tokens: those of the issuer and of the allowed origins.
    pub hostnames: Vec<String>,
}

/// The pages that are served to browsers.
pub struct Pages {
    /// `PAGES`: whether the account pages are served.
    pub account: bool,
    /// `DOCS`: whether the documentation page and `/openapi.json` are served.
    pub docs: bool,
    /// The origins to which the account pages may return after a login: those of `ALLOWED_ORIGINS` that are https, and http if the issuer
    /// is on loopback.
    pub return_origins: Vec<String>,
}

impl Config {
    /// Reads every variable and secret through `find` and checks them. Reports all problems at once.
    #[expect(clippy::too_many_lines, reason = "each variable has a line")]
    pub fn read(find: impl Fn(&'static str) -> Found) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader::new(find);
        let issuer = reader.required("ISSUER", Issuer::parse);
        let audience = reader.required("AUDIENCE", |text| Ok(text.to_owned()));
        let client_id = reader.text("CLIENT_ID", "first-party", |text| Ok(text.to_owned()));
        let access_token_ttl = reader.number("ACCESS_TOKEN_TTL_SECONDS", 900, 1..=MAX_ACCESS_TOKEN_TTL);
        let refresh_idle_ttl = reader.number("REFRESH_IDLE_TTL_SECONDS", 604_800, 1..=31_536_000);
        let session_ttl = reader.number("SESSION_TTL_SECONDS", 2_592_000, 1..=31_536_000);
        // Milliseconds are out of range. The isolate refuses a time in the future.
        let sessions_not_before = reader.number("SESSIONS_NOT_BEFORE", 0, 0..=4_102_444_800);
        let refresh_grace = reader.number("REFRESH_GRACE_SECONDS", 30, 0..=300);
        let password_min_length = reader.number("PASSWORD_MIN_LENGTH", 15, 8..=64);
        let password_context_words = reader.text("PASSWORD_CONTEXT_WORDS", "", context_words);
        let breach_refuses = reader.text("BREACH_CHECK", "off", |text| match text {
            "off" => Ok(None),
            "warn" => Ok(Some(false)),
            "refuse" => Ok(Some(true)),
            _ => Err("must be \"off\", \"warn\" or \"refuse\"".to_owned()),
        });
        let breach_url = reader.text("BREACH_CHECK_URL", "https://api.pwnedpasswords.com", addresses::service);
        let cost = HashCost {
            memory_kib: reader.number("ARGON2_MEMORY_KIB", 19_456, 1..=HashCost::MAX_MEMORY_KIB),
            iterations: reader.number("ARGON2_ITERATIONS", 2, 1..=HashCost::MAX_ITERATIONS),
        };
        let also_answers_at = reader.text("ALSO_ANSWERS_AT", "", addresses::other_addresses);
        let allowed_origins = reader.text("ALLOWED_ORIGINS", "", addresses::allowed_origins);
        let cookie_mode = reader.text("COOKIE_MODE", "off", |text| one_of(text, "refresh", "off"));
        let registration_open = reader.text("REGISTRATION", "open", |text| one_of(text, "open", "closed"));
        let pages = reader.text("PAGES", "on", |text| one_of(text, "on", "off"));
        let docs = reader.text("DOCS", "", |text| match text {
            "" => Ok(None),
            _ => one_of(text, "on", "off").map(Some),
        });
        let roles = reader.text("ROLES", "user,admin", |text| Roles::parse(text).map_err(|error| error.to_string()));
        let max_sessions = reader.number("MAX_SESSIONS_PER_USER", 100, 1..=500);
        let rate_limits =
            reader.text("RATE_LIMITS", "credentials=20/60,name=10/60,bad_token=60/60,writes=120/60", rate_limits);
        let source_proxy = source_proxy(&mut reader);
        let turnstile = turnstile(&mut reader);
        let webauthn = webauthn::read(&mut reader, issuer.as_ref());
        let mail = mail::read(&mut reader, issuer.as_ref());
        let email_verification = reader.text("EMAIL_VERIFICATION", "off", EmailVerification::parse);
        let email_login = reader.text("EMAIL_LOGIN", "off", |text| one_of(text, "on", "off"));
        for (name, is_on) in [
            ("EMAIL_VERIFICATION", email_verification.is_some_and(|mode| mode != EmailVerification::Off)),
            ("EMAIL_LOGIN", email_login == Some(true)),
        ] {
            if is_on && !reader.is_set("MAIL") {
                reader.problem(name, "needs mails: set MAIL");
            }
        }
        let mfa = reader.text("MFA", "optional", |text| match text {
            "optional" => Ok(Mfa::Optional),
            "admins" => Ok(Mfa::Admins),
            "required" => Ok(Mfa::Required),
            _ => Err("must be \"optional\", \"admins\" or \"required\"".to_owned()),
        });
        // Otherwise, nobody could enrol.
        if mfa.is_some_and(|mfa| mfa != Mfa::Optional) && !reader.is_set("DATA_SECRETS") {
            reader.problem("MFA", "needs a place for factors: set DATA_SECRETS");
        }
        let aal2_session_ttl = reader.number("AAL2_SESSION_TTL_SECONDS", 604_800, 1..=31_536_000);
        let metrics_api = metrics::read(&mut reader);
        let audit_ttl = reader.number("AUDIT_TTL_SECONDS", 7_776_000, 86_400..=315_360_000);
        let resource_servers = reader.text("RESOURCE_SERVERS", "", resource_servers);
        let log = reader.text("LOG", "", log);
        let access_token_claims = reader.text("ACCESS_TOKEN_CLAIMS", "", profile_claims);
        let allow_hs256 = reader.text("ALLOW_HS256", "false", |text| one_of(text, "true", "false"));
        let signing_keys =
            reader.required("SIGNING_KEYS", |text| SigningKeys::parse(text).map_err(|error| error.to_string()));
        let rotates_keys = reader.text("KEY_ROTATION", "manual", |text| one_of(text, "automatic", "manual"));
        if rotates_keys == Some(true) && !reader.is_set("DATA_SECRETS") {
            reader.problem("KEY_ROTATION", "needs a place for keys: set DATA_SECRETS");
        }
        let keys_not_before = reader.number("KEYS_NOT_BEFORE", 0, 0..=MAX_TIME);
        let sealing_secrets =
            reader.required("TOKEN_SECRET", |text| SealingSecrets::parse(text).map_err(|error| error.to_string()));
        let data_secrets = data_secrets(&mut reader);

        let hasher = if cost.is_strong_enough() { Hasher::new(cost).ok() } else { None };
        if hasher.is_none() {
            reader.problem(
                "ARGON2_MEMORY_KIB",
                "with ARGON2_ITERATIONS must reach one of OWASP's minimums: 47104/1, 19456/2, 12288/3, 9216/4, 7168/5",
            );
        }
        let symmetric = signing_keys.iter().flat_map(SigningKeys::iter).any(|key| key.algorithm().is_symmetric());
        if symmetric && allow_hs256 == Some(false) {
            reader.problem("SIGNING_KEYS", "has an HS256 key, and whoever can verify HS256 tokens can also forge them: set ALLOW_HS256 to \"true\" to allow it");
        }
        if signing_keys.is_some() && sealing_secrets.is_some() && reader.is_shared("TOKEN_SECRET", "SIGNING_KEYS") {
            reader.problem("TOKEN_SECRET", "must not also be a key of SIGNING_KEYS");
        }
        // An access token never outlives its session, so a shorter session would shorten every access token.
        if refresh_idle_ttl < access_token_ttl {
            reader.problem("REFRESH_IDLE_TTL_SECONDS", "must not be shorter than ACCESS_TOKEN_TTL_SECONDS");
        }
        if session_ttl < refresh_idle_ttl {
            reader.problem("SESSION_TTL_SECONDS", "must not be shorter than REFRESH_IDLE_TTL_SECONDS");
        }
        let config = (|| {
            let (issuer, log, allowed_origins, secrets) = (issuer?, log?, allowed_origins?, sealing_secrets?);
            Some(Self {
                pages: Pages {
                    account: pages?,
                    docs: docs?.unwrap_or(issuer.is_loopback()),
                    return_origins: addresses::return_origins(&allowed_origins, &issuer),
                },
                addresses: Addresses::new(&issuer, also_answers_at?),
                base_path: issuer.base_path().to_owned(),
                turnstile: turnstile.map(|turnstile| Turnstile {
                    hostnames: addresses::hostnames(&issuer, &allowed_origins),
                    ..turnstile
                }),
                parties: Parties { issuer: issuer.text().to_owned(), audience: audience?, client_id: client_id? },
                access_token_ttl,
                refresh_idle_ttl,
                session_ttl,
                sessions_not_before,
                refresh_grace,
                password_min_length,
                password_context_words: password_context_words?,
                breach_check: breach_refuses?.zip(breach_url).map(|(refuses, url)| BreachCheck { refuses, url }),
                hasher: hasher?,
                allowed_origins,
                cookie_mode: cookie_mode?,
                registration_open: registration_open?,
                roles: roles?,
                max_sessions,
                source_proxy,
                rate_limits: rate_limits?,
                metrics_api,
                audit_ttl,
                resource_servers: resource_servers?,
                log_costs: log.contains(&Log::Costs),
                log_refreshes: log.contains(&Log::Refreshes),
                access_token_claims: access_token_claims?,
                signing_keys: signing_keys?,
                rotates_keys: rotates_keys?,
                keys_not_before,
                refresh_token_keys: secrets.keys(REFRESH_TOKEN)?,
                device_token_keys: secrets.keys(DEVICE_TOKEN)?,
                name_key: NameKey::derive(&secrets)?,
                challenge_keys: ChallengeKeys::derive(&secrets)?,
                passkey_challenge_keys: PasskeyChallengeKeys::derive(&secrets)?,
                webauthn: webauthn?,
                mfa_token_keys: secrets.keys(MFA_TOKEN)?,
                policy: Policy {
                    mfa: mfa?,
                    sends_mails: mail.is_some(),
                    requires_verified_email: email_verification == Some(EmailVerification::Required),
                },
                aal2_session_ttl,
                data_secrets,
                mail,
                email_verification: email_verification?,
                email_login: email_login?,
            })
        })();
        match (config, reader.problems()) {
            (Some(config), problems) if problems.is_empty() => Ok(config),
            (_, problems) => Err(problems),
        }
    }

    /// Period in which a key stays published after its last signature, in seconds: the lifetime of an access token.
    pub fn key_overlap(&self) -> u64 {
        self.access_token_ttl
    }
}

fn source_proxy(reader: &mut Reader<impl Fn(&'static str) -> Found>) -> Option<SourceProxy> {
    let header = reader.optional("SOURCE_HEADER", SourceProxy::is_header, "must be the name of a header");
    let secret =
        reader.optional("SOURCE_SECRET", SourceProxy::is_secret, "must be base64url of at least 32 random bytes");
    for (name, other) in [("SOURCE_HEADER", "SOURCE_SECRET"), ("SOURCE_SECRET", "SOURCE_HEADER")] {
        if reader.is_set(name) && !reader.is_set(other) {
            reader.problem(name, &format!("is used only together with {other}, which is not set"));
        }
    }
    if secret.is_some() && reader.is_shared("SOURCE_SECRET", "TOKEN_SECRET") {
        reader.problem("SOURCE_SECRET", "must not also be TOKEN_SECRET");
    }
    Some(SourceProxy::new(header?, secret?))
}

fn data_secrets(reader: &mut Reader<impl Fn(&'static str) -> Found>) -> Option<DataSecrets> {
    let text = reader.optional("DATA_SECRETS", |_| true, "")?;
    let secrets = SealingSecrets::parse(&text).map_err(|error| reader.problem("DATA_SECRETS", &error.to_string()));
    for other in ["TOKEN_SECRET", "SIGNING_KEYS", "SOURCE_SECRET", "MAIL_WEBHOOK_SECRET"] {
        if secrets.is_ok() && reader.is_shared("DATA_SECRETS", other) {
            reader.problem("DATA_SECRETS", &format!("must not also be in {other}"));
        }
    }
    DataSecrets::derive(&secrets.ok()?)
}

/// Has no hostnames yet.
fn turnstile(reader: &mut Reader<impl Fn(&'static str) -> Found>) -> Option<Turnstile> {
    let secret = reader.optional("TURNSTILE_SECRET", |_| true, "");
    let site_key = reader.optional("TURNSTILE_SITE_KEY", |_| true, "");
    let url =
        reader.text("TURNSTILE_URL", "https://challenges.cloudflare.com/turnstile/v0/siteverify", addresses::service);
    if site_key.is_some() && !reader.is_set("TURNSTILE_SECRET") {
        reader.problem("TURNSTILE_SITE_KEY", "is used only together with TURNSTILE_SECRET, which is not set");
    }
    Some(Turnstile { secret: secret?, site_key, url: url?, hostnames: Vec::new() })
}

fn one_of(text: &str, yes: &str, no: &str) -> Result<bool, String> {
    match text {
        _ if text == yes => Ok(true),
        _ if text == no => Ok(false),
        _ => Err(format!("must be \"{yes}\" or \"{no}\"")),
    }
}

/// A kind of event that is logged only if `LOG` lists it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    Costs,
    Refreshes,
}

fn log(text: &str) -> Result<Vec<Log>, String> {
    list(text, |name| match name {
        "costs" => Some(Log::Costs),
        "refreshes" => Some(Log::Refreshes),
        _ => None,
    })
    .ok_or_else(|| "must list costs and refreshes, each at most once, separated by commas".to_owned())
}

fn rate_limits(text: &str) -> Result<RateLimits, String> {
    RateLimits::parse(text).ok_or_else(|| {
        "must list credentials, name, bad_token and writes, each once, with requests and a period of 10 or 60 seconds: \
         \"credentials=20/60,name=10/60,bad_token=60/60,writes=120/60\""
            .to_owned()
    })
}

fn profile_claims(text: &str) -> Result<Vec<ProfileClaim>, String> {
    list(text, ProfileClaim::parse).ok_or_else(|| {
        "must list claims separated by commas, each at most once: email, name, given_name, family_name, preferred_username, user_metadata, app_metadata".to_owned()
    })
}

/// The items of a list separated by commas; `None` if one is unknown or repeated.
fn list<T: PartialEq>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let mut items = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let item = parse(name).filter(|item| !items.contains(item))?;
        items.push(item);
    }
    Some(items)
}

/// Maximum number of [`context_words`], because a new password is searched for each.
const MAX_CONTEXT_WORDS: usize = 100;

fn context_words(text: &str) -> Result<Vec<String>, String> {
    let words: Vec<_> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    if words.len() > MAX_CONTEXT_WORDS || words.iter().any(|word| word.chars().count() < MIN_OWN_WORD) {
        return Err(format!(
            "must list at most {MAX_CONTEXT_WORDS} words of at least {MIN_OWN_WORD} characters, separated by commas"
        ));
    }
    Ok(words)
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

    fn variables_with_problems(changes: &[(&'static str, &str)]) -> Vec<&'static str> {
        read(changes).err().unwrap_or_default().into_iter().map(|problem| problem.variable).collect()
    }

    #[test]
    fn the_defaults_are_as_documented() {
        let config = read(&[]).ok().unwrap();
        assert_eq!(config.parties.client_id, "first-party");
        assert_eq!((config.access_token_ttl, config.refresh_idle_ttl, config.session_ttl), (900, 604_800, 2_592_000));
        assert_eq!((config.refresh_grace, config.password_min_length), (30, 15));
        assert_eq!(config.sessions_not_before, 0);
        assert!(config.password_context_words.is_empty() && config.breach_check.is_none());
        assert!(config.allowed_origins.is_empty() && config.base_path.is_empty());
        assert!(
            config.registration_open
                && !config.cookie_mode
                && config.resource_servers.is_empty()
                && !config.log_costs
                && !config.log_refreshes
        );
        assert_eq!((config.roles.first(), config.audit_ttl), (vec!["user".to_owned()], 7_776_000));
        assert!(config.access_token_claims.is_empty());
        assert_eq!(config.key_overlap(), 900);
        assert!(!config.rotates_keys && config.keys_not_before == 0);
    }

    #[test]
    fn an_hs256_key_requires_allow_hs256() {
        let symmetric = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
        let alone = format!(r#"{{"keys":[{symmetric}]}}"#);
        let second = SIGNING_KEYS.replace("]}", &format!(",{symmetric}]}}"));
        for keys in [&alone, &second] {
            assert_eq!(variables_with_problems(&[("SIGNING_KEYS", keys)]), ["SIGNING_KEYS"]);
            assert_eq!(variables_with_problems(&[("SIGNING_KEYS", keys), ("ALLOW_HS256", "false")]), ["SIGNING_KEYS"]);
            assert_eq!(variables_with_problems(&[("SIGNING_KEYS", keys), ("ALLOW_HS256", "yes")]), ["ALLOW_HS256"]);
            assert!(read(&[("SIGNING_KEYS", keys), ("ALLOW_HS256", "true")]).is_ok());
        }
        assert!(read(&[("ALLOW_HS256", "true")]).is_ok());
    }

    #[test]
    fn every_invalid_value_is_reported_for_its_variable() {
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
            ("SESSIONS_NOT_BEFORE", "2026-11-25"),
            ("SESSIONS_NOT_BEFORE", "1796083200000"),
            ("PASSWORD_MIN_LENGTH", "7"),
            ("PASSWORD_CONTEXT_WORDS", "acme, abc"),
            ("PASSWORD_CONTEXT_WORDS", &"acme,".repeat(101)),
            ("BREACH_CHECK", "on"),
            ("BREACH_CHECK_URL", "http://api.example.org"),
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
            ("ISSUER", "https://auth.example.org/auth/"),
            ("ISSUER", "https://auth.example.org/a//b"),
            ("ISSUER", "https://auth.example.org/../auth"),
            ("ISSUER", "https://auth.example.org/au th"),
            ("ISSUER", "https://auth.example.org/au%20th"),
            ("ISSUER", "https://auth.example.org/a;b"),
            ("WEBAUTHN_RP_ID", "https://auth.example.org"),
            ("WEBAUTHN_RP_ID", "auth.example.org:443"),
            ("WEBAUTHN_RP_ID", "org"),
            ("WEBAUTHN_RP_ID", "example.net"),
            ("WEBAUTHN_RP_ID", "login.auth.example.org"),
            ("WEBAUTHN_ORIGINS", "auth.example.org"),
            ("WEBAUTHN_ORIGINS", "https://auth.example.org/"),
            ("WEBAUTHN_ORIGINS", "http://auth.example.org"),
            ("WEBAUTHN_COUNTER", "on"),
            ("COOKIE_MODE", "on"),
            ("REGISTRATION", "maybe"),
            ("ROLES", "admin"),
            ("MAX_SESSIONS_PER_USER", "0"),
            ("MAX_SESSIONS_PER_USER", "501"),
            ("AUDIT_TTL_SECONDS", "86399"),
            ("RESOURCE_SERVERS", "orders-api"),
            ("RESOURCE_SERVERS", "[{}]"),
            ("RATE_LIMITS", "credentials=20/60"),
            ("RATE_LIMITS", "credentials=20/30,name=10/60,bad_token=60/60,writes=120/60"),
            ("SOURCE_HEADER", "X-Real-IP"),
            ("SOURCE_SECRET", "IAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
            ("TURNSTILE_SITE_KEY", "0x4AAAAAAA"),
            ("TURNSTILE_SECRET", "<number>"),
            ("TURNSTILE_URL", "http://challenges.example.org"),
            ("LOG", "true"),
            ("LOG", "Costs"),
            ("LOG", "costs refreshes"),
            ("LOG", "costs,refreshes,costs"),
            ("ALLOW_HS256", "TRUE"),
            ("ACCESS_TOKEN_CLAIMS", "phone_number"),
            ("ACCESS_TOKEN_CLAIMS", "Email"),
            ("ACCESS_TOKEN_CLAIMS", "email name"),
            ("ACCESS_TOKEN_CLAIMS", "email,name,email"),
            ("KEY_ROTATION", "on"),
            ("KEYS_NOT_BEFORE", "2026-11-26T00:00:00Z"),
            ("KEYS_NOT_BEFORE", "1795651200000"),
            ("SIGNING_KEYS", "<absent>"),
            ("SIGNING_KEYS", "{}"),
            ("TOKEN_SECRET", "<absent>"),
            ("TOKEN_SECRET", "c2hvcnQ"),
            ("DATA_SECRETS", "c2hvcnQ"),
            ("DATA_SECRETS", "<number>"),
        ] {
            assert_eq!(variables_with_problems(&[(variable, bad)]), [variable], "{variable}={bad}");
        }
        assert_eq!(variables_with_problems(&[("ARGON2_ITERATIONS", "1")]), ["ARGON2_MEMORY_KIB"]);
    }

    #[test]
    fn a_secret_must_not_be_used_twice() {
        let shared = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
        assert_eq!(variables_with_problems(&[("TOKEN_SECRET", shared)]), ["TOKEN_SECRET"]);
        assert_eq!(variables_with_problems(&[("TOKEN_SECRET", &format!("{shared}="))]), ["TOKEN_SECRET"]);
        assert_eq!(variables_with_problems(&[("TOKEN_SECRET", &format!("{TOKEN_SECRET},{shared}"))]), ["TOKEN_SECRET"]);
    }

    #[test]
    fn data_secrets_are_optional_and_used_for_nothing_else() {
        let secret = "IAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        let count = |list: &str| {
            let config = read(&[("DATA_SECRETS", list)]).ok().unwrap();
            config.data_secrets.map(|secrets| secrets.iter().count())
        };
        assert_eq!(count("<absent>"), None);
        assert_eq!(count(secret), Some(1));
        assert_eq!(count(&format!("{secret}, Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA")), Some(2));
        for shared in [TOKEN_SECRET, "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"] {
            assert_eq!(variables_with_problems(&[("DATA_SECRETS", &format!("{secret},{shared}"))]), ["DATA_SECRETS"]);
        }
        let proxy = [("DATA_SECRETS", secret), ("SOURCE_HEADER", "X-Real-IP"), ("SOURCE_SECRET", secret)];
        assert_eq!(variables_with_problems(&proxy), ["DATA_SECRETS"]);
    }

    #[test]
    fn required_factors_need_data_secrets() {
        for (mfa, problems) in [("optional", &[][..]), ("admins", &["MFA"]), ("required", &["MFA"])] {
            assert_eq!(variables_with_problems(&[("MFA", mfa)]), problems, "{mfa}");
            let secret = ("DATA_SECRETS", "IAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
            assert!(read(&[("MFA", mfa), secret]).is_ok(), "{mfa}");
        }
    }

    #[test]
    fn keys_that_rotate_themselves_need_data_secrets() {
        assert_eq!(variables_with_problems(&[("KEY_ROTATION", "automatic")]), ["KEY_ROTATION"]);
        let secret = ("DATA_SECRETS", "IAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
        let config = read(&[("KEY_ROTATION", "automatic"), ("KEYS_NOT_BEFORE", "1795651200"), secret]).ok().unwrap();
        assert!(config.rotates_keys && config.keys_not_before == 1_795_651_200);
        assert!(read(&[("KEY_ROTATION", "manual")]).is_ok_and(|config| !config.rotates_keys));
    }

    #[test]
    fn a_proxy_needs_a_header_and_a_secret_of_its_own() {
        let secret = "IAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        let problems =
            |header, secret| variables_with_problems(&[("SOURCE_HEADER", header), ("SOURCE_SECRET", secret)]);
        assert!(
            read(&[("SOURCE_HEADER", "X-Real-IP"), ("SOURCE_SECRET", secret)])
                .is_ok_and(|config| config.source_proxy.is_some())
        );
        assert_eq!(problems("X Real IP", secret), ["SOURCE_HEADER"]);
        assert_eq!(problems("X-Real-IP", "c2hvcnQ"), ["SOURCE_SECRET"]);
        assert_eq!(problems("X-Real-IP", TOKEN_SECRET), ["SOURCE_SECRET"]);
    }

    #[test]
    fn tokens_of_turnstile_are_accepted_from_the_issuer_and_allowed_origins() {
        let config = read(&[
            ("TURNSTILE_SECRET", "1x0000000000000000000000000000000AA"),
            ("ALLOWED_ORIGINS", "https://app.example.org:8443, capacitor://localhost"),
        ]);
        let turnstile = config.ok().and_then(|config| config.turnstile).unwrap();
        assert_eq!(turnstile.hostnames, ["auth.example.org", "app.example.org", "localhost"]);
        assert_eq!(turnstile.url, "https://challenges.cloudflare.com/turnstile/v0/siteverify");
    }

    #[test]
    fn passkeys_are_those_of_the_issuer_by_default() {
        let party = |changes: &[_]| read(changes).ok().map(|config| config.webauthn.party).unwrap();
        let default = party(&[("ISSUER", "https://auth.example.org/auth")]);
        assert_eq!(
            (default.id(), default.origins()),
            ("auth.example.org", &["https://auth.example.org".to_owned()][..])
        );
        let wider = party(&[
            ("WEBAUTHN_RP_ID", "example.org"),
            ("WEBAUTHN_ORIGINS", "https://auth.example.org, https://example.net"),
        ]);
        assert_eq!((wider.id(), wider.origins().len()), ("example.org", 2));
        for issuer in ["http://127.0.0.1:8787", "http://[::1]:8787", "http://localhost:8787"] {
            assert!(read(&[("ISSUER", issuer)]).is_ok(), "{issuer}");
        }
    }

    #[test]
    fn all_problems_are_reported_at_once_and_no_value_is_shown() {
        let problems = read(&[("TOKEN_SECRET", "hunter2"), ("SIGNING_KEYS", "hunter2"), ("REGISTRATION", "hunter2")]);
        let problems = problems.err().unwrap();
        assert_eq!(problems.len(), 3);
        assert!(!format!("{problems:?}").contains("hunter2"));
    }

    #[test]
    fn valid_values_are_accepted() {
        let config = read(&[
            ("ISSUER", "http://127.0.0.1:8787/auth/v1"),
            ("ALLOWED_ORIGINS", "https://app.example.org, http://localhost:5173"),
            ("COOKIE_MODE", "refresh"),
            ("REGISTRATION", "closed"),
            ("LOG", "refreshes, costs"),
            ("REFRESH_GRACE_SECONDS", "0"),
            ("ACCESS_TOKEN_CLAIMS", "preferred_username, email"),
            ("PASSWORD_CONTEXT_WORDS", "Acme Corp, , zebra"),
            ("BREACH_CHECK", "warn"),
        ]);
        let config = config.ok().unwrap();
        assert_eq!(config.access_token_claims, [ProfileClaim::PreferredUsername, ProfileClaim::Email]);
        assert_eq!(config.allowed_origins, ["https://app.example.org", "http://localhost:5173"]);
        assert_eq!(config.base_path, "/auth/v1");
        assert_eq!(config.password_context_words, ["Acme Corp", "zebra"]);
        let check = config.breach_check.unwrap();
        assert_eq!((check.refuses, check.url.as_str()), (false, "https://api.pwnedpasswords.com"));
        assert!(config.log_costs && config.log_refreshes && config.cookie_mode);
        assert!(!config.registration_open);
        assert_eq!(config.refresh_grace, 0);
    }
}
