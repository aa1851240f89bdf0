//! The throttle: failed attempts, and the waits in which no further attempt is judged.

use portcullis_core::account::audit::AuditEvent;
use portcullis_core::account::client::Client;
use portcullis_core::account::throttle::Subject;
use portcullis_core::id::Id;
use serde::Deserialize;

use super::audit::{EventKey, Failure, count_failure};
use super::batch::{Affected, Answers, Batch, Rows, sql, values};
use super::connection::Store;
use super::error::StoreError;
use super::outbox::NewMail;

const CLEAR_COMPLETED: &str = sql!("throttles/clear_completed.sql");
const CLEAR_RECORDED: &str = sql!("throttles/clear_recorded.sql");
const COUNT: &str = sql!("throttles/count.sql");
const FIND: &str = sql!("throttles/find.sql");
const FORGIVE: &str = sql!("throttles/forgive.sql");
const FIND_FAILURES: &str = sql!("throttles/find_failures.sql");

#[derive(Deserialize)]
struct WaitRow {
    seconds: u64,
    failures: u64,
}

/// The handle of a query for a wait.
#[derive(Clone, Copy)]
pub(super) struct Wait(Rows<WaitRow>, Subject);

impl Wait {
    /// Looks up whether attempts for a subject must wait.
    pub(super) fn find(batch: &mut Batch<'_>, subject: Subject, now: u64) -> Self {
        Self(batch.query(FIND, values![subject, now]), subject)
    }

    /// The seconds after which the next attempt may be judged; `None` if there is no wait. During its wait, a known device is
    /// treated as an unknown one, so it may try again after a second.
    pub(super) fn seconds(self, answers: &Answers) -> Result<Option<u64>, StoreError> {
        let seconds = |row: WaitRow| if matches!(self.1, Subject::Device { .. }) { 1 } else { row.seconds };
        Ok(answers.row(self.0)?.filter(|row| row.seconds > 0).map(seconds))
    }

    /// The failures in a row.
    pub(super) fn failures(self, answers: &Answers) -> Result<u64, StoreError> {
        Ok(answers.row(self.0)?.map_or(0, |row| row.failures))
    }
}

/// The result of counting a failure.
pub struct CountedFailure {
    /// The seconds of the wait because of which the failure was not counted.
    pub wait: Option<u64>,
    /// Whether the notice that attempts must wait is to be sent.
    pub has_notice: bool,
}

/// The failures of a subject. Times in unix seconds.
#[derive(Deserialize)]
pub struct Throttle {
    /// The failures in a row: of a name, since the last completed sign-in; of a user, since the last confirmed change.
    pub failures: u64,
    /// The last failure.
    pub last_at: u64,
    /// The end of the wait; 0 if there was none.
    pub until: u64,
}

impl Store {
    /// Finds the failures of subjects, in their order. One round trip.
    pub async fn find_throttles(
        &self,
        subjects: impl Iterator<Item = Subject>,
    ) -> Result<Vec<Option<Throttle>>, StoreError> {
        let mut batch = self.batch("find_throttles");
        let found: Vec<_> = subjects.map(|subject| batch.query::<Throttle>(FIND_FAILURES, values![subject])).collect();
        let answers = batch.run().await?;
        found.into_iter().map(|found| answers.row(found)).collect()
    }

    /// Counts a failed attempt, in the throttle and in the audit trail. During a wait it counts nothing and returns the seconds
    /// until the wait ends. One round trip. Writes two rows, three if a wait begins, plus an index entry for each first event of
    /// an hour, and one for a device or a user. A notice writes four rows more, at most once an hour. The costs are the same for an
    /// unknown account.
    pub async fn count_failure(
        &self,
        failure: &Failure,
        notice: Option<&NewMail<'_>>,
        client: &Client,
        request_id: Id,
        now: u64,
    ) -> Result<CountedFailure, StoreError> {
        let policy = failure.subject.policy();
        let values = values![
            failure.subject,
            now,
            policy.free,
            policy.first_wait,
            policy.max_wait,
            policy.quiet,
            policy.max_failures,
            request_id,
            policy.last_wait,
        ];
        let mut batch = self.batch("count_failure");
        let counted = batch.query::<Affected>(COUNT, values);
        for event in [AuditEvent::LoginFailed, AuditEvent::LoginThrottled] {
            count_failure(&mut batch, event, failure, client, request_id, now);
        }
        let noticed = notice.map(|notice| notice.insert_throttled(&mut batch, failure, client, request_id, now));
        let wait = Wait::find(&mut batch, failure.subject, now);
        let answers = batch.run().await?;
        let has_notice = noticed.map(|noticed| answers.row(noticed)).transpose()?.flatten().is_some();
        let wait = if answers.row(counted)?.is_some() { None } else { wait.seconds(&answers)? };
        Ok(CountedFailure { wait, has_notice })
    }
}

/// Sets the failures in a row of a name to zero, if the session has begun. The waits get shorter only by time: otherwise a user
/// whose name has the same hash could end them with a login of their own. The device that has just signed in is known and does
/// not wait.
pub(super) fn forgive(batch: &mut Batch<'_>, key: String, session_id: Id) {
    batch.execute(FORGIVE, values![key, session_id]);
}

/// Forgets the failures of a subject, if the session has begun.
pub(super) fn clear_completed(batch: &mut Batch<'_>, subject: Subject, session_id: Id) {
    batch.execute(CLEAR_COMPLETED, values![subject, session_id]);
}

/// Forgets the failures of a subject, if the event exists.
pub(super) fn clear_recorded<'v>(batch: &mut Batch<'v>, key: &'v EventKey, subject: Subject) {
    batch.execute(CLEAR_RECORDED, values![key.user_id, key.at, &key.id, subject]);
}
