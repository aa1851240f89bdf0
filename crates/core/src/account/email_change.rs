//! Changes of address that wait because the user no longer has the old mailbox.

const DAY: u64 = 86_400;
/// Time from the request to the change, in seconds.
const WAIT: u64 = 7 * DAY;
/// Time from the request to the second and to the third notice, in seconds. The first is sent at once.
const SECOND_NOTICE: u64 = 3 * DAY;
const THIRD_NOTICE: u64 = 6 * DAY;
/// Time between two late steps, in seconds.
const PAUSE: u64 = DAY;
/// Time for which nobody else can take a former address, in seconds.
pub const RESERVED: u64 = 30 * DAY;

/// The times of a pending change, in unix seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// The request.
    pub requested_at: u64,
    /// The change.
    pub takes_effect_at: u64,
    /// The next notice; the change if all notices are sent.
    pub next_notice_at: u64,
}

impl Schedule {
    /// The times of a change that is requested now, with the first notice.
    #[must_use]
    pub const fn new(now: u64) -> Self {
        Self {
            requested_at: now,
            takes_effect_at: now.saturating_add(WAIT),
            next_notice_at: now.saturating_add(SECOND_NOTICE),
        }
    }

    /// Whether all notices are sent, so that the next step is the change.
    #[must_use]
    pub const fn is_notified(&self) -> bool {
        self.next_notice_at >= self.takes_effect_at
    }

    /// The times after a notice. A late notice delays the steps after it: the change must not follow the notices so closely that nobody
    /// could cancel it.
    #[must_use]
    pub fn after_notice(self, now: u64) -> Self {
        let third = self.requested_at.saturating_add(THIRD_NOTICE);
        let earliest = now.saturating_add(PAUSE);
        if self.next_notice_at < third {
            let next_notice_at = third.max(earliest);
            let takes_effect_at = self.takes_effect_at.max(next_notice_at.saturating_add(PAUSE));
            Self { takes_effect_at, next_notice_at, ..self }
        } else {
            let takes_effect_at = self.takes_effect_at.max(earliest);
            Self { takes_effect_at, next_notice_at: takes_effect_at, ..self }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DAY, Schedule};

    /// The times of the notices and of the change, in days, if steps take place when they are due but not before `from`.
    fn steps(from: u64) -> Vec<u64> {
        let mut schedule = Schedule::new(0);
        let mut steps = vec![0];
        loop {
            let now = schedule.next_notice_at.max(from * DAY);
            steps.push(now / DAY);
            if schedule.is_notified() {
                assert_eq!(schedule.next_notice_at, schedule.takes_effect_at);
                return steps;
            }
            schedule = schedule.after_notice(now);
        }
    }

    #[test]
    fn three_notices_precede_the_change_after_seven_days() {
        assert_eq!(steps(0), [0, 3, 6, 7]);
    }

    #[test]
    fn late_notices_delay_the_change() {
        assert_eq!(steps(5), [0, 5, 6, 7]);
        assert_eq!(steps(6), [0, 6, 7, 8]);
        assert_eq!(steps(20), [0, 20, 21, 22]);
    }
}
