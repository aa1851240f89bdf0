//! E-mail addresses: how they are parsed, and the key by which they are compared.
//!
//! **Parsing.** Surrounding white space is removed; the rest is kept as entered. An address is `local@domain` with exactly one
//! `@`, at most 254 bytes long.
//!
//! - `local`: 1 to 64 bytes of dot-separated atoms. An atom consists of RFC 5322 `atext`, or of letters, digits and marks of
//!   any script (RFC 6531).
//! - `domain`: at least two dot-separated labels of 1 to 63 bytes, of letters, digits, marks and inner hyphens. It must be a
//!   valid domain name under IDNA.
//!
//! Invisible characters, quoted local parts, comments and address literals are refused. Users do not need them, and each permits
//! a second spelling of an address.
//!
//! **Comparison.** The key consists of the local part in NFC, case folded, in NFC again, and of the domain in its ASCII form.
//! Case folding is the full one of Unicode (statuses C and F of CaseFolding.txt), the same for every language, and maps each
//! character by itself: `ς`, `σ` and `Σ` fold to `σ`; `ß` and `ẞ` to `ss`; a ligature to its letters; `İ` to `i` with a dot
//! above; `ı` to itself. Other characters that look alike, such as full-width letters and letters of another script, stay
//! different in the local part.
//!
//! A mail server may distinguish spellings that share a key. So mail must be sent to the [`Email::address`] that is stored
//! with the account, never to the spelling in a request.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use url::Host;

use crate::identity::characters;

/// Maximum address length, in bytes: RFC 5321 §4.5.3.1.3 without the angle brackets.
const MAX_BYTES: usize = 254;
/// Maximum length of the local part, in bytes (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;
/// Maximum length of the domain as text without the final dot, in bytes (RFC 1035 §2.3.4).
const MAX_DOMAIN_BYTES: usize = 253;
/// Maximum length of a label, in bytes (RFC 1035 §2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// A valid address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Email {
    address: String,
    key: String,
}

/// Why a text is not a valid address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EmailError {
    /// It does not have exactly one `@`.
    NotOneAt,
    /// It is longer than 254 bytes.
    TooLong,
    /// The part before the `@` is invalid.
    LocalPart,
    /// The part after the `@` is invalid.
    Domain,
}

impl Email {
    /// Parses an address.
    ///
    /// # Errors
    /// [`EmailError`] names the first broken rule.
    pub fn parse(input: &str) -> Result<Self, EmailError> {
        let address = input.trim();
        let nfc: String = address.nfc().collect();
        if nfc.len() > MAX_BYTES || address.len() > MAX_BYTES {
            return Err(EmailError::TooLong);
        }
        let (local, domain) = nfc.split_once('@').ok_or(EmailError::NotOneAt)?;
        if domain.contains('@') {
            return Err(EmailError::NotOneAt);
        }
        if local.len() > MAX_LOCAL_BYTES || !local.split('.').all(is_atom) {
            return Err(EmailError::LocalPart);
        }
        if !domain.contains('.') || !domain.split('.').all(is_label) {
            return Err(EmailError::Domain);
        }
        let Ok(Host::Domain(ascii_domain)) = Host::parse(domain) else {
            return Err(EmailError::Domain);
        };
        // DNS looks up the ASCII form, which must be a valid domain name too.
        if ascii_domain.len() > MAX_DOMAIN_BYTES || !ascii_domain.split('.').all(is_label) {
            return Err(EmailError::Domain);
        }
        // Folding lengthens some letters, and a key must itself be a valid address.
        let mut key = characters::folded(local);
        if key.len() > MAX_LOCAL_BYTES {
            return Err(EmailError::LocalPart);
        }
        key.push('@');
        key.push_str(&ascii_domain);
        if key.len() > MAX_BYTES {
            return Err(EmailError::TooLong);
        }
        Ok(Self { address: address.to_owned(), key })
    }

    /// The address as entered, without surrounding white space.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The address with its domain in ASCII, which every mail server accepts.
    #[must_use]
    pub fn deliverable(&self) -> String {
        let local = self.address.rsplit_once('@').map_or("", |(local, _)| local);
        let domain = self.key.rsplit_once('@').map_or("", |(_, domain)| domain);
        format!("{local}@{domain}")
    }

    /// The key for comparing addresses.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The part of the key before the `@`.
    #[must_use]
    pub fn local_key(&self) -> &str {
        self.key.split_once('@').map_or("", |(local, _)| local)
    }
}

impl fmt::Display for EmailError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotOneAt => "The e-mail address must have exactly one @.",
            Self::TooLong => "The e-mail address must be at most 254 bytes long.",
            Self::LocalPart => {
                "The part of the e-mail address before the @ must be 1 to 64 bytes of letters, digits, single \
                 inner dots and the signs !#$%&'*+-/=?^_`{|}~."
            }
            Self::Domain => "The part of the e-mail address after the @ must be a domain name of at least two labels.",
        })
    }
}

/// The key prefix that finds all addresses beginning with `prefix`.
#[must_use]
pub fn search_key(prefix: &str) -> String {
    match Email::parse(prefix) {
        Ok(email) => email.key,
        Err(_) => characters::folded(prefix.trim()),
    }
}

fn is_atom(atom: &str) -> bool {
    !atom.is_empty() && atom.chars().all(|c| is_word(c) || "!#$%&'*+-/=?^_`{|}~".contains(c))
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= MAX_LABEL_BYTES
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(|c| is_word(c) || c == '-')
}

fn is_word(c: char) -> bool {
    (c.is_alphanumeric() || is_combining_mark(c)) && !characters::is_ignorable(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use unicode_normalization::UnicodeNormalization as _;

    use super::{Email, EmailError, search_key};

    fn key(input: &str) -> String {
        Email::parse(input).unwrap().key().to_owned()
    }

    #[test]
    fn an_address_is_kept_as_entered_and_its_key_ignores_case_and_white_space() {
        let email = Email::parse("  Ada.Lovelace+x@Example.ORG\n").unwrap();
        assert_eq!(email.address(), "Ada.Lovelace+x@Example.ORG");
        assert_eq!(email.key(), "ada.lovelace+x@example.org");
        assert_eq!(email.local_key(), "ada.lovelace+x");
    }

    #[test]
    fn mail_is_sent_to_the_local_part_as_entered_at_the_domain_in_ascii() {
        let of = |text| Email::parse(text).unwrap().deliverable();
        assert_eq!(of("Ada+x@B\u{dc}CHER.example"), "Ada+x@xn--bcher-kva.example");
        assert_eq!(of("Jos\u{c9}@Example.ORG"), "Jos\u{c9}@example.org");
        let long = format!("{}@{}.{}.{}.org", "a".repeat(64), "b".repeat(63), "c".repeat(63), "d".repeat(57));
        assert_eq!((long.len(), of(&long)), (254, long.clone()));
    }

    #[test]
    fn a_prefix_of_an_address_finds_its_key() {
        let key = key("Jos\u{e9}.L@B\u{dc}cher.example");
        for prefix in ["", "J", "JOSE\u{301}", "jos\u{e9}.l@", "  jose\u{301}.L@b\u{fc}cher.example "] {
            assert!(key.starts_with(&search_key(prefix)), "{prefix}");
        }
        assert!(!key.starts_with(&search_key("jose")));
        assert_eq!(search_key("a%_'"), "a%_'");
    }

    #[test]
    fn canonically_equivalent_spellings_have_the_same_key() {
        assert_eq!(key("jose\u{301}@example.org"), key("JOS\u{c9}@example.org"));
        assert_eq!(key("\u{212a}@example.org"), "k@example.org"); // KELVIN SIGN is canonically K
    }

    #[test]
    fn all_cases_of_a_local_part_have_the_same_key() {
        for (one, other) in [
            // A final sigma, whose upper case is that of any sigma.
            ("\u{3b3}\u{3b9}\u{3c9}\u{3c1}\u{3b3}\u{3bf}\u{3c2}", "\u{393}\u{399}\u{3a9}\u{3a1}\u{393}\u{39f}\u{3a3}"),
            ("\u{3b3}\u{3b9}\u{3c9}\u{3c1}\u{3b3}\u{3bf}\u{3c2}", "\u{3b3}\u{3b9}\u{3c9}\u{3c1}\u{3b3}\u{3bf}\u{3c3}"),
            ("\u{3bf}\u{3c2}.\u{3bf}", "\u{39f}\u{3a3}.\u{39f}"),
            // Sharp s, its upper case, and its capital letter.
            ("stra\u{df}e", "STRASSE"),
            ("stra\u{df}e", "STRA\u{1e9e}E"),
            // A capital I with a dot, and its lower case.
            ("\u{130}", "i\u{307}"),
            // An iota subscript, which is a letter of its own in upper case.
            ("\u{1fb4}", "\u{386}\u{399}"),
            // A digraph, in lower and in title case, and ligatures.
            ("\u{1c6}", "\u{1c5}"),
            ("\u{fb01}n", "FIN"),
            ("\u{149}", "\u{2bc}N"),
            // Scripts whose second case was added to Unicode later.
            ("\u{13a0}", "\u{ab70}"),
            ("\u{10d0}", "\u{1c90}"),
        ] {
            assert_eq!(key(&format!("{one}@example.gr")), key(&format!("{other}@example.gr")), "{one} {other}");
        }
    }

    #[test]
    fn look_alike_addresses_differ_or_are_refused() {
        assert_ne!(key("\u{430}da@example.org"), key("ada@example.org")); // Cyrillic
        assert_ne!(key("\u{ff41}da@example.org"), key("ada@example.org")); // full-width
        assert_ne!(key("\u{131}@example.org"), key("i@example.org")); // dotless i
        assert_ne!(key("\u{130}@example.org"), key("i@example.org")); // capital I with a dot
        for bad in [
            "ada\u{ff20}example.org",
            "a\u{200b}da@example.org",
            "ada@exa\u{200d}mple.org",
            "\u{202e}ada@x.org",
            "ada\u{34f}@x.org",
            "ada\u{fe0f}@x.org",
            "ada\u{3164}@x.org",
            "ada\u{e0101}@x.org",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn all_spellings_of_a_domain_have_the_same_key() {
        for spelling in ["b\u{fc}cher.example", "B\u{dc}CHER.Example", "bu\u{308}cher.example", "xn--bcher-kva.example"]
        {
            assert_eq!(key(&format!("a@{spelling}")), "a@xn--bcher-kva.example");
        }
        assert_eq!(key("a@\u{ff45}xample.org"), "a@example.org"); // full-width
        for bad in ["a@127.0.0.1", "a@1.2", "a@xn--a.org", "a@0x7f.1", "a@\u{2474}.org", "a@\u{1f101}.org"] {
            assert_eq!(Email::parse(bad), Err(EmailError::Domain), "{bad}");
        }
    }

    #[test]
    fn every_rule_has_its_own_error() {
        for (input, error) in [
            ("", EmailError::NotOneAt),
            ("ada", EmailError::NotOneAt),
            ("a@b@example.org", EmailError::NotOneAt),
            ("@example.org", EmailError::LocalPart),
            (".a@example.org", EmailError::LocalPart),
            ("a.@example.org", EmailError::LocalPart),
            ("a..b@example.org", EmailError::LocalPart),
            ("a b@example.org", EmailError::LocalPart),
            ("a\0b@example.org", EmailError::LocalPart),
            ("a\r\nb@example.org", EmailError::LocalPart),
            ("\"a\"@example.org", EmailError::LocalPart),
            ("a(c)@example.org", EmailError::LocalPart),
            ("<a@example.org", EmailError::LocalPart),
            ("a@example", EmailError::Domain),
            ("a@", EmailError::Domain),
            ("a@.org", EmailError::Domain),
            ("a@example.org.", EmailError::Domain),
            ("a@-example.org", EmailError::Domain),
            ("a@example-.org", EmailError::Domain),
            ("a@[127.0.0.1]", EmailError::Domain),
            ("a@exam ple.org", EmailError::Domain),
            ("a@example.org>", EmailError::Domain),
        ] {
            assert_eq!(Email::parse(input), Err(error), "{input:?}");
        }
    }

    #[test]
    fn lengths_are_limited_in_bytes() {
        let local64 = "l".repeat(64);
        assert!(Email::parse(&format!("{local64}@example.org")).is_ok());
        assert_eq!(Email::parse(&format!("{local64}l@example.org")), Err(EmailError::LocalPart));
        let label63 = "d".repeat(63);
        assert!(Email::parse(&format!("a@{label63}.org")).is_ok());
        assert_eq!(Email::parse(&format!("a@{label63}d.org")), Err(EmailError::Domain));
        let domain = format!("{label63}.{label63}.{}", "d".repeat(61));
        assert!(Email::parse(&format!("{local64}@{domain}")).is_ok()); // 64 + 1 + 189 = 254
        assert_eq!(Email::parse(&format!("{local64}@{domain}d")), Err(EmailError::TooLong));
    }

    #[test]
    fn the_length_of_the_key_is_limited_too() {
        // Three bytes each, and five when folded.
        let letters = |count| "\u{1fb7}".repeat(count);
        assert_eq!(key(&format!("{}@example.org", letters(12))).len(), "@example.org".len() + 60);
        assert_eq!(Email::parse(&format!("{}@example.org", letters(13))), Err(EmailError::LocalPart));
        // Labels of two bytes, and of seven in ASCII.
        let address = |labels| format!("{}@{}org", "l".repeat(64), "\u{e9}.".repeat(labels));
        assert_eq!(key(&address(23)).len(), 252);
        assert_eq!(Email::parse(&address(24)), Err(EmailError::TooLong));
    }

    proptest! {
        #[test]
        fn a_key_is_an_address_whose_key_is_itself(input in any::<String>(), local in "[\\PC&&[^@]]{1,8}") {
            for text in [input, format!("{local}@example.org"), format!("a@{local}.org")] {
                if let Ok(email) = Email::parse(&text) {
                    let again = Email::parse(email.key()).unwrap();
                    prop_assert_eq!(again.key(), email.key());
                    prop_assert!(!email.address().chars().any(char::is_control));
                }
            }
        }

        #[test]
        fn a_prefix_in_any_case_finds_an_address(local in "[\\p{L}&&[^\u{131}]]{1,12}", end in 0_usize..12) {
            let local: String = local.nfc().collect();
            if let Ok(email) = Email::parse(&format!("{local}@example.org")) {
                let prefix: String = local.chars().take(end).collect();
                for case in [prefix.to_lowercase(), prefix.to_uppercase(), prefix] {
                    prop_assert!(email.key().starts_with(&search_key(&case)), "{}", case);
                }
            }
        }
    }
}
