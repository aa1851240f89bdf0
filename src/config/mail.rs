//! How mails are sent.

use portcullis_core::mail::locale::Locales;
use portcullis_core::mail::originator::Originator;
use portcullis_core::mail::webhook::WebhookSecret;

use super::addresses::{self, Issuer};
use super::reader::{Found, Reader};

/// What sends the mails.
pub enum Sender {
    /// `log`: the log of the Worker has the mails, codes included. For development.
    Log,
    /// `binding`: the binding `send_email` of Cloudflare.
    Binding {
        /// `MAIL_FROM`.
        from: Originator,
    },
    /// `http`: an API that takes a mail as JSON.
    Http {
        /// `MAIL_FROM`.
        from: Originator,
        /// `MAIL_URL`.
        url: String,
        /// `MAIL_KEY`.
        key: String,
    },
    /// `webhook`: a service of the operator, which words the mails itself.
    Webhook {
        /// `MAIL_WEBHOOK_URL`.
        url: String,
        /// `MAIL_WEBHOOK_SECRET`.
        secret: WebhookSecret,
    },
}

/// The configuration of mails.
pub struct Mail {
    /// `MAIL`.
    pub sender: Sender,
    /// `APP_NAME`: how mails name the service.
    pub app_name: String,
    /// `SUPPORT_URL`: where users find help.
    pub support_url: Option<String>,
    /// `MAIL_LOCALES`: the languages of mails.
    pub locales: Locales,
    /// `MAIL_DAILY_LIMIT`: how many mails the sender takes in a day; 0 if that is not known.
    pub daily_limit: u64,
}

/// `EMAIL_VERIFICATION`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EmailVerification {
    /// A registration is not followed by a mail.
    Off,
    /// The address is verified after the registration, if the user wants to.
    Optional,
    /// A registration becomes an account once its code comes back.
    Required,
}

impl EmailVerification {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "optional" => Ok(Self::Optional),
            "required" => Ok(Self::Required),
            _ => Err("must be \"off\", \"optional\" or \"required\"".to_owned()),
        }
    }

    /// The value of the variable.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }
}

/// Maximum length of `APP_NAME`, in characters.
const MAX_APP_NAME: usize = 60;

pub(super) fn read(reader: &mut Reader<impl Fn(&'static str) -> Found>, issuer: Option<&Issuer>) -> Option<Mail> {
    let kind = reader.text("MAIL", "", |text| match text {
        "log" if issuer.is_some_and(|issuer| !issuer.is_loopback()) => {
            Err("\"log\" writes codes to the log, so it is only for an ISSUER on loopback".to_owned())
        }
        "" | "log" | "binding" | "http" | "webhook" => Ok(text.to_owned()),
        _ => Err("must be \"log\", \"binding\", \"http\" or \"webhook\"".to_owned()),
    });
    let from = reader.text("MAIL_FROM", "", |text| {
        let problem = "must be an address, or a name and an address: \"Example <auth@example.com>\"";
        unless_empty(text, |text| Originator::parse(text).ok_or_else(|| problem.to_owned()))
    });
    let url = reader.text("MAIL_URL", "", |text| unless_empty(text, addresses::exact));
    let key = reader.optional("MAIL_KEY", is_key, "must consist of visible ASCII characters");
    let webhook_url = reader.text("MAIL_WEBHOOK_URL", "", |text| unless_empty(text, addresses::exact));
    let webhook_secret = reader.optional(
        "MAIL_WEBHOOK_SECRET",
        |text| WebhookSecret::parse(text).is_some(),
        "must be base64url of at least 32 random bytes",
    );
    if webhook_secret.is_some() && reader.is_shared("MAIL_WEBHOOK_SECRET", "TOKEN_SECRET") {
        reader.problem("MAIL_WEBHOOK_SECRET", "must not also be TOKEN_SECRET");
    }
    let daily_limit = reader.number("MAIL_DAILY_LIMIT", 0, 0..=100_000_000);
    let locales = reader.text("MAIL_LOCALES", "en,de", |text| Locales::parse(text).map_err(|error| error.to_string()));
    let app_name = reader.text("APP_NAME", "Portcullis", |text| {
        let is_name = text.chars().count() <= MAX_APP_NAME && !text.contains(char::is_control);
        if is_name {
            Ok(text.to_owned())
        } else {
            Err(format!("must be one line of at most {MAX_APP_NAME} characters"))
        }
    });
    let support_url = reader.text("SUPPORT_URL", "", |text| unless_empty(text, addresses::exact));

    let kind = kind?;
    let needed: &[_] = match kind.as_str() {
        "binding" => &["MAIL_FROM"],
        "http" => &["MAIL_FROM", "MAIL_URL", "MAIL_KEY"],
        "webhook" => &["MAIL_WEBHOOK_URL", "MAIL_WEBHOOK_SECRET"],
        _ => &[],
    };
    for name in needed {
        if !reader.is_set(name) {
            reader.problem(name, &format!("is not set, but MAIL = \"{kind}\" needs it"));
        }
    }
    let sender = match kind.as_str() {
        "log" => Sender::Log,
        "binding" => Sender::Binding { from: from?? },
        "http" => Sender::Http { from: from??, url: url??, key: key? },
        "webhook" => Sender::Webhook { url: webhook_url??, secret: WebhookSecret::parse(&webhook_secret?)? },
        _ => return None,
    };
    Some(Mail { sender, app_name: app_name?, support_url: support_url?, locales: locales?, daily_limit })
}

/// A variable without a default.
pub(super) fn unless_empty<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

/// Whether a text can be sent in a header.
pub(super) fn is_key(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}
