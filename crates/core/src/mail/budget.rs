//! How many mails may be caused.

use crate::identity::email::Email;

/// A number of mails in a window of time. The first ones go out at once, further ones only some time after the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// The number of mails that go out at once.
    pub free: u64,
    /// Seconds between further mails.
    pub spacing: u64,
    /// Maximum number of mails in a window.
    pub max: u64,
    /// The window, in seconds. It begins with its first mail.
    pub window: u64,
}

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

impl Budget {
    /// Mails to an address that strangers cause, or that a known device or a signed-in user causes. `ttl`: lifetime of the code.
    #[must_use]
    pub const fn address(ttl: u64) -> Self {
        Self { free: 3, spacing: ttl, max: 10, window: DAY }
    }

    /// Mails that a source causes.
    pub const SOURCE: Self = Self::without_spacing(10, HOUR);
    /// Mails that the sources of one IPv6 network of 48 bits cause.
    pub const NETWORK: Self = Self::without_spacing(100, HOUR);
    /// A notice of a kind that a stranger can cause.
    pub const NOTICE: Self = Self::without_spacing(1, HOUR);
    /// Notices to a mailbox that nobody has proved to have, of all accounts with it together.
    pub const UNPROVED_NOTICES: Self = Self::address(600);
    /// The notice of a login from a new device.
    pub const NEW_DEVICE: Self = Self::without_spacing(1, DAY);

    /// What strangers cause for all addresses together: a tenth of the mails of a day, so that they leave the rest to the users.
    #[must_use]
    pub fn strangers(daily_limit: u64) -> Self {
        Self::without_spacing((daily_limit / 10).max(1), DAY)
    }

    const fn without_spacing(max: u64, window: u64) -> Self {
        Self { free: max, spacing: 0, max, window }
    }
}

/// The mailbox of an address: without what follows a plus sign in the local part, which most providers ignore.
#[must_use]
pub fn mailbox(email: &Email) -> String {
    let (local, domain) = email.key().split_once('@').unwrap_or_default();
    let local = local.split_once('+').map(|(name, _)| name).filter(|name| !name.is_empty()).unwrap_or(local);
    format!("{local}@{domain}")
}

#[cfg(test)]
mod tests {
    use super::mailbox;
    use crate::identity::email::Email;

    #[test]
    fn addresses_that_differ_after_a_plus_sign_are_one_mailbox() {
        let of = |text| mailbox(&Email::parse(text).unwrap());
        assert_eq!(of("Ada+shop@Example.org"), "ada@example.org");
        assert_eq!(of("ada+a+b@example.org"), "ada@example.org");
        assert_eq!(of("ada@example.org"), "ada@example.org");
        assert_eq!(of("+a@example.org"), "+a@example.org");
    }
}
