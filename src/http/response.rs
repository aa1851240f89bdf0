//! Replies, and the headers of every response.

use std::cell::OnceCell;

use serde::Serialize;
use worker::web_sys::{Headers, ReadableStream, Response, ResponseInit};

use super::cookies;
use super::cors::{self, AllowedOrigins, allowed_origin};
use super::error::NotRepresentable;
use super::media_type::JSON;
use super::request::{Method, Request};
use portcullis_core::id::Id;

/// Headers of every response (OWASP REST Security and HTTP Headers Cheat Sheets). [`Reply::public`] replaces two of them.
pub const COMMON_HEADERS: [(&str, &str); 8] = [
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Strict-Transport-Security", "max-age=63072000; includeSubDomains"),
    ("Vary", "Origin"),
    ("X-Content-Type-Options", "nosniff"),
];

/// A reply. No `Debug`: it may carry tokens.
pub struct Reply {
    status: u16,
    body: Body,
    /// Headers that are added to the common headers or replace them.
    headers: Vec<(&'static str, String)>,
    /// `Set-Cookie` headers.
    cookies: Vec<String>,
}

enum Body {
    None,
    Text(String),
    /// Passed on by the runtime, without a copy in the memory of the Worker.
    Stream(ReadableStream),
}

impl Reply {
    /// A reply without a body.
    pub fn new(status: u16) -> Self {
        Self { status, body: Body::None, headers: Vec::new(), cookies: Vec::new() }
    }

    /// A JSON reply. Fails if JSON cannot represent the value.
    pub fn json<E: From<NotRepresentable>>(status: u16, value: &impl Serialize) -> Result<Self, E> {
        let body = serde_json::to_string(value).map_err(|error| NotRepresentable(error.to_string()))?;
        Ok(Self::new(status).body(JSON, body))
    }

    /// Adds a body.
    pub fn body(mut self, content_type: &'static str, body: String) -> Self {
        self.body = Body::Text(body);
        self.header("Content-Type", content_type.to_owned())
    }

    /// Adds a body that the runtime streams.
    pub fn stream(mut self, body: ReadableStream) -> Self {
        self.body = Body::Stream(body);
        self
    }

    /// A redirect to a path on the same host.
    pub fn redirect(status: u16, path: String) -> Self {
        Self::new(status).header("Location", path)
    }

    /// Adds or replaces a header.
    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.retain(|(own, _)| *own != name);
        self.headers.push((name, value));
        self
    }

    /// Sets a cookie. Without `max_age`, in seconds, the browser deletes it when it closes; with 0, at once.
    pub fn cookie(mut self, name: &str, value: &str, max_age: Option<u64>) -> Self {
        self.cookies.push(cookies::set(name, value, max_age));
        self
    }

    /// Allows caches to store the reply for `max_age` seconds and pages of any origin to embed it.
    pub fn public(self, max_age: u32) -> Self {
        self.header("Cache-Control", format!("public, max-age={max_age}"))
            .header("Cross-Origin-Resource-Policy", "cross-origin".to_owned())
    }

    /// Status, text and headers, without the common headers.
    #[cfg(feature = "openapi")]
    pub fn parts(&self) -> (u16, Option<&str>, &[(&'static str, String)]) {
        let text = if let Body::Text(text) = &self.body { Some(text.as_str()) } else { None };
        (self.status, text, &self.headers)
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reply to `OPTIONS` for a path with these methods. Answers a preflight if the request is one.
    pub fn options(request: &Request, methods: &str, allowed_origins: &[String]) -> Self {
        let reply = Self::new(204).header("Allow", methods.to_owned());
        if !request.is_preflight || allowed_origin(request, allowed_origins).is_none() {
            return reply;
        }
        reply
            .header("Access-Control-Allow-Methods", methods.to_owned())
            .header("Access-Control-Allow-Headers", cors::ALLOWED_HEADERS.to_owned())
            .header("Access-Control-Max-Age", cors::PREFLIGHT_MAX_AGE.to_owned())
    }

    /// The response to send, with the common headers.
    pub fn into_response(
        self,
        request: &Request,
        request_id: Id,
        allowed: AllowedOrigins<'_>,
    ) -> worker::Result<Response> {
        let init = ResponseInit::new();
        init.set_status(self.status);
        init.set_headers(common_headers()?.as_ref());
        let response = match self.body {
            Body::Text(text) if request.method != Method::Head => {
                Response::new_with_opt_str_and_init(Some(&text), &init)?
            }
            Body::Stream(stream) if request.method != Method::Head => {
                Response::new_with_opt_readable_stream_and_init(Some(&stream), &init)?
            }
            _ => Response::new_with_opt_str_and_init(None, &init)?,
        };
        let headers = response.headers();
        headers.set("X-Request-Id", &request_id.to_string())?;
        if let Some(origin) = allowed_origin(request, allowed.origins) {
            headers.set("Access-Control-Allow-Origin", origin)?;
            if allowed.with_credentials {
                headers.set("Access-Control-Allow-Credentials", "true")?;
            }
            headers.set("Access-Control-Expose-Headers", cors::EXPOSED_HEADERS)?;
        }
        for (name, value) in &self.headers {
            headers.set(name, value)?;
        }
        for cookie in &self.cookies {
            headers.append("Set-Cookie", cookie)?;
        }
        Ok(response)
    }
}

/// [`COMMON_HEADERS`] as an object of the runtime. It is created once per isolate and copied by the runtime, since setting each header
/// on every response takes longer than the rest of the response.
fn common_headers() -> worker::Result<Headers> {
    thread_local! {
        static COMMON: OnceCell<Headers> = const { OnceCell::new() };
    }
    if let Some(headers) = COMMON.with(|common| common.get().cloned()) {
        return Ok(headers);
    }
    let headers = Headers::new()?;
    for (name, value) in COMMON_HEADERS {
        headers.set(name, value)?;
    }
    Ok(COMMON.with(|common| common.get_or_init(|| headers).clone()))
}
