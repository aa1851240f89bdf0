//! The optional binding of Workers Analytics Engine. It takes data points without a round trip.

use js_sys::JSON;
use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};
use worker::Env;
use worker::web_sys::Request as RawRequest;

#[wasm_bindgen]
extern "C" {
    /// The bindings in `wrangler.toml`.
    type Bindings;
    #[wasm_bindgen(method, getter, js_name = METRICS)]
    fn metrics(this: &Bindings) -> Option<Dataset>;

    type Dataset;
    #[wasm_bindgen(method, catch, js_name = writeDataPoint)]
    fn write_data_point(this: &Dataset, point: &JsValue) -> Result<(), JsValue>;

    /// A request as Cloudflare passes it, with what it knows of the client.
    type IncomingRequest;
    #[wasm_bindgen(method, getter)]
    fn cf(this: &IncomingRequest) -> Option<Cf>;

    type Cf;
    #[wasm_bindgen(method, getter)]
    fn country(this: &Cf) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn asn(this: &Cf) -> JsValue;
}

/// Where a request comes from, as the platform reports it. Empty if it does not.
#[derive(Default)]
pub struct Origin {
    /// The country: two letters of ISO 3166-1, or `T1` for Tor.
    pub country: String,
    /// The number of the autonomous system, which is the network of a provider.
    pub network: String,
}

/// The origin of a request.
pub fn origin(request: &RawRequest) -> Origin {
    let Some(cf) = request.unchecked_ref::<IncomingRequest>().cf() else { return Origin::default() };
    Origin {
        country: cf.country().as_string().unwrap_or_default(),
        network: cf.asn().as_f64().map(|number| number.to_string()).unwrap_or_default(),
    }
}

/// Adds a data point of one occurrence. Does nothing without the binding.
pub fn write(env: &Env, index: &str, blobs: &[&str]) -> worker::Result<()> {
    let Some(dataset) = env.unchecked_ref::<Bindings>().metrics() else { return Ok(()) };
    let point = serde_json::json!({ "indexes": [index], "blobs": blobs, "doubles": [1] });
    dataset.write_data_point(&JSON::parse(&point.to_string())?)?;
    Ok(())
}
