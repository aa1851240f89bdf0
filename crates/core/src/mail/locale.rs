//! The languages of mails, and the choice of one.

use std::cmp::Reverse;
use std::fmt;

/// A language that mails are written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Locale {
    /// English.
    En,
    /// German.
    De,
}

impl Locale {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::En, Self::De];

    /// The language subtag (RFC 5646 §2.2.1).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }

    /// The language of a subtag, which has no case (RFC 5646 §2.1.1).
    #[must_use]
    pub fn parse(subtag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|locale| locale.as_str().eq_ignore_ascii_case(subtag))
    }
}

/// The languages that a deployment sends mails in: at least one, none twice. The first is the default.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Locales {
    default: Locale,
    others: Vec<Locale>,
}

/// The text is not a list of languages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalesError;

impl Locales {
    /// Parses a list such as `en,de`.
    ///
    /// # Errors
    /// [`LocalesError`] if a language is unknown or repeated, or if there is none.
    pub fn parse(list: &str) -> Result<Self, LocalesError> {
        let mut locales = Vec::new();
        for subtag in list.split(',') {
            let locale = Locale::parse(subtag.trim()).filter(|locale| !locales.contains(locale));
            locales.push(locale.ok_or(LocalesError)?);
        }
        let mut locales = locales.into_iter();
        let default = locales.next().ok_or(LocalesError)?;
        Ok(Self { default, others: locales.collect() })
    }

    /// The language of a user who sends this header `Accept-Language` (RFC 9110 §12.5.4). `de-AT` asks for German. Of languages
    /// with the same weight, the one that is named first is chosen. Invalid members of the header count as absent.
    #[must_use]
    pub fn choose(&self, accept_language: Option<&str>) -> Locale {
        let ranges: Vec<_> = accept_language.unwrap_or_default().split(',').filter_map(parse_range).collect();
        let rank = |locale: Locale| {
            let find = |subtag: &str| {
                let of_subtag = ranges.iter().zip(0_u32..).filter(|((range, _), _)| range.eq_ignore_ascii_case(subtag));
                of_subtag.map(|((_, weight), position)| (*weight, Reverse(position))).max()
            };
            find(locale.as_str()).or_else(|| find("*")).filter(|(weight, _)| *weight > 0)
        };
        let mut best = (rank(self.default), self.default);
        for locale in &self.others {
            let rank = rank(*locale);
            if rank > best.0 {
                best = (rank, *locale);
            }
        }
        best.1
    }
}

impl fmt::Display for LocalesError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Locale::ALL.map(Locale::as_str).join(", ");
        write!(formatter, "The languages must be a list, separated by commas, of at least one of: {known}.")
    }
}

/// The language subtag and the weight of one member of the header, in thousandths.
fn parse_range(member: &str) -> Option<(&str, u16)> {
    let (range, weight) = match member.split_once(';') {
        None => (member, 1_000),
        Some((range, parameter)) => {
            let (name, value) = parameter.trim().split_once('=')?;
            (range, parse_weight(value).filter(|_| name.eq_ignore_ascii_case("q"))?)
        }
    };
    Some((range.trim().split('-').next()?, weight))
}

/// A weight (RFC 9110 §12.4.2): from 0 to 1, with at most three digits after the point.
fn parse_weight(value: &str) -> Option<u16> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let is_weight = matches!(whole, "0" | "1") && fraction.len() <= 3 && fraction.bytes().all(|b| b.is_ascii_digit());
    let thousandths: u16 = format!("{whole}{fraction:0<3}").parse().ok().filter(|_| is_weight)?;
    (thousandths <= 1_000).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::Locale::{De, En};
    use super::{Locale, Locales, LocalesError};

    #[test]
    fn a_language_has_one_name() {
        for locale in Locale::ALL {
            assert_eq!(Locale::parse(locale.as_str()), Some(locale));
        }
        assert_eq!(Locale::parse("DE"), Some(De));
        for unknown in ["", "d", "deu", "de-AT", "fr"] {
            assert_eq!(Locale::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn the_first_language_of_the_list_is_the_default() {
        for (list, default, others) in [("en", En, vec![]), ("de", De, vec![]), (" de , EN", De, vec![En])] {
            assert_eq!(Locales::parse(list), Ok(Locales { default, others }), "{list}");
        }
        for bad in ["", ",", "en,", "en,,de", "en de", "en;de", "fr", "en,fr", "en,en", "de-AT"] {
            assert_eq!(Locales::parse(bad), Err(LocalesError), "{bad}");
        }
        let text = LocalesError.to_string();
        assert!(text.ends_with("of at least one of: en, de."), "{text}");
    }

    #[test]
    fn the_header_chooses_among_the_languages() {
        let locales = Locales::parse("en,de").unwrap();
        for (header, chosen) in [
            ("de", De),
            ("DE", De),
            ("de-AT", De),
            ("de-AT, en;q=0.9", De),
            ("de-1996;q=0.5, fr", De),
            ("en;q=0.8, de;q=0.9", De),
            ("en;q=0.8,de;q=0.801", De),
            ("fr, de;q=0.1", De),
            ("fr, de ; Q=0.1", De),
            ("de, en", De),
            ("de, *", De),
            ("*, de", En),
            ("en;q=0, *", De),
            ("en;q=0", En),
            ("*;q=0.5, de;q=0.6", De),
            ("*;q=0.5, de;q=0.4", En),
            ("de;q=0", En),
            ("de;q=0.000", En),
            ("*", En),
            ("en, de", En),
            ("fr", En),
            ("den", En),
            ("", En),
        ] {
            assert_eq!(locales.choose(Some(header)), chosen, "{header}");
        }
        assert_eq!(locales.choose(None), En);
        assert_eq!(Locales::parse("de").unwrap().choose(Some("en")), De);
        assert_eq!(Locales::parse("de,en").unwrap().choose(Some("en-GB, de;q=0.9")), En);
    }

    #[test]
    fn an_invalid_member_counts_as_absent() {
        let locales = Locales::parse("en,de").unwrap();
        for invalid in [
            "1.1", "2", "1.001", "0.1234", "-1", "+1", "0.+1", ".5", "0.5 5", "", "x", "0,5", "\u{661}", "00.5",
            "1;q=1",
        ] {
            assert_eq!(locales.choose(Some(&format!("de;q={invalid}"))), En, "{invalid}");
        }
        for invalid in ["de;", "de;x=1", "de q=1", ";q=1", "d\u{435}", "de_AT"] {
            assert_eq!(locales.choose(Some(invalid)), En, "{invalid}");
            assert_eq!(locales.choose(Some(&format!("{invalid}, de;q=0.1"))), De, "{invalid}");
        }
    }

    proptest! {
        #[test]
        fn any_header_chooses_an_allowed_language(text in any::<String>(), header in "([a-zA-Z*;=q0-9., -]{0,8},?){0,9}") {
            for list in ["en", "de", "en,de", "de,en"] {
                let locales = Locales::parse(list).unwrap();
                for header in [&text, &header] {
                    prop_assert!(list.contains(locales.choose(Some(header)).as_str()));
                }
            }
        }

        #[test]
        fn the_greater_weight_wins(one in 1_u16..=1_000, other in 1_u16..=1_000) {
            let locales = Locales::parse("en,de").unwrap();
            let written = |weight: u16| format!("{}.{:03}", weight / 1_000, weight % 1_000);
            let header = format!("en-GB;q={}, de-CH;q={}", written(one), written(other));
            prop_assert_eq!(locales.choose(Some(&header)), if other > one { De } else { En });
        }

        #[test]
        fn any_list_is_parsed_or_refused(text in any::<String>(), list in "[ed,n ]{0,8}") {
            for list in [text, list] {
                if let Ok(locales) = Locales::parse(&list) {
                    prop_assert!(!locales.others.contains(&locales.default));
                }
            }
        }
    }
}
