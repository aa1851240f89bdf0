//! Where a request comes from.

use std::net::IpAddr;

/// Of a user agent, in characters; what is sent beyond is cut off.
const MAX_USER_AGENT_CHARS: usize = 256;

/// The address and user agent of a request, for the record and for the log. [`Source`] is what shares are counted by.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Client {
    /// As the platform tells it.
    pub ip: Option<String>,
    /// As the client tells it.
    pub user_agent: Option<String>,
}

impl Client {
    /// Takes both as they came, but for an overlong user agent.
    #[must_use]
    pub fn new(ip: Option<String>, user_agent: Option<&str>) -> Self {
        let cut = |text: &str| text.chars().take(MAX_USER_AGENT_CHARS).collect();
        Self { ip, user_agent: user_agent.map(cut) }
    }

    /// Who is behind it, if that is known.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        self.ip.as_deref().and_then(Source::of)
    }
}

/// Who is behind a request, as far as its address tells: an IPv4 address, or the /64 network of an IPv6 address, which is
/// what one customer of a provider has at least (RFC 6177).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    /// The address.
    V4([u8; 4]),
    /// The first 64 bits of the address.
    V6([u8; 8]),
}

impl Source {
    /// The source of an address; `None` for what is no address, and for this machine's own, which in local development
    /// everybody shares.
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

#[cfg(test)]
mod tests {
    use super::{Client, Source};

    #[test]
    fn an_overlong_user_agent_is_cut_between_characters() {
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
    fn loopback_and_invalid_addresses_have_no_source() {
        for ip in ["", "x", "192.0.2", "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(Source::of(ip), None, "{ip}");
        }
    }
}
