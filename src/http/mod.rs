//! HTTP as the routes see it: plain data in, plain data out. One file for each part of a request or response.

mod authorization;
mod cors;
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

pub use cors::RefusedOrigins;
pub use error::{NotRepresentable, RequestError};
pub use paging::Query;
pub use problem::{ErrorBody, ErrorFormat};
pub use request::{Method, Request};
pub use response::Reply;
