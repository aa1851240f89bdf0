//! Prints an example of each mail in each language, one JSON object per line: kind, locale, subject, text, html.

use std::io::{self, Write as _};

use portcullis_core::mail::kind::Kind;
use portcullis_core::mail::locale::Locale;
use portcullis_core::mail::message::{Mail, Sender, render};
use serde_json::json;

fn main() -> io::Result<()> {
    let sender = Sender {
        app_name: "Acme Notes",
        support_url: Some("https://example.org/help"),
        account_url: "https://auth.example.org/account",
    };
    let mut stdout = io::stdout().lock();
    for kind in Kind::ALL {
        for locale in Locale::ALL {
            let mail = Mail {
                kind,
                locale,
                name: Some("Ada Lovelace"),
                email: "ada.lovelace@example.org",
                code: Some("7KQM-X4TR"),
                minutes: if kind == Kind::Reset { 30 } else { 10 },
                link: kind.has_code().then_some(
                    "https://auth.example.org/account/confirm#token=AZq0m1xk3GqdYpR1sXw8cK5uQ2tB7nVfJ4hLe6oDiZ0yTgAbCdEf",
                ),
                other_link: Some("https://auth.example.org/account/confirm#disown=AZq0m1xk3GqdYpR1sXw8cK5uQ2tB7nVf"),
                at: 1_795_694_153,
                ip: Some("2001:db8:85a3:8d3:1319:8a2e:370:7348"),
                user_agent: Some("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"),
                detail: Some("countess.of.lovelace@mail.subdomain.example.org"),
            };
            let message = render(&mail, &sender);
            let line = json!({
                "kind": kind.as_str(),
                "locale": locale.as_str(),
                "subject": message.subject,
                "text": message.text,
                "html": message.html,
            });
            writeln!(stdout, "{line}")?;
        }
    }
    Ok(())
}
