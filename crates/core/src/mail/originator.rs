//! `MAIL_FROM`: whom mails are from.

use std::fmt;

use crate::identity::email::Email;

/// The address that mails are from, with a name if it has one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Originator {
    /// The name, which has no control characters, quotes, backslashes and angle brackets.
    pub name: Option<String>,
    /// The address, with the domain in ASCII.
    pub address: String,
}

impl Originator {
    /// Parses `address`, `name <address>` or `"name" <address>`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (name, address) = match text.strip_suffix('>') {
            Some(rest) => rest.split_once('<')?,
            None => ("", text),
        };
        let name = name.trim();
        let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
        if name.chars().any(|c| c.is_control() || "\"\\<>".contains(c)) {
            return None;
        }
        let name = Some(name.to_owned()).filter(|name| !name.is_empty());
        Some(Self { name, address: Email::parse(address).ok()?.deliverable() })
    }
}

/// As RFC 5322 writes it, but with the characters of other scripts as they are.
impl fmt::Display for Originator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = &self.address;
        match &self.name {
            None => formatter.write_str(address),
            // The specials of RFC 5322 §3.2.3.
            Some(name) if name.contains(['(', ')', '[', ']', ':', ';', '@', ',', '.']) => {
                write!(formatter, "\"{name}\" <{address}>")
            }
            Some(name) => write!(formatter, "{name} <{address}>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::Originator;

    #[test]
    fn an_originator_is_an_address_with_or_without_a_name() {
        for (text, written) in [
            ("auth@example.org", "auth@example.org"),
            ("<auth@example.org>", "auth@example.org"),
            ("Acme <auth@example.org>", "Acme <auth@example.org>"),
            (" \"Acme\"  < auth@example.org > ", "Acme <auth@example.org>"),
            ("Acme, Inc. <auth@example.org>", "\"Acme, Inc.\" <auth@example.org>"),
            ("\"Acme, Inc.\" <auth@example.org>", "\"Acme, Inc.\" <auth@example.org>"),
            ("B\u{fc}cher <auth@B\u{dc}CHER.example>", "B\u{fc}cher <auth@xn--bcher-kva.example>"),
        ] {
            assert_eq!(Originator::parse(text).map(|from| from.to_string()).as_deref(), Some(written));
        }
    }

    #[test]
    fn a_name_cannot_add_a_header_or_an_address() {
        for bad in [
            "",
            "Acme",
            "Acme <>",
            "Acme <auth>",
            "Acme auth@example.org",
            "Acme <auth@example.org",
            "Acme auth@example.org>",
            "Acme\r\nBcc: eve@example.org <auth@example.org>",
            "Acme\u{7f} <auth@example.org>",
            "Ac\"me <auth@example.org>",
            "Ac\\me <auth@example.org>",
            "Acme <eve@example.org> <auth@example.org>",
            "Acme <auth@example.org\r\n>x",
            "auth@example.org, eve@example.org",
        ] {
            assert_eq!(Originator::parse(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_one_line(name in any::<String>()) {
            if let Some(from) = Originator::parse(&format!("{name} <auth@example.org>")) {
                prop_assert!(!from.to_string().contains(char::is_control));
            }
        }
    }
}
