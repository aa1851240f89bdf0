//! Timeouts.
//!
//! A future that waits for a promise is freed only when the promise settles, and promises that depend on the client or on storage may
//! never settle. So the wait uses a JavaScript promise that always settles.

use js_sys::Promise;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};
use worker::wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    /// Defined in scripts/entry.mjs.
    #[wasm_bindgen(js_name = within)]
    fn settle_within(promise: &Promise, millis: f64) -> Promise;
}

/// Why an awaited promise has no value.
#[derive(Debug)]
pub enum Failure {
    /// The promise did not settle in time.
    TimedOut,
    /// The promise was rejected.
    Rejected,
}

/// Awaits a promise for at most `millis` milliseconds.
#[expect(clippy::cast_precision_loss, reason = "some seconds, far below 2^53 milliseconds")]
pub async fn within(promise: &Promise, millis: u64) -> Result<JsValue, Failure> {
    let settled = JsFuture::from(settle_within(promise, millis as f64)).await;
    settled.map_err(|error| if error.is_undefined() { Failure::TimedOut } else { Failure::Rejected })
}
