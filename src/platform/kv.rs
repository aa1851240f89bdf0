//! The KV binding, read without `Env::kv` of `worker`, for the same reason as D1; see [`super::d1`].

use std::cell::OnceCell;

use js_sys::{JSON, Promise};
use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};
use worker::Env;
use worker::wasm_bindgen_futures::JsFuture;

use super::missing_binding;

#[wasm_bindgen]
extern "C" {
    /// The bindings in `wrangler.toml`.
    type Bindings;
    #[wasm_bindgen(method, getter, js_name = REVOCATIONS)]
    fn revocations(this: &Bindings) -> Option<KvNamespace>;

    type KvNamespace;
    #[wasm_bindgen(method, catch)]
    fn get(this: &KvNamespace, key: &str, options: &JsValue) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn put(this: &KvNamespace, key: &str, value: &str, options: &JsValue) -> Result<Promise, JsValue>;
}

/// Options of [`get`]. `cacheTtl` is the number of seconds for which a location caches values and misses. 30 is the minimum, so that
/// revocations take effect as soon as the platform allows.
const GET_OPTIONS: &str = r#"{"type":"text","cacheTtl":30}"#;

/// Reads the value of a key.
pub async fn get(env: &Env, key: &str) -> worker::Result<Option<String>> {
    let value = JsFuture::from(namespace(env)?.get(key, &get_options()?)?).await?;
    Ok(value.as_string())
}

/// Stores the value of a key for `ttl` seconds.
pub async fn put(env: &Env, key: &str, value: &str, ttl: u64) -> worker::Result<()> {
    let options = JSON::parse(&format!(r#"{{"expirationTtl":{ttl}}}"#))?;
    JsFuture::from(namespace(env)?.put(key, value, &options)?).await?;
    Ok(())
}

fn namespace(env: &Env) -> worker::Result<KvNamespace> {
    env.unchecked_ref::<Bindings>().revocations().ok_or_else(|| missing_binding("REVOCATIONS"))
}

/// [`GET_OPTIONS`] as a JavaScript object, created once per isolate.
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
