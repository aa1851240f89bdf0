//! English.

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};

use super::types::{Duration, Facts, Own, Texts};
use crate::mail::device::Device;
use crate::mail::factor::Factor;
use crate::mail::kind::Kind;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub fn texts(facts: &Facts<'_>) -> Texts {
    let app = facts.app;
    let origin = origin(facts);
    Texts {
        own: own(facts),
        greeting: facts.name.map(|name| format!("Hello {name}.")),
        origin: if facts.kind.has_code() {
            format!("The code was requested {origin}. Nobody from {app} will ever ask you for it.")
        } else {
            format!("This happened {origin}.")
        },
        validity: format!("Code and link are valid for {}.", duration(&facts.valid)),
        open: "Or open this link:",
        sent_to: format!("{app} sent this e-mail to {}.", facts.email),
        help: "Help:",
    }
}

#[expect(clippy::too_many_lines, reason = "the table has a row per kind")]
fn own(facts: &Facts<'_>) -> Own {
    let Facts { app, email, code, detail, .. } = facts;
    let to_detail = detail.map(|detail| format!(" to {detail}")).unwrap_or_default();
    let factor = detail.and_then(Factor::parse);
    match facts.kind {
        Kind::Verify => Own {
            subject: format!("Confirm your e-mail address for {app}"),
            title: "Confirm your e-mail address",
            what: format!("This code confirms the e-mail address of your account at {app}."),
            more: None,
            action: "Confirm address",
            not_you: format!("If you did not create an account at {app}, someone else used your address."),
            other_action: Some("This was not me"),
        },
        Kind::Register => Own {
            subject: format!("Complete your registration at {app}"),
            title: "Complete your registration",
            what: format!("This code completes a registration at {app} with your e-mail address."),
            more: None,
            action: "Complete registration",
            not_you: "If you did not register, delete the registration. Without the code there will be no account."
                .to_owned(),
            other_action: Some("This was not me"),
        },
        Kind::Reset => Own {
            subject: format!("Set a new password for {app}"),
            title: "Set a new password",
            what: format!("This code sets a new password for your account at {app}."),
            more: None,
            action: "Set new password",
            not_you: "If this was not you, ignore this e-mail. Without the code your password stays as it is.".to_owned(),
            other_action: None,
        },
        Kind::Login => Own {
            subject: match code {
                Some(code) => format!("{code} is your code for {app}"),
                None => format!("Your code for {app}"),
            },
            title: "Your code to log in",
            what: format!("This code logs you in to {app}."),
            more: Some(
                "The link logs you in only in the browser that requested the code. In any other browser it shows you the code to type in."
                    .to_owned(),
            ),
            action: "Log in",
            not_you: "If this was not you, ignore this e-mail and give the code to nobody.".to_owned(),
            other_action: None,
        },
        Kind::ChangeNew => Own {
            subject: format!("Confirm your new e-mail address for {app}"),
            title: "Confirm your new e-mail address",
            what: format!("This code makes {email} the e-mail address of an account at {app}."),
            more: None,
            action: "Confirm new address",
            not_you: "If this was not you, ignore this e-mail. Without the code nothing changes.".to_owned(),
            other_action: None,
        },
        Kind::ChangeOld => Own {
            subject: format!("Allow a new e-mail address for {app}"),
            title: "Allow a new e-mail address",
            what: format!("This code allows the e-mail address of your account at {app} to be changed{to_detail}."),
            more: None,
            action: "Allow new address",
            not_you: "If this was not you, someone else may be logged in to your account. Change your password at once."
                .to_owned(),
            other_action: Some("Open your account"),
        },
        Kind::Invite => Own {
            subject: format!("Your invitation to {app}"),
            title: "You are invited",
            what: format!("This code accepts an invitation to {app} and sets up your account."),
            more: None,
            action: "Accept invitation",
            not_you: "If you did not expect an invitation, ignore this e-mail.".to_owned(),
            other_action: None,
        },
        Kind::AccountExists => Own {
            subject: format!("You already have an account at {app}"),
            title: "You already have an account",
            what: format!(
                "Someone entered your e-mail address at {app} to register, or to use it for another account."
            ),
            more: Some(
                "Your account exists already, and nothing about it has changed. If this was you, log in. If you have forgotten your password, reset it there."
                    .to_owned(),
            ),
            action: "Log in",
            not_you: "If this was not you, there is nothing to do. Nobody got into your account.".to_owned(),
            other_action: None,
        },
        Kind::PasswordChanged => Own {
            subject: format!("Your password for {app} was changed"),
            title: "Your password was changed",
            what: format!("The password of your account at {app} was changed."),
            more: None,
            action: "Open your account",
            not_you: "If this was not you, reset your password at once. That logs out every device."
                .to_owned(),
            other_action: None,
        },
        Kind::EmailChangePending => Own {
            subject: format!("Your e-mail address for {app} is about to change"),
            title: "Your e-mail address is about to change",
            what: format!(
                "Someone asked to change the e-mail address of your account at {app}{to_detail}, and said that this mailbox is lost."
            ),
            more: Some(format!("The change takes effect {}, unless you cancel it.", moment(facts.due))),
            action: "Cancel the change",
            not_you: "If this was not you, cancel the change, and then change your password.".to_owned(),
            other_action: Some("Open your account"),
        },
        Kind::EmailChanged => Own {
            subject: format!("Your e-mail address for {app} was changed"),
            title: "Your e-mail address was changed",
            what: format!("The e-mail address of your account at {app} was changed{to_detail}."),
            more: None,
            action: "Open your account",
            not_you: "If this was not you, log in with the new address and change your password at once.".to_owned(),
            other_action: None,
        },
        Kind::NewDevice => Own {
            subject: format!("New login to your account at {app}"),
            title: "New login to your account",
            what: format!("Someone logged in to your account at {app} on a new device."),
            more: None,
            action: "Open your account",
            not_you: "If this was you, there is nothing to do. If not, change your password at once.".to_owned(),
            other_action: None,
        },
        Kind::ReuseDetected => Own {
            subject: format!("We ended a session of your account at {app}"),
            title: "We ended a session of your account",
            what: format!(
                "Someone may have copied a session of your account at {app} from one of your devices, so we ended it."
            ),
            more: Some("You have to log in again on that device.".to_owned()),
            action: "Open your account",
            not_you: "To be safe, change your password.".to_owned(),
            other_action: None,
        },
        Kind::Throttled => Own {
            subject: format!("Failed logins to your account at {app}"),
            title: "Failed logins to your account",
            what: format!(
                "Someone tried too often to log in to your account at {app} with a wrong password. We are delaying further attempts."
            ),
            more: None,
            action: "Open your account",
            not_you: "If this was not you, nobody got in. If you also use your password elsewhere, change it.".to_owned(),
            other_action: None,
        },
        Kind::Evicted => Own {
            subject: format!("Unusually many logins to your account at {app}"),
            title: "Unusually many logins",
            what: format!("There were unusually many logins to your account at {app}. They ended many of its older sessions."),
            more: None,
            action: "Open your account",
            not_you: "If this was not you, change your password at once.".to_owned(),
            other_action: None,
        },
        Kind::FactorAdded => Own {
            subject: match factor {
                Some(Factor::RecoveryCodes) => format!("New recovery codes for your account at {app}"),
                _ => format!("New way to sign in to your account at {app}"),
            },
            title: match factor {
                Some(Factor::RecoveryCodes) => "New recovery codes",
                _ => "New way to sign in",
            },
            what: match factor {
                Some(Factor::RecoveryCodes) => {
                    format!("Someone created new recovery codes for your account at {app}. The old ones are no longer valid.")
                }
                _ => format!("{} was added to your account at {app}.", factor_name(factor)),
            },
            more: None,
            action: "Open account",
            not_you: "If this was not you, change your password and check the ways to sign in to your account right away."
                .to_owned(),
            other_action: None,
        },
        Kind::FactorRemoved => Own {
            subject: format!("A way to sign in to your account at {app} was removed"),
            title: "A way to sign in was removed",
            what: format!("{} was removed from your account at {app}.", factor_name(factor)),
            more: None,
            action: "Open account",
            not_you: "If this was not you, change your password and check the ways to sign in to your account right away."
                .to_owned(),
            other_action: None,
        },
        Kind::FactorsReset => Own {
            subject: format!("The second factors of your account at {app} were removed"),
            title: "Your second factors were removed",
            what: format!("An administrator removed the authenticator app, passkeys and recovery codes of your account at {app}."),
            more: Some("All devices are signed out. Your next sign-in needs a code from a mail to this address.".to_owned()),
            action: "Open account",
            not_you: "If you did not ask for this, change your password and contact your administrator.".to_owned(),
            other_action: None,
        },
        Kind::RecoveryCodeUsed => Own {
            subject: format!("A recovery code of your account at {app} was used"),
            title: "A recovery code was used",
            what: format!("Someone signed in to your account at {app} with a recovery code.{}", codes_left(*detail)),
            more: None,
            action: "Open account",
            not_you: "If this was not you, change your password and create new recovery codes right away.".to_owned(),
            other_action: None,
        },
    }
}

/// A factor at the beginning of a sentence.
fn factor_name(factor: Option<Factor<'_>>) -> String {
    match factor {
        Some(Factor::Totp) => "An authenticator app".to_owned(),
        Some(Factor::Passkey(name)) => format!("The passkey \u{201c}{name}\u{201d}"),
        Some(Factor::RecoveryCodes) | None => "A way to sign in".to_owned(),
    }
}

/// How many recovery codes are left.
fn codes_left(detail: Option<&str>) -> String {
    match detail.and_then(|left| left.parse::<u64>().ok()) {
        Some(0) => " No recovery code is left. Create new ones.".to_owned(),
        Some(1) => " One recovery code is left. Create new ones.".to_owned(),
        Some(2) => " Two recovery codes are left. Create new ones soon.".to_owned(),
        Some(left) => format!(" {left} recovery codes are left."),
        None => String::new(),
    }
}

/// When and from where.
fn origin(facts: &Facts<'_>) -> String {
    let device = match facts.device {
        Device { browser: Some(browser), system: Some(system) } => format!(" from {browser} on {system}"),
        Device { browser: Some(name), .. } | Device { system: Some(name), .. } => format!(" from {name}"),
        Device { .. } => String::new(),
    };
    let ip = match facts.ip {
        None => String::new(),
        Some(ip) if device.is_empty() => format!(" from the IP address {ip}"),
        Some(ip) => format!(" (IP address {ip})"),
    };
    format!("{}{device}{ip}", moment(facts.at))
}

fn moment(at: DateTime<Utc>) -> String {
    let month = MONTHS.into_iter().nth(at.month0() as usize).unwrap_or_default();
    format!("on {}\u{a0}{month} {} at {:02}:{:02} UTC", at.day(), at.year(), at.hour(), at.minute())
}

fn duration(duration: &Duration) -> String {
    let (number, unit) = match *duration {
        Duration::Minutes(number) => (number, "minute"),
        Duration::Hours(number) => (number, "hour"),
        Duration::Days(number) => (number, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}
