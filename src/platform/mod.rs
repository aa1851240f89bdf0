//! The runtime: assets, bodies, bindings, cache, clock, deadlines, encryption, environment, mails, metrics, outgoing requests,
//! randomness, rate limiters, WebCrypto. Only these files handle `JsValue`.

pub mod assets;
pub mod body;
pub mod cache;
pub mod clock;
pub mod d1;
pub mod data_keys;
pub mod deadline;
pub mod environment;
pub mod fetch;
pub mod kv;
pub mod mail;
pub mod metrics;
pub mod random;
pub mod rate_limiter;
pub mod webcrypto;

fn missing_binding(name: &str) -> worker::Error {
    worker::Error::RustError(format!("there is no binding {name}"))
}
