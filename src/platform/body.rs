//! Reads bodies, within limits of size and time.

use js_sys::Uint8Array;
use wasm_bindgen::prelude::{JsCast as _, wasm_bindgen};
use worker::web_sys::{ReadableStreamDefaultReader, Request as RawRequest};

use super::clock::now_millis;
use super::deadline::{Failure, within};

/// Maximum body size, in bytes.
pub const MAX_BODY_BYTES: usize = 16 * 1024;
/// Maximum size of an oversized body that is still read to its end, in bytes.
const MAX_DISCARDED_BYTES: usize = 256 * 1024;
/// Maximum time to receive a body, from the end of the headers, in milliseconds.
const MAX_BODY_MILLIS: u64 = 10_000;
/// Maximum reads per body. Each takes about 60 microseconds, however small the piece.
const MAX_READS: u32 = 512;

/// Why a body cannot be read.
#[derive(Debug)]
pub enum BodyError {
    /// It is larger than [`MAX_BODY_BYTES`].
    TooLarge,
    /// It took longer than [`MAX_BODY_MILLIS`].
    Timeout,
    /// The client stopped sending.
    Aborted,
    /// It needed more than [`MAX_READS`] reads.
    TooManyPieces,
}

#[wasm_bindgen]
extern "C" {
    /// The result of a read from a stream. Has no value at the end of the stream.
    type Chunk;
    #[wasm_bindgen(method, getter)]
    fn value(this: &Chunk) -> Option<Uint8Array>;
}

/// Reads a body.
///
/// An oversized body of up to [`MAX_DISCARDED_BYTES`] is read to its end and discarded, because the client may not receive the response
/// if the connection is closed while it still sends.
pub async fn read(request: &RawRequest) -> Result<Vec<u8>, BodyError> {
    let content_length = request.headers().get("Content-Length").ok().flatten();
    let body = match content_length.and_then(|length| length.parse::<usize>().ok()) {
        Some(length) if length > MAX_DISCARDED_BYTES => return Err(BodyError::TooLarge),
        // This takes half the time of reading chunks. HTTP enforces the length.
        Some(length) if length <= MAX_BODY_BYTES => {
            let body = request.array_buffer().map_err(|_| BodyError::Aborted)?;
            Uint8Array::new(&within(&body, MAX_BODY_MILLIS).await?).to_vec()
        }
        _ => in_chunks(request).await?,
    };
    if body.len() > MAX_BODY_BYTES { Err(BodyError::TooLarge) } else { Ok(body) }
}

/// Reads a body in chunks. Keeps only as much of an oversized body as is needed to detect it.
async fn in_chunks(request: &RawRequest) -> Result<Vec<u8>, BodyError> {
    let (mut body, mut length) = (Vec::new(), 0_usize);
    let Some(stream) = request.body() else { return Ok(body) };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let end = now_millis().saturating_add(MAX_BODY_MILLIS);
    for _ in 0..MAX_READS {
        let chunk = next_chunk(&reader, end.saturating_sub(now_millis())).await?;
        let Some(chunk) = chunk.map(|chunk| chunk.to_vec()) else { return Ok(body) };
        length = length.saturating_add(chunk.len());
        if length > MAX_DISCARDED_BYTES {
            return Err(BodyError::TooLarge);
        }
        if body.len() <= MAX_BODY_BYTES {
            body.extend(chunk);
        }
    }
    Err(BodyError::TooManyPieces)
}

/// Waits at most `millis` milliseconds for the next chunk of a stream. `None` at its end.
pub(super) async fn next_chunk(
    reader: &ReadableStreamDefaultReader,
    millis: u64,
) -> Result<Option<Uint8Array>, Failure> {
    Ok(within(&reader.read(), millis).await?.unchecked_into::<Chunk>().value())
}

impl From<Failure> for BodyError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::TimedOut => Self::Timeout,
            Failure::Rejected => Self::Aborted,
        }
    }
}
