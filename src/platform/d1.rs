//! The D1 binding, taken as the runtime hands it over. `worker` checks the constructor's name and looks up all its methods by
//! name on every use, which takes as long as the rest of what this Worker does for a request.

use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};
use worker::{D1Database, Env};

use super::missing_binding;

#[wasm_bindgen]
extern "C" {
    /// What `wrangler.toml` names.
    type Bindings;
    #[wasm_bindgen(method, getter, js_name = DB)]
    fn db(this: &Bindings) -> JsValue;
}

/// The database.
pub fn database(env: &Env) -> worker::Result<D1Database> {
    let database = env.unchecked_ref::<Bindings>().db();
    if database.is_undefined() { Err(missing_binding("DB")) } else { Ok(database.unchecked_into()) }
}
