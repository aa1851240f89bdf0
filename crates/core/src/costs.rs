//! Costs of a request.

use serde::Serialize;

/// The number of storage operations of a request.
#[derive(Serialize, Debug, Default, Clone, Copy)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Costs {
    /// Round trips to D1; a batch is one.
    pub d1_round_trips: u32,
    /// Rows read, as reported by D1; 0 if rows are not counted.
    pub d1_rows_read: usize,
    /// Rows written including index entries, as reported by D1; 0 if rows are not counted.
    pub d1_rows_written: usize,
    /// Reads of KV.
    pub kv_gets: u32,
    /// Writes to KV.
    pub kv_puts: u32,
}
