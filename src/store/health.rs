//! The health check of D1.

use super::batch::{sql, values};
use super::connection::Store;
use super::error::StoreError;

const CHECK_HEALTH: &str = sql!("check_health.sql");

impl Store {
    /// Checks that D1 answers and has the schema.
    pub async fn check_database(&self) -> Result<(), StoreError> {
        let mut batch = self.batch("check_health");
        batch.execute(CHECK_HEALTH, values![]);
        batch.run().await.map(|_| ())
    }
}
