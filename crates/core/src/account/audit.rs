//! The audit trail of an account: what happened, merged from where it is recorded, the latest first.

use std::cmp::Reverse;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::account::client::Client;
use crate::id::Id;

/// What happened, as the column `kind` and everybody who reads a trail name it.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Debug)]
#[serde(rename_all = "snake_case")]
pub enum AuditEvent {
    /// An account was made.
    Registered,
    /// A session began.
    LoggedIn,
    /// Log-ins of one hour that failed, and wrong current passwords.
    LoginFailed,
    /// Attempts of one hour to register the address of the account.
    RegistrationAttempted,
    /// By the person.
    PasswordChanged,
    /// The profile, by its user; those of one hour.
    ProfileChanged,
    /// A refresh token that was rotated out came back.
    ReuseDetected,
    /// A session was ended.
    Revoked,
    /// All sessions, by an admin.
    SessionsEnded,
    /// By an admin.
    Disabled,
    /// By an admin.
    Enabled,
    /// By an admin, or the command line.
    RolesChanged,
    /// By an admin.
    MetadataChanged,
    /// By the person or an admin. All that remains of an account.
    Deleted,
}

impl AuditEvent {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::LoggedIn => "logged_in",
            Self::LoginFailed => "login_failed",
            Self::RegistrationAttempted => "registration_attempted",
            Self::PasswordChanged => "password_changed",
            Self::ProfileChanged => "profile_changed",
            Self::ReuseDetected => "reuse_detected",
            Self::Revoked => "revoked",
            Self::SessionsEnded => "sessions_ended",
            Self::Disabled => "disabled",
            Self::Enabled => "enabled",
            Self::RolesChanged => "roles_changed",
            Self::MetadataChanged => "metadata_changed",
            Self::Deleted => "deleted",
        }
    }

    /// Whether there is one row an hour, which counts.
    #[must_use]
    pub const fn is_counted(self) -> bool {
        matches!(self, Self::LoginFailed | Self::ProfileChanged | Self::RegistrationAttempted)
    }

    /// Whether sessions end with it.
    #[must_use]
    pub const fn ends_sessions(self) -> bool {
        !matches!(self, Self::RolesChanged | Self::ProfileChanged | Self::MetadataChanged)
    }
}

/// Why a session was revoked, as the column `revoked_reason` and the log name it. `reuse`, `session_limit` and `expired` are in
/// the statements that decide them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RevocationReason {
    /// One of its tokens was sent to `/revoke`.
    Logout,
    /// The user ended it from another session.
    EndedByUser,
    /// "Log out everywhere".
    LogoutAll,
    /// The user changed the password.
    PasswordChanged,
    /// An admin ended it.
    EndedByAdmin,
    /// An admin disabled the account.
    Disabled,
}

impl RevocationReason {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::EndedByUser => "ended_by_user",
            Self::LogoutAll => "logout_all",
            Self::PasswordChanged => "password_changed",
            Self::EndedByAdmin => "ended_by_admin",
            Self::Disabled => "disabled",
        }
    }
}

/// One entry. Times in unix seconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEntry {
    /// When; of what is counted, the start of the hour.
    pub at: u64,
    /// Tells entries of one second apart, in their order.
    pub id: String,
    /// What.
    pub event: AuditEvent,
    /// Number of occurrences; more than 1 only for failed log-ins, registration attempts and profile changes.
    pub count: u64,
    /// When it happened last.
    pub last_at: u64,
    /// The admin who did it, if one did.
    pub actor_id: Option<Id>,
    /// The session that it was done from, or that it happened to.
    pub session_id: Option<Id>,
    /// From where, last.
    pub client: Client,
    /// Reuse: the client of the last refresh. Failed log-ins and registration attempts: the client of the first in the hour.
    pub other: Client,
    /// Of a reuse which, of an ended session why, of changed roles the new ones as JSON.
    pub detail: Option<String>,
}

impl AuditEntry {
    /// Something that happened once, of which nothing else is told.
    #[must_use]
    pub fn new(at: u64, id: String, event: AuditEvent) -> Self {
        Self {
            at,
            id,
            event,
            count: 1,
            last_at: at,
            actor_id: None,
            session_id: None,
            client: Client::default(),
            other: Client::default(),
            detail: None,
        }
    }
}

/// A place in the trail: what comes before it has not been shown yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// Of the last entry shown.
    pub at: u64,
    /// Of the last entry shown.
    pub id: String,
}

impl Cursor {
    /// Before the first entry. The largest time that a double holds exactly, which is what D1 takes.
    #[must_use]
    pub fn start() -> Self {
        Self { at: (1 << 53) - 1, id: String::new() }
    }

    /// Reads what [`Self::encode`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (at, id) = text.split_once('.')?;
        let at = at.parse().ok().filter(|at| *at <= Self::start().at)?;
        Some(Self { at, id: id.to_owned() })
    }

    /// The place as text for a query.
    #[must_use]
    pub fn encode(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(format!("{}.{}", self.at, self.id))
    }
}

/// Merges entries of several records into one page, the latest first, and tells where the next one goes on, if there is
/// more. Every record has to give its latest `limit + 1`.
#[must_use]
pub fn page(mut entries: Vec<AuditEntry>, limit: usize) -> (Vec<AuditEntry>, Option<Cursor>) {
    entries.sort_by(|a, b| Reverse((a.at, &a.id)).cmp(&Reverse((b.at, &b.id))));
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| more).map(|last| Cursor { at: last.at, id: last.id.clone() });
    (entries, next)
}

#[cfg(test)]
mod tests {
    use super::{AuditEntry, AuditEvent, Cursor, page};

    fn entry(at: u64, id: &str) -> AuditEntry {
        AuditEntry::new(at, id.to_owned(), AuditEvent::LoggedIn)
    }

    #[test]
    fn a_page_is_the_latest_of_all_records_and_tells_where_to_go_on() {
        let entries = vec![entry(5, "a"), entry(1, "b"), entry(7, "c"), entry(5, "d"), entry(3, "e")];
        let (shown, next) = page(entries.clone(), 3);
        assert_eq!(shown, [entry(7, "c"), entry(5, "d"), entry(5, "a")]);
        assert_eq!(next, Some(Cursor { at: 5, id: "a".to_owned() }));
        let (shown, next) = page(entries, 5);
        assert_eq!((shown.len(), next), (5, None));
        assert_eq!(page(Vec::new(), 5), (Vec::new(), None));
    }

    #[test]
    fn an_event_has_one_name_everywhere() {
        for event in [
            AuditEvent::Registered,
            AuditEvent::LoginFailed,
            AuditEvent::ReuseDetected,
            AuditEvent::SessionsEnded,
            AuditEvent::RolesChanged,
        ] {
            assert_eq!(serde_json::to_value(event).unwrap(), event.as_str());
        }
        assert!(serde_json::from_str::<AuditEvent>("\"promoted\"").is_err());
    }

    #[test]
    fn a_cursor_comes_back_as_it_was_and_nothing_else_is_one() {
        let cursor = Cursor { at: 1_700_000_000, id: "AAAAAAAAAAAAAAAAAAAAAA+".to_owned() };
        assert_eq!(Cursor::parse(&cursor.encode()), Some(cursor));
        // None, no dot, no number, a number D1 cannot take, no base64url.
        for bad in ["", "eA", "eC54", "MTgwMTQzOTg1MDk0ODE5ODQwMC54", "MS54=", "%"] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }
}
