//! What the answer to an attempt to send a mail means, and when the next attempt is due.

use chrono::DateTime;

/// Time of the first retry after a failed attempt, in seconds. Each further one takes twice as long.
const FIRST_RETRY: u64 = 60;
/// Maximum time between two attempts, in seconds.
const MAX_RETRY: u64 = 3_600;
/// Time after which a mail is given up, in seconds.
const MAX_AGE: u64 = 86_400;

/// The result of an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The mail was accepted for delivery.
    Accepted,
    /// A later attempt may succeed.
    Delayed {
        /// Why, for the log.
        reason: String,
        /// Seconds after which the service asks to try again.
        retry_after: Option<u64>,
    },
    /// No later attempt would succeed.
    Refused {
        /// Why, for the log.
        reason: String,
    },
}

impl Outcome {
    /// A failure after which a later attempt may succeed.
    #[must_use]
    pub fn delayed(reason: &str) -> Self {
        Self::Delayed { reason: reason.to_owned(), retry_after: None }
    }

    /// The outcome that an HTTP response means. Everything that the operator can mend is only a delay: a wrong key (401, 403), and a
    /// wrong address that redirects. So is 409: the service still works on an earlier attempt. `retry_after`: the header, `now`: unix
    /// seconds.
    #[must_use]
    pub fn of_status(status: u16, retry_after: Option<&str>, now: u64) -> Self {
        let reason = format!("status_{status}");
        match status {
            200..=299 => Self::Accepted,
            401 | 403 | 408 | 409 | 425 | 429 => Self::Delayed { reason, retry_after: seconds(retry_after, now) },
            400..=499 => Self::Refused { reason },
            _ => Self::Delayed { reason, retry_after: seconds(retry_after, now) },
        }
    }

    /// The outcome that an error of Cloudflare's binding means, by its `code`. Only what is wrong with this mail is final.
    #[must_use]
    pub fn of_code(code: Option<&str>) -> Self {
        let is_code = |code: &&str| {
            (1..=60).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        };
        let reason = code.filter(is_code).unwrap_or("error");
        match reason {
            "E_VALIDATION_ERROR"
            | "E_FIELD_MISSING"
            | "E_CONTENT_TOO_LARGE"
            | "E_RECIPIENT_NOT_ALLOWED"
            | "E_RECIPIENT_SUPPRESSED" => Self::Refused { reason: reason.to_owned() },
            _ => Self::delayed(reason),
        }
    }
}

/// When the next attempt is due, in unix seconds; `None` if the mail is given up. `at`: when the mail was requested. `attempts`: their
/// number so far.
#[must_use]
pub fn next_attempt(at: u64, attempts: u32, retry_after: Option<u64>, now: u64) -> Option<u64> {
    if now >= at.saturating_add(MAX_AGE) {
        return None;
    }
    let wait = FIRST_RETRY.saturating_mul(1 << attempts.saturating_sub(1).min(6));
    Some(now.saturating_add(wait.max(retry_after.unwrap_or(0)).min(MAX_RETRY)))
}

/// The number of mails of a day at which the operator is warned: 80 % of the limit.
#[must_use]
pub const fn warned_at(daily_limit: u64) -> u64 {
    daily_limit.saturating_sub(daily_limit / 5)
}

/// The seconds of the header `Retry-After` (RFC 9110 §10.2.3).
fn seconds(retry_after: Option<&str>, now: u64) -> Option<u64> {
    let text = retry_after?.trim();
    text.parse().ok().or_else(|| {
        let date = DateTime::parse_from_rfc2822(text).ok()?;
        Some(u64::try_from(date.timestamp()).ok()?.saturating_sub(now))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::{Outcome, next_attempt, warned_at};

    const NOW: u64 = 784_111_777;

    fn is_final(outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Refused { .. })
    }

    #[test]
    fn only_what_is_wrong_with_the_mail_is_final() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(Outcome::of_status(status, None, NOW), Outcome::Accepted);
        }
        for status in [400, 402, 404, 405, 410, 413, 422, 451, 499] {
            assert!(is_final(&Outcome::of_status(status, None, NOW)), "{status}");
        }
        for status in [0, 301, 302, 307, 308, 401, 403, 408, 409, 425, 429, 500, 502, 503, 504, 599] {
            let delayed = Outcome::Delayed { reason: format!("status_{status}"), retry_after: None };
            assert_eq!(Outcome::of_status(status, None, NOW), delayed);
        }
        for code in ["E_VALIDATION_ERROR", "E_FIELD_MISSING", "E_RECIPIENT_NOT_ALLOWED", "E_RECIPIENT_SUPPRESSED"] {
            assert_eq!(Outcome::of_code(Some(code)), Outcome::Refused { reason: code.to_owned() });
        }
        for code in ["E_RATE_LIMIT_EXCEEDED", "E_SENDER_NOT_VERIFIED", "E_DELIVERY_FAILED", "E_OTHER"] {
            assert_eq!(Outcome::of_code(Some(code)), Outcome::delayed(code));
        }
    }

    #[test]
    fn a_code_that_is_none_is_not_logged() {
        for code in [None, Some(""), Some("ada@example.org"), Some("E_x"), Some(&*"E".repeat(61))] {
            assert_eq!(Outcome::of_code(code), Outcome::delayed("error"), "{code:?}");
        }
    }

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        for (header, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:51:37 GMT", Some(120)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1910 08:00:00 GMT", None),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            let delayed = Outcome::Delayed { reason: "status_429".to_owned(), retry_after: expected };
            assert_eq!(Outcome::of_status(429, Some(header), NOW), delayed, "{header}");
        }
    }

    #[test]
    fn attempts_become_rarer_and_end_after_a_day() {
        let waits: Vec<_> = (1..=9).map(|attempts| next_attempt(NOW, attempts, None, NOW).unwrap() - NOW).collect();
        assert_eq!(waits, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]);
        assert_eq!(next_attempt(NOW, 1, Some(300), NOW), Some(NOW + 300));
        assert_eq!(next_attempt(NOW, 1, Some(10), NOW), Some(NOW + 60));
        assert_eq!(next_attempt(NOW, 1, Some(90_000), NOW), Some(NOW + 3_600));
        assert!(next_attempt(NOW, 30, None, NOW + 86_399).is_some());
        assert_eq!(next_attempt(NOW, 30, None, NOW + 86_400), None);
    }

    #[test]
    fn the_operator_is_warned_at_four_fifths_of_the_limit() {
        for (limit, expected) in [(1, 1), (4, 4), (5, 4), (10, 8), (99, 80), (1_000, 800)] {
            assert_eq!(warned_at(limit), expected);
        }
    }

    proptest! {
        #[test]
        fn any_header_means_a_retry_within_an_hour(header in any::<String>(), attempts in any::<u32>()) {
            let Outcome::Delayed { retry_after, .. } = Outcome::of_status(503, Some(&header), NOW) else {
                panic!("a 503 is a delay");
            };
            let next = next_attempt(NOW, attempts, retry_after, NOW).unwrap();
            prop_assert!(next > NOW && next <= NOW + 3_600);
        }
    }
}
