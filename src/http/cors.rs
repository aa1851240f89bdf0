//! CORS: which pages may call from a browser, and what they may send and read.

use std::collections::BTreeSet;

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

/// Characters of an origin in the log. Those of pages are shorter.
const MAX_LOGGED_CHARS: usize = 128;
/// Origins that are logged per isolate. Who sends others than a browser would may have all of them.
const MAX_LOGGED_ORIGINS: usize = 100;

/// The origins whose pages were refused: each is logged once per isolate.
#[derive(Default)]
pub struct RefusedOrigins(BTreeSet<String>);

impl RefusedOrigins {
    /// The origin to log, if the page that asks is not of a listed one and was not logged yet.
    pub fn note(&mut self, request: &Request, allowed_origins: &[String]) -> Option<String> {
        let origin = request.origin.as_deref().filter(|origin| !origin.is_empty())?;
        // A page may ask where it comes from without any grant.
        if origin == request.target_origin || allowed_origin(request, allowed_origins).is_some() {
            return None;
        }
        self.remember(origin)
    }

    fn remember(&mut self, origin: &str) -> Option<String> {
        let is_plain = |character: char| character.is_ascii_alphanumeric() || "-._~:/[]*".contains(character);
        let plain = |character| if is_plain(character) { character } else { '?' };
        let logged: String = origin.chars().take(MAX_LOGGED_CHARS).map(plain).collect();
        (self.0.len() < MAX_LOGGED_ORIGINS && self.0.insert(logged.clone())).then_some(logged)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_LOGGED_CHARS, MAX_LOGGED_ORIGINS, RefusedOrigins};

    #[test]
    fn an_origin_is_logged_once_cut_and_without_what_no_origin_has() {
        let mut refused = RefusedOrigins::default();
        assert_eq!(refused.remember("https://evil.example:8443").as_deref(), Some("https://evil.example:8443"));
        assert_eq!(refused.remember("https://evil.example:8443"), None);
        assert_eq!(refused.remember("null").as_deref(), Some("null"));
        let odd = "https://a\"},\n{@\u{202e}\u{e4}\u{0}%20";
        assert_eq!(refused.remember(odd).as_deref(), Some("https://a??????????20"));
        // What reads the same in the log is the same.
        assert_eq!(refused.remember(&odd.replace('@', "=")), None);
        let long = "x".repeat(MAX_LOGGED_CHARS);
        assert_eq!(refused.remember(&format!("{long}y")), Some(long.clone()));
        assert_eq!(refused.remember(&format!("{long}z")), None);
    }

    #[test]
    fn no_more_are_kept_than_an_isolate_has_room_for() {
        let mut refused = RefusedOrigins::default();
        let logged = (0..1000).filter_map(|number| refused.remember(&format!("https://{number}.example"))).count();
        assert_eq!((logged, refused.0.len()), (MAX_LOGGED_ORIGINS, MAX_LOGGED_ORIGINS));
        assert_eq!(refused.remember("https://0.example"), None);
    }
}
