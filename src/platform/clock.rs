//! The only place that reads the clock. In production the clock does not advance between two events.

/// Unix milliseconds.
#[expect(clippy::disallowed_methods, reason = "this is the only place that reads the clock")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number of milliseconds since 1970, far below 2^53"
)]
pub fn now_millis() -> u64 {
    js_sys::Date::now() as u64
}
