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
    #[wasm_bindgen(method, catch)]
    fn put(this: &KvNamespace, key: &str, value: &str, options: &JsValue) -> Result<Promise, JsValue>;
}

/// D1.
///
/// # Errors
/// If there is no such binding.
pub(super) fn database(env: &Env) -> worker::Result<D1Database> {
    let database = env.unchecked_ref::<Bindings>().db();
    if database.is_undefined() { Err(missing("DB")) } else { Ok(database.unchecked_into()) }
}

/// Of [`get`]: as text; for how many seconds a location may answer from its own cache, misses included, which is the least
/// KV takes, so that a revocation is seen as soon as the platform allows.
const GET_OPTIONS: &str = r#"{"type":"text","cacheTtl":30}"#;

/// What KV holds under a key.
///
/// # Errors
/// If there is no such binding, or KV's.
pub(super) async fn get(env: &Env, key: &str) -> worker::Result<Option<String>> {
    let value = JsFuture::from(namespace(env)?.get(key, &get_options()?)?).await?;
    Ok(value.as_string())
}

/// Stores a value in KV under a key, for `ttl` seconds.
///
/// # Errors
/// If there is no such binding, or KV's.
pub(super) async fn put(env: &Env, key: &str, value: &str, ttl: u64) -> worker::Result<()> {
    let options = JSON::parse(&format!(r#"{{"expirationTtl":{ttl}}}"#))?;
    JsFuture::from(namespace(env)?.put(key, value, &options)?).await?;
    Ok(())
}

fn namespace(env: &Env) -> worker::Result<KvNamespace> {
    env.unchecked_ref::<Bindings>().revocations().ok_or_else(|| missing("REVOCATIONS"))
}

/// [`GET_OPTIONS`] as the runtime has them, made once an isolate.
fn get_options() -> Result<JsValue, JsValue> {
    thread_local! {
        static OPTIONS: OnceCell<JsValue> = const { OnceCell::new() };
    }
    if let Some(options) = OPTIONS.with(|options| options.get().cloned()) {
        return Ok(options);
    }
    let options = JSON::parse(GET_OPTIONS)?;
    Ok(OPTIONS.with(|cell| cell.get_or_init(|| options).clone()))
}

fn missing(binding: &str) -> worker::Error {
    worker::Error::RustError(format!("there is no binding {binding}"))
}
