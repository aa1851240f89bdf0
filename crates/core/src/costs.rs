//! What a request costs, counted.

use serde::Serialize;

/// Counted while a request is answered.
#[derive(Serialize, Debug, Default, Clone, Copy)]
pub struct Costs {
    /// Round trips to D1; a batch is one.
    pub d1_round_trips: u32,
    /// By D1's own count; 0 where rows are not counted.
    pub d1_rows_read: usize,
    /// By D1's own count, index entries included; 0 where rows are not counted.
    pub d1_rows_written: usize,
    /// Reads of KV.
    pub kv_gets: u32,
    /// Writes to KV.
    pub kv_puts: u32,
}
