//! The audit trail of an account, merged from several sources, newest first.

use std::cmp::Reverse;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::account::client::Client;
use crate::id::Id;

/// A kind of audit event.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AuditEvent {
    /// The account was created.
    Registered,
    /// A session began.
    LoggedIn,
    /// Failed logins and wrong current passwords within one hour.
    LoginFailed,
    /// Failures within one hour that made further attempts wait.
    LoginThrottled,
    /// An admin lifted the throttle.
    ThrottleLifted,
    /// Attempts to register the address of the account within one hour.
    RegistrationAttempted,
    /// The user changed the password.
    PasswordChanged,
    /// The user set a new password by a mail.
    PasswordReset,
    /// The user proved to have the mailbox of the address.
    EmailVerified,
    /// The user asked to change the address, and confirmed the password.
    EmailChangeRequested,
    /// The user confirmed the new mailbox without the old one, so the address changes in seven days.
    EmailChangePending,
    /// The account has another address.
    EmailChanged,
    /// The user, the owner of the old mailbox or a change of the account ended a pending change of the address.
    EmailChangeCancelled,
    /// Mails of one kind within one hour.
    MailSent,
    /// Mails of one kind within one hour that could not be sent.
    MailFailed,
    /// An admin or the command line made a link with which the user sets a new password.
    PasswordResetStarted,
    /// The user added an authenticator app or a passkey. The detail says which.
    FactorAdded,
    /// The user removed an authenticator app or a passkey. The detail says which.
    FactorRemoved,
    /// An admin removed all factors.
    FactorsReset,
    /// The user made new recovery codes.
    RecoveryCodesCreated,
    /// A recovery code was used.
    RecoveryCodeUsed,
    /// An admin created the account, and the user got a link with which to set the first password.
    Invited,
    /// The user set the first password with that link.
    InvitationAccepted,
    /// The user changed the profile. Changes within one hour share one entry.
    ProfileChanged,
    /// A rotated-out refresh token was presented.
    ReuseDetected,
    /// A session was ended.
    Revoked,
    /// Sessions that logins beyond the maximum of the account ended within one hour.
    SessionsEvicted,
    /// An admin or the command line ended all sessions.
    SessionsEnded,
    /// An admin or the command line disabled the account.
    Disabled,
    /// An admin or the command line enabled the account.
    Enabled,
    /// An admin or the command line changed the roles.
    RolesChanged,
    /// An admin changed the metadata.
    MetadataChanged,
    /// The user or an admin deleted the account. The only entry that remains.
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
            Self::LoginThrottled => "login_throttled",
            Self::ThrottleLifted => "throttle_lifted",
            Self::RegistrationAttempted => "registration_attempted",
            Self::PasswordChanged => "password_changed",
            Self::PasswordReset => "password_reset",
            Self::EmailVerified => "email_verified",
            Self::EmailChangeRequested => "email_change_requested",
            Self::EmailChangePending => "email_change_pending",
            Self::EmailChanged => "email_changed",
            Self::EmailChangeCancelled => "email_change_cancelled",
            Self::MailSent => "mail_sent",
            Self::MailFailed => "mail_failed",
            Self::PasswordResetStarted => "password_reset_started",
            Self::FactorAdded => "factor_added",
            Self::FactorRemoved => "factor_removed",
            Self::FactorsReset => "factors_reset",
            Self::RecoveryCodesCreated => "recovery_codes_created",
            Self::RecoveryCodeUsed => "recovery_code_used",
            Self::Invited => "invited",
            Self::InvitationAccepted => "invitation_accepted",
            Self::ProfileChanged => "profile_changed",
            Self::ReuseDetected => "reuse_detected",
            Self::Revoked => "revoked",
            Self::SessionsEvicted => "sessions_evicted",
            Self::SessionsEnded => "sessions_ended",
            Self::Disabled => "disabled",
            Self::Enabled => "enabled",
            Self::RolesChanged => "roles_changed",
            Self::MetadataChanged => "metadata_changed",
            Self::Deleted => "deleted",
        }
    }

    /// Whether occurrences within one hour share one entry, which counts them.
    #[must_use]
    pub const fn is_counted(self) -> bool {
        matches!(
            self,
            Self::LoginFailed
                | Self::LoginThrottled
                | Self::ProfileChanged
                | Self::RegistrationAttempted
                | Self::SessionsEvicted
                | Self::MailSent
                | Self::MailFailed
        )
    }

    /// Whether the event ends sessions.
    #[must_use]
    pub const fn ends_sessions(self) -> bool {
        !matches!(
            self,
            Self::RolesChanged
                | Self::PasswordResetStarted
                | Self::RecoveryCodesCreated
                | Self::RecoveryCodeUsed
                | Self::Invited
                | Self::InvitationAccepted
                | Self::ProfileChanged
                | Self::MetadataChanged
                | Self::ThrottleLifted
        )
    }
}

/// Why a session was revoked. Its names are those in the column `revoked_reason` and in the log. The reasons `reuse`, `evicted`,
/// `expired` and `replaced` are set by SQL statements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RevocationReason {
    /// One of its tokens was sent to `/logout` or `/revoke`.
    Logout,
    /// The user ended it from another session.
    EndedByUser,
    /// The user ended all sessions.
    LogoutAll,
    /// The user changed the password.
    PasswordChanged,
    /// The user set a new password by a mail.
    PasswordReset,
    /// The first proof of the mailbox ended what somebody else may have begun.
    EmailVerified,
    /// The address changed.
    EmailChanged,
    /// The owner of the old mailbox cancelled a change of the address.
    EmailChangeCancelled,
    /// The user authenticated again, which began another session.
    Renewed,
    /// The user added or removed a factor.
    FactorsChanged,
    /// An admin removed the factors.
    FactorsReset,
    /// The user removed the passkey that began it.
    PasskeyRemoved,
    /// An admin or the command line ended all sessions.
    EndedByAdmin,
    /// An admin or the command line disabled the account.
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
            Self::PasswordReset => "password_reset",
            Self::EmailVerified => "email_verified",
            Self::EmailChanged => "email_changed",
            Self::EmailChangeCancelled => "email_change_cancelled",
            Self::Renewed => "renewed",
            Self::FactorsChanged => "factors_changed",
            Self::FactorsReset => "factors_reset",
            Self::PasskeyRemoved => "passkey_removed",
            Self::EndedByAdmin => "ended_by_admin",
            Self::Disabled => "disabled",
        }
    }
}

/// Number of sessions evicted within one hour that the user and the log are told of. Someone who begins this many sessions beyond the
/// maximum may want to end those of the user.
pub const MANY_EVICTED: u64 = 10;

/// Whether the sessions that one login evicted make those of the hour many. `total` is their number, including `added`. True once an
/// hour, because each login sees another total.
#[must_use]
pub const fn evictions_become_many(total: u64, added: u64) -> bool {
    total >= MANY_EVICTED && total.saturating_sub(added) < MANY_EVICTED
}

/// An entry of the trail. Times in unix seconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEntry {
    /// Time of the event; for counted events, the start of the hour.
    pub at: u64,
    /// Distinguishes and orders entries of one second.
    pub id: String,
    /// The kind of event.
    pub event: AuditEvent,
    /// Number of occurrences; more than 1 only for counted events.
    pub count: u64,
    /// Time of the last occurrence.
    pub last_at: u64,
    /// The admin who acted; `None` for the user and the command line.
    pub actor_id: Option<Id>,
    /// The session of the request, or the affected session.
    pub session_id: Option<Id>,
    /// The client of the last occurrence.
    pub client: Client,
    /// On reuse: the client of the last refresh. For counted events except profile changes: the first client of the hour.
    pub other: Client,
    /// On reuse: which token; for an ended session: the reason; for changed roles: the new roles as JSON.
    pub detail: Option<String>,
}

impl AuditEntry {
    /// An entry for a single event without further details.
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

/// A position in the trail. The next page has the entries before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// Time of the last entry shown.
    pub at: u64,
    /// Id of the last entry shown.
    pub id: String,
}

impl Cursor {
    /// The position of the first page. Its time is the largest integer that D1 represents exactly.
    #[must_use]
    pub fn start() -> Self {
        Self { at: (1 << 53) - 1, id: String::new() }
    }

    /// Parses the text of [`Self::encode`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (at, id) = text.split_once('.')?;
        let at = at.parse().ok().filter(|at| *at <= Self::start().at)?;
        Some(Self { at, id: id.to_owned() })
    }

    /// The position as text for a query.
    #[must_use]
    pub fn encode(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(format!("{}.{}", self.at, self.id))
    }
}

/// Merges entries of several sources into one page, newest first. Returns the position of the next page, if there is one. Each source
/// must provide its latest `limit + 1` entries.
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
    use super::{AuditEntry, AuditEvent, Cursor, evictions_become_many, page};

    fn entry(at: u64, id: &str) -> AuditEntry {
        AuditEntry::new(at, id.to_owned(), AuditEvent::LoggedIn)
    }

    #[test]
    fn a_page_has_the_latest_entries_and_the_position_of_the_next() {
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
            AuditEvent::PasswordResetStarted,
            AuditEvent::ReuseDetected,
            AuditEvent::SessionsEvicted,
            AuditEvent::SessionsEnded,
            AuditEvent::RolesChanged,
        ] {
            assert_eq!(serde_json::to_value(event).unwrap(), event.as_str());
        }
        assert!(serde_json::from_str::<AuditEvent>("\"promoted\"").is_err());
    }

    #[test]
    fn evictions_become_many_once_an_hour() {
        let many = |added: &[u64]| {
            let mut total = 0;
            added.iter().map(|added| (total += added, evictions_become_many(total, *added)).1).collect::<Vec<_>>()
        };
        assert_eq!(many(&[1; 12]), [[false; 9].as_slice(), &[true, false, false]].concat());
        assert_eq!(many(&[4, 4, 4, 4]), [false, false, true, false]);
        assert_eq!(many(&[200, 1]), [true, false]);
    }

    #[test]
    fn a_cursor_round_trips_and_invalid_text_is_refused() {
        let cursor = Cursor { at: 1_700_000_000, id: "AAAAAAAAAAAAAAAAAAAAAA+".to_owned() };
        assert_eq!(Cursor::parse(&cursor.encode()), Some(cursor));
        // Empty, no dot, no number, a number too large for D1, a number without padding bits, no base64url.
        for bad in ["", "eA", "eC54", "MTgwMTQzOTg1MDk0ODE5ODQwMC54", "MS54=", "%"] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }
}
