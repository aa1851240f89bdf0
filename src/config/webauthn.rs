//! The variables of passkeys (WebAuthn).

use portcullis_core::webauthn::authentication::CounterPolicy;
use portcullis_core::webauthn::ceremony::RelyingParty;
use url::{Host, Url};

use super::addresses::{self, Issuer};
use super::reader::{Found, Reader};

/// What passkeys are checked against.
pub struct WebAuthn {
    /// `WEBAUTHN_RP_ID`, `WEBAUTHN_ORIGINS`.
    pub party: RelyingParty,
    /// `WEBAUTHN_COUNTER`: what to do if a signature counter goes back.
    pub counter: CounterPolicy,
}

/// Reads the variables. Their defaults are those of the issuer.
pub(super) fn read(reader: &mut Reader<impl Fn(&'static str) -> Found>, issuer: Option<&Issuer>) -> Option<WebAuthn> {
    let id = reader.text("WEBAUTHN_RP_ID", "", |text| {
        if text.is_empty() || is_domain(text) {
            Ok(text.to_owned())
        } else {
            Err("must be a domain in lower case, such as \"example.com\", or \"localhost\": no address, scheme or port"
                .to_owned())
        }
    });
    let origins = reader.text("WEBAUTHN_ORIGINS", "", addresses::webauthn_origins);
    let counter = reader.text("WEBAUTHN_COUNTER", "refuse", |text| match text {
        "refuse" => Ok(CounterPolicy::Refuse),
        "log" => Ok(CounterPolicy::Log),
        _ => Err("must be \"refuse\" or \"log\"".to_owned()),
    });
    let (issuer, id, origins) = (issuer?, id?, origins?);
    let id = if id.is_empty() { issuer.host().to_owned() } else { id };
    let origins = if origins.is_empty() { vec![issuer.origin()] } else { origins };
    // Browsers allow other origins if the page of the id lists them (WebAuthn §5.11), but one must be at home there.
    if !origins.iter().any(|origin| is_below(origin, &id)) {
        let problem =
            "must be the host, or a domain above it, of an origin in WEBAUTHN_ORIGINS, which is ISSUER by default";
        reader.problem("WEBAUTHN_RP_ID", problem);
    }
    Some(WebAuthn { party: RelyingParty::new(id, origins), counter: counter? })
}

/// Whether a text is a domain of at least two labels, or `localhost`. Browsers refuse those under which anybody can register.
fn is_domain(text: &str) -> bool {
    let is_canonical = matches!(Host::parse(text), Ok(Host::Domain(domain)) if domain == text);
    let has_empty_label = text.split('.').any(str::is_empty);
    is_canonical && !has_empty_label && (text == "localhost" || text.contains('.'))
}

/// Whether the host of an origin is a domain or below it.
fn is_below(origin: &str, domain: &str) -> bool {
    let url = Url::parse(origin).ok();
    let host = url.as_ref().and_then(Url::host_str);
    host.is_some_and(|host| host == domain || host.strip_suffix(domain).is_some_and(|labels| labels.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::{is_below, is_domain};

    #[test]
    fn an_id_is_a_domain() {
        for good in ["example.com", "auth.example.co.uk", "localhost", "xn--mnchen-3ya.example"] {
            assert!(is_domain(good), "{good}");
        }
        for bad in [
            "",
            "com",
            "127.0.0.1",
            "[::1]",
            "Example.com",
            "https://example.com",
            "example.com:443",
            "example.com.",
            "m\u{fc}nchen.example",
            ".example.com",
            "example..com",
            "example.com/",
        ] {
            assert!(!is_domain(bad), "{bad}");
        }
    }

    #[test]
    fn a_host_is_below_its_own_domain_and_those_above() {
        for (origin, domain, expected) in [
            ("https://auth.example.com", "auth.example.com", true),
            ("https://auth.example.com:8443", "example.com", true),
            ("http://localhost:8787", "localhost", true),
            ("https://evilexample.com", "example.com", false),
            ("https://example.com", "auth.example.com", false),
            ("https://example.com.evil.org", "example.com", false),
            ("http://127.0.0.1:8787", "127.0.0.1", true),
        ] {
            assert_eq!(is_below(origin, domain), expected, "{origin} {domain}");
        }
    }
}
