//! The runtime: clock, randomness, WebCrypto, bindings, deadlines. The only home of JavaScript values.

pub mod clock;
pub mod deadline;
pub mod random;
pub mod webcrypto;
