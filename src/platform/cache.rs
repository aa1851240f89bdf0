//! Responses of other services, kept in the cache of the data centre. A failure is a miss.
//!
//! This is the Cache API, because the caching options of `fetch` have no effect in local development. At a *.workers.dev address,
//! the Cache API may keep nothing.

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};
use worker::web_sys::{Headers, Response, ResponseInit};

use super::clock::now_millis;
use super::deadline::within;
use super::fetch;

#[wasm_bindgen]
extern "C" {
    type Global;
    #[wasm_bindgen(method, getter)]
    fn caches(this: &Global) -> Option<CacheStorage>;

    type CacheStorage;
    #[wasm_bindgen(method, catch)]
    fn open(this: &CacheStorage, name: &str) -> Result<Promise, JsValue>;

    type Cache;
    #[wasm_bindgen(method, catch, js_name = match)]
    fn find(this: &Cache, url: &str) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn put(this: &Cache, url: &str, response: &Response) -> Result<Promise, JsValue>;
}

/// Maximum time of a look-up and of a write, in milliseconds. The cache saves a request, so it must not take longer than one.
const MAX_MILLIS: u64 = 500;

/// Returns the body that is stored for a URL, if it has at most `max_bytes` bytes.
pub async fn get(name: &str, url: &str, max_bytes: usize) -> Option<Vec<u8>> {
    let found = within(&open(name).await?.find(url).ok()?, MAX_MILLIS).await.ok()?;
    let response = found.dyn_into::<Response>().ok()?;
    fetch::read(&response, max_bytes, now_millis().saturating_add(MAX_MILLIS)).await.ok()
}

/// Stores a body for a URL, for `ttl` seconds.
pub async fn put(name: &str, url: &str, body: &[u8], ttl: u64) -> Option<()> {
    let headers = Headers::new().ok()?;
    headers.set("Cache-Control", &format!("max-age={ttl}")).ok()?;
    let init = ResponseInit::new();
    init.set_headers(headers.as_ref());
    let response = Response::new_with_opt_js_u8_array_and_init(Some(&Uint8Array::from(body)), &init).ok()?;
    within(&open(name).await?.put(url, &response).ok()?, MAX_MILLIS).await.ok()?;
    Some(())
}

/// Opens a cache of its own, which no request of a client can read.
async fn open(name: &str) -> Option<Cache> {
    let caches = js_sys::global().unchecked_into::<Global>().caches()?;
    within(&caches.open(name).ok()?, MAX_MILLIS).await.ok().map(JsValue::unchecked_into)
}
