//! HTTP as the routes see it: plain data in, plain data out. One file for each part of a request or response.

mod authorization;
mod body;
mod cors;
mod form;
mod json;
mod media_type;
mod mismatch;
mod paging;
mod query;
mod request;
mod response;

use worker::web_sys::Headers;

use crate::routes::error::ApiError;

pub use body::{MAX_BODY_BYTES, read_body};
pub use cors::RefusedOrigins;
pub use paging::Query;
pub use request::{Method, Request, split_origin};
pub use response::Reply;

/// Only an invalid name makes `get` fail, and these are valid.
fn header(headers: &Headers, name: &str) -> Option<String> {
    headers.get(name).ok().flatten()
}

/// The parts of a header between its commas, but for those in quotes. Several headers of one name arrive as one, joined so.
fn members(header: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    header.split(move |character| {
        is_quoted ^= character == '"';
        character == ',' && !is_quoted
    })
}

fn invalid(detail: &str) -> ApiError {
    ApiError::InvalidRequest(detail.to_owned())
}
