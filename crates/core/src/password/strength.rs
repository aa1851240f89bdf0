//! Recognises guessable passwords (NIST SP 800-63B-4 §3.1.1.2: compare with a list of commonly used, expected or compromised
//! passwords).
//!
//! A password is refused if it is in the set of [`common`] passwords. That set has few long ones, and users who must choose a
//! long password extend a common one. So a password is also refused if it consists of a few guessable parts: common passwords, what
//! the user entered about themselves, words of the organisation, sequences, keyboard rows, short numbers.
//!
//! Common parts are a separate list, without false positives, since every substring of a password is looked up.

use super::common;
use crate::identity::characters;

/// Common parts, folded, one per line, in byte order. From the frequency list of zxcvbn-ts (see `common_passwords.LICENSE`):
/// the first 1000 of 5 to 7 characters that contain letters, the first 3000 of at least 8, and all of at least 12.
const COMMON: &str = include_str!("common_passwords.txt");
/// Rows and diagonals of the keyboard. Both directions count.
const KEYBOARD: [&str; 6] = [
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1234567890",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
];
/// Maximum number of parts of a guessable password.
const MAX_PARTS: usize = 3;
/// Maximum length of a password that is searched for parts, in characters. Bounds the cost of the search.
const MAX_CHARS_SEARCHED: usize = 64;
/// Maximum length of a part and of a repeated unit, in characters.
const MAX_PART: usize = 32;
/// Maximum length of a unit whose repetition is guessable whatever the unit is, in characters.
const MAX_SHORT_UNIT: usize = 5;
/// Minimum length of a sequence that is a part, in characters.
const MIN_SEQUENCE: usize = 3;
/// Minimum length of a piece of a keyboard row that is a part, in characters.
const MIN_KEYBOARD_ROW: usize = 4;
/// Minimum length of a word about the user or the service that is a part, in characters.
pub const MIN_OWN_WORD: usize = 4;
/// Maximum length of a filler, in characters: digits or signs that are a part whatever they are, such as a year.
const MAX_FILLER: usize = 4;

/// Whether a password is guessable. `about` holds what the user entered about themselves, the name of the service, and the
/// words of the organisation. Case is ignored.
#[must_use]
pub fn is_guessable(password: &str, about: &[&str]) -> bool {
    let chars = fold(password);
    let is_common = |chars: &[char]| common::contains(&chars.iter().collect::<String>());
    is_common(&chars) || is_common(without_suffix(&chars)) || is_composed(password, about)
}

/// Whether a password consists of a few guessable parts, without regard to the set of common passwords.
#[must_use]
pub fn is_composed(password: &str, about: &[&str]) -> bool {
    let chars = fold(password);
    let parts =
        Parts { common: COMMON.lines().collect(), own: about.iter().flat_map(|text| own_words(text)).collect() };
    if parts.own.contains(&chars) || parts.has_few_parts(&chars) {
        return true;
    }
    let is_repetition = |chars: &[char]| {
        repeated_unit(chars).is_some_and(|unit| unit.len() <= MAX_SHORT_UNIT || parts.has_few_parts(unit))
    };
    is_repetition(&chars) || is_repetition(without_suffix(&chars))
}

fn fold(text: &str) -> Vec<char> {
    characters::folded(text).chars().collect()
}

/// The words of a text, its words concatenated, and the whole text.
fn own_words(text: &str) -> Vec<Vec<char>> {
    let whole = fold(text);
    let words = whole.split(|c| !c.is_alphanumeric()).map(<[char]>::to_vec);
    let concatenated = whole.iter().copied().filter(|c| c.is_alphanumeric()).collect();
    words.chain([concatenated, whole.clone()]).filter(|word| !word.is_empty()).collect()
}

/// Removes the digits and signs after the last letter if they are short enough for a filler.
fn without_suffix(chars: &[char]) -> &[char] {
    let suffix = chars.iter().rev().take_while(|c| !c.is_alphabetic()).count();
    let kept = if suffix <= MAX_FILLER { chars.len().saturating_sub(suffix) } else { chars.len() };
    chars.get(..kept).unwrap_or(chars)
}

struct Parts<'a> {
    common: Vec<&'a str>,
    own: Vec<Vec<char>>,
}

impl Parts<'_> {
    /// Whether the text is a concatenation of at most [`MAX_PARTS`] parts.
    fn has_few_parts(&self, chars: &[char]) -> bool {
        if chars.len() > MAX_CHARS_SEARCHED {
            return self.is_part(chars);
        }
        // For every prefix, by its length: the minimum number of parts it consists of.
        let mut fewest: Vec<Option<usize>> = vec![Some(0)];
        for end in 1..=chars.len() {
            let last_parts = (end.saturating_sub(MAX_PART)..end).filter_map(|start| {
                let before = (*fewest.get(start)?)?;
                self.is_part(chars.get(start..end)?).then_some(before.saturating_add(1))
            });
            let best = last_parts.min();
            fewest.push(best);
        }
        fewest.last().copied().flatten().is_some_and(|parts| parts <= MAX_PARTS)
    }

    fn is_part(&self, chars: &[char]) -> bool {
        let word: String = chars.iter().collect();
        let is_filler = chars.len() <= MAX_FILLER
            && (chars.iter().all(char::is_ascii_digit) || !chars.iter().any(|c| c.is_alphanumeric()));
        is_filler
            || (chars.len() >= MIN_SEQUENCE && is_sequence(chars))
            || (chars.len() >= MIN_KEYBOARD_ROW && is_in_keyboard_row(&word))
            || (chars.len() >= MIN_OWN_WORD && self.own.iter().any(|own| own == chars))
            || self.common.binary_search(&word.as_str()).is_ok()
    }
}

/// Whether all successive characters differ by the same step of -1, 0 or 1. The digit after 9 is 0.
fn is_sequence(chars: &[char]) -> bool {
    let step = |a: char, b: char| match (a.to_digit(10), b.to_digit(10)) {
        (Some(9), Some(0)) => 1,
        (Some(0), Some(9)) => -1,
        _ => i64::from(u32::from(b)).saturating_sub(i64::from(u32::from(a))),
    };
    let mut steps = chars.iter().zip(chars.iter().skip(1)).map(|(a, b)| step(*a, *b));
    steps.next().is_some_and(|first| (-1..=1).contains(&first) && steps.all(|next| next == first))
}

fn is_in_keyboard_row(word: &str) -> bool {
    let backwards: String = word.chars().rev().collect();
    KEYBOARD.iter().any(|row| row.contains(word) || row.contains(&backwards))
}

/// The shortest unit that the text repeats at least twice. The last repetition may be incomplete.
fn repeated_unit(chars: &[char]) -> Option<&[char]> {
    (1..=MAX_PART.min(chars.len() / 2))
        .filter_map(|length| chars.get(..length))
        .find(|unit| chars.iter().zip(unit.iter().cycle()).all(|(a, b)| a == b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::{COMMON, is_guessable};
    use crate::identity::characters;

    const ABOUT: [&str; 4] = ["ada.lovelace@example.org", "Ada.Lovelace", "auth.example.org", "Gro\u{df}strassenbahn"];

    #[test]
    fn the_list_of_parts_is_complete_sorted_and_folded() {
        assert_eq!(characters::folded(COMMON), COMMON);
        let list: Vec<_> = COMMON.lines().collect();
        assert!(list.iter().filter(|word| word.chars().count() >= 8).count() >= 3000);
        assert!(list.is_sorted(), "required by the binary search");
    }

    #[test]
    fn a_password_of_guessable_parts_is_refused_in_any_case() {
        for bad in [
            "password",
            "qwertyuiop12345",
            "QwertyUIOP12345",
            "aaaaaaaaaaaaaaa",
            "               ",
            "abcabcabcabcabca",
            "passwordpassword",
            "PASSWORDpassword",
            "password password password",
            "123456789012345",
            "987654321098765",
            "abcdefghijklmno",
            "1234567890abcdef",
            "password1234567",
            "Password12345678",
            "password123password",
            "Passwordpassword1",
            "qwertyuiopasdfghjkl",
            "qwertyuiopasdfghjklzxcvbnm",
            "1q2w3e4r5t6y7u8i",
            "iloveyou1234567",
            "letmeinletmein12",
            "dragon2024monkey",
            "Ada.Lovelace@example.org",
            "ada.lovelace1234567",
            "2024Ada.Lovelace!!",
            "auth.example.org",
            "ada.lovelace@example.orgada.lovelace@example.org",
            "adalovelace1815",
            "passwordpasswordpasswordpassword1",
            "GRO\u{df}STRA\u{1e9e}ENBAHN",
        ] {
            assert!(is_guessable(bad, &ABOUT), "{bad:?}");
        }
    }

    #[test]
    fn a_common_password_is_refused_without_guessable_parts() {
        for bad in [
            "30secondstomars",
            "30SecondsToMars",
            "2222333344445555",
            "qazwsxedcrfvtgbyhn",
            "cristianoronaldo",
            "CRISTIANORONALDO",
            "cristianoronaldo7",
            "Cristianoronaldo24!",
            // Short ones count where PASSWORD_MIN_LENGTH permits them.
            "liverpool",
            "chocolate99",
        ] {
            assert!(is_guessable(bad, &ABOUT), "{bad:?}");
        }
    }

    #[test]
    fn a_strong_password_is_accepted() {
        for good in [
            "correct horse battery staple",
            "ada.lovelace@example.org is me",
            "my dragon is no monkey",
            "xK7#mPq9vL2$wRt",
            "trombone-velvet-ninety",
            "xx9$4!7@2#5%8^1&",
            "\u{5d0}\u{5d1}\u{5d2} right to left",
        ] {
            assert!(!is_guessable(good, &ABOUT), "{good:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(password in "\\PC{0,80}", about in "\\PC{0,20}") {
            let _ = is_guessable(&password, &[&about]);
        }

        #[test]
        fn case_is_ignored(password in "[ -~]{0,20}|(pass|qwe|123|ada){2,5}") {
            prop_assert_eq!(is_guessable(&password, &ABOUT), is_guessable(&password.to_uppercase(), &ABOUT));
        }
    }
}
