//! CORS: which pages may call from a browser, and what they may send and read.

use std::collections::BTreeSet;

use super::header::loggable;
use super::request::Request;

/// The headers that a script of an allowed origin may read.
pub(super) const EXPOSED_HEADERS: &str = "WWW-Authenticate, X-Request-Id, Retry-After, RateLimit-Policy, Token-Expired";
/// The headers that a script of an allowed origin may send. The last four are for tracing. The Worker does not read them, but pages
/// with OpenTelemetry or Sentry add them to every request, and without them here the preflight would fail.
pub(super) const ALLOWED_HEADERS: &str = "Authorization, Content-Type, traceparent, tracestate, baggage, sentry-trace";
/// Period for which a browser may cache the response to a preflight, in seconds.
pub(super) const PREFLIGHT_MAX_AGE: &str = "600";

/// The origins whose pages may call.
#[derive(Clone, Copy)]
pub struct AllowedOrigins<'a> {
    /// The origins.
    pub origins: &'a [String],
    /// Whether their requests may carry cookies.
    pub with_credentials: bool,
}

/// The origin of the request, if it is listed.
pub(super) fn allowed_origin<'a>(request: &'a Request, allowed_origins: &[String]) -> Option<&'a str> {
    request.origin.as_deref().filter(|origin| allowed_origins.iter().any(|allowed| allowed == origin))
}

/// Maximum origins logged per isolate. A client other than a browser can send any number of origins.
const MAX_LOGGED_ORIGINS: usize = 100;

/// The refused origins. Each is logged once per isolate.
#[derive(Default)]
pub struct RefusedOrigins(BTreeSet<String>);

impl RefusedOrigins {
    /// The origin to log, if it is not listed and was not logged yet.
    pub fn note(&mut self, request: &Request, allowed_origins: &[String]) -> Option<String> {
        let origin = request.origin.as_deref().filter(|origin| !origin.is_empty())?;
        // A page may always send requests to its own origin.
        if origin == request.target_origin || allowed_origin(request, allowed_origins).is_some() {
            return None;
        }
        self.remember(origin)
    }

    fn remember(&mut self, origin: &str) -> Option<String> {
        let logged = loggable(origin);
        (self.0.len() < MAX_LOGGED_ORIGINS && self.0.insert(logged.clone())).then_some(logged)
    }
}

#[cfg(test)]
mod tests {
    use super::super::header::MAX_LOGGED_CHARS;
    use super::{MAX_LOGGED_ORIGINS, RefusedOrigins};

    #[test]
    fn an_origin_is_logged_once_truncated_and_without_invalid_characters() {
        let mut refused = RefusedOrigins::default();
        assert_eq!(refused.remember("https://evil.example:8443").as_deref(), Some("https://evil.example:8443"));
        assert_eq!(refused.remember("https://evil.example:8443"), None);
        assert_eq!(refused.remember("null").as_deref(), Some("null"));
        let odd = "https://a\"},\n{@\u{202e}\u{e4}\u{0}%20";
        assert_eq!(refused.remember(odd).as_deref(), Some("https://a??????????20"));
        // Origins that look the same in the log count as one.
        assert_eq!(refused.remember(&odd.replace('@', "=")), None);
        let long = "x".repeat(MAX_LOGGED_CHARS);
        assert_eq!(refused.remember(&format!("{long}y")), Some(long.clone()));
        assert_eq!(refused.remember(&format!("{long}z")), None);
    }

    #[test]
    fn the_number_of_logged_origins_is_bounded() {
        let mut refused = RefusedOrigins::default();
        let logged = (0..1000).filter_map(|number| refused.remember(&format!("https://{number}.example"))).count();
        assert_eq!((logged, refused.0.len()), (MAX_LOGGED_ORIGINS, MAX_LOGGED_ORIGINS));
        assert_eq!(refused.remember("https://0.example"), None);
    }
}
