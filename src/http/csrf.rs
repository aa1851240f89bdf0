//! Protection against cross-site request forgery. A request that uses a cookie must come from a page that may use it. Fetch Metadata
//! (<https://www.w3.org/TR/fetch-metadata/>) shows that or, in browsers without it, the `Origin`. So pages need no CSRF token.
//!
//! Only requests with a JSON body use cookies, and no form can send that type.

use super::header::loggable;

/// A page that may not use cookies, as logged.
#[derive(Debug)]
pub struct RefusedPage {
    /// `Sec-Fetch-Site`; empty if the request has none.
    pub site: String,
    /// `Origin`; empty if the request has none.
    pub origin: String,
}

/// Checks that a page may use cookies. `site` and `origin` are the headers `Sec-Fetch-Site` and `Origin`; `lists` says whether
/// `ALLOWED_ORIGINS` has an origin, and `is_own` whether an origin is the issuer's.
///
/// The site `none` means that no page made the request; such a request never has a JSON body.
pub(super) fn check_page(
    site: Option<&str>,
    origin: Option<&str>,
    lists: impl Fn(&str) -> bool,
    is_own: impl Fn(&str) -> bool,
) -> Result<(), RefusedPage> {
    // The pages of web views and extensions belong to no site, although their origins may be listed.
    let is_of_web = |origin: &str| origin.starts_with("https://") || origin.starts_with("http://");
    let may_use_cookies = match (site, origin) {
        (_, Some("null")) => false,
        (Some("same-origin"), _) => true,
        (Some("same-site"), Some(origin)) => is_of_web(origin) && lists(origin),
        (None, Some(origin)) => is_own(origin) || (is_of_web(origin) && lists(origin)),
        _ => false,
    };
    if may_use_cookies {
        return Ok(());
    }
    Err(RefusedPage { site: loggable(site.unwrap_or_default()), origin: loggable(origin.unwrap_or_default()) })
}

#[cfg(test)]
mod tests {
    use super::check_page;

    const OWN: &str = "https://auth.example.org";
    const LISTED: &str = "https://app.example.org";
    const OTHER: &str = "https://evil.example";
    const WEB_VIEW: &str = "capacitor://localhost";

    #[test]
    fn every_combination_of_site_and_origin_is_decided() {
        let sites = [
            None,
            Some("same-origin"),
            Some("same-site"),
            Some("cross-site"),
            Some("none"),
            Some(""),
            Some("Same-Origin"),
            Some("same-origin, cross-site"),
        ];
        let origins = [None, Some(OWN), Some(LISTED), Some(OTHER), Some(WEB_VIEW), Some("null"), Some("")];
        let mut accepted = Vec::new();
        for site in sites {
            for origin in origins {
                let lists = |origin: &str| [LISTED, WEB_VIEW].contains(&origin);
                if check_page(site, origin, lists, |origin| origin == OWN).is_ok() {
                    accepted.push((site, origin));
                }
            }
        }
        let same_origin = Some("same-origin");
        let expected = [
            (None, Some(OWN)),
            (None, Some(LISTED)),
            (same_origin, None),
            (same_origin, Some(OWN)),
            (same_origin, Some(LISTED)),
            (same_origin, Some(OTHER)),
            (same_origin, Some(WEB_VIEW)),
            (same_origin, Some("")),
            (Some("same-site"), Some(LISTED)),
        ];
        assert_eq!(accepted, expected);
    }

    #[test]
    fn a_refused_page_is_logged_without_invalid_characters() {
        let refused = check_page(Some("cross-site\""), Some("https://evil.example"), |_| false, |_| false).unwrap_err();
        assert_eq!((refused.site.as_str(), refused.origin.as_str()), ("cross-site?", OTHER));
        let refused = check_page(None, None, |_| true, |_| true).unwrap_err();
        assert_eq!((refused.site.as_str(), refused.origin.as_str()), ("", ""));
    }
}
