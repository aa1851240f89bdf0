//! Cross-site request forgery: whether a request that uses a cookie comes from a page that may use it, by Fetch Metadata
//! (<https://www.w3.org/TR/fetch-metadata/>), or by its origin in browsers without it. There is no token that a page must fetch.
//!
//! Only requests with a JSON body use cookies, and no form can send that type.

/// Whether the page may use cookies. `site` and `origin` are the headers `Sec-Fetch-Site` and `Origin`; `lists` says whether
/// `ALLOWED_ORIGINS` has an origin, and `is_own` whether the Worker answers at it.
///
/// `none` is a request that no page made, for example one typed by the user, and never has a JSON body.
pub(super) fn may_use_cookies(
    site: Option<&str>,
    origin: Option<&str>,
    lists: impl Fn(&str) -> bool,
    is_own: impl Fn(&str) -> bool,
) -> bool {
    // Cookies are for pages of this site. The pages of web views and extensions are not, although their origins may be listed.
    let lists = |origin: &str| (origin.starts_with("https://") || origin.starts_with("http://")) && lists(origin);
    match (site, origin) {
        (_, Some("null")) => false,
        (Some("same-origin"), _) => true,
        (Some("same-site"), Some(origin)) => lists(origin),
        (None, Some(origin)) => lists(origin) || is_own(origin),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::may_use_cookies;

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
                if may_use_cookies(site, origin, lists, |origin| origin == OWN) {
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
}
