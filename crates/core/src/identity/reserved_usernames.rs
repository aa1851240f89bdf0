//! Usernames that nobody may choose, because other users would take their owner for the service or its operator, or
//! programs would take them for something else than a username.
//!
//! The mailboxes of RFC 2142, the ones by which certificates are asked for (CA/Browser Forum Baseline Requirements,
//! 3.2.2.4.4), the accounts of operating and mail systems, the usual words for those who run a service, the routes here, and
//! words that programs take for something else.

/// As [`is_reserved`] compares them, in the order of their bytes.
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

/// Whether a username in lower case is reserved. Dots, underscores and hyphens do not count: `no-reply` is `noreply`.
pub(crate) fn is_reserved(key: &str) -> bool {
    let letters: String = key.chars().filter(|c| !matches!(c, '.' | '_' | '-')).collect();
    NAMES.binary_search(&letters.as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{NAMES, is_reserved};

    #[test]
    fn the_list_is_in_order_and_as_it_is_compared() {
        assert!(NAMES.is_sorted_by(|a, b| a < b), "it is searched by halves");
        for name in NAMES {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{name}");
        }
    }

    #[test]
    fn the_names_of_those_who_run_a_service_are_reserved_however_they_are_divided() {
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
    fn a_name_that_only_holds_a_reserved_one_is_not() {
        for name in ["ada", "admin1", "1admin", "administratrix", "rooty", "the-admin", "supporter", "infos", "grace.h"]
        {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
