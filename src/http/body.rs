//! Reading a body, as far as it may go.

use futures_util::StreamExt as _;
use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::Request as RawRequest;

use super::{header, invalid};
use crate::error::ApiError;

/// Of a body, in bytes.
pub const MAX_BODY_BYTES: usize = 16 * 1024;
/// Of a body that is read to its end though it is too long, in bytes.
const MAX_DISCARDED_BYTES: usize = 256 * 1024;

/// Reads a body, as far as it may go.
///
/// One that is somewhat too long is read to its end all the same, and thrown away: a connection that is closed while the
/// client still sends may take the answer with it. One that is announced as, or turns out to be, far too long is not.
///
/// # Errors
/// [`ApiError::BodyTooLarge`], [`ApiError::InvalidRequest`] if the body breaks off.
pub async fn read_body(request: RawRequest) -> Result<Vec<u8>, ApiError> {
    let announced: Option<usize> = header(&request.headers(), "Content-Length").and_then(|length| length.parse().ok());
    let body = match announced {
        Some(length) if length > MAX_DISCARDED_BYTES => return Err(ApiError::BodyTooLarge),
        // Takes half the time. HTTP holds the client to the length that was announced.
        Some(length) if length <= MAX_BODY_BYTES => {
            all_at_once(&request).await.map_err(|_| invalid("The body broke off."))?
        }
        _ => in_chunks(request).await?,
    };
    if body.len() > MAX_BODY_BYTES { Err(ApiError::BodyTooLarge) } else { Ok(body) }
}

async fn all_at_once(request: &RawRequest) -> Result<Vec<u8>, JsValue> {
    let body = JsFuture::from(request.array_buffer()?).await?;
    Ok(Uint8Array::new(&body).to_vec())
}

/// Of a body that is too long, no more than tells that it is.
async fn in_chunks(request: RawRequest) -> Result<Vec<u8>, ApiError> {
    let mut body = Vec::new();
    let mut length = 0_usize;
    // The one error is that there is no body.
    let Ok(mut chunks) = worker::Request::from(request).stream() else { return Ok(body) };
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| invalid("The body broke off."))?;
        length = length.saturating_add(chunk.len());
        if length > MAX_DISCARDED_BYTES {
            return Err(ApiError::BodyTooLarge);
        }
        if body.len() <= MAX_BODY_BYTES {
            body.extend(chunk);
        }
    }
    Ok(body)
}
