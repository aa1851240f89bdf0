//! The log: one JSON line per event. Never contains a token, a password, a hash or an e-mail address, except mails of the sender `log`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use serde::Serialize;
use worker::{console_error, console_log, console_warn};

use portcullis_core::account::throttle::NameHash;
use portcullis_core::costs::Costs;
use portcullis_core::id::Id;
use portcullis_core::rate_limit::Class;

/// An event of the log.
#[derive(Serialize, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// An account was created, with its first session unless its address had to be verified first.
    Registered {
        user_id: Id,
        #[serde(skip_serializing_if = "Option::is_none")]
        session_id: Option<Id>,
    },
    /// `rehashed`: the stored hash was outdated and was replaced.
    LoginSucceeded { user_id: Id, session_id: Id, rehashed: bool },
    /// A login failed. `user_id` is set if the account exists.
    LoginFailed {
        user_id: Option<Id>,
        reason: &'static str,
        /// The name that was used, for the metrics.
        #[serde(skip)]
        name: Option<NameHash>,
    },
    /// A passkey was not accepted. `user_id` is that of its owner, if it is known.
    PasskeyRefused { user_id: Option<Id>, reason: &'static str },
    /// The signature counter of a passkey went back, so there may be a copy of the authenticator. `WEBAUTHN_COUNTER` accepts it.
    PasskeyCounterWentBack { user_id: Id },
    /// A refresh token was rotated. Logged if `LOG` lists refreshes.
    Refreshed { user_id: Id, session_id: Id },
    /// The previous refresh token was presented again within the grace window, for the `retries`-th time. `same_ip` and
    /// `same_user_agent` compare the client with the one that rotated the token; a thief usually differs.
    GraceRetry { user_id: Id, session_id: Id, retries: u64, same_ip: bool, same_user_agent: bool },
    /// A rotated-out token was presented; the session was revoked.
    ReuseDetected { user_id: Id, session_id: Id, reason: &'static str },
    /// A refresh token was refused. `session_id` is set if its tag is valid, else `count` is the number of such tokens since the last line.
    RefreshRefused {
        session_id: Option<Id>,
        reason: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
    },
    /// A page that may not use cookies sent a request that uses or asks for one. `site` and `origin` are its headers `Sec-Fetch-Site`
    /// and `Origin`, `count` the number of such requests since the last line.
    CsrfRefused { site: &'a str, origin: &'a str, count: u64 },
    /// A registration was refused because its address or username is taken, or by Turnstile.
    RegistrationRefused { reason: &'static str },
    /// The owner of a mailbox deleted a registration of somebody else with the address.
    RegistrationDisowned { registration_id: Id },
    /// A session was revoked.
    Revoked { user_id: Id, session_id: Id, reason: &'static str },
    /// All sessions of a user were revoked; `sessions` is their number.
    RevokedAll { user_id: Id, sessions: usize, reason: &'static str },
    /// Logins beyond the maximum number of sessions have ended many sessions of an account within one hour. Logged once per account and
    /// hour. `session_id` is the new session of the login that reached this number.
    SessionsEvictedOften { user_id: Id, session_id: Id, count: u64 },
    /// A user without the role admin requested an admin route.
    Forbidden { user_id: Id, session_id: Id },
    /// An account was changed by an admin or its user. `sessions_ended` is the number of sessions this ended.
    AccountChanged {
        user_id: Id,
        #[serde(skip_serializing_if = "Option::is_none")]
        admin_id: Option<Id>,
        change: &'static str,
        sessions_ended: usize,
    },
    /// The cleanup deleted rows. If it is not `complete`, the next one continues.
    CleanedUp { sessions: usize, events: usize, complete: bool },
    /// The scheduled event encrypted TOTP secrets or signing keys under the first data secret. `secrets` is their number.
    Reencrypted { secrets: usize },
    /// The scheduled event made a signing key, which is published from now on and signs from `activates_at` on.
    KeyCreated { kid: &'a str, activates_at: u64 },
    /// Another key signs access tokens than at the last run of the scheduled event.
    KeyActivated {
        kid: &'a str,
        /// The key that signed before, if it is known.
        retired: Option<&'a str>,
    },
    /// The scheduled event deleted a signing key.
    KeyDeleted { kid: &'a str },
    /// D1 lacked a signing key, and the scheduled event stored it again from KV.
    KeyRestored { kid: &'a str },
    /// A stored signing key cannot be used: it does not decrypt, or is not the key of its row. Logged once per isolate.
    KeyRefused { period: u64, kid: &'a str, cause: &'a str },
    /// `ALLOWED_ORIGINS` does not list the origin of a page, so the browser blocks the response. Logged once per isolate and origin.
    OriginRefused { origin: &'a str },
    /// A caller of `/introspect` is not a configured resource server, or has an audience other than that of the tokens.
    IntrospectionRefused { reason: &'static str },
    /// Requests were refused because too many are waiting for password hashing. `count`: their number since the last line.
    Overloaded { count: u64 },
    /// Requests were refused by a rate limit, because their source or account exceeds its share of password hashing, or during a
    /// wait. `reason` is the class of the limit, `hashing_share` or `throttled`; `count` is their number since the last line.
    TooManyRequests { reason: &'static str, count: u64 },
    /// New passwords were accepted without the breach check, because the range API did not answer as it should. `count`: their number
    /// since the last line.
    BreachCheckUnavailable { reason: &'static str, count: u64 },
    /// A rate limiter is not bound or did not answer, so its class is not limited. Logged once per isolate and binding.
    RateLimiterUnavailable { binding: &'a str, cause: &'a str },
    /// Registrations with a token of Turnstile were refused, because it could not be checked. `count`: their number since the last line.
    TurnstileUnavailable { cause: &'a str, count: u64 },
    /// A mail of the sender `log`: the only event with an address and a code.
    Mail { kind: &'a str, to: &'a str, code: Option<&'a str>, link: Option<&'a str> },
    /// A mail was accepted for delivery.
    MailSent { mail_id: Id, kind: &'a str, user_id: Option<Id> },
    /// A mail was not accepted, and is sent again later.
    MailDelayed { mail_id: Id, kind: &'a str, reason: &'a str },
    /// A mail was given up: it was refused, a day has passed, or its code expired.
    MailFailed { mail_id: Id, kind: &'a str, reason: &'a str },
    /// The mails of a day have reached 80 % of `MAIL_DAILY_LIMIT`. Logged once a day.
    MailLimitNear { sent: u64, limit: u64 },
    /// D1, KV or the static assets did not answer.
    StorageFault { cause: &'a str },
    /// Marks could not be written to KV. D1 holds the revocations and the owed marks. `session_id` is that of the first mark.
    RevocationMarkFailed { session_id: Id, marks: usize, cause: &'a str },
    /// The binding of the metrics refused a data point. Logged once per isolate.
    MetricsFailed { cause: &'a str },
    /// The numbers of the last 24 hours lack those of the metrics, because Analytics Engine did not answer as it should.
    MetricsUnavailable { reason: &'static str },
    /// The scheduled event wrote owed marks.
    OwedMarksWritten { marks: usize, failed: usize },
    /// A bug or corrupt data.
    InternalError { cause: &'a str },
    /// A variable or secret is invalid, so every request gets a 503.
    Misconfigured { variable: &'a str, problem: &'a str },
    /// The costs of a request or a scheduled event, where `LOG` lists costs.
    Costs {
        route: &'a str,
        /// The status of the reply, if there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// The WebAssembly memory of the isolate, which never shrinks.
        memory_kib: usize,
        #[serde(flatten)]
        costs: Costs,
    },
}

impl Event<'_> {
    fn level(&self) -> Level {
        match self {
            Self::StorageFault { .. }
            | Self::MailFailed { .. }
            | Self::TurnstileUnavailable { .. }
            | Self::RevocationMarkFailed { .. }
            | Self::KeyRefused { .. }
            | Self::InternalError { .. }
            | Self::Misconfigured { .. } => Level::Error,
            Self::ReuseDetected { .. }
            | Self::MailDelayed { .. }
            | Self::MailLimitNear { .. }
            | Self::SessionsEvictedOften { .. }
            | Self::KeyRestored { .. }
            | Self::PasskeyCounterWentBack { .. }
            | Self::Forbidden { .. }
            | Self::MetricsFailed { .. }
            | Self::MetricsUnavailable { .. }
            | Self::OriginRefused { .. }
            | Self::CsrfRefused { .. }
            | Self::Overloaded { .. }
            | Self::TooManyRequests { .. }
            | Self::BreachCheckUnavailable { .. }
            | Self::RateLimiterUnavailable { .. } => Level::Warn,
            _ => Level::Info,
        }
    }
}

#[derive(Serialize, Clone, Copy)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum Level {
    Info,
    Warn,
    Error,
}

/// A line of the log.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct Line<'a> {
    level: Level,
    /// The id of the request, which is the `X-Request-Id` of its response, or of the run of a scheduled event.
    request_id: Id,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

/// The schema of a line, in JSON Schema 2020-12.
#[cfg(feature = "openapi")]
pub fn schema() -> String {
    let mut settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    settings.inline_subschemas = true;
    settings.into_generator().into_root_schema_for::<Line<'static>>().as_value().to_string()
}

/// Writes an event with the id of its request.
pub fn write(request_id: Id, event: &Event<'_>) {
    let level = event.level();
    // Plain data always serializes, and a missing log line must not fail a request.
    let Ok(line) = serde_json::to_string(&Line { level, request_id, event }) else { return };
    match level {
        Level::Info => console_log!("{line}"),
        Level::Warn => console_warn!("{line}"),
        Level::Error => console_error!("{line}"),
    }
}

/// Writes the costs of a request or a scheduled event.
pub fn write_costs(request_id: Id, route: &str, status: Option<u16>, costs: Costs) {
    write(request_id, &Event::Costs { route, status, memory_kib: memory_kib(), costs });
}

/// WebAssembly memory in KiB (pages of 64 KiB); 0 in native builds.
fn memory_kib() -> usize {
    #[cfg(target_arch = "wasm32")]
    return core::arch::wasm32::memory_size::<0>().saturating_mul(64);
    #[cfg(not(target_arch = "wasm32"))]
    0
}

/// Minimum seconds between two lines of one tally.
const TALLY_PERIOD: u64 = 60;

/// Counts events that anyone can cause, so that they do not fill the log. The first is logged at once, the following ones together,
/// at most once a minute.
#[derive(Default)]
pub struct Tally(Cell<(u64, Option<u64>)>);

impl Tally {
    /// Counts an event. Returns the number of events since the last line if a new line is due. `now` is in unix seconds.
    pub fn add(&self, now: u64) -> Option<u64> {
        let (count, logged_at) = self.0.get();
        let count = count.saturating_add(1);
        let is_due = logged_at.is_none_or(|logged_at| now >= logged_at.saturating_add(TALLY_PERIOD));
        self.0.set(if is_due { (0, Some(now)) } else { (count, logged_at) });
        is_due.then_some(count)
    }
}

/// Names of which each is logged once.
#[derive(Default)]
pub struct Once(RefCell<BTreeSet<&'static str>>);

impl Once {
    /// Whether this is the first time that the name is added.
    pub fn add(&self, name: &'static str) -> bool {
        self.0.borrow_mut().insert(name)
    }
}

/// Requests over a rate limit, by class.
#[derive(Default)]
pub struct ClassTallies {
    credentials: Tally,
    name: Tally,
    bad_token: Tally,
    writes: Tally,
}

impl ClassTallies {
    /// The tally of a class.
    pub const fn of(&self, class: Class) -> &Tally {
        match class {
            Class::Credentials => &self.credentials,
            Class::Name => &self.name,
            Class::BadToken => &self.bad_token,
            Class::Writes => &self.writes,
        }
    }
}

/// The tallies of an isolate.
#[derive(Default)]
pub struct Tallies {
    /// Refresh tokens with an invalid tag.
    pub forged_refresh_tokens: Tally,
    /// Requests with several refresh cookies.
    pub repeated_cookies: Tally,
    /// Requests that use or ask for a cookie from a page that may not.
    pub csrf_refused: Tally,
    /// Requests that found the hashing queue full.
    pub overloaded: Tally,
    /// Requests whose source or account exceeds its share of the hashing queue.
    pub hashing_share_taken: Tally,
    /// New passwords for which the range API did not answer.
    pub breach_check_unavailable: Tally,
    /// Attempts during a wait.
    pub throttled: Tally,
    /// Whether a failure of the metrics is logged.
    pub metrics_failed: Cell<bool>,
    /// Requests over a rate limit.
    pub rate_limited: ClassTallies,
    /// Registrations whose token of Turnstile could not be checked.
    pub turnstile_unavailable: Tally,
    /// The bindings of rate limiters that did not answer.
    pub unavailable_limiters: Once,
}

#[cfg(test)]
mod tests {
    use super::{Event, Tally};

    #[test]
    fn a_tally_logs_the_first_at_once_and_the_others_together() {
        let tally = Tally::default();
        assert_eq!(tally.add(1_000), Some(1));
        assert_eq!((tally.add(1_000), tally.add(1_059)), (None, None));
        assert_eq!(tally.add(1_060), Some(3));
        assert_eq!(tally.add(1_061), None);
        assert_eq!(tally.add(9_000), Some(2));
    }

    #[test]
    fn a_line_break_in_a_cause_does_not_start_a_log_line() {
        let event = Event::InternalError { cause: "x\n{\"level\":\"admin\"}" };
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(line, r#"{"event":"internal_error","cause":"x\n{\"level\":\"admin\"}"}"#);
    }
}
