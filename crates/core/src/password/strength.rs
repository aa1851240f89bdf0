//! Passwords that are guessed first (NIST SP 800-63B-4 §3.1.1.2: compare with a list of commonly used, expected or
//! compromised values).
//!
//! Those that many people chose are a set, [`common_passwords`]. It has some 9,800 of fifteen characters, because few people
//! were ever made to choose one: those who are take a common one and make it longer. So a password is also refused if it is
//! made of nothing but a few such parts: common passwords, what the user entered about themselves, runs, keyboard rows, short
//! numbers. Common passwords as parts are a list of their own: every piece of a password is looked up, and the set would find
//! one piece in 65,536 by mistake.

use super::common;
use crate::identity::characters;

/// Lower case, one a line, in the order of their bytes; from the frequency list of zxcvbn-ts (see
/// `common_passwords.LICENSE`): the first 1000 with letters of 5 to 7 characters, the first 3000 of at least 8, and all
/// of at least 12.
const COMMON: &str = include_str!("common_passwords.txt");
/// Rows and the ways down them, as people run their fingers along; both directions count.
const KEYBOARD: [&str; 6] = [
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1234567890",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
];
/// So many parts, guessed one after another, are a password that is guessed first.
const MAX_PARTS: usize = 3;
/// Longer passwords are compared as a whole only, so that looking for parts costs little.
const MAX_CHARS_IN_PARTS: usize = 64;
/// The longest part, and the longest repeated unit, that is looked for.
const MAX_PART: usize = 32;
/// Units up to this many characters make a password guessable however often they are repeated.
const SHORT_UNIT: usize = 5;
/// The shortest run, keyboard run and word of the person's own that is a part.
const MIN_RUN: usize = 3;
const MIN_KEYBOARD_RUN: usize = 4;
const MIN_OWN_WORD: usize = 4;
/// The most digits or signs in a row that are a part whatever they are: a year, a number behind a word.
const MAX_FILLER: usize = 4;

/// Whether a password is among those that are guessed first; `about` is what the user entered about
/// themselves, and the service's own name. Case does not count.
#[must_use]
pub fn is_guessable(password: &str, about: &[&str]) -> bool {
    let chars = fold(password);
    let is_common = |chars: &[char]| common::contains(&chars.iter().collect::<String>());
    is_common(&chars) || is_common(without_tail(&chars)) || is_composed(password, about)
}

/// Whether a password is made of nothing but a few parts that are guessed first.
#[must_use]
pub fn is_composed(password: &str, about: &[&str]) -> bool {
    let chars = fold(password);
    let parts =
        Parts { common: COMMON.lines().collect(), own: about.iter().flat_map(|text| own_words(text)).collect() };
    if parts.own.contains(&chars) || parts.is_made_of_few(&chars) {
        return true;
    }
    let is_repetition = |chars: &[char]| {
        repeated_unit(chars).is_some_and(|unit| unit.len() <= SHORT_UNIT || parts.is_made_of_few(unit))
    };
    is_repetition(&chars) || is_repetition(without_tail(&chars))
}

fn fold(text: &str) -> Vec<char> {
    characters::folded(text).chars().collect()
}

/// A text whole, its words, and its words in one.
fn own_words(text: &str) -> Vec<Vec<char>> {
    let whole = fold(text);
    let words = whole.split(|c| !c.is_alphanumeric()).map(<[char]>::to_vec);
    let together = whole.iter().copied().filter(|c| c.is_alphanumeric()).collect();
    words.chain([together, whole.clone()]).filter(|word| !word.is_empty()).collect()
}

/// Without the digits and signs behind its last letter, if they are few enough to be a filler.
fn without_tail(chars: &[char]) -> &[char] {
    let tail = chars.iter().rev().take_while(|c| !c.is_alphabetic()).count();
    let kept = if tail <= MAX_FILLER { chars.len().saturating_sub(tail) } else { chars.len() };
    chars.get(..kept).unwrap_or(chars)
}

struct Parts<'a> {
    common: Vec<&'a str>,
    own: Vec<Vec<char>>,
}

impl Parts<'_> {
    /// Whether the text falls into at most [`MAX_PARTS`] parts.
    fn is_made_of_few(&self, chars: &[char]) -> bool {
        if chars.len() > MAX_CHARS_IN_PARTS {
            return self.is_part(chars);
        }
        // The fewest parts that the first so many characters fall into; of none, no parts.
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
            || (chars.len() >= MIN_RUN && is_run(chars))
            || (chars.len() >= MIN_KEYBOARD_RUN && is_keyboard_run(&word))
            || (chars.len() >= MIN_OWN_WORD && self.own.iter().any(|own| own == chars))
            || self.common.binary_search(&word.as_str()).is_ok()
    }
}

/// Whether every character follows from the one before by the same step of -1, 0 or 1, digits going round from 9 to 0.
fn is_run(chars: &[char]) -> bool {
    let step = |a: char, b: char| match (a.to_digit(10), b.to_digit(10)) {
        (Some(9), Some(0)) => 1,
        (Some(0), Some(9)) => -1,
        _ => i64::from(u32::from(b)).saturating_sub(i64::from(u32::from(a))),
    };
    let mut steps = chars.iter().zip(chars.iter().skip(1)).map(|(a, b)| step(*a, *b));
    steps.next().is_some_and(|first| (-1..=1).contains(&first) && steps.all(|next| next == first))
}

fn is_keyboard_run(word: &str) -> bool {
    let backwards: String = word.chars().rev().collect();
    KEYBOARD.iter().any(|row| row.contains(word) || row.contains(&backwards))
}

/// The shortest unit that the whole text is a repetition of (the last one may be cut off), if it fits twice.
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
    fn the_list_is_long_enough_and_in_order_and_folded() {
        assert_eq!(characters::folded(COMMON), COMMON);
        let list: Vec<_> = COMMON.lines().collect();
        assert!(list.iter().filter(|word| word.chars().count() >= 8).count() >= 3000);
        assert!(list.is_sorted(), "it is searched by halves");
    }

    #[test]
    fn what_is_guessed_first_is_refused_whatever_its_case() {
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
    fn what_many_chose_is_refused_though_it_is_made_of_no_parts() {
        for bad in [
            "30secondstomars",
            "30SecondsToMars",
            "2222333344445555",
            "qazwsxedcrfvtgbyhn",
            "cristianoronaldo",
            "CRISTIANORONALDO",
            "cristianoronaldo7",
            "Cristianoronaldo24!",
            // Of the longer ones few are common; those that are shorter count where PASSWORD_MIN_LENGTH takes them.
            "liverpool",
            "chocolate99",
        ] {
            assert!(is_guessable(bad, &ABOUT), "{bad:?}");
        }
    }

    #[test]
    fn what_takes_more_guesses_is_taken() {
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
        fn any_text_is_judged(password in "\\PC{0,80}", about in "\\PC{0,20}") {
            let _ = is_guessable(&password, &[&about]);
        }

        #[test]
        fn case_does_not_count(password in "[ -~]{0,20}|(pass|qwe|123|ada){2,5}") {
            prop_assert_eq!(is_guessable(&password, &ABOUT), is_guessable(&password.to_uppercase(), &ABOUT));
        }
    }
}
