//! The D1 binding, read without `Env::d1` of `worker`. That function checks the name of the constructor and looks up all methods by
//! name on every use, which takes as long as the rest of a request.

use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};
use worker::{D1Database, Env};

use super::missing_binding;

#[wasm_bindgen]
extern "C" {
    /// The bindings in `wrangler.toml`.
    type Bindings;
    #[wasm_bindgen(method, getter, js_name = DB)]
    fn db(this: &Bindings) -> JsValue;
}

/// The database.
pub fn database(env: &Env) -> worker::Result<D1Database> {
    let database = env.unchecked_ref::<Bindings>().db();
    if database.is_undefined() { Err(missing_binding("DB")) } else { Ok(database.unchecked_into()) }
}
