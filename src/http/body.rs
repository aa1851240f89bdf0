//! Reading a body, as far as it may go and as long as it may take.

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};
use worker::web_sys::{ReadableStreamDefaultReader, Request as RawRequest};

use super::{header, invalid};
use crate::platform::clock::now_millis;
use crate::platform::deadline::{Failure, within};
use crate::routes::error::ApiError;

/// Maximum body size, in bytes.
pub const MAX_BODY_BYTES: usize = 16 * 1024;
/// Largest oversized body that is still read to its end, in bytes.
const MAX_DISCARDED_BYTES: usize = 256 * 1024;
/// How long a client may take to send a body, from the end of the headers on, in milliseconds.
const MAX_BODY_MILLIS: u64 = 10_000;

/// Maximum reads of one body: each costs some 60 microseconds, however little it brings.
const MAX_READS: u32 = 512;

#[wasm_bindgen]
extern "C" {
    /// What a reader of a stream reads; without a value at the end of the stream.
    type Chunk;
    #[wasm_bindgen(method, getter)]
    fn value(this: &Chunk) -> Option<Uint8Array>;
}

/// Reads a body of at most [`MAX_BODY_BYTES`] bytes.
///
/// One that is somewhat too long is read to its end all the same, and thrown away: a connection that is closed while the
/// client still sends may take the answer with it. One that is announced as, or turns out to be, far too long is not.
///
/// # Errors
/// [`ApiError::BodyTooLarge`], [`ApiError::InvalidRequest`] if the body breaks off, [`ApiError::RequestTimeout`] if it takes too
/// long.
pub async fn read_body(request: &RawRequest) -> Result<Vec<u8>, ApiError> {
    let announced: Option<usize> = header(&request.headers(), "Content-Length").and_then(|length| length.parse().ok());
    let body = match announced {
        Some(length) if length > MAX_DISCARDED_BYTES => return Err(ApiError::BodyTooLarge),
        // Takes half the time. HTTP holds the client to the length that was announced.
        Some(length) if length <= MAX_BODY_BYTES => {
            let body = request.array_buffer().map_err(|_| invalid("The body was read before."))?;
            Uint8Array::new(&sent(&body, MAX_BODY_MILLIS).await?).to_vec()
        }
        _ => in_chunks(request).await?,
    };
    if body.len() > MAX_BODY_BYTES { Err(ApiError::BodyTooLarge) } else { Ok(body) }
}

/// Keeps only enough of an oversized body to detect it.
async fn in_chunks(request: &RawRequest) -> Result<Vec<u8>, ApiError> {
    let (mut body, mut length) = (Vec::new(), 0_usize);
    let Some(stream) = request.body() else { return Ok(body) };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let end = now_millis().saturating_add(MAX_BODY_MILLIS);
    for _ in 0..MAX_READS {
        let read = sent(&reader.read(), end.saturating_sub(now_millis())).await?;
        let Some(chunk) = read.unchecked_into::<Chunk>().value() else { return Ok(body) };
        let chunk = chunk.to_vec();
        length = length.saturating_add(chunk.len());
        if length > MAX_DISCARDED_BYTES {
            return Err(ApiError::BodyTooLarge);
        }
        if body.len() <= MAX_BODY_BYTES {
            body.extend(chunk);
        }
    }
    Err(invalid("The body comes in too small pieces."))
}

/// What the client sends, if it does so in that many milliseconds.
async fn sent(part: &Promise, millis: u64) -> Result<JsValue, ApiError> {
    within(part, millis).await.map_err(|failure| match failure {
        Failure::Late => ApiError::RequestTimeout,
        Failure::Rejected => invalid("The body broke off."),
    })
}
