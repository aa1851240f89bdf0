//! The KV binding, taken as the runtime hands it over, for the same reason as that of D1.

use std::cell::OnceCell;

use js_sys::{JSON, Promise};
use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};
use worker::Env;
use worker::wasm_bindgen_futures::JsFuture;

use super::missing_binding;

#[wasm_bindgen]
extern "C" {
    /// What `wrangler.toml` names.
    type Bindings;
    #[wasm_bindgen(method, getter, js_name = REVOCATIONS)]
    fn revocations(this: &Bindings) -> Option<KvNamespace>;

    type KvNamespace;
    #[wasm_bindgen(method, catch)]
    fn get(this: &KvNamespace, key: &str, options: &JsValue) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn put(this: &KvNamespace, key: &str, value: &str, options: &JsValue) -> Result<Promise, JsValue>;
}

/// Options of [`get`]: the value as text; the seconds for which a location may answer from its own cache, misses included: the
/// minimum that KV takes, so that a revocation is seen as soon as the platform allows.
const GET_OPTIONS: &str = r#"{"type":"text","cacheTtl":30}"#;

/// The value that KV holds under a key.
pub async fn get(env: &Env, key: &str) -> worker::Result<Option<String>> {
    let value = JsFuture::from(namespace(env)?.get(key, &get_options()?)?).await?;
    Ok(value.as_string())
}

/// Stores a value in KV under a key, for `ttl` seconds.
pub async fn put(env: &Env, key: &str, value: &str, ttl: u64) -> worker::Result<()> {
    let options = JSON::parse(&format!(r#"{{"expirationTtl":{ttl}}}"#))?;
    JsFuture::from(namespace(env)?.put(key, value, &options)?).await?;
    Ok(())
}

fn namespace(env: &Env) -> worker::Result<KvNamespace> {
    env.unchecked_ref::<Bindings>().revocations().ok_or_else(|| missing_binding("REVOCATIONS"))
}

/// [`GET_OPTIONS`] as the runtime has them, made once per isolate.
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
