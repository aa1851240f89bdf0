//! What a language is given, and the texts that it gives.

use std::net::IpAddr;

use chrono::{DateTime, Utc};

use crate::mail::device::Device;
use crate::mail::kind::Kind;

/// What texts are made of. Texts of strangers are harmless already.
pub struct Facts<'a> {
    /// The kind of mail.
    pub kind: Kind,
    /// The name of the app.
    pub app: &'a str,
    /// The name of the recipient.
    pub name: Option<&'a str>,
    /// The address that the mail is sent to.
    pub email: &'a str,
    /// The code.
    pub code: Option<&'a str>,
    /// How long code and link are valid.
    pub valid: Duration,
    /// When it was requested, or happened.
    pub at: DateTime<Utc>,
    /// When an announced change takes effect.
    pub due: DateTime<Utc>,
    /// The device that requested or caused it.
    pub device: Device,
    /// The IP address of the device.
    pub ip: Option<IpAddr>,
    /// The new address of the account, in kinds that have a detail.
    pub detail: Option<&'a str>,
}

/// A duration in its greatest unit without remainder.
pub enum Duration {
    /// Minutes.
    Minutes(u64),
    /// Hours.
    Hours(u64),
    /// Days.
    Days(u64),
}

impl Duration {
    /// The duration of a number of minutes.
    pub const fn of(minutes: u64) -> Self {
        match minutes {
            0 => Self::Minutes(0),
            days if days.is_multiple_of(1_440) => Self::Days(days / 1_440),
            hours if hours.is_multiple_of(60) => Self::Hours(hours / 60),
            minutes => Self::Minutes(minutes),
        }
    }
}

/// The texts of a mail.
pub struct Texts {
    /// Those of its kind.
    pub own: Own,
    /// The greeting with the name, if there is one.
    pub greeting: Option<String>,
    /// When and from where it was requested or caused; that nobody will ask for the code.
    pub origin: String,
    /// How long code and link are valid.
    pub validity: String,
    /// Introduces the link below its button.
    pub open: &'static str,
    /// The address that the mail is sent to.
    pub sent_to: String,
    /// Introduces the link to support.
    pub help: &'static str,
}

/// The texts of a kind of mail.
pub struct Own {
    /// The subject. Only that of [`Kind::Login`] contains the code.
    pub subject: String,
    /// The title.
    pub title: &'static str,
    /// What the code does, or what happened.
    pub what: String,
    /// What else the recipient needs to know.
    pub more: Option<String>,
    /// The label of the button.
    pub action: &'static str,
    /// What to do if it was not the recipient.
    pub not_you: String,
    /// The label of the second link, if the kind has one.
    pub other_action: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::Duration;

    #[test]
    fn a_duration_has_its_greatest_unit() {
        assert!(matches!(Duration::of(0), Duration::Minutes(0)));
        assert!(matches!(Duration::of(1), Duration::Minutes(1)));
        assert!(matches!(Duration::of(90), Duration::Minutes(90)));
        assert!(matches!(Duration::of(120), Duration::Hours(2)));
        assert!(matches!(Duration::of(10_080), Duration::Days(7)));
    }
}
