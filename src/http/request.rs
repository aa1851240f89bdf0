//! A request as plain data.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use worker::web_sys::Request as RawRequest;

use super::authorization::{basic, bearer, is_client_authentication};
use super::cookies::{self, SeveralCookies};
use super::csrf::{self, RefusedPage};
use super::error::RequestError;
use super::form::parameters;
use super::header::header;
use super::json::{json, missing};
use super::media_type::{FORM, JSON, MediaType, media_type, names_html};
use super::query;
use portcullis_core::account::client::{Client, Source, SourceProxy};
use portcullis_core::id::Id;

/// The methods of the routes, and all others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Routed like `GET` and answered without the body.
    Head,
    /// `GET`.
    Get,
    /// `POST`.
    Post,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
    /// Answered at every known path.
    Options,
    /// Any other.
    Other,
}

/// A request. No `Debug`: it contains passwords and tokens.
pub struct Request {
    /// The method.
    pub method: Method,
    /// Scheme, host and port of the URL, as the runtime writes them.
    pub target_origin: String,
    /// The path, percent-encoded as received.
    pub path: String,
    /// The query without its question mark, as received.
    pub query: Option<String>,
    /// The client; empty for methods that change nothing.
    pub client: Client,
    /// The body; empty until the caller sets it to the result of [`read`](crate::platform::body::read).
    pub body: Vec<u8>,
    /// The part of the path that its pattern leaves open, percent-encoded as received; empty until routing sets it.
    pub path_variable: String,
    /// The request object of the runtime.
    raw: RawRequest,
    authorization: Option<String>,
    content_type: Option<String>,
    content_encoding: Option<String>,
    pub(super) origin: Option<String>,
    pub(super) is_preflight: bool,
}

impl Request {
    /// Reads everything except the body. `proxy` may tell the address of the client.
    pub fn read(request: &RawRequest, proxy: Option<&SourceProxy>) -> Self {
        let headers = request.headers();
        let header = |name: &str| header(&headers, name);
        // `worker::Request` would read unknown methods as GET.
        let method = match request.method().as_str() {
            "HEAD" => Method::Head,
            "GET" => Method::Get,
            "POST" => Method::Post,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            _ => Method::Other,
        };
        let url = request.url();
        let (target_origin, target) = split_origin(&url);
        // A fragment is never sent.
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        // Reading a header takes time, so these are read only for methods that change something.
        let changes = matches!(method, Method::Post | Method::Patch | Method::Delete);
        let of_change = |name: &str| if changes { header(name) } else { None };
        Self {
            method,
            target_origin: target_origin.to_owned(),
            path: path.to_owned(),
            query: query.map(str::to_owned),
            client: Client::new(
                if changes { address(header, proxy) } else { None },
                of_change("User-Agent").as_deref(),
            ),
            body: Vec::new(),
            path_variable: String::new(),
            // Clones the handle. The request's own `clone` would copy the body.
            raw: Clone::clone(request),
            authorization: header("Authorization"),
            content_type: of_change("Content-Type"),
            content_encoding: of_change("Content-Encoding"),
            origin: header("Origin"),
            is_preflight: method == Method::Options && header("Access-Control-Request-Method").is_some(),
        }
    }

    /// The request object of the runtime.
    pub fn raw(&self) -> &RawRequest {
        &self.raw
    }

    /// The source of the request, if it is known. For methods that change nothing, this reads the header first.
    pub fn source(&self, proxy: Option<&SourceProxy>) -> Option<Source> {
        let read = |name: &str| header(&self.raw.headers(), name);
        self.client.source().or_else(|| Source::of(&address(read, proxy)?))
    }

    /// Whether the client has reset the connection. A half-closed connection cannot be distinguished from
    /// one that waits.
    pub fn is_abandoned(&self) -> bool {
        self.raw.signal().aborted()
    }

    /// Whether the `Accept` header names HTML, as that of browsers does.
    pub fn accepts_html(&self) -> bool {
        header(&self.raw.headers(), "Accept").as_deref().is_some_and(names_html)
    }

    /// The id in the path. A missing or invalid one becomes [`Id::NIL`], which names nothing, so that the endpoint handles it like an
    /// unknown id.
    pub fn path_id(&self) -> Id {
        Id::parse(&self.path_variable).unwrap_or(Id::NIL)
    }

    /// The `If-None-Match` header: the versions that the client has (RFC 9110 §13.1.2).
    pub fn if_none_match(&self) -> Option<String> {
        header(&self.raw.headers(), "If-None-Match")
    }

    /// The `Accept-Language` header: the languages that the user reads (RFC 9110 §12.5.4).
    pub fn accept_language(&self) -> Option<String> {
        header(&self.raw.headers(), "Accept-Language")
    }

    /// The parameters of the query, in order.
    pub fn query_parameters(&self) -> Vec<(String, String)> {
        query::parameters(self.query.as_deref().unwrap_or_default())
    }

    /// The value of a cookie. Read only where it is needed, because reading a header takes time.
    pub fn cookie(&self, name: &str) -> Result<Option<String>, SeveralCookies> {
        let header = header(&self.raw.headers(), "Cookie").unwrap_or_default();
        cookies::find(&header, name).map(|value| value.map(str::to_owned))
    }

    /// Checks that the page that sent the request may use cookies. No page of another site may. `is_own`: whether an origin is the
    /// issuer's.
    pub fn check_page(&self, allowed_origins: &[String], is_own: impl Fn(&str) -> bool) -> Result<(), RefusedPage> {
        let site = header(&self.raw.headers(), "Sec-Fetch-Site");
        let lists = |origin: &str| allowed_origins.iter().any(|allowed| allowed == origin);
        csrf::check_page(site.as_deref(), self.origin.as_deref(), lists, is_own)
    }

    /// The bearer token from the `Authorization` header (RFC 6750 §2.1).
    pub fn bearer(&self) -> Result<&str, RequestError> {
        bearer(self.authorization.as_deref())
    }

    /// The id and the secret of a client: form-urlencoded (RFC 6749 §2.3.1) in Basic credentials (RFC 7617). `None` for anything else.
    pub fn basic(&self) -> Option<(String, String)> {
        basic(self.authorization.as_deref()?)
    }

    /// Parses the body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, RequestError> {
        let is_patch = self.method == Method::Patch;
        match self.media_type() {
            // An empty body has no type.
            _ if self.body.is_empty() => Err(missing::<T>()),
            Some(MediaType::Json) => json(&self.body),
            Some(MediaType::MergePatch) if is_patch => json(&self.body),
            _ if is_patch => {
                Err(RequestError::UnsupportedMediaType("application/json or application/merge-patch+json"))
            }
            _ => Err(RequestError::UnsupportedMediaType(JSON)),
        }
    }

    /// Whether the `Authorization` header holds anything but an access token.
    pub fn has_client_authorization(&self) -> bool {
        self.authorization.as_deref().is_some_and(is_client_authentication)
    }

    /// The parameters of a form body. As RFC 6749 §3.2 requires, repeated parameters are refused, and parameters without a value count
    /// as omitted. Unknown parameters are included.
    pub fn form(&self) -> Result<BTreeMap<String, String>, RequestError> {
        match self.media_type() {
            _ if self.body.is_empty() => Ok(BTreeMap::new()),
            Some(MediaType::Form) => parameters(&self.body),
            _ => Err(RequestError::UnsupportedMediaType(FORM)),
        }
    }

    /// Parses the body as JSON, or as a form whose parameters `from_form` converts. See [`Self::form`].
    pub fn json_or_form<T: DeserializeOwned>(
        &self,
        from_form: impl FnOnce(BTreeMap<String, String>) -> Result<T, RequestError>,
    ) -> Result<T, RequestError> {
        match self.media_type() {
            _ if self.body.is_empty() => from_form(BTreeMap::new()),
            Some(MediaType::Json) => json(&self.body),
            Some(MediaType::Form) => from_form(parameters(&self.body)?),
            _ => Err(RequestError::UnsupportedMediaType("application/x-www-form-urlencoded or application/json")),
        }
    }

    /// The media type of the body; `None` if it is unknown, or if the body is compressed.
    fn media_type(&self) -> Option<MediaType> {
        let plain = self.content_encoding.as_deref().is_none_or(|coding| coding.eq_ignore_ascii_case("identity"));
        media_type(self.content_type.as_deref()).filter(|_| plain)
    }
}

/// The IP address of the client: from the proxy of the operator, if the request proves that it comes from there, or from the platform.
fn address(read: impl Fn(&str) -> Option<String>, proxy: Option<&SourceProxy>) -> Option<String> {
    proxy.and_then(|proxy| proxy.address(&read)).or_else(|| read("CF-Connecting-IP"))
}

/// Splits an absolute URL into its origin and the rest, which may be empty.
fn split_origin(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |at| at.saturating_add(3));
    let end = url.get(host..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| at.saturating_add(host));
    url.split_at_checked(end).unwrap_or((url, ""))
}

#[cfg(test)]
mod tests {
    use super::split_origin;

    #[test]
    fn a_url_is_split_after_its_origin() {
        for (origin, target) in [
            ("https://auth.example.org", ""),
            ("https://auth.example.org:8443", "/a/b"),
            ("http://127.0.0.1:8787", "/me?x=/y?z"),
            ("http://[::1]:8787", "/a//b"),
            ("https://x.example", "/http://y.example/?"),
        ] {
            assert_eq!(split_origin(&format!("{origin}{target}")), (origin, target));
        }
    }
}
