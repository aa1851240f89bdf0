//! What happened recently, counted for admins.

use portcullis_core::account::caller::Caller;
use portcullis_core::stats::Count;
use serde::Deserialize;

use super::batch::{sql, values};
use super::callers::{admin_in_force, find_session};
use super::connection::Store;
use super::error::StoreError;

const COUNT_EVENTS: &str = sql!("stats/count_events.sql");
const COUNT_WAITING_MAILS: &str = sql!("stats/count_waiting_mails.sql");

/// What D1 knows of the time since `since`.
pub struct RecentEvents {
    /// The events of the audit trail, by hour and kind.
    pub counts: Vec<Count>,
    /// The number of mails that are not accepted yet.
    pub mails_waiting: u64,
}

#[derive(Deserialize)]
struct WaitingRow {
    count: u64,
}

impl Store {
    /// Counts the events since `since`, the start of an hour. One round trip; the number of these events bounds the rows read.
    pub async fn count_recent_events(&self, caller: Caller, since: u64, now: u64) -> Result<RecentEvents, StoreError> {
        let mut batch = self.batch("count_recent_events");
        let admin = find_session(&mut batch, caller.session_id);
        let counts = batch.query::<Count>(COUNT_EVENTS, values![since, caller.session_id, caller.user_id, now]);
        let waiting = batch.query::<WaitingRow>(COUNT_WAITING_MAILS, values![caller.session_id, caller.user_id, now]);
        let answers = batch.run().await?;
        admin_in_force(&answers, admin, caller, now)?;
        let mails_waiting = answers.row(waiting)?.map_or(0, |row| row.count);
        Ok(RecentEvents { counts: answers.rows(counts)?, mails_waiting })
    }
}
