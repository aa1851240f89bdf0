//! The issuer, the origins at which requests are answered, and the allowed origins of pages.

use url::Url;

/// The origins at which requests are answered.
pub struct Addresses {
    /// Whether requests are answered at any origin. True if the issuer is on loopback, which tools reach by many names.
    is_any: bool,
    /// The origin of the issuer and the listed origins, in this order.
    origins: Vec<String>,
}

impl Addresses {
    /// The origin of the issuer and the listed origins.
    pub(super) fn new(issuer: &Issuer, others: Vec<String>) -> Self {
        let origins = [vec![issuer.origin()], others].concat();
        Self { is_any: issuer.is_loopback(), origins }
    }

    /// Whether requests are answered at an origin.
    pub fn include(&self, origin: &str) -> bool {
        self.is_any || self.origins.iter().any(|own| own == origin)
    }

    /// Whether an origin is the issuer's.
    pub fn is_issuer(&self, origin: &str) -> bool {
        self.origins.first().is_some_and(|issuer| issuer == origin)
    }
}

/// A checked `ISSUER`.
pub(super) struct Issuer(Url);

impl Issuer {
    /// RFC 8414 §2: https, without query or fragment. Must be canonical, because verifiers compare it byte by byte.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let issuer = Self(secure_url(text)?);
        if issuer.0.query().is_some() || issuer.0.fragment().is_some() || issuer.text() != text {
            return Err(
                "must be in canonical form: lower-case host, no default port, no trailing slash, no query".to_owned()
            );
        }
        if !issuer.base_path().split('/').skip(1).all(is_segment) {
            return Err("must have no path, or one like \"/auth\" of unreserved characters".to_owned());
        }
        Ok(issuer)
    }

    /// The path: empty, or with a leading and no trailing slash.
    pub(super) fn base_path(&self) -> &str {
        self.0.path().strip_suffix('/').unwrap_or(self.0.path())
    }

    /// Whether the host is on loopback.
    pub(super) fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// The host.
    pub(super) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The origin, as browsers send it.
    pub(super) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    pub(super) fn text(&self) -> &str {
        self.0.as_str().strip_suffix('/').unwrap_or(self.0.as_str())
    }
}

/// A URL without credentials that is https, or http on loopback.
fn secure_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "must be an absolute URL".to_owned())?;
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        return Err("must be https (http on loopback only)".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not carry credentials".to_owned());
    }
    Ok(url)
}

/// `BREACH_CHECK_URL`: the URL of another service, to which paths are appended. Has no slash at the end.
pub(super) fn service(text: &str) -> Result<String, String> {
    let url = secure_url(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must have no query and no fragment".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The URL of a service that is called exactly there.
pub(super) fn exact(text: &str) -> Result<String, String> {
    let url = secure_url(text)?;
    if url.fragment().is_some() {
        return Err("must have no fragment".to_owned());
    }
    Ok(url.into())
}

/// The host names of the issuer and of the allowed origins.
pub(super) fn hostnames(issuer: &Issuer, allowed: &[String]) -> Vec<String> {
    let urls = std::iter::once(issuer.0.clone()).chain(allowed.iter().filter_map(|origin| Url::parse(origin).ok()));
    urls.filter_map(|url| url.host_str().map(str::to_owned)).collect()
}

fn is_segment(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// `ALSO_ANSWERS_AT`: further origins at which requests are answered, as [`Addresses`] compares them.
pub(super) fn other_addresses(text: &str) -> Result<Vec<String>, String> {
    list(text, is_web_origin).map_err(|position| {
        format!(
            "must list exact origins, but number {position} is not one: https://host or https://host:port (http on \
             loopback), no slash at the end, such as \"https://auth.example.com\""
        )
    })
}

/// `WEBAUTHN_ORIGINS`: the origins of the pages on which passkeys are used, exactly as browsers write them into what is signed.
pub(super) fn webauthn_origins(text: &str) -> Result<Vec<String>, String> {
    list(text, is_web_origin).map_err(|position| {
        format!(
            "must list origins in the form browsers send, but number {position} is not one: https://host or \
             https://host:port (http on loopback), no slash at the end, such as \"https://auth.example.com\""
        )
    })
}

/// `ALLOWED_ORIGINS`: origins of pages, exactly as browsers send them; others would never match.
pub(super) fn allowed_origins(text: &str) -> Result<Vec<String>, String> {
    list(text, |origin| is_web_origin(origin) || is_app_origin(origin)).map_err(|position| {
        format!(
            "must list origins in the form browsers send, but number {position} is not one: scheme://host or \
             scheme://host:port, no slash at the end, such as \"https://app.example.com\", \"http://localhost:5173\" or \
             \"capacitor://localhost\"; http on loopback only, and neither \"*\" nor \"null\""
        )
    })
}

/// The origins of `ALLOWED_ORIGINS` to which a page of this issuer may send a browser.
pub(super) fn return_origins(allowed: &[String], issuer: &Issuer) -> Vec<String> {
    let is_safe =
        |origin: &&String| origin.starts_with("https://") || (origin.starts_with("http://") && issuer.is_loopback());
    allowed.iter().filter(is_safe).cloned().collect()
}

/// The listed origins, or the position, counted from 1, of the first invalid one.
fn list(text: &str, is_good: impl Fn(&str) -> bool) -> Result<Vec<String>, usize> {
    let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
    let checked = (1..).zip(origins);
    checked.map(|(position, origin)| if is_good(origin) { Ok(origin.to_owned()) } else { Err(position) }).collect()
}

/// Whether a text is exactly an https origin, or an http origin on loopback or on a name below `localhost` (RFC 6761 §6.3).
fn is_web_origin(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let secure = url.scheme() == "https" || (url.scheme() == "http" && (is_loopback(&url) || is_below_localhost(&url)));
    // The URL parser accepts an asterisk in a host.
    secure && !text.contains('*') && url.origin().ascii_serialization() == text
}

/// Whether a text is an origin of a web view or a browser extension.
fn is_app_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    match scheme {
        "capacitor" | "ionic" | "tauri" => host.split('.').all(is_label),
        "chrome-extension" | "moz-extension" => is_label(host),
        // Safari writes its ids in upper case.
        "safari-web-extension" => is_label(&host.to_ascii_lowercase()),
        _ => false,
    }
}

fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

fn is_below_localhost(url: &Url) -> bool {
    let name = url.host_str().and_then(|host| host.strip_suffix(".localhost"));
    name.is_some_and(|name| name.split('.').all(|label| !label.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::{Addresses, Issuer, allowed_origins, exact, other_addresses, service};

    fn addresses(issuer: &str, others: Vec<String>) -> Addresses {
        Addresses::new(&Issuer::parse(issuer).unwrap_or_else(|problem| panic!("{problem}")), others)
    }

    #[test]
    fn requests_are_answered_at_the_issuers_origin_and_at_those_listed() {
        let listed = other_addresses("https://login.example.net, https://proxy.example.net:8443,http://localhost:8080");
        let addresses = addresses("https://auth.example.org/auth", listed.unwrap());
        for own in [
            "https://auth.example.org",
            "https://login.example.net",
            "https://proxy.example.net:8443",
            "http://localhost:8080",
        ] {
            assert!(addresses.include(own), "{own}");
        }
        for other in [
            "http://auth.example.org",
            "https://auth.example.org/auth",
            "https://auth.example.org:443",
            "https://auth.example.org:8443",
            "https://auth.example.org.",
            "https://AUTH.example.org",
            "https://evil-auth.example.org",
            "https://example.org",
            "http://login.example.net",
            "https://proxy.example.net",
            "http://localhost",
            "http://127.0.0.1",
            "",
        ] {
            assert!(!addresses.include(other), "{other}");
        }
    }

    #[test]
    fn a_service_with_an_issuer_on_loopback_answers_at_any_address() {
        for issuer in ["http://127.0.0.1:8787", "http://localhost", "http://[::1]:1/auth", "https://localhost:8443"] {
            assert!(addresses(issuer, Vec::new()).include("http://evil.example"), "{issuer}");
        }
        for issuer in
            ["https://localhost.evil.example", "https://127.0.0.1.evil.example", "https://x.example/localhost"]
        {
            assert!(!addresses(issuer, Vec::new()).include("http://127.0.0.1:8787"), "{issuer}");
        }
    }

    #[test]
    fn the_url_of_a_service_is_https_or_on_loopback() {
        for (text, url) in [
            ("https://api.example.org", "https://api.example.org"),
            ("https://API.example.org/copy/", "https://api.example.org/copy"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ] {
            assert_eq!(service(text).as_deref(), Ok(url));
        }
        for (bad, part) in [
            ("api.example.org", "absolute"),
            ("http://api.example.org", "https"),
            ("ftp://localhost", "https"),
            ("https://user@api.example.org", "credentials"),
            ("https://api.example.org?key=1", "query"),
            ("https://api.example.org#x", "fragment"),
        ] {
            assert!(service(bad).is_err_and(|problem| problem.contains(part)), "{bad}");
        }
    }

    #[test]
    fn the_exact_url_of_a_service_keeps_its_path_and_query() {
        for url in ["https://api.example.org/emails/", "https://api.example.org/?app=1", "http://127.0.0.1:8080/x"] {
            assert_eq!(exact(url).as_deref(), Ok(url));
        }
        for (bad, part) in [
            ("/emails", "absolute"),
            ("http://api.example.org", "https"),
            ("https://:pass@api.example.org", "credentials"),
            ("https://api.example.org#x", "fragment"),
        ] {
            assert!(exact(bad).is_err_and(|problem| problem.contains(part)), "{bad}");
        }
    }

    #[test]
    fn origins_of_pages_apps_and_extensions_can_be_listed() {
        let good = [
            "https://app.example.org",
            "https://app.example.org:8443",
            "https://localhost",
            "http://localhost",
            "http://localhost:5173",
            "http://127.0.0.1:3000",
            "http://[::1]:3000",
            "http://app.localhost:3000",
            "http://a.b-c.localhost",
            "http://tauri.localhost",
            "capacitor://localhost",
            "ionic://localhost",
            "tauri://localhost",
            "capacitor://shop.example",
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
            "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
            "safari-web-extension://E0B5C7C5-1CC6-4C4F-A2C4-AB0FAF3C1C2A",
        ];
        assert_eq!(allowed_origins(&good.join(" , ")).unwrap(), good);
        assert!(allowed_origins("").unwrap().is_empty() && allowed_origins(" , ").unwrap().is_empty());
    }

    #[test]
    fn any_other_origin_is_reported_by_its_position_with_the_valid_forms() {
        for bad in [
            "*",
            "null",
            "app.example.org",
            "//app.example.org",
            "https://",
            "https://app.example.org/",
            "https://app.example.org/path",
            "https://app.example.org?",
            "https://app.example.org#",
            "https://app.example.org:443",
            "https://App.example.org",
            "HTTPS://app.example.org",
            "https://*.example.org",
            "https://u:p@app.example.org",
            "https://app.example.org https://other.example.org",
            "https://m\u{fc}nchen.example",
            "http://app.example.org",
            "http://localhost:80",
            "http://localhost.evil.example",
            "http://evillocalhost",
            "http://.localhost",
            "http://a..localhost",
            "http://*.localhost",
            "http://app.localhost/",
            "http://app.localhost.",
            "ws://localhost",
            "file://",
            "capacitor://",
            "capacitor://localhost/",
            "capacitor://localhost:3000",
            "capacitor://*",
            "Capacitor://localhost",
            "tauri:localhost",
            "chrome-extension://abc/",
            "chrome-extension://ABC",
            "chrome-extension://abc.def",
            "moz-extension://*",
            "safari-web-extension://",
            "javascript://localhost",
            "data:text/html,x",
        ] {
            let problem = allowed_origins(&format!("https://app.example.org,{bad}")).unwrap_err();
            assert!(problem.contains("number 2") && problem.contains("scheme://host"), "{bad}: {problem}");
            assert!(!problem.contains("app.example.org"));
        }
        for app in ["capacitor://localhost", "chrome-extension://abc"] {
            assert!(other_addresses(app).is_err_and(|problem| problem.contains("number 1")), "{app}");
        }
    }
}
