//! What happened in the last 24 hours, by hour.

use serde::{Deserialize, Serialize};

const HOUR: u64 = 3_600;
const HOURS: u64 = 24;

/// Numbers of events. Those that only the metrics count are `null` without them.
#[derive(Serialize, Clone, Default, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Counts {
    /// Sessions that a login began. Only with metrics.
    pub logins: Option<u64>,
    /// New accounts. Only with metrics.
    pub registrations: Option<u64>,
    /// Failed logins, wrong current passwords and wrong codes of authenticator apps.
    pub failed_logins: u64,
    /// Those of them that began a wait, in which further attempts are refused.
    pub throttled: u64,
    /// Requests refused with 429, or with 503 `overloaded`. Only with metrics.
    pub refused: Option<u64>,
    /// Rotated-out refresh tokens that were presented. Each ended its session.
    pub reuse_detected: u64,
    /// Mails that were accepted for delivery. Mails about registrations that are not accounts yet are not counted.
    pub mails_sent: u64,
    /// Mails that were given up. The same are not counted.
    pub mails_failed: u64,
}

/// One hour.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Hour {
    /// Its start, in unix seconds.
    pub at: u64,
    /// What happened in it.
    #[serde(flatten)]
    pub counts: Counts,
}

/// What happened in 24 hours.
#[derive(Debug)]
pub struct Stats {
    /// The hours, the earliest first. The last one is not over.
    pub hours: Vec<Hour>,
    /// Their sums.
    pub total: Counts,
}

/// A number of events of one kind that happened in one hour, as D1 and the metrics report it.
#[derive(Deserialize, Debug)]
pub struct Count {
    at: Number,
    kind: String,
    events: Number,
}

/// Analytics Engine writes large types of integers as text.
#[derive(Deserialize, Debug)]
#[serde(untagged)]
enum Number {
    Integer(u64),
    Text(String),
}

impl Number {
    fn get(&self) -> Option<u64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

impl Counts {
    fn new(has_metrics: bool) -> Self {
        let unknown = has_metrics.then_some(0);
        Self { logins: unknown, registrations: unknown, refused: unknown, ..Self::default() }
    }

    /// Adds events of a kind of the audit trail or of a data point. Other kinds are not counted.
    fn add(&mut self, kind: &str, count: u64) {
        let counted = match kind {
            "login" => self.logins.as_mut(),
            "registration" => self.registrations.as_mut(),
            "refused" => self.refused.as_mut(),
            "login_failed" => Some(&mut self.failed_logins),
            "login_throttled" => Some(&mut self.throttled),
            "reuse_detected" => Some(&mut self.reuse_detected),
            "mail_sent" => Some(&mut self.mails_sent),
            "mail_failed" => Some(&mut self.mails_failed),
            _ => None,
        };
        if let Some(counted) = counted {
            *counted = counted.saturating_add(count);
        }
    }
}

impl Stats {
    /// Sorts counts into the hours since [`first_hour`]. Counts of other times are left out.
    #[must_use]
    pub fn new<'a>(first_hour: u64, counts: impl Iterator<Item = &'a Count>, has_metrics: bool) -> Self {
        let hour = |number: u64| first_hour.saturating_add(number.saturating_mul(HOUR));
        let hours = (0..HOURS).map(|number| Hour { at: hour(number), counts: Counts::new(has_metrics) });
        let mut stats = Self { hours: hours.collect(), total: Counts::new(has_metrics) };
        for count in counts {
            let (Some(at), Some(number)) = (count.at.get(), count.events.get()) else { continue };
            if let Some(hour) =
                stats.hours.iter_mut().find(|hour| (hour.at..hour.at.saturating_add(HOUR)).contains(&at))
            {
                hour.counts.add(&count.kind, number);
                stats.total.add(&count.kind, number);
            }
        }
        stats
    }
}

/// The start of the first of the 24 hours whose last one is running at `now`, in unix seconds.
#[must_use]
pub const fn first_hour(now: u64) -> u64 {
    now.saturating_sub(now % HOUR).saturating_sub((HOURS - 1) * HOUR)
}

/// The counts in a response of Analytics Engine's SQL API; `None` if it is malformed.
#[must_use]
pub fn parse(body: &[u8]) -> Option<Vec<Count>> {
    #[derive(Deserialize)]
    struct Answer {
        data: Vec<Count>,
    }
    let Answer { data } = serde_json::from_slice(body).ok()?;
    data.iter().all(|count| count.at.get().is_some() && count.events.get().is_some()).then_some(data)
}

#[cfg(test)]
mod tests {
    use super::{Counts, Stats, first_hour, parse};

    /// The second hour of a day.
    const NOW: u64 = 1_796_083_200 + 3_600;

    #[test]
    fn the_last_of_24_hours_is_the_running_one() {
        assert_eq!(first_hour(NOW), NOW - 23 * 3_600);
        assert_eq!(first_hour(NOW + 3_599), NOW - 23 * 3_600);
        assert_eq!(first_hour(NOW + 3_600), NOW - 22 * 3_600);
        assert_eq!(first_hour(0), 0);
        let stats = Stats::new(first_hour(NOW), [].iter(), false);
        assert_eq!((stats.hours.len(), stats.hours.last().unwrap().at), (24, NOW));
    }

    #[test]
    fn counts_are_sorted_into_their_hours_and_summed_up() {
        let first = first_hour(NOW);
        let row = |at: u64, kind: &str, count: u64| format!(r#"{{"at":{at},"kind":"{kind}","events":{count}}}"#);
        let rows = [
            row(first, "login_failed", 2),
            row(first + 3_599, "login_failed", 3),
            row(first + 3_600, "login_failed", 5),
            row(NOW, "login", 7),
            row(NOW, "login_throttled", 1),
            row(NOW, "of a later version", 1),
            row(first - 1, "login_failed", 100),
            row(NOW + 3_600, "login_failed", 100),
        ];
        let counts = parse(format!(r#"{{"data":[{}]}}"#, rows.join(",")).as_bytes()).unwrap();
        let stats = Stats::new(first, counts.iter(), true);
        let failed: Vec<_> = stats.hours.iter().map(|hour| hour.counts.failed_logins).collect();
        assert_eq!(failed, [vec![5, 5], vec![0; 22]].concat());
        let last = Counts { logins: Some(7), throttled: 1, ..Counts::new(true) };
        assert_eq!(stats.hours.last().unwrap().counts, last);
        assert_eq!(stats.total, Counts { failed_logins: 10, ..last });
    }

    #[test]
    fn without_metrics_what_only_they_count_is_unknown_and_not_zero() {
        let counts = parse(br#"{"data":[{"at":1796086800,"kind":"login","events":1}]}"#).unwrap();
        let total = Stats::new(first_hour(NOW), counts.iter(), false).total;
        assert_eq!((total.logins, total.registrations, total.refused, total.failed_logins), (None, None, None, 0));
    }

    #[test]
    fn an_answer_may_have_numbers_as_text() {
        let body = br#"{"meta":[],"data":[{"at":1796086800,"kind":"login","events":"12"}],"rows":1}"#;
        let counts = parse(body).unwrap();
        assert_eq!(Stats::new(first_hour(NOW), counts.iter(), true).total.logins, Some(12));
        for malformed in [
            &b"{}"[..],
            b"<html>",
            br#"{"data":{}}"#,
            br#"{"data":[{"at":1,"kind":"login"}]}"#,
            br#"{"data":[{"at":1,"kind":"login","events":"many"}]}"#,
            br#"{"data":[{"at":-1,"kind":"login","events":1}]}"#,
        ] {
            assert!(parse(malformed).is_none(), "{}", String::from_utf8_lossy(malformed));
        }
    }
}
