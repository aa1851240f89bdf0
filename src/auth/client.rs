//! Where a request comes from.

/// Of a user agent, in characters; what is sent beyond is cut off.
const MAX_USER_AGENT_CHARS: usize = 256;

/// The address and user agent of a request. For the record and for the log, never for a decision.
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
}

#[cfg(test)]
mod tests {
    use super::Client;

    #[test]
    fn an_overlong_user_agent_is_cut_between_characters() {
        let client = Client::new(None, Some(&"\u{e4}".repeat(300)));
        assert_eq!(client.user_agent, Some("\u{e4}".repeat(256)));
    }
}
