//! Waits that end.
//!
//! A future that waits for a promise is dropped, and its memory given back, only once the promise settles. One of the other
//! side (a client that sends no more, storage that does not answer) may never do so, and dies with the request when the
//! runtime cancels that. So the wait is ended in JavaScript, by a promise that always settles, long before.

use js_sys::Promise;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};
use worker::wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    /// Of scripts/entry.mjs.
    #[wasm_bindgen(js_name = within)]
    fn settle_within(promise: &Promise, millis: f64) -> Promise;
}

/// Why there is no value.
#[derive(Debug)]
pub enum Failure {
    /// The promise did not settle in time.
    Late,
    /// The promise was rejected.
    Rejected,
}

/// What a promise resolves to, if it does so in that many milliseconds.
///
/// # Errors
/// If it does not.
#[expect(clippy::cast_precision_loss, reason = "some seconds, far below 2^53 milliseconds")]
pub async fn within(promise: &Promise, millis: u64) -> Result<JsValue, Failure> {
    let settled = JsFuture::from(settle_within(promise, millis as f64)).await;
    settled.map_err(|error| if error.is_undefined() { Failure::Late } else { Failure::Rejected })
}
