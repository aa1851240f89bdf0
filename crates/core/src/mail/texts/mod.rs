//! The texts of mails. A language is a module with a function [`Facts`] -> [`Texts`], so the compiler requires every text of it.

mod de;
mod en;
pub mod types;

use types::{Facts, Texts};

use super::locale::Locale;

/// The texts in a language.
pub fn texts(locale: Locale, facts: &Facts<'_>) -> Texts {
    match locale {
        Locale::En => en::texts(facts),
        Locale::De => de::texts(facts),
    }
}
