//! Addresses: the issuer's, and the origins of requests and of pages.

use url::Url;

use crate::http::split_origin;

/// The origins whose requests are answered.
pub struct Addresses {
    /// Where the issuer is on loopback: nobody reaches that from elsewhere, and tools ask by many names for it.
    every: bool,
    origins: Vec<String>,
}

impl Addresses {
    /// Those of a checked issuer, and the others that are listed.
    pub(super) fn new(issuer: &str, mut others: Vec<String>) -> Self {
        others.push(split_origin(issuer).0.to_owned());
        Self { every: Url::parse(issuer).is_ok_and(|url| is_loopback(&url)), origins: others }
    }

    /// Whether requests to that origin are answered.
    #[must_use]
    pub fn include(&self, origin: &str) -> bool {
        self.every || self.origins.iter().any(|own| own == origin)
    }
}

/// RFC 8414 §2: https, without query or fragment. Compared byte by byte by everyone who verifies, hence canonical.
pub(super) fn issuer(text: &str) -> Result<String, String> {
    let url = secure_url(text)?;
    let canonical = url.as_str().strip_suffix('/').unwrap_or(url.as_str());
    if url.query().is_some() || url.fragment().is_some() || canonical != text {
        return Err(
            "must be in canonical form: lower-case host, no default port, no trailing slash, no query".to_owned()
        );
    }
    Ok(text.to_owned())
}

/// `ALSO_ANSWERS_AT`: origins of requests, as [`Addresses`] compares them.
pub(super) fn other_addresses(text: &str) -> Result<Vec<String>, String> {
    list(text, |origin| {
        if !is_exact_origin(origin) {
            return Err(
                "must list exact origins: https://host or https://host:port (http on loopback), no slash at the end"
                    .to_owned(),
            );
        }
        Ok(origin.to_owned())
    })
}

/// `ALLOWED_ORIGINS`: origins of pages, exactly as a browser sends them, or they would never match.
pub(super) fn allowed_origins(text: &str) -> Result<Vec<String>, String> {
    list(text, |origin| {
        if origin.contains('*') || origin == "null" {
            return Err("must list exact origins: neither \"*\" nor \"null\" may be given credentials".to_owned());
        }
        if !is_exact_origin(origin) {
            return Err("must list origins in the form browsers send: https://host or https://host:port".to_owned());
        }
        Ok(origin.to_owned())
    })
}

fn is_exact_origin(text: &str) -> bool {
    // To the parser of URLs, an asterisk is a letter of a host.
    !text.contains('*') && secure_url(text).is_ok_and(|url| url.origin().ascii_serialization() == text)
}

fn list(text: &str, check: impl Fn(&str) -> Result<String, String>) -> Result<Vec<String>, String> {
    text.split(',').map(str::trim).filter(|origin| !origin.is_empty()).map(check).collect()
}

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

fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::{Addresses, other_addresses};

    #[test]
    fn requests_are_answered_at_the_issuers_origin_and_at_those_listed() {
        let listed = other_addresses("https://login.example.net, https://proxy.example.net:8443,http://localhost:8080");
        let addresses = Addresses::new("https://auth.example.org/auth", listed.unwrap());
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
    fn an_issuer_on_loopback_is_answered_for_at_any_address() {
        for issuer in ["http://127.0.0.1:8787", "http://localhost", "http://[::1]:1/auth", "https://localhost:8443"] {
            assert!(Addresses::new(issuer, Vec::new()).include("http://evil.example"), "{issuer}");
        }
        for issuer in
            ["https://localhost.evil.example", "https://127.0.0.1.evil.example", "https://x.example/localhost"]
        {
            assert!(!Addresses::new(issuer, Vec::new()).include("http://127.0.0.1:8787"), "{issuer}");
        }
    }
}
