//! Makes texts of strangers harmless in mails.

use unicode_normalization::char::is_combining_mark;

use crate::identity::characters::{is_ignorable, is_layout};

/// Maximum length of a name in bytes. A longer one is more likely an advertisement.
const MAX_NAME_BYTES: usize = 60;
/// Maximum length of a link in bytes. A line of a mail has at most 998 (RFC 5322 §2.1.1).
const MAX_URL_BYTES: usize = 900;

/// The text on one line, of at most `max_bytes`, without characters that are invisible or change the layout of the text around
/// them.
pub fn line(text: &str, max_bytes: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || is_layout(c));
    let visible = words.map(|word| word.chars().filter(|c| !is_ignorable(*c)).collect::<String>());
    let line = visible.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if line.len() <= max_bytes {
        return line;
    }
    let end = line.floor_char_boundary(max_bytes.saturating_sub('\u{2026}'.len_utf8()));
    let start = line.get(..end).unwrap_or_default();
    format!("{}\u{2026}", start.trim_end())
}

/// The name, if it looks like one: short, letters, and the few other characters of names. Anybody can choose any name, and mail
/// programs turn what looks like an address of the web into a link.
pub fn name(name: &str) -> Option<String> {
    let name = line(name, usize::MAX);
    let is_of_names = |c: char| c.is_alphabetic() || is_combining_mark(c) || " .,-'\u{2019}\u{b7}".contains(c);
    let is_name =
        name.starts_with(char::is_alphabetic) && name.len() <= MAX_NAME_BYTES && name.chars().all(is_of_names);
    (is_name && !looks_like_domain(&name)).then_some(name)
}

/// Whether a dot stands between characters other than spaces, except in initials as those of "J.R.R. Tolkien".
fn looks_like_domain(name: &str) -> bool {
    name.split(' ').any(|word| word.split('.').skip(1).any(|label| label.chars().nth(1).is_some()))
}

/// The URL, if it can be a link and stand on a line: ASCII without spaces, of a scheme that opens a page or writes a mail.
pub fn url(url: &str) -> Option<&str> {
    let is_known = ["https://", "http://", "mailto:"].iter().any(|scheme| url.starts_with(scheme));
    let is_plain = url.len() <= MAX_URL_BYTES && url.bytes().all(|byte| byte.is_ascii_graphic());
    (is_known && is_plain).then_some(url)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::{line, name, url};
    use crate::identity::characters::is_layout;

    #[test]
    fn a_text_becomes_one_line() {
        for (text, cleaned) in [
            (" a\r\nBcc: b ", "a Bcc: b"),
            ("a\u{2028}b\u{85}c\td", "a b c d"),
            ("a\u{202e}b\u{200b}c\u{200f}", "a bc"),
            ("\u{200b} \u{feff}", ""),
        ] {
            assert_eq!(line(text, 100), cleaned, "{text:?}");
        }
    }

    #[test]
    fn a_long_text_is_shortened_between_characters() {
        assert_eq!(line("abcdefgh", 8), "abcdefgh");
        assert_eq!(line("abcdefghi", 8), "abcde\u{2026}");
        assert_eq!(line("abcd efghi", 8), "abcd\u{2026}");
        assert_eq!(line("ab\u{1f600}\u{1f600}", 8), "ab\u{2026}");
    }

    #[test]
    fn a_name_that_looks_like_a_link_or_an_advertisement_is_dropped() {
        for good in [
            "Ada Lovelace",
            "J. R. R. Tolkien",
            "J.R.R. Tolkien",
            "Se\u{e1}n O\u{2019}Casey-Brown, Jr.",
            "\u{90f}\u{94d}\u{921}\u{93e}",
        ] {
            assert_eq!(name(good).as_deref(), Some(good));
        }
        for bad in [
            "",
            " ",
            "-",
            "https://evil.example",
            "www.evil",
            "evil.example",
            "evil.example.",
            "Win at evil.co",
            "a@b",
            "evil\u{3002}example",
            "evil\u{ff0e}example",
            "evil/x",
            "Call 0800",
            "<b>Ada",
            "Ada!",
            &"Ada ".repeat(16),
        ] {
            assert_eq!(name(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_a_plain_url_is_a_link() {
        for good in
            ["https://example.org/account/confirm#token=a.b", "http://localhost:8787/account", "mailto:a@example.org"]
        {
            assert_eq!(url(good), Some(good));
        }
        let long = format!("https://example.org/{}", "a".repeat(900));
        for bad in ["", "javascript:alert(1)", "//example.org", "https://a b", "https://a\nb", "https://\u{e4}", &long]
        {
            assert_eq!(url(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_harmless_line(text in any::<String>(), max in 3_usize..100) {
            let line = line(&text, max);
            prop_assert!(line.len() <= max && line.trim() == line && !line.contains(is_layout), "{:?}", line);
        }

        #[test]
        fn a_name_has_no_character_of_a_link(text in "[a-z@:/. ]{0,12}", any in any::<String>()) {
            for name in [text, any].iter().filter_map(|text| name(text)) {
                prop_assert!(!name.contains(['@', ':', '/']) && name.len() <= 60, "{}", name);
            }
        }
    }
}
