//! CORS: which pages may call from a browser, and what they may send and read.

use super::request::Request;

/// What a script of an allowed origin may read beside the body.
pub(super) const EXPOSED_HEADERS: &str = "WWW-Authenticate, X-Request-Id, Retry-After, Token-Expired";
/// What a script of an allowed origin may send. The last four are those of tracing, which pages with OpenTelemetry or Sentry add
/// to every request: a preflight without them would be the end of all requests, though nothing here reads them.
pub(super) const ALLOWED_HEADERS: &str = "Authorization, Content-Type, traceparent, tracestate, baggage, sentry-trace";
/// For how long a browser may keep the answer to a preflight, in seconds.
pub(super) const PREFLIGHT_MAX_AGE: &str = "600";

/// The origin of the page that asks, if it is a listed one.
pub(super) fn allowed_origin<'a>(request: &'a Request, allowed_origins: &[String]) -> Option<&'a str> {
    request.origin.as_deref().filter(|origin| allowed_origins.iter().any(|allowed| allowed == origin))
}
