//! Requests to other services, within limits of time and size.

use js_sys::Promise;
use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};
use worker::web_sys::{
    AbortController, AbortSignal, Headers, ReadableStreamDefaultReader, RequestInit, RequestRedirect, Response,
};

use super::body::next_chunk;
use super::clock::now_millis;
use super::deadline::{Failure, within};

#[wasm_bindgen]
extern "C" {
    /// The global object. `fetch` is called as a method, because the Worker exports a function of this name.
    type Global;
    #[wasm_bindgen(method, catch)]
    fn fetch(this: &Global, url: &str, init: &RequestInit) -> Result<Promise, JsValue>;
}

/// A request to another service.
pub struct OutgoingRequest<'a> {
    /// The method.
    pub method: &'a str,
    /// The URL.
    pub url: &'a str,
    /// The headers.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, if there is one.
    pub body: Option<&'a str>,
    /// Maximum time until the whole response has arrived, in milliseconds.
    pub max_millis: u64,
    /// Maximum size of the body of the response, in bytes.
    pub max_bytes: usize,
}

/// The response of another service.
pub struct Answer {
    /// The status. Redirects are not followed.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// The response of another service, without its body.
pub struct Receipt {
    /// The status. Redirects are not followed.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
}

/// Why there is no response.
#[derive(Clone, Copy, Debug)]
pub enum FetchError {
    /// It did not arrive in time.
    TimedOut,
    /// The connection failed.
    Unreachable,
    /// Its body is too large.
    TooLarge,
}

impl FetchError {
    /// The reason in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TimedOut => "timeout",
            Self::Unreachable => "unreachable",
            Self::TooLarge => "too_large",
        }
    }
}

impl From<Failure> for FetchError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::TimedOut => Self::TimedOut,
            Failure::Rejected => Self::Unreachable,
        }
    }
}

impl From<JsValue> for FetchError {
    fn from(_: JsValue) -> Self {
        Self::Unreachable
    }
}

/// Sends a request and reads the response.
pub async fn fetch(request: &OutgoingRequest<'_>) -> Result<Answer, FetchError> {
    let controller = AbortController::new()?;
    let answer = answer(request, &controller.signal()).await;
    if answer.is_err() {
        // Closes the connection.
        controller.abort();
    }
    answer
}

/// Sends a request whose effect counts, not the body of its response. The body is read all the same, because a service may stop its work
/// when the connection ends; what it contains, and whether it ends, changes nothing.
pub async fn deliver(request: &OutgoingRequest<'_>) -> Result<Receipt, FetchError> {
    let controller = AbortController::new()?;
    let end = now_millis().saturating_add(request.max_millis);
    let response = begin(request, &controller.signal()).await.inspect_err(|_| controller.abort())?;
    let receipt = Receipt { status: response.status(), retry_after: response.headers().get("Retry-After")? };
    if read(&response, request.max_bytes, end).await.is_err() {
        controller.abort();
    }
    Ok(receipt)
}

async fn answer(request: &OutgoingRequest<'_>, signal: &AbortSignal) -> Result<Answer, FetchError> {
    let end = now_millis().saturating_add(request.max_millis);
    let response = begin(request, signal).await?;
    let body = read(&response, request.max_bytes, end).await?;
    Ok(Answer { status: response.status(), body })
}

/// Sends a request, and returns the response as soon as its headers have arrived.
async fn begin(request: &OutgoingRequest<'_>, signal: &AbortSignal) -> Result<Response, FetchError> {
    let headers = Headers::new()?;
    for (name, value) in request.headers {
        headers.set(name, value)?;
    }
    let init = RequestInit::new();
    init.set_method(request.method);
    init.set_headers(headers.as_ref());
    init.set_redirect(RequestRedirect::Manual);
    init.set_signal(Some(signal));
    if let Some(body) = request.body {
        init.set_body(&body.into());
    }
    let response = js_sys::global().unchecked_into::<Global>().fetch(request.url, &init)?;
    Ok(within(&response, request.max_millis).await?.unchecked_into())
}

/// Reads the body of a response until `end`, in unix milliseconds.
pub(super) async fn read(response: &Response, max_bytes: usize, end: u64) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    let Some(stream) = response.body() else { return Ok(body) };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    while let Some(chunk) = next_chunk(&reader, end.saturating_sub(now_millis())).await? {
        // Checked before the chunk is copied.
        if usize::try_from(chunk.length()).map_or(true, |length| length > max_bytes.saturating_sub(body.len())) {
            return Err(FetchError::TooLarge);
        }
        body.extend(chunk.to_vec());
    }
    Ok(body)
}
