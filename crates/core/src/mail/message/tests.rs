use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;

use super::{Mail, Message, Sender, render};
use crate::identity::characters::is_layout;
use crate::mail::kind::Kind;
use crate::mail::locale::Locale;

const CODE: &str = "ABCD-EFGH";
const LINK: &str = "https://auth.example.org/account/confirm#token=abc";
const OTHER_LINK: &str = "https://auth.example.org/account/confirm#disown=abc";
const SENDER: Sender<'_> = Sender {
    app_name: "Acme Notes",
    support_url: Some("https://example.org/help"),
    account_url: "https://auth.example.org/account",
};

fn mail(kind: Kind, locale: Locale) -> Mail<'static> {
    Mail {
        kind,
        locale,
        name: Some("Ada Lovelace"),
        email: "ada@example.org",
        code: Some(CODE),
        minutes: 30,
        link: kind.has_code().then_some(LINK),
        other_link: Some(OTHER_LINK),
        // 2026-11-26T11:55:53Z
        at: 1_795_694_153,
        ip: Some("192.0.2.1"),
        user_agent: Some("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        detail: Some("new@example.org"),
    }
}

fn all() -> impl Iterator<Item = (Mail<'static>, Message)> {
    let kinds = Kind::ALL.into_iter().flat_map(|kind| Locale::ALL.map(|locale| mail(kind, locale)));
    kinds.map(|mail| {
        let message = render(&mail, &SENDER);
        (mail, message)
    })
}

/// The number of times that each form of the mail contains a text.
fn counts(message: &Message, text: &str) -> [usize; 2] {
    [&message.text, &message.html].map(|form| form.matches(text).count())
}

#[test]
fn the_plain_text_has_the_code_and_each_link_on_a_line() {
    let message = render(&mail(Kind::Register, Locale::En), &SENDER);
    assert_eq!(message.subject, "Complete your registration at Acme Notes");
    assert_eq!(
        message.text,
        "This code completes a registration at Acme Notes with your e-mail address. The code was requested on 26\u{a0}November 2026 at \
         11:55 UTC from Firefox on Windows (IP address 192.0.2.1). Nobody from Acme Notes will ever ask you for it.\n\
         \n    ABCD-EFGH\n\
         \nCode and link are valid for 30 minutes.\n\
         \nComplete registration:\nhttps://auth.example.org/account/confirm#token=abc\n\
         \nIf you did not register, delete the registration. Without the code there will be no account.\n\
         \nThis was not me:\nhttps://auth.example.org/account/confirm#disown=abc\n\
         \nAcme Notes sent this e-mail to ada@example.org.\nHelp: https://example.org/help\n"
    );
    let message = render(&mail(Kind::EmailChangePending, Locale::De), &SENDER);
    assert_eq!(message.subject, "Ihre E-Mail-Adresse f\u{fc}r Acme Notes wird bald ge\u{e4}ndert");
    for line in [
        "Guten Tag, Ada Lovelace. Jemand m\u{f6}chte die E-Mail-Adresse Ihres Kontos bei Acme Notes in new@example.org ",
        "Das geschah am 26.\u{a0}November 2026 um 11:55 Uhr UTC mit Firefox unter Windows (IP-Adresse 192.0.2.1).\n",
        "\nDie \u{c4}nderung gilt ab dem 3.\u{a0}Dezember 2026 um 11:55 Uhr UTC, wenn Sie sie nicht abbrechen.\n",
        "\n\u{c4}nderung abbrechen:\nhttps://auth.example.org/account/confirm#disown=abc\n",
        "\nKonto \u{f6}ffnen:\nhttps://auth.example.org/account\n",
        "\nHilfe: https://example.org/help\n",
    ] {
        assert!(message.text.contains(line), "{line} in {}", message.text);
    }
}

#[test]
fn mails_with_a_code_have_the_code_once_and_the_link() {
    for (mail, message) in all() {
        let kind = mail.kind;
        let has_code = usize::from(kind.has_code());
        let in_subject = usize::from(kind == Kind::Login);
        // In the HTML the subject is the title, and the link is that of the button and that of the URL below it, which is its
        // text as well.
        assert_eq!(counts(&message, CODE), [has_code, has_code + in_subject], "{kind:?}");
        assert_eq!(message.subject.matches(CODE).count(), in_subject, "{kind:?}");
        assert_eq!(counts(&message, LINK), [has_code, 3 * has_code], "{kind:?}");
        let shows_time = message.text.contains("30 minutes") || message.text.contains("30 Minuten");
        assert_eq!(shows_time, kind.has_code(), "{kind:?}");
    }
}

#[test]
fn links_to_disown_to_cancel_and_to_the_account_are_where_they_help() {
    for (mail, message) in all() {
        let kind = mail.kind;
        let links = [OTHER_LINK, "https://auth.example.org/account\n"].map(|link| message.text.contains(link));
        let expected = match kind {
            Kind::Verify | Kind::Register => [true, false],
            Kind::EmailChangePending => [true, true],
            Kind::Reset | Kind::Login | Kind::ChangeNew | Kind::Invite => [false, false],
            _ => [false, true],
        };
        assert_eq!(links, expected, "{kind:?}");
        assert_eq!(counts(&message, "https://example.org/help"), [1, 2], "{kind:?}");
    }
}

#[test]
fn the_first_line_says_what_when_from_where_and_that_nobody_will_ask() {
    for (mail, message) in all() {
        let lead = message.text.lines().next().unwrap();
        let (time, device, ask) = match mail.locale {
            Locale::En => ("on 26\u{a0}November 2026 at 11:55 UTC", "Firefox on Windows", "Nobody from Acme Notes"),
            Locale::De => {
                ("am 26.\u{a0}November 2026 um 11:55 Uhr UTC", "Firefox unter Windows", "Niemand von Acme Notes")
            }
        };
        for part in ["Acme Notes", time, device, "192.0.2.1"] {
            assert!(lead.contains(part), "{part} in {lead}");
            assert!(message.html.contains(part), "{part} in {lead}");
        }
        assert_eq!(lead.contains(ask), mail.kind.has_code(), "{lead}");
        assert!(message.text.contains(mail.email) && message.html.contains(mail.email));
    }
}

#[test]
fn each_language_and_kind_has_texts_of_its_own() {
    let subjects: std::collections::HashSet<_> = all().map(|(_, message)| message.subject).collect();
    assert_eq!(subjects.len(), Kind::ALL.len() * Locale::ALL.len());
    for (mail, message) in all() {
        assert!(message.html.contains(&format!("<html lang=\"{}\">", mail.locale.as_str())));
        assert!(!message.text.contains('!'), "{}", message.text);
    }
}

#[test]
fn only_mails_to_the_owner_of_the_account_have_the_name() {
    for (mail, message) in all() {
        let strangers = [Kind::Verify, Kind::Register, Kind::ChangeNew, Kind::AccountExists];
        let expected = usize::from(!strangers.contains(&mail.kind));
        assert_eq!(counts(&message, "Ada Lovelace"), [expected; 2], "{:?}", mail.kind);
        assert!(!message.subject.contains("Ada"));
    }
}

#[test]
fn the_new_address_is_told_to_the_old_one_only() {
    for (mail, message) in all() {
        let expected =
            usize::from(matches!(mail.kind, Kind::ChangeOld | Kind::EmailChangePending | Kind::EmailChanged));
        assert_eq!(counts(&message, "new@example.org"), [expected; 2], "{:?}", mail.kind);
    }
}

#[test]
fn a_notice_names_the_factor() {
    for (kind, detail, english, german) in [
        (Kind::FactorAdded, "totp", "An authenticator app was added to", "Eine Authenticator-App wurde zu"),
        (
            Kind::FactorAdded,
            "recovery_codes",
            "new recovery codes for your account",
            "neue Wiederherstellungscodes f\u{fc}r",
        ),
        (
            Kind::FactorRemoved,
            "passkey:My phone",
            "The passkey \u{201c}My phone\u{201d} was removed from",
            "Der Passkey \u{201e}My phone\u{201c} wurde aus",
        ),
        (Kind::FactorRemoved, "other", "A way to sign in was removed from", "Ein Weg zum Anmelden wurde aus"),
        (Kind::RecoveryCodeUsed, "0", "No recovery code is left.", "Kein Wiederherstellungscode ist \u{fc}brig."),
        (Kind::RecoveryCodeUsed, "1", "One recovery code is left.", "Ein Wiederherstellungscode ist \u{fc}brig."),
        (Kind::RecoveryCodeUsed, "2", "Two recovery codes are left.", "Zwei Wiederherstellungscodes sind \u{fc}brig."),
        (Kind::RecoveryCodeUsed, "9", "9 recovery codes are left.", "9 Wiederherstellungscodes sind \u{fc}brig."),
    ] {
        for (locale, expected) in [(Locale::En, english), (Locale::De, german)] {
            let message = render(&Mail { detail: Some(detail), ..mail(kind, locale) }, &SENDER);
            assert!(message.text.contains(expected), "{expected} in {}", message.text);
        }
    }
}

#[test]
fn a_subject_is_short_and_has_no_code_but_that_of_a_login() {
    for (mail, message) in all() {
        let subject = message.subject;
        assert!(subject.chars().count() <= 78 && subject.contains("Acme Notes"), "{subject}");
        assert_eq!(subject.contains(CODE), mail.kind == Kind::Login, "{subject}");
    }
}

#[test]
fn what_is_unknown_is_left_out() {
    for kind in Kind::ALL {
        for locale in Locale::ALL {
            let mail = Mail {
                name: None,
                code: None,
                link: None,
                other_link: None,
                ip: Some("unknown"),
                user_agent: None,
                detail: None,
                ..mail(kind, locale)
            };
            let Message { text, html, .. } = render(&mail, &Sender { support_url: None, account_url: "", ..SENDER });
            assert!(!text.contains("IP") && !text.contains("unknown") && !text.contains("  "), "{text}");
            assert!(!html.contains("href"), "{html}");
            assert!(["UTC.", "UTC angefordert."].iter().any(|end| text.contains(end)), "{text}");
        }
    }
}

#[test]
fn part_of_the_origin_is_told_if_the_rest_is_unknown() {
    for (user_agent, ip, english, german) in [
        (Some("Firefox/1"), None, "UTC from Firefox.", "UTC mit Firefox."),
        (
            Some("okhttp Android"),
            Some("2001:db8::1"),
            "UTC from Android (IP address 2001:db8::1).",
            "UTC unter Android (IP-Adresse 2001:db8::1).",
        ),
        (
            Some("evil.example"),
            Some("192.0.2.1"),
            "UTC from the IP address 192.0.2.1.",
            "UTC von der IP-Adresse 192.0.2.1 aus.",
        ),
    ] {
        for (locale, origin) in [(Locale::En, english), (Locale::De, german)] {
            let message = render(&Mail { ip, user_agent, ..mail(Kind::NewDevice, locale) }, &SENDER);
            assert!(message.text.contains(origin), "{}", message.text);
        }
    }
}

#[test]
fn a_life_of_one_has_the_singular() {
    for (minutes, english, german) in
        [(1, "1 minute.", "1 Minute."), (60, "1 hour.", "1 Stunde."), (10_080, "7 days.", "7 Tage.")]
    {
        for (locale, life) in [(Locale::En, english), (Locale::De, german)] {
            let message = render(&Mail { minutes, ..mail(Kind::Invite, locale) }, &SENDER);
            assert!(message.text.contains(life), "{}", message.text);
        }
    }
}

#[test]
fn every_field_is_escaped() {
    let bad = "<script>&\"'";
    let link = format!("https://example.org/{bad}");
    for kind in Kind::ALL {
        for locale in Locale::ALL {
            let mail = Mail {
                name: Some(bad),
                email: bad,
                code: Some(bad),
                link: Some(&link),
                other_link: Some(&link),
                ip: Some(bad),
                user_agent: Some(bad),
                detail: Some(bad),
                ..mail(kind, locale)
            };
            let sender = Sender { app_name: bad, support_url: Some(&link), account_url: &link };
            let Message { html, .. } = render(&mail, &sender);
            assert!(!html.contains("<script") && !html.contains("&\"") && !html.contains("&'"), "{html}");
            assert!(html.contains("&lt;script&gt;&amp;&quot;'"), "{html}");
        }
    }
}

#[test]
fn nothing_is_remote_or_a_script() {
    for (_, Message { html, .. }) in all() {
        for word in ["<script", "<img", "<link", "src=", "url(", "@import", "onclick"] {
            assert!(!html.contains(word), "{word}");
        }
    }
}

proptest! {
    #[test]
    fn any_field_is_harmless(
        kind in select(&Kind::ALL[..]),
        locale in select(&Locale::ALL[..]),
        names in (option::of(any::<String>()), vec(any::<char>(), 0..400), any::<String>()),
        texts in (any::<String>(), option::of(any::<String>()), option::of(vec(any::<char>(), 0..400)), option::of(any::<String>())),
        links in ("[!-~]{0,40}", "[!-~]{0,40}"),
        (minutes, at) in any::<(u64, u64)>(),
    ) {
        let long = |chars: &Vec<char>| chars.iter().collect::<String>();
        let (name, long_app, app) = (&names.0, &long(&names.1), &names.2);
        let (email, user_agent, detail, ip) = (&texts.0, &texts.1, texts.2.as_ref().map(long), &texts.3);
        let [link, other_link] = [&links.0, &links.1].map(|path| format!("https://example.org/{path}"));
        let harmless = mail(kind, locale);
        for app_name in [long_app, app] {
            let mail = Mail {
                name: name.as_deref(),
                email,
                minutes,
                link: harmless.link.and(Some(&link)),
                other_link: Some(&other_link),
                at,
                ip: ip.as_deref(),
                user_agent: user_agent.as_deref(),
                detail: detail.as_deref(),
                ..mail(kind, locale)
            };
            let message = render(&mail, &Sender { app_name, ..SENDER });
            prop_assert!(!message.subject.contains(is_layout), "{:?}", message.subject);
            prop_assert!(message.subject.len() <= 160, "{:?}", message.subject);
            for line in message.text.split('\n') {
                prop_assert!(!line.contains(is_layout) && line.len() <= 998, "{:?}", line);
            }
            // The lines and the elements are those of a harmless mail.
            let expected = render(&harmless, &SENDER);
            prop_assert_eq!(message.text.lines().count(), expected.text.lines().count());
            prop_assert_eq!(message.html.matches('<').count(), expected.html.matches('<').count());
            prop_assert_eq!(message.html.matches('"').count(), expected.html.matches('"').count());
            prop_assert_eq!(message.html.contains(CODE), kind.has_code());
        }
    }
}
