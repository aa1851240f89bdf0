//! What of Unicode the standard library does not know: how texts are compared, and properties of characters.

use unicase::UniCase;
use unicode_normalization::UnicodeNormalization as _;

/// Whether a character shows nothing and is meant to be ignored: Unicode's `Default_Ignorable_Code_Point`. Two texts that
/// differ in such characters alone look the same.
#[must_use]
pub fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character changes the layout of the text around it: controls, line and paragraph separators, and the
/// overrides and isolates of the bidirectional algorithm.
#[must_use]
pub fn is_layout(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// What two texts are compared by where case does not count: canonical equivalents are one text, and so are the cases of
/// one by full case folding (Unicode, section 3.13), in NFC. Folding looks at each character by itself, so the beginning
/// of a text folds to the beginning of the folded text; `str::to_lowercase` treats a final sigma by its neighbours.
#[must_use]
pub fn folded(text: &str) -> String {
    let nfc: String = text.nfc().collect();
    UniCase::unicode(nfc).to_folded_case().nfc().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use unicode_normalization::UnicodeNormalization as _;

    use super::folded;

    /// The one letter that upper case makes another one of: `I`, which is `i`.
    const DOTLESS_I: char = '\u{131}';

    /// In upper and lower case, in the case of a title, and the other way round.
    fn cases(text: &str) -> [String; 4] {
        let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
        [
            text.to_uppercase(),
            text.to_lowercase(),
            first.to_uppercase() + &rest.to_lowercase(),
            first.to_lowercase() + &rest.to_uppercase(),
        ]
    }

    #[test]
    fn every_character_is_one_with_its_cases_but_for_the_dotless_i() {
        let has_cases = |c: &char| c.to_lowercase().ne([*c]) || c.to_uppercase().ne([*c]);
        for c in ('\0'..=char::MAX).filter(has_cases) {
            let text: String = c.nfc().collect();
            for case in cases(&text) {
                assert_eq!(folded(&case) == folded(&text), c != DOTLESS_I || case.contains(c), "{c:?} {case:?}");
            }
        }
    }

    #[test]
    fn what_is_folded_stays_as_it_is_of_every_character() {
        // Beyond, no character has a case or another form.
        for c in '\0'..='\u{2ffff}' {
            let once = folded(&c.to_string());
            assert_eq!(folded(&once), once, "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_folded_stays_as_it_is(text in any::<String>(), letters in "[\\p{L}\\p{M}]{0,12}") {
            for text in [text, letters] {
                let once = folded(&text);
                prop_assert_eq!(folded(&once), once);
            }
        }

        #[test]
        fn canonical_equivalents_are_one_text(text in any::<String>(), letters in "[\\p{L}\\p{M}]{0,12}") {
            for text in [text, letters] {
                prop_assert_eq!(folded(&text.nfd().collect::<String>()), folded(&text));
            }
        }

        #[test]
        fn the_cases_of_a_text_are_one_text(letters in "[\\p{L}\\p{M} &&[^\u{131}]]{0,12}") {
            // As it is typed. Of several marks on one letter, an iota among them, upper case changes the order.
            let text: String = letters.nfc().collect();
            for case in cases(&text) {
                prop_assert_eq!(folded(&case), folded(&text));
            }
        }
    }
}
