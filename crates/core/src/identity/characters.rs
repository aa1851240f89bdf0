//! Case folding and character properties of Unicode that the standard library lacks.

use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use unicase::UniCase;
use unicode_normalization::UnicodeNormalization as _;

/// Whether a character is invisible: Unicode's property `Default_Ignorable_Code_Point`. Two texts that differ only in such
/// characters look the same.
#[must_use]
pub fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// Whether a character changes the layout of the text around it: a control, a line or paragraph separator, or an embedding,
/// override or isolate of the bidirectional algorithm.
#[must_use]
pub fn is_layout(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The key for comparing texts without regard to case: NFC, full case folding (Unicode §3.13), NFC. Canonically equivalent
/// texts have the same key.
///
/// Case folding maps each character by itself, so a prefix of a text folds to a prefix of its key. `str::to_lowercase` does
/// not: it maps a final sigma differently.
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

    /// Its upper case is `I`, whose lower case is `i`.
    const DOTLESS_I: char = '\u{131}';

    /// The text in upper case, lower case, title case and inverted title case.
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
    fn all_cases_of_a_character_fold_alike_except_dotless_i() {
        let has_cases = |c: &char| c.to_lowercase().ne([*c]) || c.to_uppercase().ne([*c]);
        for c in ('\0'..=char::MAX).filter(has_cases) {
            let text: String = c.nfc().collect();
            for case in cases(&text) {
                assert_eq!(folded(&case) == folded(&text), c != DOTLESS_I || case.contains(c), "{c:?} {case:?}");
            }
        }
    }

    #[test]
    fn folding_any_character_twice_changes_nothing() {
        // No character above has a case or a decomposition.
        for c in '\0'..='\u{2ffff}' {
            let once = folded(&c.to_string());
            assert_eq!(folded(&once), once, "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn folding_any_text_twice_changes_nothing(text in any::<String>(), letters in "[\\p{L}\\p{M}]{0,12}") {
            for text in [text, letters] {
                let once = folded(&text);
                prop_assert_eq!(folded(&once), once);
            }
        }

        #[test]
        fn canonically_equivalent_texts_fold_alike(text in any::<String>(), letters in "[\\p{L}\\p{M}]{0,12}") {
            for text in [text, letters] {
                prop_assert_eq!(folded(&text.nfd().collect::<String>()), folded(&text));
            }
        }

        #[test]
        fn all_cases_of_a_text_fold_alike(letters in "[\\p{L}\\p{M} &&[^\u{131}]]{0,12}") {
            // In NFC: upper-casing an unnormalised text can reorder the marks of a letter if one is an iota.
            let text: String = letters.nfc().collect();
            for case in cases(&text) {
                prop_assert_eq!(folded(&case), folded(&text));
            }
        }
    }
}
