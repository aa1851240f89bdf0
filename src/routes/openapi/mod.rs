//! The OpenAPI document: the table of endpoints, the function `describe` beside each handler, and the types that serde reads and
//! writes. Compiled only with the feature `openapi`, for crates/openapi.

mod document;
mod operation;
mod ordered;
mod responses;

pub use document::document;
pub use operation::{Operation, Success, Tag};
