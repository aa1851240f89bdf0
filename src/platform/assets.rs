//! The binding of the static assets, which are the files of `web/dist`.

use js_sys::Promise;
use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};
use worker::Env;
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{Headers, RequestInit, RequestRedirect, Response};

use super::missing_binding;

#[wasm_bindgen]
extern "C" {
    /// The bindings in `wrangler.toml`.
    type Bindings;
    #[wasm_bindgen(method, getter, js_name = ASSETS)]
    fn assets(this: &Bindings) -> Option<Assets>;

    type Assets;
    #[wasm_bindgen(method, catch)]
    fn fetch(this: &Assets, url: &str, init: &RequestInit) -> Result<Promise, JsValue>;
}

/// The host of the URLs: the binding requires one, and ignores it.
const ORIGIN: &str = "https://assets.invalid";

/// Requests the file of this path in the directory. `if_none_match` holds the versions that the client has.
pub async fn fetch(env: &Env, path: &str, method: &str, if_none_match: Option<&str>) -> worker::Result<Response> {
    let assets = env.unchecked_ref::<Bindings>().assets().ok_or_else(|| missing_binding("ASSETS"))?;
    let init = RequestInit::new();
    init.set_method(method);
    // The binding redirects other spellings of a path.
    init.set_redirect(RequestRedirect::Manual);
    if let Some(versions) = if_none_match {
        let headers = Headers::new()?;
        headers.set("If-None-Match", versions)?;
        init.set_headers(headers.as_ref());
    }
    let response = JsFuture::from(assets.fetch(&format!("{ORIGIN}/{path}"), &init)?).await?;
    Ok(response.dyn_into()?)
}
