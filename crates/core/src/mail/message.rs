//! The subject, the plain text and the HTML of a mail.

use chrono::DateTime;

use super::content::{Content, Link};
use super::device::Device;
use super::kind::Kind;
use super::locale::Locale;
use super::texts::texts;
use super::texts::types::{Duration, Facts};
use super::{clean, html};

/// How long after the request an address changes whose mailbox is said to be lost, in seconds: seven days.
pub const LOST_MAILBOX_DELAY: u64 = 604_800;

/// Maximum lengths in bytes. A line of text has at most 998 (RFC 5322 §2.1.1), and may contain several of them.
const MAX_APP_BYTES: usize = 60;
const MAX_CODE_BYTES: usize = 20;
const MAX_ADDRESS_BYTES: usize = 254;

/// The app that sends a mail.
pub struct Sender<'a> {
    /// Its name.
    pub app_name: &'a str,
    /// The URL of a page, or a `mailto:`, where its users get help.
    pub support_url: Option<&'a str>,
    /// The URL of the account pages.
    pub account_url: &'a str,
}

/// What a mail tells. Anything in it may come from a stranger. Links that are not ASCII, or not `https:`, `http:` or `mailto:`,
/// are left out.
pub struct Mail<'a> {
    /// The kind.
    pub kind: Kind,
    /// The language.
    pub locale: Locale,
    /// The name of the recipient. Pass none if nobody has proved the address: anybody can register an address of someone else
    /// with any name. Left out if it does not look like a name, and in kinds of mail that reach strangers.
    pub name: Option<&'a str>,
    /// The address that the mail is sent to.
    pub email: &'a str,
    /// The code, as shown: `ABCD-EFGH`.
    pub code: Option<&'a str>,
    /// How long code and link are valid, in minutes.
    pub minutes: u64,
    /// The link, which does what the code does.
    pub link: Option<&'a str>,
    /// The link that disowns ([`Kind::Verify`], [`Kind::Register`]) or cancels ([`Kind::EmailChangePending`]).
    pub other_link: Option<&'a str>,
    /// When the code was requested, or when it happened, in unix seconds. For every notice of a change with a lost mailbox:
    /// when the change was requested.
    pub at: u64,
    /// The IP address of the device that requested or caused it.
    pub ip: Option<&'a str>,
    /// The `User-Agent` of that device.
    pub user_agent: Option<&'a str>,
    /// The new address of the account ([`Kind::ChangeOld`], [`Kind::EmailChangePending`], [`Kind::EmailChanged`]), the factor
    /// ([`Kind::FactorAdded`], [`Kind::FactorRemoved`]) or the number of recovery codes that are left ([`Kind::RecoveryCodeUsed`]).
    pub detail: Option<&'a str>,
}

/// A mail, ready to send.
pub struct Message {
    /// The subject: one line.
    pub subject: String,
    /// The plain text, with LF at the end of each line.
    pub text: String,
    /// The same in HTML.
    pub html: String,
}

/// Words a mail.
#[must_use]
pub fn render(mail: &Mail<'_>, sender: &Sender<'_>) -> Message {
    let app = clean::line(sender.app_name, MAX_APP_BYTES);
    let name = mail.name.filter(|_| !mail.kind.reaches_strangers()).and_then(clean::name);
    let email = clean::line(mail.email, MAX_ADDRESS_BYTES);
    let code = mail.code.filter(|_| mail.kind.has_code()).map(|code| clean::line(code, MAX_CODE_BYTES));
    let detail = mail.detail.map(|detail| clean::line(detail, MAX_ADDRESS_BYTES));
    let moment =
        |seconds: u64| DateTime::from_timestamp(i64::try_from(seconds).unwrap_or_default(), 0).unwrap_or_default();
    let texts = texts(
        mail.locale,
        &Facts {
            kind: mail.kind,
            app: &app,
            name: name.as_deref(),
            email: &email,
            code: code.as_deref(),
            valid: Duration::of(mail.minutes),
            at: moment(mail.at),
            due: moment(mail.at.saturating_add(LOST_MAILBOX_DELAY)),
            device: Device::of(mail.user_agent.unwrap_or_default()),
            ip: mail.ip.and_then(|ip| ip.parse().ok()),
            detail: detail.as_deref(),
        },
    );
    let (action, other) = links(mail, sender);
    let support = sender.support_url.and_then(clean::url);
    let lead = texts.greeting.iter().chain([&texts.own.what, &texts.origin]);
    let content = Content {
        app: &app,
        lang: mail.locale.as_str(),
        lead: lead.map(String::as_str).collect::<Vec<_>>().join(" "),
        is_notice: mail.kind.is_notice(),
        code: code.as_deref(),
        action: action.map(|url| Link { label: texts.own.action, url }),
        other: texts.own.other_action.zip(other).map(|(label, url)| Link { label, url }),
        support: support.map(|url| Link { label: url.trim_start_matches("mailto:"), url }),
        texts,
    };
    Message { text: text(&content), html: html::render(&content), subject: content.texts.own.subject }
}

/// The links of the button and of the paragraph for those who did not cause the mail.
fn links<'a>(mail: &Mail<'a>, sender: &Sender<'a>) -> (Option<&'a str>, Option<&'a str>) {
    let link = mail.link.and_then(clean::url);
    let other_link = mail.other_link.and_then(clean::url);
    let account = clean::url(sender.account_url);
    match mail.kind {
        Kind::Verify | Kind::Register => (link, other_link),
        Kind::Reset | Kind::Login | Kind::ChangeNew | Kind::Invite => (link, None),
        Kind::ChangeOld => (link, account),
        Kind::EmailChangePending => (other_link, account),
        Kind::AccountExists
        | Kind::PasswordChanged
        | Kind::EmailChanged
        | Kind::NewDevice
        | Kind::ReuseDetected
        | Kind::Throttled
        | Kind::Evicted
        | Kind::FactorAdded
        | Kind::FactorRemoved
        | Kind::FactorsReset
        | Kind::RecoveryCodeUsed => (link.or(account), None),
    }
}

/// The plain text: paragraphs of one line, which mail programs wrap, and each code and link on a line of its own.
fn text(content: &Content<'_>) -> String {
    let Content { texts, lead, code, action, other, support, .. } = content;
    let link = |Link { label, url }: &Link<'_>| format!("{label}:\n{url}");
    let code = code.map(|code| format!("    {code}\n\n{}", texts.validity));
    let support = support.as_ref().map(|support| format!("\n{} {}", texts.help, support.label));
    let mut paragraphs = vec![lead.clone()];
    paragraphs.extend(code);
    paragraphs.extend(content.before().map(str::to_owned));
    paragraphs.extend(action.as_ref().map(link));
    paragraphs.extend(content.after().map(str::to_owned));
    paragraphs.extend(other.as_ref().map(link));
    paragraphs.push(format!("{}{}\n", texts.sent_to, support.unwrap_or_default()));
    paragraphs.join("\n\n")
}

#[cfg(test)]
mod tests;
