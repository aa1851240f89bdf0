//! Usernames that users cannot choose: they suggest the service or its operator, or have a special meaning to programs.
//!
//! The list holds the mailboxes of RFC 2142, those that prove control of a domain (CA/Browser Forum Baseline Requirements
//! §3.2.2.4.4), accounts of operating and mail systems, usual words for operators, the routes of this service, and words
//! such as `null`.

/// In the form that [`is_reserved`] compares, in byte order.
#[rustfmt::skip]
const NAMES: [&str; 153] = [
    "abuse", "account", "accounts", "admin", "administrator", "administrators", "admins", "all", "anonymous", "api",
    "app", "auth", "autoconfig", "autodiscover", "billing", "bot", "bots", "bounce", "bounces", "broadcasthost",
    "careers", "certificates", "compliance", "contact", "copyright", "customercare", "customerservice", "daemon",
    "dashboard", "dmca", "docs", "donotreply", "dpo", "everybody", "everyone", "feedback", "fraud", "ftp", "guest",
    "guests", "healthz", "help", "helpdesk", "hostmaster", "imap", "info", "introspect", "isatap", "it", "jobs",
    "jwks", "legal", "listmaster", "localdomain", "localhost", "login", "logout", "mail", "mailer", "mailerdaemon",
    "mailserver", "manager", "marketing", "me", "mod", "moderator", "moderators", "mods", "my", "news", "newsletter",
    "nil", "nobody", "noc", "none", "noreply", "notification", "notifications", "null", "oauth", "official", "openid",
    "operator", "owner", "owners", "password", "passwords", "payment", "payments", "phishing", "pop", "pop3",
    "portcullis", "postmaster", "press", "privacy", "profile", "refresh", "register", "registration", "revoke",
    "robot", "robots", "root", "safety", "sales", "secure", "security", "self", "service", "services", "session",
    "sessions", "settings", "signin", "signout", "signup", "smtp", "spam", "ssl", "ssladmin", "ssladministrator",
    "sslwebmaster", "staff", "status", "sudo", "superadmin", "superuser", "supervisor", "support", "sysadmin",
    "sysop", "system", "team", "terms", "token", "trust", "undefined", "unknown", "usenet", "user", "username",
    "users", "uucp", "verification", "verified", "verify", "webadmin", "webmail", "webmaster", "wellknown", "wpad",
    "www",
];

/// Whether the key of a username is reserved. Dots, underscores and hyphens are ignored: `no-reply` is `noreply`.
pub(crate) fn is_reserved(key: &str) -> bool {
    let letters: String = key.chars().filter(|c| !matches!(c, '.' | '_' | '-')).collect();
    NAMES.binary_search(&letters.as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{NAMES, is_reserved};

    #[test]
    fn the_list_is_sorted_and_has_no_separators() {
        assert!(NAMES.is_sorted_by(|a, b| a < b), "required by the binary search");
        for name in NAMES {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{name}");
        }
    }

    #[test]
    fn a_reserved_name_is_recognised_whatever_its_separators() {
        for name in [
            "admin",
            "administrator",
            "root",
            "support",
            "postmaster",
            "hostmaster",
            "webmaster",
            "abuse",
            "noreply",
            "security",
            "system",
            "help",
            "info",
            "api",
            "www",
            "ad.min",
            "a-d_m.i-n",
            "m.e",
            "no-reply",
            "no_reply",
            "do.not.reply",
            "mailer-daemon",
            "ssl-admin",
        ] {
            assert!(is_reserved(name), "{name}");
        }
    }

    #[test]
    fn a_name_that_contains_a_reserved_one_is_allowed() {
        for name in ["ada", "admin1", "1admin", "administratrix", "rooty", "the-admin", "supporter", "infos", "grace.h"]
        {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
