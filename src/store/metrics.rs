//! Data points for Workers Analytics Engine.

use super::connection::Store;
use crate::platform::metrics;

impl Store {
    /// Adds a data point, if there is the binding. No round trip. Fails with the cause.
    pub fn write_data_point(&self, index: &str, blobs: &[&str]) -> Result<(), String> {
        metrics::write(&self.env, index, blobs).map_err(|error| error.to_string())
    }
}
