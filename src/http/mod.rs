//! Requests and replies as plain data. One file for each part of a request or reply.

mod authorization;
mod cookies;
mod cors;
mod csrf;
mod error;
mod form;
mod header;
mod json;
mod media_type;
mod paging;
mod problem;
mod query;
mod request;
mod response;

pub use cors::{AllowedOrigins, RefusedOrigins};
pub use error::{NotRepresentable, RequestError};
pub use paging::Query;
pub use problem::{ErrorBody, ErrorFormat};
#[cfg(feature = "openapi")]
pub use problem::{OAuthBody, ProblemBody};
pub use request::{Method, Request};
#[cfg(feature = "openapi")]
pub use response::COMMON_HEADERS;
pub use response::Reply;
