//! The binding `send_email` of Cloudflare, named `SEND_EMAIL`. Its JavaScript interface takes a mail as plain data, without a class that
//! has to be imported from the runtime.

use js_sys::{JSON, Promise};
use serde::Serialize;
use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};
use worker::Env;
use worker::wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    /// The bindings in `wrangler.toml`.
    type Bindings;
    #[wasm_bindgen(method, getter, js_name = SEND_EMAIL)]
    fn send_email(this: &Bindings) -> Option<SendEmail>;

    type SendEmail;
    #[wasm_bindgen(method, catch)]
    fn send(this: &SendEmail, mail: &JsValue) -> Result<Promise, JsValue>;

    /// What a promise of the binding was rejected with.
    type SendError;
    #[wasm_bindgen(method, getter, catch)]
    fn code(this: &SendError) -> Result<JsValue, JsValue>;
}

/// Why the binding did not accept a mail.
pub enum SendFailure {
    /// There is no such binding.
    NoBinding,
    /// It reported an error, with this `code` if it has one.
    Failed(Option<String>),
}

impl From<JsValue> for SendFailure {
    fn from(error: JsValue) -> Self {
        let code = error.unchecked_ref::<SendError>().code();
        Self::Failed(code.ok().and_then(|code| code.as_string()))
    }
}

/// Sends a mail. The time limit is set in scripts/entry.mjs, as that of the storage.
pub async fn send(env: &Env, mail: &impl Serialize) -> Result<(), SendFailure> {
    let binding = env.unchecked_ref::<Bindings>().send_email().ok_or(SendFailure::NoBinding)?;
    let mail = serde_json::to_string(mail).map_err(|_| SendFailure::Failed(None))?;
    JsFuture::from(binding.send(&JSON::parse(&mail)?)?).await?;
    Ok(())
}
