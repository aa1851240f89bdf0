//! Kinds of mail.

/// A kind of mail. Its name is stored in the outbox, and sent to webhooks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A code that proves the address of an account.
    Verify,
    /// A code that completes a registration.
    Register,
    /// A code that sets a new password.
    Reset,
    /// A code that logs in.
    Login,
    /// A code to the new address of a change.
    ChangeNew,
    /// A code to the old address of a change.
    ChangeOld,
    /// A code that accepts an invitation.
    Invite,
    /// Someone tried to register the address of the account, or to change another account to it.
    AccountExists,
    /// The password was changed.
    PasswordChanged,
    /// The address changes in seven days, because its mailbox is said to be lost. The detail is the new address.
    EmailChangePending,
    /// The address was changed; to the old one. The detail is the new address.
    EmailChanged,
    /// The first login from a new device.
    NewDevice,
    /// A rotated-out refresh token was presented.
    ReuseDetected,
    /// Failed logins made further ones wait.
    Throttled,
    /// Logins beyond the maximum of the account ended many sessions.
    Evicted,
    /// A factor was added. The detail says which: see [`Factor`](super::factor::Factor).
    FactorAdded,
    /// A factor was removed. The detail says which.
    FactorRemoved,
    /// An admin removed all factors.
    FactorsReset,
    /// A recovery code was used. The detail is the number of those that are left.
    RecoveryCodeUsed,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 19] = [
        Self::Verify,
        Self::Register,
        Self::Reset,
        Self::Login,
        Self::ChangeNew,
        Self::ChangeOld,
        Self::Invite,
        Self::AccountExists,
        Self::PasswordChanged,
        Self::EmailChangePending,
        Self::EmailChanged,
        Self::NewDevice,
        Self::ReuseDetected,
        Self::Throttled,
        Self::Evicted,
        Self::FactorAdded,
        Self::FactorRemoved,
        Self::FactorsReset,
        Self::RecoveryCodeUsed,
    ];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Register => "register",
            Self::Reset => "reset",
            Self::Login => "login",
            Self::ChangeNew => "change_new",
            Self::ChangeOld => "change_old",
            Self::Invite => "invite",
            Self::AccountExists => "account_exists",
            Self::PasswordChanged => "password_changed",
            Self::EmailChangePending => "email_change_pending",
            Self::EmailChanged => "email_changed",
            Self::NewDevice => "new_device",
            Self::ReuseDetected => "reuse_detected",
            Self::Throttled => "throttled",
            Self::Evicted => "evicted",
            Self::FactorAdded => "factor_added",
            Self::FactorRemoved => "factor_removed",
            Self::FactorsReset => "factors_reset",
            Self::RecoveryCodeUsed => "recovery_code_used",
        }
    }

    /// The kind of a stable name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether the mail carries a code and a link.
    #[must_use]
    pub const fn has_code(self) -> bool {
        matches!(
            self,
            Self::Verify
                | Self::Register
                | Self::Reset
                | Self::Login
                | Self::ChangeNew
                | Self::ChangeOld
                | Self::Invite
        )
    }

    /// Whether the mail tells of what happened to the account.
    #[must_use]
    pub const fn is_notice(self) -> bool {
        !self.has_code()
    }

    /// Whether somebody who has an account with the address of a stranger could cause as many as they like.
    #[must_use]
    pub const fn can_be_many(self) -> bool {
        matches!(
            self,
            Self::PasswordChanged
                | Self::NewDevice
                | Self::ReuseDetected
                | Self::Throttled
                | Self::Evicted
                | Self::FactorAdded
                | Self::FactorRemoved
                | Self::RecoveryCodeUsed
        )
    }

    /// Whether the mail can reach someone who has nothing to do with the account whose name it would show. Such a mail shows
    /// no name, or strangers could send texts of their own.
    pub(super) const fn reaches_strangers(self) -> bool {
        matches!(self, Self::Verify | Self::Register | Self::ChangeNew | Self::AccountExists)
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::RecoveryCodeUsed as usize + 1, Kind::ALL.len());
        assert_eq!(Kind::EmailChangePending.as_str(), "email_change_pending");
        for unknown in ["", "Verify", "verify ", "changeold"] {
            assert_eq!(Kind::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_kind_has_a_code_or_is_a_notice() {
        assert_eq!(Kind::ALL.into_iter().filter(|kind| kind.has_code()).count(), 7);
        assert_eq!(Kind::ALL.into_iter().filter(|kind| kind.is_notice()).count(), 12);
        assert!(Kind::Invite.has_code() && Kind::AccountExists.is_notice());
    }
}
