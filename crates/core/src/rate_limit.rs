//! Rate limits: the classes of requests, and how many requests of a class are allowed in a period.

use std::fmt;

/// The periods that the platform's rate limiters support, in seconds.
const PERIODS: [u32; 2] = [10, 60];

/// Requests that are counted together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Logins and registrations, by source; with device tokens, by the users of these.
    Credentials,
    /// Logins from unknown devices, by the name of the account.
    Name,
    /// Requests with a forged token or a wrong client secret, by source.
    BadToken,
    /// Changes by signed-in users, by session.
    Writes,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Credentials, Self::Name, Self::BadToken, Self::Writes];

    /// The name in `RATE_LIMITS`, in headers and in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Name => "name",
            Self::BadToken => "bad_token",
            Self::Writes => "writes",
        }
    }
}

/// The limit of a class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// The class.
    pub class: Class,
    /// Maximum number of requests in a period.
    pub quota: u32,
    /// The period, in seconds.
    pub period: u32,
}

impl Policy {
    /// Reads `class=quota/period`.
    fn parse(text: &str) -> Option<Self> {
        let (name, limit) = text.split_once('=')?;
        let (quota, period) = limit.split_once('/')?;
        let class = Class::ALL.into_iter().find(|class| class.name() == name.trim())?;
        let number = |text: &str| {
            // `parse` accepts a leading plus sign.
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            if digits { text.parse().ok() } else { None }
        };
        let (quota, period) = (number(quota.trim()).filter(|quota| *quota > 0)?, number(period.trim())?);
        PERIODS.contains(&period).then_some(Self { class, quota, period })
    }
}

/// The item of the header `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10 §3).
impl fmt::Display for Policy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\";q={};w={}", self.class.name(), self.quota, self.period)
    }
}

/// The limits of all classes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateLimits {
    credentials: Policy,
    name: Policy,
    bad_token: Policy,
    writes: Policy,
}

impl RateLimits {
    /// Reads a list such as `credentials=20/60,name=10/60,bad_token=60/60,writes=120/60`; `None` unless it has each class once.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let policies: Vec<_> = text.split(',').map(Policy::parse).collect::<Option<_>>()?;
        let only = |class| {
            let mut matching = policies.iter().copied().filter(|policy| policy.class == class);
            matching.next().filter(|_| matching.next().is_none())
        };
        Some(Self {
            credentials: only(Class::Credentials)?,
            name: only(Class::Name)?,
            bad_token: only(Class::BadToken)?,
            writes: only(Class::Writes)?,
        })
    }

    /// The limit of a class.
    #[must_use]
    pub const fn of(&self, class: Class) -> Policy {
        match class {
            Class::Credentials => self.credentials,
            Class::Name => self.name,
            Class::BadToken => self.bad_token,
            Class::Writes => self.writes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, Policy, RateLimits};

    #[test]
    fn a_list_has_the_limit_of_each_class() {
        let limits = RateLimits::parse("writes=120/60, credentials = 20 / 10,name=10/60,bad_token=1/60").unwrap();
        assert_eq!(limits.of(Class::Credentials), Policy { class: Class::Credentials, quota: 20, period: 10 });
        let quotas = Class::ALL.map(|class| limits.of(class).quota);
        assert_eq!(quotas, [20, 10, 1, 120]);
        assert!(Class::ALL.into_iter().all(|class| limits.of(class).class == class));
    }

    #[test]
    fn an_incomplete_or_malformed_list_is_refused() {
        let rest = "name=10/60,bad_token=60/60,writes=120/60";
        assert!(RateLimits::parse(&format!("credentials=20/60,{rest}")).is_some());
        for first in [
            "",
            "credentials",
            "credentials=20",
            "credentials=20/30",
            "credentials=0/60",
            "credentials=+1/60",
            "credentials=-1/60",
            "credentials=/60",
            "credentials=4294967296/60",
            "Credentials=20/60",
            "other=20/60",
            "name=10/60",
            "credentials=20/60,credentials=20/60",
            "credentials=20/60,",
        ] {
            assert!(RateLimits::parse(&format!("{first},{rest}")).is_none(), "{first}");
        }
        assert!(RateLimits::parse(rest).is_none());
    }

    #[test]
    fn a_limit_is_written_as_in_its_header() {
        let limits = RateLimits::parse("credentials=20/60,name=10/60,bad_token=60/10,writes=120/60").unwrap();
        assert_eq!(limits.of(Class::BadToken).to_string(), "\"bad_token\";q=60;w=10");
    }
}
