//! The factor that a notice and an audit event name.

use std::fmt;

/// A factor, as it is stored: `totp`, `recovery_codes`, or `passkey:` and its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Factor<'a> {
    /// An authenticator app.
    Totp,
    /// A set of recovery codes.
    RecoveryCodes,
    /// A passkey, with the name that its user gave it.
    Passkey(&'a str),
}

const TOTP: &str = "totp";
const RECOVERY_CODES: &str = "recovery_codes";
const PASSKEY: &str = "passkey:";

impl<'a> Factor<'a> {
    /// Reads the stored text.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        match text {
            TOTP => Some(Self::Totp),
            RECOVERY_CODES => Some(Self::RecoveryCodes),
            _ => text.strip_prefix(PASSKEY).map(Self::Passkey),
        }
    }
}

/// The text to store.
impl fmt::Display for Factor<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Totp => formatter.write_str(TOTP),
            Self::RecoveryCodes => formatter.write_str(RECOVERY_CODES),
            Self::Passkey(name) => write!(formatter, "{PASSKEY}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Factor;

    #[test]
    fn a_factor_is_read_back() {
        for factor in
            [Factor::Totp, Factor::RecoveryCodes, Factor::Passkey(""), Factor::Passkey("totp"), Factor::Passkey("a:b")]
        {
            assert_eq!(Factor::parse(&factor.to_string()), Some(factor));
        }
        for other in ["", "Totp", "passkey", "new@example.org"] {
            assert_eq!(Factor::parse(other), None, "{other}");
        }
    }
}
