//! The caller of an endpoint.

use crate::id::Id;
use crate::sign_in::{Assurance, Method};

/// The user and the session of an access token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The `sub` claim.
    pub user_id: Id,
    /// The `sid` claim.
    pub session_id: Id,
}

/// A caller, and how the user authenticated when the session began.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthenticatedCaller {
    /// The user and the session.
    pub caller: Caller,
    /// How the user authenticated.
    pub methods: Vec<Method>,
    /// How certain it is that the user signed in.
    pub assurance: Option<Assurance>,
    /// When the user authenticated, in unix seconds. 0 if the token does not say.
    pub authenticated_at: u64,
}

/// How long an authentication is recent, in seconds. Sensitive changes need a recent one.
pub const RECENT: u64 = 300;

/// How long after a new password was set by a mail a session that used a recovery code cannot change factors, in seconds. Whoever has the
/// mailbox and one recovery code would otherwise replace every factor at once.
pub const RECOVERY_DELAY: u64 = 86_400;

impl AuthenticatedCaller {
    /// Whether the caller may make a sensitive change: the user authenticated in the last [`RECENT`] seconds, and with two factors if the
    /// account has any. Every session of such an account began with two, except a recovery by mail, so the account need not be read.
    #[must_use]
    pub fn may_change(&self, now: u64) -> bool {
        let is_recovery = self.methods.contains(&Method::RecoveryCode) && self.assurance != Some(Assurance::Aal2);
        now.saturating_sub(self.authenticated_at) <= RECENT && !is_recovery
    }

    /// Whether the caller, who may make sensitive changes, must wait before changing factors. `password_reset_at`: when the password was last
    /// set by a mail, in unix seconds.
    #[must_use]
    pub fn must_wait_for_factors(&self, password_reset_at: Option<u64>, now: u64) -> bool {
        let is_reset = password_reset_at.is_some_and(|at| now.saturating_sub(at) < RECOVERY_DELAY);
        is_reset && self.methods.contains(&Method::RecoveryCode)
    }
}

#[cfg(test)]
mod tests {
    use super::{AuthenticatedCaller, Caller};
    use crate::id::Id;
    use crate::sign_in::Method::{Email, Passkey, Password, RecoveryCode, Totp};
    use crate::sign_in::{Account, Assurance, Factors, Method, Mfa, NextStep, Policy, next_step};

    fn caller(methods: &[Method], authenticated_at: u64) -> AuthenticatedCaller {
        let account = Account { factors: Factors { totp: true, passkey: true }, ..Account::default() };
        let policy = Policy { mfa: Mfa::Optional, sends_mails: true, requires_verified_email: false };
        let assurance = match next_step(methods, &account, &policy) {
            NextStep::Begin { amr } => Assurance::of_amr(amr.split(' ')),
            _ => None,
        };
        let caller = Caller { user_id: Id::NIL, session_id: Id::NIL };
        AuthenticatedCaller { caller, methods: methods.to_vec(), assurance, authenticated_at }
    }

    #[test]
    fn an_authentication_is_recent_for_300_seconds() {
        for (age, may) in [(0, true), (300, true), (301, false), (100_000, false)] {
            assert_eq!(caller(&[Password, Totp], 1_000_000 - age).may_change(1_000_000), may, "{age}");
        }
        assert!(!caller(&[Password, Totp], 0).may_change(1_000_000), "a token of a release without auth_time");
    }

    #[test]
    fn a_recovery_code_changes_no_factors_for_a_day_after_a_reset() {
        for (methods, age, waits) in [
            (&[Password, RecoveryCode][..], Some(86_399), true),
            (&[Password, RecoveryCode], Some(86_400), false),
            (&[Password, RecoveryCode], None, false),
            (&[Password, Totp], Some(0), false),
            (&[Password, RecoveryCode, Totp], Some(0), true),
        ] {
            let reset_at = age.map(|age| 1_000_000 - age);
            assert_eq!(
                caller(methods, 1_000_000).must_wait_for_factors(reset_at, 1_000_000),
                waits,
                "{methods:?} {age:?}"
            );
        }
    }

    #[test]
    fn a_recovery_by_mail_changes_nothing() {
        assert!(!caller(&[Email, RecoveryCode], 1_000).may_change(1_000));
        for methods in [&[Password, RecoveryCode][..], &[Passkey], &[Password], &[Email]] {
            assert!(caller(methods, 1_000).may_change(1_000), "{methods:?}");
        }
    }
}
