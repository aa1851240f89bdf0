//! The health check of D1.

use serde::Deserialize;

use super::batch::{sql, values};
use super::connection::Store;
use super::error::StoreError;

const CHECK_HEALTH: &str = sql!("check_health.sql");

#[derive(Deserialize)]
struct HealthRow {
    has_slot_key: u8,
}

impl Store {
    /// Checks that D1 answers, and has the schema and the slot key. One round trip.
    pub async fn check_database(&self) -> Result<(), StoreError> {
        let mut batch = self.batch("check_health");
        let found = batch.query::<HealthRow>(CHECK_HEALTH, values![]);
        let answers = batch.run().await?;
        match answers.row(found)? {
            Some(HealthRow { has_slot_key: 1 }) => Ok(()),
            _ => Err(answers.corrupt("no slot key".to_owned())),
        }
    }
}
