//! The client that sends a request.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use crate::token::secret::may_be_random;

/// Maximum length of a stored user agent, in characters. Longer ones are truncated.
const MAX_USER_AGENT_CHARS: usize = 256;

/// The IP address and user agent of a request, for the audit trail and the log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Client {
    /// IP address, as reported by the platform.
    pub ip: Option<String>,
    /// User agent, as sent by the client.
    pub user_agent: Option<String>,
}

impl Client {
    /// Truncates the user agent to 256 characters.
    #[must_use]
    pub fn new(ip: Option<String>, user_agent: Option<&str>) -> Self {
        let cut = |text: &str| text.chars().take(MAX_USER_AGENT_CHARS).collect();
        Self { ip, user_agent: user_agent.map(cut) }
    }

    /// The source of the request, if it is known.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        self.ip.as_deref().and_then(Source::of)
    }
}

/// The source of a request, by which the hashing queue counts shares: an IPv4 address, or the /64 network of an IPv6 address, which is
/// the smallest network that providers assign to a customer (RFC 6177).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    /// The address.
    V4([u8; 4]),
    /// The first 64 bits of the address.
    V6([u8; 8]),
}

impl Source {
    /// The source of an IP address; `None` for an invalid address, and for a loopback address, which all clients share in local
    /// development.
    #[must_use]
    pub fn of(ip: &str) -> Option<Self> {
        let ip: IpAddr = ip.parse().ok()?;
        let ip = ip.to_canonical();
        if ip.is_loopback() {
            return None;
        }
        match ip {
            IpAddr::V4(ip) => Some(Self::V4(ip.octets())),
            IpAddr::V6(ip) => ip.octets().first_chunk().copied().map(Self::V6),
        }
    }
}

impl Source {
    /// The network of 48 bits of an IPv6 source, the largest that providers assign to a customer (RFC 6177), in the form `2001:db8:1::/48`.
    #[must_use]
    pub fn network(&self) -> Option<String> {
        match *self {
            Self::V4(_) => None,
            Self::V6(network) => {
                let network = u128::from(u64::from_be_bytes(network) >> 16) << 80;
                Some(format!("{}/48", Ipv6Addr::from(network)))
            }
        }
    }
}

/// The address, or the network in the form `2001:db8::/64`.
impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4(octets) => Ipv4Addr::from(octets).fmt(formatter),
            Self::V6(network) => {
                write!(formatter, "{}/64", Ipv6Addr::from(u128::from(u64::from_be_bytes(network)) << 64))
            }
        }
    }
}

/// A proxy of the operator in front of the Worker, which tells the address of the client in a header, and proves itself by a secret.
pub struct SourceProxy {
    header: String,
    secret: String,
}

impl SourceProxy {
    /// The header with the secret.
    const SECRET_HEADER: &str = "Portcullis-Source-Secret";
    /// Minimum length of the secret, in bytes.
    const MIN_SECRET_LEN: usize = 32;

    /// Combines a header and a secret that were checked.
    #[must_use]
    pub const fn new(header: String, secret: String) -> Self {
        Self { header, secret }
    }

    /// Whether a text is the name of a header (RFC 9110 §5.1) that can tell an address.
    #[must_use]
    pub fn is_header(name: &str) -> bool {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !name.is_empty() && name.bytes().all(is_token) && !name.eq_ignore_ascii_case(Self::SECRET_HEADER)
    }

    /// Whether a text is a secret: base64url of at least 32 random bytes.
    #[must_use]
    pub fn is_secret(text: &str) -> bool {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
        bytes.is_ok_and(|bytes| bytes.len() >= Self::MIN_SECRET_LEN && may_be_random(&bytes))
    }

    /// The address of the client, if the request has the secret and the header contains an IP address. `read` reads a header.
    pub fn address(&self, read: impl Fn(&str) -> Option<String>) -> Option<String> {
        let secret = read(Self::SECRET_HEADER)?;
        if !bool::from(secret.as_bytes().ct_eq(self.secret.as_bytes())) {
            return None;
        }
        let address: IpAddr = read(&self.header)?.trim().parse().ok()?;
        Some(address.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::{Client, Source, SourceProxy};

    #[test]
    fn a_long_user_agent_is_truncated_between_characters() {
        let client = Client::new(None, Some(&"\u{e4}".repeat(300)));
        assert_eq!(client.user_agent, Some("\u{e4}".repeat(256)));
    }

    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_network() {
        let same = |one, other| Source::of(one).is_some() && Source::of(one) == Source::of(other);
        assert!(same("192.0.2.1", "192.0.2.1"));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
    }

    #[test]
    fn a_source_is_written_as_an_address_or_a_network() {
        let written = |ip| Source::of(ip).map(|source| source.to_string());
        assert_eq!(written("::ffff:192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(written("2001:db8:1:2:ffff::9").as_deref(), Some("2001:db8:1:2::/64"));
        assert_eq!(written("2001:DB8::9").as_deref(), Some("2001:db8::/64"));
    }

    #[test]
    fn an_ipv6_source_is_in_a_network_of_48_bits() {
        let network = |ip| Source::of(ip).and_then(|source| source.network());
        assert_eq!(network("2001:db8:1:2:ffff::9").as_deref(), Some("2001:db8:1::/48"));
        assert_eq!(network("2001:db8:1:3::").as_deref(), Some("2001:db8:1::/48"));
        assert_eq!(network("192.0.2.1"), None);
    }

    #[test]
    fn a_proxy_is_believed_only_with_its_secret() {
        let proxy = SourceProxy::new("X-Real-IP".to_owned(), "right".to_owned());
        let address = |secret: Option<&str>, address: Option<&str>| {
            proxy.address(|name| {
                let text =
                    if name == "X-Real-IP" { address } else { secret.filter(|_| name == SourceProxy::SECRET_HEADER) };
                text.map(str::to_owned)
            })
        };
        assert_eq!(address(Some("right"), Some("192.0.2.1")).as_deref(), Some("192.0.2.1"));
        assert_eq!(address(Some("right"), Some(" 2001:DB8::1 ")).as_deref(), Some("2001:db8::1"));
        for secret in [None, Some(""), Some("righ"), Some("right2"), Some("Right"), Some("right, right")] {
            assert_eq!(address(secret, Some("192.0.2.1")), None, "{secret:?}");
        }
        for ip in [None, Some(""), Some("192.0.2.1, 192.0.2.2"), Some("192.0.2.1:80"), Some("unknown")] {
            assert_eq!(address(Some("right"), ip), None, "{ip:?}");
        }
    }

    #[test]
    fn a_header_and_a_secret_of_a_proxy_are_checked() {
        assert!(SourceProxy::is_header("X-Real-IP") && SourceProxy::is_header("cf_ip.1"));
        for bad in ["", "X Real", "X-Real-IP:", "X,Y", "\u{e4}", "portcullis-source-secret"] {
            assert!(!SourceProxy::is_header(bad), "{bad}");
        }
        assert!(SourceProxy::is_secret("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"));
        assert!(SourceProxy::is_secret("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="));
        for bad in [
            "",
            "short",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg",
            &"A".repeat(43),
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8,x",
        ] {
            assert!(!SourceProxy::is_secret(bad), "{bad}");
        }
    }

    #[test]
    fn loopback_and_invalid_addresses_have_no_source() {
        for ip in ["", "x", "192.0.2", "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(Source::of(ip), None, "{ip}");
        }
    }
}
