//! The log: one JSON line an event. Never a token, a password, a hash or an e-mail address.

use serde::Serialize;
use worker::{console_error, console_log, console_warn};

use crate::auth::id::Id;
use crate::store::Costs;

/// What happened.
#[derive(Serialize, Debug)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// An account was made, and its first session.
    Registered { user_id: Id, session_id: Id },
    /// `rehashed`: the stored hash was outdated and was replaced.
    LoginSucceeded { user_id: Id, session_id: Id, rehashed: bool },
    /// `user_id` where the account exists.
    LoginFailed { user_id: Option<Id>, reason: &'static str },
    /// A refresh token was rotated, where `LOG_REFRESHES` is on.
    Refreshed { user_id: Id, session_id: Id },
    /// The predecessor was presented again within the grace window, the `retries`-th time. The client is compared with the
    /// one that rotated: a thief who rides along is most likely another.
    GraceRetry { user_id: Id, session_id: Id, retries: u64, same_ip: bool, same_user_agent: bool },
    /// A rotated-out token came back; the session was ended.
    ReuseDetected { user_id: Id, session_id: Id, reason: &'static str },
    /// Nothing was issued. `session_id` where the token was genuine.
    RefreshRefused { session_id: Option<Id>, reason: &'static str },
    /// A session was ended.
    Revoked { user_id: Id, session_id: Id, reason: &'static str },
    /// All sessions of a user were ended, so many.
    RevokedAll { user_id: Id, sessions: usize, reason: &'static str },
    /// An admin's route was asked for by somebody who is none.
    Forbidden { user_id: Id, session_id: Id },
    /// An account was changed, by an admin or the person; so many of its sessions ended with it.
    AccountChanged {
        user_id: Id,
        #[serde(skip_serializing_if = "Option::is_none")]
        admin_id: Option<Id>,
        change: &'static str,
        sessions_ended: usize,
    },
    /// The sweep took so many rows out. If it is not `complete`, the next one goes on.
    Swept { sessions: usize, events: usize, complete: bool },
    /// A caller of `/introspect` is no resource server of ours, or one that our tokens are not meant for.
    IntrospectionRefused { reason: &'static str },
    /// Too many wait for their password to be hashed: this request was turned away.
    Overloaded,
    /// D1 or KV did not answer.
    StorageFault { cause: &'a str },
    /// The revocation could not be marked in KV: D1 holds it, `/verify` may not see it.
    RevocationMarkFailed { session_id: Id, cause: &'a str },
    /// Something that cannot happen did.
    InternalError { cause: &'a str },
    /// A variable or secret is bad; nothing is served.
    Misconfigured { variable: &'a str, problem: &'a str },
    /// What the request, or the sweep, cost, where `LOG_COSTS` is on. `status` where somebody was answered.
    Costs {
        route: &'a str,
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
            | Self::RevocationMarkFailed { .. }
            | Self::InternalError { .. }
            | Self::Misconfigured { .. } => Level::Error,
            Self::ReuseDetected { .. } | Self::Forbidden { .. } | Self::Overloaded => Level::Warn,
            _ => Level::Info,
        }
    }
}

#[derive(Serialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Level {
    Info,
    Warn,
    Error,
}

/// Writes an event of the request of that id.
pub fn write(request_id: Id, event: &Event<'_>) {
    #[derive(Serialize)]
    struct Line<'a> {
        level: Level,
        request_id: Id,
        #[serde(flatten)]
        event: &'a Event<'a>,
    }
    let level = event.level();
    // Plain data always serialises, and a log line is no reason to fail a request.
    let Ok(line) = serde_json::to_string(&Line { level, request_id, event }) else { return };
    match level {
        Level::Info => console_log!("{line}"),
        Level::Warn => console_warn!("{line}"),
        Level::Error => console_error!("{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::Event;

    #[test]
    fn a_line_break_in_a_cause_stays_inside_its_line() {
        let event = Event::InternalError { cause: "x\n{\"level\":\"admin\"}" };
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(line, r#"{"event":"internal_error","cause":"x\n{\"level\":\"admin\"}"}"#);
    }
}
