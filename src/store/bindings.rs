//! The bindings, taken as the runtime hands them over. `worker` checks their constructors' names and looks up all their
//! methods by name on every use, which takes as long as the rest of what this Worker does for a request.

use std::cell::OnceCell;

use js_sys::{JSON, Promise};
use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};
use worker::wasm_bindgen_futures::JsFuture;
use worker::{D1Database, Env};

#[wasm_bindgen]
extern "C" {
    /// What `wrangler.toml` names.
    type Bindings;
    #[wasm_bindgen(method, getter, js_name = DB)]
    fn db(this: &Bindings) -> JsValue;
    #[wasm_bindgen(method, getter, js_name = REVOCATIONS)]
    fn revocations(this: &Bindings) -> Option<KvNamespace>;

    type KvNamespace;
    #[wasm_bindgen(method, catch)]
    fn get(this: &KvNamespace, key: &str, options: &JsValue) -> Result<Promise, JsValue>;
}

/// D1.
///
/// # Errors
/// If there is no such binding.
pub(super) fn database(env: &Env) -> worker::Result<D1Database> {
    let database = env.unchecked_ref::<Bindings>().db();
    if database.is_undefined() { Err(missing("DB")) } else { Ok(database.unchecked_into()) }
}

/// What KV holds under a key. `cache_ttl`: for how many seconds a location may answer from its own cache.
///
/// # Errors
/// If there is no such binding, or KV's.
pub(super) async fn get(env: &Env, key: &str, cache_ttl: u64) -> worker::Result<Option<String>> {
    let namespace = env.unchecked_ref::<Bindings>().revocations().ok_or_else(|| missing("REVOCATIONS"))?;
    let value = JsFuture::from(namespace.get(key, &options(cache_ttl)?)?).await?;
    Ok(value.as_string())
}

/// The options of [`get`], made once an isolate.
fn options(cache_ttl: u64) -> Result<JsValue, JsValue> {
    thread_local! {
        static OPTIONS: OnceCell<JsValue> = const { OnceCell::new() };
    }
    if let Some(options) = OPTIONS.with(|options| options.get().cloned()) {
        return Ok(options);
    }
    let options = JSON::parse(&format!(r#"{{"type":"text","cacheTtl":{cache_ttl}}}"#))?;
    Ok(OPTIONS.with(|cell| cell.get_or_init(|| options).clone()))
}

fn missing(binding: &str) -> worker::Error {
    worker::Error::RustError(format!("there is no binding {binding}"))
}
