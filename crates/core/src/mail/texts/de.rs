//! German.

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};

use super::types::{Duration, Facts, Own, Texts};
use crate::mail::device::Device;
use crate::mail::factor::Factor;
use crate::mail::kind::Kind;

const MONTHS: [&str; 12] = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
];

pub fn texts(facts: &Facts<'_>) -> Texts {
    let app = facts.app;
    let origin = origin(facts);
    Texts {
        own: own(facts),
        greeting: facts.name.map(|name| format!("Guten Tag, {name}.")),
        origin: if facts.kind.has_code() {
            format!("Der Code wurde {origin} angefordert. Niemand von {app} wird Sie je danach fragen.")
        } else {
            format!("Das geschah {origin}.")
        },
        validity: format!("Code und Link gelten {}.", duration(&facts.valid)),
        open: "Oder öffnen Sie diesen Link:",
        sent_to: format!("{app} hat diese E-Mail an {} gesendet.", facts.email),
        help: "Hilfe:",
    }
}

#[expect(clippy::too_many_lines, reason = "the table has a row per kind")]
fn own(facts: &Facts<'_>) -> Own {
    let Facts { app, email, code, detail, .. } = facts;
    let to_detail = detail.map(|detail| format!(" in {detail}")).unwrap_or_default();
    let factor = detail.and_then(Factor::parse);
    match facts.kind {
        Kind::Verify => Own {
            subject: format!("Bestätigen Sie Ihre E-Mail-Adresse für {app}"),
            title: "E-Mail-Adresse bestätigen",
            what: format!("Mit diesem Code bestätigen Sie die E-Mail-Adresse Ihres Kontos bei {app}."),
            more: None,
            action: "Adresse bestätigen",
            not_you: format!(
                "Wenn Sie kein Konto bei {app} angelegt haben, hat jemand anderes Ihre Adresse angegeben."
            ),
            other_action: Some("Das war ich nicht"),
        },
        Kind::Register => Own {
            subject: format!("Schließen Sie Ihre Registrierung bei {app} ab"),
            title: "Registrierung abschließen",
            what: format!("Mit diesem Code schließen Sie eine Registrierung bei {app} mit Ihrer E-Mail-Adresse ab."),
            more: None,
            action: "Registrierung abschließen",
            not_you:
                "Wenn Sie sich nicht registriert haben, löschen Sie die Registrierung. Ohne den Code entsteht kein Konto."
                    .to_owned(),
            other_action: Some("Das war ich nicht"),
        },
        Kind::Reset => Own {
            subject: format!("Neues Passwort für {app} festlegen"),
            title: "Neues Passwort festlegen",
            what: format!("Mit diesem Code legen Sie ein neues Passwort für Ihr Konto bei {app} fest."),
            more: None,
            action: "Neues Passwort festlegen",
            not_you: "Wenn Sie das nicht waren, ignorieren Sie diese E-Mail. Ohne den Code bleibt Ihr Passwort, wie es ist."
                .to_owned(),
            other_action: None,
        },
        Kind::Login => Own {
            subject: match code {
                Some(code) => format!("{code} ist Ihr Code für {app}"),
                None => format!("Ihr Code für {app}"),
            },
            title: "Ihr Code zum Anmelden",
            what: format!("Mit diesem Code melden Sie sich bei {app} an."),
            more: Some(
                "Der Link meldet Sie nur in dem Browser an, in dem der Code angefordert wurde. In jedem anderen Browser zeigt er Ihnen den Code zum Eintippen."
                    .to_owned(),
            ),
            action: "Anmelden",
            not_you: "Wenn Sie das nicht waren, ignorieren Sie diese E-Mail und geben Sie den Code niemandem.".to_owned(),
            other_action: None,
        },
        Kind::ChangeNew => Own {
            subject: format!("Bestätigen Sie Ihre neue E-Mail-Adresse für {app}"),
            title: "Neue E-Mail-Adresse bestätigen",
            what: format!("Mit diesem Code wird {email} die E-Mail-Adresse eines Kontos bei {app}."),
            more: None,
            action: "Neue Adresse bestätigen",
            not_you: "Wenn Sie das nicht waren, ignorieren Sie diese E-Mail. Ohne den Code ändert sich nichts.".to_owned(),
            other_action: None,
        },
        Kind::ChangeOld => Own {
            subject: format!("Erlauben Sie eine neue E-Mail-Adresse für {app}"),
            title: "Neue E-Mail-Adresse erlauben",
            what: format!("Mit diesem Code erlauben Sie, die E-Mail-Adresse Ihres Kontos bei {app}{to_detail} zu ändern."),
            more: None,
            action: "Neue Adresse erlauben",
            not_you:
                "Wenn Sie das nicht waren, ist vielleicht jemand anderes bei Ihrem Konto angemeldet. Ändern Sie sofort Ihr Passwort."
                    .to_owned(),
            other_action: Some("Konto öffnen"),
        },
        Kind::Invite => Own {
            subject: format!("Ihre Einladung zu {app}"),
            title: "Sie sind eingeladen",
            what: format!("Mit diesem Code nehmen Sie eine Einladung zu {app} an und richten Ihr Konto ein."),
            more: None,
            action: "Einladung annehmen",
            not_you: "Wenn Sie keine Einladung erwarten, ignorieren Sie diese E-Mail.".to_owned(),
            other_action: None,
        },
        Kind::AccountExists => Own {
            subject: format!("Sie haben bereits ein Konto bei {app}"),
            title: "Sie haben bereits ein Konto",
            what: format!(
                "Jemand hat bei {app} Ihre E-Mail-Adresse angegeben, um sich zu registrieren oder sie für ein anderes Konto zu verwenden."
            ),
            more: Some(
                "Ihr Konto besteht bereits und ist unverändert. Wenn Sie das waren, melden Sie sich an. Wenn Sie Ihr Passwort vergessen haben, setzen Sie es dort zurück."
                    .to_owned(),
            ),
            action: "Anmelden",
            not_you: "Wenn Sie das nicht waren, müssen Sie nichts tun. Niemand hat Zugang zu Ihrem Konto erhalten.".to_owned(),
            other_action: None,
        },
        Kind::PasswordChanged => Own {
            subject: format!("Ihr Passwort für {app} wurde geändert"),
            title: "Ihr Passwort wurde geändert",
            what: format!("Das Passwort Ihres Kontos bei {app} wurde geändert."),
            more: None,
            action: "Konto öffnen",
            not_you:
                "Wenn Sie das nicht waren, setzen Sie Ihr Passwort sofort zurück. Danach sind alle Geräte abgemeldet."
                    .to_owned(),
            other_action: None,
        },
        Kind::EmailChangePending => Own {
            subject: format!("Ihre E-Mail-Adresse für {app} wird bald geändert"),
            title: "Ihre E-Mail-Adresse wird bald geändert",
            what: format!(
                "Jemand möchte die E-Mail-Adresse Ihres Kontos bei {app}{to_detail} ändern und hat angegeben, keinen Zugang mehr zu diesem Postfach zu haben."
            ),
            more: Some(format!("Die Änderung gilt ab dem {}, wenn Sie sie nicht abbrechen.", date(facts.due))),
            action: "Änderung abbrechen",
            not_you: "Wenn Sie das nicht waren, brechen Sie die Änderung ab, und ändern Sie dann Ihr Passwort.".to_owned(),
            other_action: Some("Konto öffnen"),
        },
        Kind::EmailChanged => Own {
            subject: format!("Ihre E-Mail-Adresse für {app} wurde geändert"),
            title: "Ihre E-Mail-Adresse wurde geändert",
            what: format!("Die E-Mail-Adresse Ihres Kontos bei {app} wurde{to_detail} geändert."),
            more: None,
            action: "Konto öffnen",
            not_you:
                "Wenn Sie das nicht waren, melden Sie sich mit der neuen Adresse an und ändern Sie sofort Ihr Passwort."
                    .to_owned(),
            other_action: None,
        },
        Kind::NewDevice => Own {
            subject: format!("Neue Anmeldung bei Ihrem Konto bei {app}"),
            title: "Neue Anmeldung",
            what: format!("Jemand hat sich mit einem neuen Gerät bei Ihrem Konto bei {app} angemeldet."),
            more: None,
            action: "Konto öffnen",
            not_you: "Wenn Sie das waren, müssen Sie nichts tun. Wenn nicht, ändern Sie sofort Ihr Passwort.".to_owned(),
            other_action: None,
        },
        Kind::ReuseDetected => Own {
            subject: format!("Wir haben eine Sitzung Ihres Kontos bei {app} beendet"),
            title: "Wir haben eine Sitzung beendet",
            what: format!(
                "Vielleicht hat jemand eine Sitzung Ihres Kontos bei {app} von einem Ihrer Geräte kopiert, darum haben wir sie beendet."
            ),
            more: Some("Sie müssen sich auf diesem Gerät neu anmelden.".to_owned()),
            action: "Konto öffnen",
            not_you: "Ändern Sie zur Sicherheit Ihr Passwort.".to_owned(),
            other_action: None,
        },
        Kind::Throttled => Own {
            subject: format!("Fehlgeschlagene Anmeldungen bei {app}"),
            title: "Fehlgeschlagene Anmeldungen",
            what: format!(
                "Jemand hat zu oft versucht, sich mit einem falschen Passwort bei Ihrem Konto bei {app} anzumelden. Wir verzögern weitere Versuche."
            ),
            more: None,
            action: "Konto öffnen",
            not_you:
                "Wenn Sie das nicht waren: Niemand hat Zugang erhalten. Wenn Sie Ihr Passwort auch anderswo verwenden, ändern Sie es."
                    .to_owned(),
            other_action: None,
        },
        Kind::Evicted => Own {
            subject: format!("Ungewöhnlich viele Anmeldungen bei {app}"),
            title: "Ungewöhnlich viele Anmeldungen",
            what: format!(
                "Bei Ihrem Konto bei {app} gab es so viele Anmeldungen, dass wir viele ältere Sitzungen beendet haben."
            ),
            more: None,
            action: "Konto öffnen",
            not_you: "Wenn Sie das nicht waren, ändern Sie sofort Ihr Passwort.".to_owned(),
            other_action: None,
        },
        Kind::FactorAdded => Own {
            subject: match factor {
                Some(Factor::RecoveryCodes) => format!("Neue Wiederherstellungscodes für Ihr Konto bei {app}"),
                _ => format!("Neuer Weg zum Anmelden bei {app}"),
            },
            title: match factor {
                Some(Factor::RecoveryCodes) => "Neue Wiederherstellungscodes",
                _ => "Neuer Weg zum Anmelden",
            },
            what: match factor {
                Some(Factor::RecoveryCodes) => format!(
                    "Jemand hat neue Wiederherstellungscodes für Ihr Konto bei {app} erstellt. Die alten gelten nicht mehr."
                ),
                _ => format!("{} wurde zu Ihrem Konto bei {app} hinzugefügt.", factor_name(factor)),
            },
            more: None,
            action: "Konto öffnen",
            not_you: "Wenn Sie das nicht waren, ändern Sie sofort Ihr Passwort und prüfen Sie, wie man sich bei Ihrem Konto anmelden kann."
                .to_owned(),
            other_action: None,
        },
        Kind::FactorRemoved => Own {
            subject: format!("Ein Weg zum Anmelden bei {app} wurde entfernt"),
            title: "Ein Weg zum Anmelden wurde entfernt",
            what: format!("{} wurde aus Ihrem Konto bei {app} entfernt.", factor_name(factor)),
            more: None,
            action: "Konto öffnen",
            not_you: "Wenn Sie das nicht waren, ändern Sie sofort Ihr Passwort und prüfen Sie, wie man sich bei Ihrem Konto anmelden kann."
                .to_owned(),
            other_action: None,
        },
        Kind::FactorsReset => Own {
            subject: format!("Ihre zweiten Faktoren bei {app} wurden entfernt"),
            title: "Ihre zweiten Faktoren wurden entfernt",
            what: format!(
                "Die Administration hat Authenticator-App, Passkeys und Wiederherstellungscodes Ihres Kontos bei {app} entfernt."
            ),
            more: Some(
                "Alle Geräte sind abgemeldet. Ihre nächste Anmeldung braucht einen Code aus einer E-Mail an diese Adresse."
                    .to_owned(),
            ),
            action: "Konto öffnen",
            not_you: "Wenn Sie nicht darum gebeten haben, ändern Sie Ihr Passwort und wenden Sie sich an Ihre Administration."
                .to_owned(),
            other_action: None,
        },
        Kind::RecoveryCodeUsed => Own {
            subject: format!("Wiederherstellungscode für {app} verwendet"),
            title: "Ein Wiederherstellungscode wurde verwendet",
            what: format!(
                "Jemand hat sich mit einem Wiederherstellungscode bei Ihrem Konto bei {app} angemeldet.{}",
                codes_left(*detail)
            ),
            more: None,
            action: "Konto öffnen",
            not_you:
                "Wenn Sie das nicht waren, ändern Sie sofort Ihr Passwort und erstellen Sie neue Wiederherstellungscodes."
                    .to_owned(),
            other_action: None,
        },
    }
}

/// A factor at the beginning of a sentence.
fn factor_name(factor: Option<Factor<'_>>) -> String {
    match factor {
        Some(Factor::Totp) => "Eine Authenticator-App".to_owned(),
        Some(Factor::Passkey(name)) => format!("Der Passkey \u{201e}{name}\u{201c}"),
        Some(Factor::RecoveryCodes) | None => "Ein Weg zum Anmelden".to_owned(),
    }
}

/// How many recovery codes are left.
fn codes_left(detail: Option<&str>) -> String {
    match detail.and_then(|left| left.parse::<u64>().ok()) {
        Some(0) => " Kein Wiederherstellungscode ist übrig. Erstellen Sie neue.".to_owned(),
        Some(1) => " Ein Wiederherstellungscode ist übrig. Erstellen Sie neue.".to_owned(),
        Some(2) => " Zwei Wiederherstellungscodes sind übrig. Erstellen Sie bald neue.".to_owned(),
        Some(left) => format!(" {left} Wiederherstellungscodes sind übrig."),
        None => String::new(),
    }
}

/// When and from where.
fn origin(facts: &Facts<'_>) -> String {
    let device = match facts.device {
        Device { browser: Some(browser), system: Some(system) } => format!(" mit {browser} unter {system}"),
        Device { browser: Some(browser), .. } => format!(" mit {browser}"),
        Device { system: Some(system), .. } => format!(" unter {system}"),
        Device { .. } => String::new(),
    };
    let ip = match facts.ip {
        None => String::new(),
        Some(ip) if device.is_empty() => format!(" von der IP-Adresse {ip} aus"),
        Some(ip) => format!(" (IP-Adresse {ip})"),
    };
    format!("am {}{device}{ip}", date(facts.at))
}

fn date(at: DateTime<Utc>) -> String {
    let month = MONTHS.into_iter().nth(at.month0() as usize).unwrap_or_default();
    format!("{}.\u{a0}{month} {} um {:02}:{:02} Uhr UTC", at.day(), at.year(), at.hour(), at.minute())
}

fn duration(duration: &Duration) -> String {
    let (number, one, many) = match *duration {
        Duration::Minutes(number) => (number, "Minute", "Minuten"),
        Duration::Hours(number) => (number, "Stunde", "Stunden"),
        Duration::Days(number) => (number, "Tag", "Tage"),
    };
    format!("{number} {}", if number == 1 { one } else { many })
}
