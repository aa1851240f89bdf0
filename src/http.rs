//! HTTP as the routes see it: plain data in, plain data out. Bounded body reading, the bearer credential, response
//! headers and CORS are here.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt as _;
use js_sys::Uint8Array;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsValue;
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{Headers, Request as RawRequest, Response, ResponseInit};

use crate::auth::client::Client;
use crate::auth::id::Id;
use crate::error::ApiError;

/// Of a body, in bytes.
pub const MAX_BODY_BYTES: usize = 16 * 1024;
/// Of a body that is read to its end though it is too long, in bytes.
const MAX_DISCARDED_BYTES: usize = 256 * 1024;
/// Of an access token, in bytes: several times the size of any of ours.
const MAX_BEARER_BYTES: usize = 8 * 1024;
/// Of the credentials of a client, in bytes: several times the size of any that we make.
const MAX_BASIC_BYTES: usize = 1024;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// On every response (OWASP REST Security and HTTP Headers Cheat Sheets), but that what is public has the two of
/// [`Reply::public`] otherwise.
const COMMON_HEADERS: [(&str, &str); 7] = [
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Strict-Transport-Security", "max-age=63072000; includeSubDomains"),
    ("Vary", "Origin"),
    ("X-Content-Type-Options", "nosniff"),
];
/// What a script of an allowed origin may read beside the body.
const EXPOSED_HEADERS: &str = "WWW-Authenticate, X-Request-Id, Retry-After, Token-Expired";
/// What a script of an allowed origin may send.
const ALLOWED_HEADERS: &str = "Authorization, Content-Type";
/// For how long a browser may keep the answer to a preflight, in seconds.
const PREFLIGHT_MAX_AGE: &str = "600";

/// The methods that some route takes, and the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Routed like `GET`, and answered without the body.
    Head,
    /// `GET`.
    Get,
    /// `POST`.
    Post,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
    /// Answered for every known path: preflights.
    Options,
    /// Any other.
    Other,
}

/// A request, read. No `Debug`: it carries passwords and tokens.
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path as it came, percent-encoded.
    pub path: String,
    /// What stands behind the question mark, as it came.
    pub query: Option<String>,
    /// Where it comes from; nowhere, if its method changes nothing.
    pub client: Client,
    /// The bytes of the body; empty until the caller has put there what [`read_body`] gave.
    pub body: Vec<u8>,
    /// As the runtime has it.
    raw: RawRequest,
    authorization: Option<String>,
    content_type: Option<String>,
    content_encoding: Option<String>,
    origin: Option<String>,
    asks_for_method: bool,
}

impl Request {
    /// Everything but the body.
    #[must_use]
    pub fn read(request: &RawRequest) -> Self {
        let headers = request.headers();
        let header = |name: &str| header(&headers, name);
        // Not by `worker::Request`, which takes unknown methods for GET.
        let method = match request.method().as_str() {
            "HEAD" => Method::Head,
            "GET" => Method::Get,
            "POST" => Method::Post,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            _ => Method::Other,
        };
        let (path, query) = path_and_query(&request.url());
        // Each header that is asked for takes time, so these are not where nothing is sent or changed.
        let changes = matches!(method, Method::Post | Method::Patch | Method::Delete);
        let of_change = |name: &str| if changes { header(name) } else { None };
        Self {
            method,
            path,
            query,
            client: Client::new(of_change("CF-Connecting-IP"), of_change("User-Agent").as_deref()),
            body: Vec::new(),
            // The handle: its own method of this name would copy the body.
            raw: Clone::clone(request),
            authorization: header("Authorization"),
            content_type: of_change("Content-Type"),
            content_encoding: of_change("Content-Encoding"),
            origin: header("Origin"),
            asks_for_method: method == Method::Options && header("Access-Control-Request-Method").is_some(),
        }
    }

    /// Whether the client has reset the connection. One that only closed its side cannot be told from one that waits.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.raw.signal().aborted()
    }

    /// The bearer credential (RFC 6750 §2.1): only ever from this header.
    ///
    /// # Errors
    /// [`ApiError::MissingToken`] if there is none, [`ApiError::InvalidRequest`] for several, [`ApiError::InvalidToken`] for what
    /// cannot be a token.
    pub fn bearer(&self) -> Result<&str, ApiError> {
        bearer(self.authorization.as_deref())
    }

    /// The id and the secret by which a client authenticates (RFC 6749 §2.3.1: both form-urlencoded, then as RFC 7617 has
    /// it); `None` for anything else.
    #[must_use]
    pub fn basic(&self) -> Option<(String, String)> {
        basic(self.authorization.as_deref()?)
    }

    /// The body as JSON of exactly this form.
    ///
    /// # Errors
    /// [`ApiError::UnsupportedMediaType`], or [`ApiError::InvalidRequest`] saying what does not fit.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        match self.media_type() {
            Some(MediaType::Json) => json(&self.body),
            _ => Err(ApiError::UnsupportedMediaType(JSON)),
        }
    }

    /// Whether there is a credential of any kind in the header that is for them.
    #[must_use]
    pub fn has_authorization(&self) -> bool {
        self.authorization.is_some()
    }

    /// The body as a form: its parameters. As OAuth wants it (RFC 6749 §3.2), repeated ones are refused and empty ones
    /// count as omitted; unknown ones are for the caller to ignore.
    ///
    /// # Errors
    /// As [`Self::json`].
    pub fn form(&self) -> Result<BTreeMap<String, String>, ApiError> {
        match self.media_type() {
            Some(MediaType::Form) => parameters(&self.body),
            _ => Err(ApiError::UnsupportedMediaType(FORM)),
        }
    }

    /// The body as JSON of exactly this form, or as a form, whose parameters `from_form` picks from, as [`Self::form`]
    /// reads them.
    ///
    /// # Errors
    /// As [`Self::json`].
    pub fn json_or_form<T: DeserializeOwned>(
        &self,
        from_form: impl FnOnce(BTreeMap<String, String>) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        match self.media_type() {
            Some(MediaType::Json) => json(&self.body),
            Some(MediaType::Form) => from_form(parameters(&self.body)?),
            None => Err(ApiError::UnsupportedMediaType("application/x-www-form-urlencoded or application/json")),
        }
    }

    /// Of the body; `None` also where it is compressed, which nothing here undoes.
    fn media_type(&self) -> Option<MediaType> {
        let plain = self.content_encoding.as_deref().is_none_or(|coding| coding.eq_ignore_ascii_case("identity"));
        media_type(self.content_type.as_deref()).filter(|_| plain)
    }
}

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

/// A member that may be absent but, if there, must be of its type: `null` is not.
///
/// # Errors
/// Those of the type.
pub fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A reply to be sent. No `Debug`: it may carry tokens.
pub struct Reply {
    status: u16,
    body: Option<String>,
    /// Beside those that every response has, or instead of them.
    headers: Vec<(&'static str, String)>,
}

impl Reply {
    /// A reply without a body, not to be stored.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, body: None, headers: Vec::new() }
    }

    /// A reply of JSON.
    ///
    /// # Errors
    /// [`ApiError::Internal`] for what JSON cannot carry.
    pub fn json(status: u16, value: &impl Serialize) -> Result<Self, ApiError> {
        let body = serde_json::to_string(value).map_err(|error| ApiError::Internal(error.to_string()))?;
        Ok(Self::new(status).body(JSON, body))
    }

    /// Adds a body.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, body: String) -> Self {
        self.body = Some(body);
        self.header("Content-Type", content_type.to_owned())
    }

    /// Adds or replaces a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.retain(|(own, _)| *own != name);
        self.headers.push((name, value));
        self
    }

    /// Lets anyone store the reply for so many seconds and embed it anywhere: for what is public.
    #[must_use]
    pub fn public(self, max_age: u32) -> Self {
        self.header("Cache-Control", format!("public, max-age={max_age}"))
            .header("Cross-Origin-Resource-Policy", "cross-origin".to_owned())
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Answers `OPTIONS` on a path that takes these methods: a preflight, if the request is one.
    #[must_use]
    pub fn options(request: &Request, methods: &str, allowed_origins: &[String]) -> Self {
        let reply = Self::new(204).header("Allow", methods.to_owned());
        if !request.asks_for_method || allowed_origin(request, allowed_origins).is_none() {
            return reply;
        }
        reply
            .header("Access-Control-Allow-Methods", methods.to_owned())
            .header("Access-Control-Allow-Headers", ALLOWED_HEADERS.to_owned())
            .header("Access-Control-Max-Age", PREFLIGHT_MAX_AGE.to_owned())
    }

    /// The response to send, with the headers that every response has.
    ///
    /// # Errors
    /// Those of the runtime for a header it does not take; ours are all valid.
    pub fn into_response(
        self,
        request: &Request,
        request_id: Id,
        allowed_origins: &[String],
    ) -> Result<Response, JsValue> {
        let init = ResponseInit::new();
        init.set_status(self.status);
        init.set_headers(common_headers()?.as_ref());
        let body = self.body.filter(|_| request.method != Method::Head);
        let response = Response::new_with_opt_str_and_init(body.as_deref(), &init)?;
        let headers = response.headers();
        headers.set("X-Request-Id", &request_id.to_string())?;
        if let Some(origin) = allowed_origin(request, allowed_origins) {
            headers.set("Access-Control-Allow-Origin", origin)?;
            headers.set("Access-Control-Allow-Credentials", "true")?;
            headers.set("Access-Control-Expose-Headers", EXPOSED_HEADERS)?;
        }
        for (name, value) in &self.headers {
            headers.set(name, value)?;
        }
        Ok(response)
    }
}

/// [`COMMON_HEADERS`] as the runtime has them. Made once an isolate, for the runtime to copy: set one by one on every
/// response, they cost more than the rest of it.
fn common_headers() -> Result<Headers, JsValue> {
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

/// Of an absolute URL as the runtime writes it, where the path never is empty. A fragment is never sent.
fn path_and_query(url: &str) -> (String, Option<String>) {
    let behind_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let target = behind_scheme.find('/').and_then(|at| behind_scheme.get(at..)).unwrap_or("/");
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    (path.to_owned(), query.map(str::to_owned))
}

/// Only an invalid name makes `get` fail, and these are valid.
fn header(headers: &Headers, name: &str) -> Option<String> {
    headers.get(name).ok().flatten()
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum MediaType {
    Json,
    Form,
}

/// The type of a body in UTF-8; `None` for any other type, and for any other character set.
fn media_type(header: Option<&str>) -> Option<MediaType> {
    let mut parts = header?.split(';').map(str::trim);
    let essence = parts.next()?;
    let utf8 = parts.filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
        !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    let media_type = [(JSON, MediaType::Json), (FORM, MediaType::Form)]
        .into_iter()
        .find_map(|(name, media_type)| essence.eq_ignore_ascii_case(name).then_some(media_type));
    media_type.filter(|_| utf8)
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // A struct would also be read from an array of its members' values.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(invalid("The body must be a JSON object."));
    }
    serde_json::from_slice(body).map_err(|error| ApiError::InvalidRequest(explain(&error)))
}

fn parameters(body: &[u8]) -> Result<BTreeMap<String, String>, ApiError> {
    let mut parameters = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(body).into_owned() {
        if parameters.insert(name, value).is_some() {
            return Err(invalid("A parameter is repeated."));
        }
    }
    parameters.retain(|_, value| !value.is_empty());
    Ok(parameters)
}

/// What is wrong with a body, in our words and the names of our members: nothing of the input is repeated. It goes by
/// the wording of serde's errors, which a test pins; where that changes, the answer gets vaguer and no more.
fn explain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!("line {}, column {}", error.line(), error.column());
    let quoted = |marker: &str| text.strip_prefix(marker).and_then(|rest| rest.split('`').nth(1));
    let expected = || text.rsplit_once("expected ").map(|(_, rest)| rest).and_then(|rest| rest.rsplit_once(" at line"));
    if !error.is_data() {
        format!("The body is not valid JSON: {position}.")
    } else if let Some(member) = quoted("missing field") {
        format!("The member {member} is missing.")
    } else if let Some(member) = quoted("duplicate field") {
        format!("The member {member} stands twice: {position}.")
    } else if text.starts_with("unknown field") {
        let known = expected().map_or("", |(known, _)| known).replace('`', "").replace("one of ", "");
        format!("A member is unknown: {position}. Known are: {known}.")
    } else {
        let wanted = expected().map_or("another type", |(wanted, _)| wanted).replace('`', "");
        format!("A member has the wrong type: {position}. Expected is {wanted}.")
    }
}

fn bearer(authorization: Option<&str>) -> Result<&str, ApiError> {
    let credentials = authorization.ok_or(ApiError::MissingToken)?;
    let (scheme, token) = credentials.split_once(' ').unwrap_or((credentials, ""));
    let one_only = || invalid("Send exactly one access token in the Authorization header.");
    if !scheme.eq_ignore_ascii_case("Bearer") {
        // Two headers arrive as one, joined by a comma.
        let mut others = token.split(',').filter_map(|part| part.trim_start().split_once(' '));
        let bearer_behind = others.any(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"));
        return Err(if bearer_behind { one_only() } else { ApiError::MissingToken });
    }
    let token = token.trim_matches(' ');
    if token.is_empty() || token.contains([',', ' ', '\t']) {
        return Err(one_only());
    }
    let unpadded = token.trim_end_matches('=');
    let is_b64token = unpadded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
    if token.len() > MAX_BEARER_BYTES || unpadded.is_empty() || !is_b64token {
        return Err(ApiError::InvalidToken);
    }
    Ok(token)
}

fn basic(credentials: &str) -> Option<(String, String)> {
    let (scheme, encoded) = credentials.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") || encoded.len() > MAX_BASIC_BYTES {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim_matches(' ')).ok()?;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((form_decoded(id)?, form_decoded(secret)?))
}

/// One value out of a form; `None` if there is more than one in it.
fn form_decoded(value: &str) -> Option<String> {
    if value.contains(['&', '=']) {
        return None;
    }
    let decoded = url::form_urlencoded::parse(value.as_bytes()).next();
    Some(decoded.map_or_else(String::new, |(decoded, _)| decoded.into_owned()))
}

fn allowed_origin<'a>(request: &'a Request, allowed_origins: &[String]) -> Option<&'a str> {
    request.origin.as_deref().filter(|origin| allowed_origins.iter().any(|allowed| allowed == origin))
}

fn invalid(detail: &str) -> ApiError {
    ApiError::InvalidRequest(detail.to_owned())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::{MediaType, basic, bearer, json, media_type, present};
    use crate::error::ApiError;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Body {
        email: String,
        #[serde(default, deserialize_with = "present")]
        name: Option<String>,
    }

    fn refusal(body: &str) -> String {
        match json::<Body>(body.as_bytes()) {
            Err(ApiError::InvalidRequest(detail)) => detail,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_body_of_the_right_form_is_read() {
        let body: Body = json(b" {\"email\":\"a\",\"name\":\"b\"}\n").unwrap();
        assert_eq!((body.email.as_str(), body.name.as_deref()), ("a", Some("b")));
        assert_eq!(json::<Body>(b"{\"email\":\"a\"}").unwrap().name, None);
    }

    #[test]
    fn what_does_not_fit_is_told_without_repeating_input() {
        for (body, detail) in [
            ("", "The body must be a JSON object."),
            ("[\"a\",\"b\"]", "The body must be a JSON object."),
            ("\u{feff}{\"email\":\"a\"}", "The body must be a JSON object."),
            ("{\"email\":\"a\"", "The body is not valid JSON: line 1, column 12."),
            ("{\"email\":\"a\"} x", "The body is not valid JSON: line 1, column 15."),
            ("{\"email\":\"\\ud800\"}", "The body is not valid JSON: line 1, column 17."),
            ("{}", "The member email is missing."),
            ("{\"email\":\"a\",\"email\":\"b\"}", "The member email stands twice: line 1, column 20."),
            ("{\"evil`, expected x\":1}", "A member is unknown: line 1, column 20. Known are: email or name."),
            ("{\"email\":{\"$ne\":\"\"}}", "A member has the wrong type: line 1, column 9. Expected is a string."),
            (
                "{\"email\":\"a\",\"name\":null}",
                "A member has the wrong type: line 1, column 24. Expected is a string.",
            ),
        ] {
            assert_eq!(refusal(body), detail, "{body}");
        }
        assert!(!refusal("{\"email\":12345}").contains("12345"));
    }

    #[test]
    fn bodies_are_utf8_of_the_two_types() {
        for (header, expected) in [
            ("application/json", Some(MediaType::Json)),
            ("Application/JSON; Charset=\"UTF-8\"", Some(MediaType::Json)),
            ("application/json;a=b", Some(MediaType::Json)),
            ("application/x-www-form-urlencoded", Some(MediaType::Form)),
            ("application/json; charset=utf-16", None),
            ("application/json, application/json", None),
            ("application/jsonx", None),
            ("text/plain", None),
            ("", None),
        ] {
            assert_eq!(media_type(Some(header)), expected, "{header}");
        }
        assert_eq!(media_type(None), None);
    }

    #[test]
    fn a_bearer_token_is_taken_in_any_case_of_the_scheme() {
        for header in ["Bearer a.b-c_d~e+f/g==", "bearer a.b-c_d~e+f/g==", "BEARER  a.b-c_d~e+f/g=="] {
            assert_eq!(bearer(Some(header)).unwrap(), "a.b-c_d~e+f/g==");
        }
    }

    #[test]
    fn basic_credentials_are_form_urlencoded_within() {
        // RFC 6749 §2.3.1's own example.
        let read = |header| basic(header).map(|(id, secret)| format!("{id} {secret}"));
        let example = "s6BhdRkqt3 7Fjfp0ZBr1KtDRbnfVdmIw";
        assert_eq!(read("Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3").as_deref(), Some(example));
        for (header, expected) in [
            ("basic YTpi", Some("a b")),
            ("Basic  YTpi", Some("a b")),
            ("Basic YTo=", Some("a ")),
            ("Basic OmI=", Some(" b")),
            ("Basic YTpiOmM=", Some("a b:c")),
            // "a%2Db:c%5F%2b+d", as strict clients encode hyphens and underscores.
            ("Basic YSUyRGI6YyU1RiUyYitk", Some("a-b c_+ d")),
            ("Basic YTpiJmM=", None),
            ("Basic YTpiPWM=", None),
            ("Basic YTo", None),
            ("Basic YWI=", None),
            ("Basic YTr/", None),
            ("Basic", None),
            ("Basic ", None),
            ("Basic YTpi, Basic YTpi", None),
            ("Bearer YTpi", None),
            ("BasicYTpi", None),
        ] {
            assert_eq!(read(header).as_deref(), expected, "{header}");
        }
        assert_eq!(basic(&format!("Basic {}", "YTpi".repeat(300))), None);
    }

    #[test]
    fn anything_else_is_missing_malformed_or_invalid() {
        for header in [None, Some("Basic YTpi"), Some("Bearerx"), Some("")] {
            assert!(matches!(bearer(header), Err(ApiError::MissingToken)), "{header:?}");
        }
        for header in ["Bearer", "Bearer ", "Bearer a, Bearer b", "Bearer a b", "Bearer \ta", "Basic YTpi, Bearer a"] {
            assert!(matches!(bearer(Some(header)), Err(ApiError::InvalidRequest(_))), "{header}");
        }
        let long = format!("Bearer {}", "a".repeat(8193));
        for header in ["Bearer a=b", "Bearer ==", "Bearer \u{e4}", "Bearer {}", &long] {
            assert!(matches!(bearer(Some(header)), Err(ApiError::InvalidToken)), "{header}");
        }
    }
}
