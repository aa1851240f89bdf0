//! What both forms of a mail show.

use super::texts::types::Texts;

/// A mail, before it is plain text or HTML.
pub struct Content<'a> {
    /// The name of the app.
    pub app: &'a str,
    /// The language, as a subtag.
    pub lang: &'static str,
    /// The texts.
    pub texts: Texts,
    /// The first paragraph.
    pub lead: String,
    /// Whether it tells of what happened to the account.
    pub is_notice: bool,
    /// The code.
    pub code: Option<&'a str>,
    /// The button.
    pub action: Option<Link<'a>>,
    /// The second link.
    pub other: Option<Link<'a>>,
    /// Where users get help.
    pub support: Option<Link<'a>>,
}

/// A link with its label.
pub struct Link<'a> {
    /// The text to click.
    pub label: &'a str,
    /// Where it leads.
    pub url: &'a str,
}

impl Content<'_> {
    /// The paragraphs before the button. In a notice the button helps those who did not cause it.
    pub fn before(&self) -> impl Iterator<Item = &str> {
        let not_you = self.is_notice.then_some(&self.texts.own.not_you);
        self.texts.own.more.iter().chain(not_you).map(String::as_str)
    }

    /// The paragraph after the button.
    pub fn after(&self) -> Option<&str> {
        (!self.is_notice).then_some(&self.texts.own.not_you)
    }
}
