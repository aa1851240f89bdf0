//! The table of endpoints. Each handler has its own file.

mod email;
pub mod error;
mod gateway;
mod health;
#[cfg(feature = "openapi")]
mod openapi;
mod root;

/// The endpoints with which users manage their own account and sessions.
mod account {
    pub mod add_passkey;
    pub mod add_totp;
    pub mod cancel_email;
    pub mod change_email;
    pub mod change_password;
    pub mod confirm_email;
    pub mod confirm_totp;
    pub mod delete_me;
    pub mod end_session;
    pub mod end_sessions;
    pub mod events;
    pub mod me;
    pub mod mfa;
    pub mod passkey_options;
    pub mod passkeys;
    pub mod recovery_codes;
    pub mod remove_passkey;
    pub mod remove_totp;
    pub mod rename_passkey;
    pub mod sessions;
    pub mod step_up;
    pub mod update_me;
}

/// The endpoints with which admins manage accounts.
mod admin {
    pub mod delete_user;
    pub mod end_user_sessions;
    pub mod invite_user;
    pub mod lift_throttle;
    pub mod reset_user_mfa;
    pub mod reset_user_password;
    pub mod stats;
    pub mod throttle;
    pub mod update_user;
    pub mod user;
    pub mod user_sessions;
    pub mod users;
}

/// The endpoints of OAuth 2 and its metadata, for clients and resource servers.
mod oauth {
    pub mod introspect;
    pub mod jwks;
    pub mod metadata;
    pub mod revoke;
    pub mod token;
}

/// The static assets: account pages, documentation, `openapi.json`.
mod pages {
    pub mod account;
    mod asset;
    pub mod config;
    pub mod docs;
    pub mod openapi;
    pub mod passkey_endpoints;
}

/// The endpoints that create accounts, log in and refresh.
mod sign_in {
    pub mod email_login;
    pub mod email_login_verify;
    pub mod login;
    pub mod logout;
    pub mod mfa;
    pub mod mfa_options;
    mod new_account;
    pub mod passkey_login;
    pub mod passkey_options;
    pub mod refresh;
    pub mod register;
    pub mod register_passkey;
    pub mod register_passkey_options;
    pub mod related_origins;
    mod turnstile;
}

use error::ApiError;

use crate::config::Config;
use crate::context::{Context, EndpointLimit};
use crate::http::{ErrorFormat, Method, Reply, Request};

/// An endpoint, which is a row of the table.
pub struct Endpoint {
    /// The name in the log.
    pub name: &'static str,
    method: Method,
    pattern: Pattern,
    body: Body,
    error_format: ErrorFormat,
    /// The class of rate limits that it asks.
    pub limit: EndpointLimit,
    handler: Handler,
}

/// Whether an endpoint reads a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Read,
    Ignored,
}

/// Generates the table and the handler calls from rows. tests/support/routes.mjs reads the same rows, one line each.
macro_rules! endpoints {
    ($($name:ident: $method:ident $pattern:literal => $($handler:ident)::+, $body:ident, $error_format:ident, $limit:ident;)*) => {
        #[derive(Clone, Copy, PartialEq, Eq)]
        enum Handler {
            $($name,)*
        }

        const ENDPOINTS: &[Endpoint] = &[$(Endpoint {
            name: stringify!($name),
            method: Method::$method,
            pattern: Pattern::new($pattern),
            body: Body::$body,
            error_format: ErrorFormat::$error_format,
            limit: EndpointLimit::$limit,
            handler: Handler::$name,
        },)*];

        impl Handler {
            async fn call(self, context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
                match self {
                    $(Self::$name => $($handler)::+(context, request).await,)*
                }
            }
        }

        /// The OpenAPI document. Each handler has a function `describe` beside it.
        #[cfg(feature = "openapi")]
        pub fn openapi() -> String {
            let row = openapi::Operation::new;
            openapi::document(&[$(
                beside!([] $($handler)::+)(
                    row(Method::$method, $pattern, ErrorFormat::$error_format, EndpointLimit::$limit)
                ),
            )*])
        }
    };
}

/// The function `describe` in the module of a handler.
#[cfg(feature = "openapi")]
macro_rules! beside {
    ([$($module:ident)*] $handler:ident) => { $($module::)*describe };
    ([$($module:ident)*] $next:ident::$($rest:ident)::+) => { beside!([$($module)* $next] $($rest)::+) };
}

// Name: method pattern => handler, body, error format, class of rate limits. GET endpoints also answer HEAD. Endpoints of one path have one
// error format, and `Allow` lists their methods in this order. Of several patterns that match a path, the first counts.
endpoints! {
    Root: Get "/" => root::get, Ignored, Problem, None;
    Register: Post "/register" => sign_in::register::post, Read, Problem, Credentials;
    RegisterPasskeyOptions: Post "/register/passkey/options" => sign_in::register_passkey_options::post, Read, Problem, Credentials;
    RegisterPasskey: Post "/register/passkey" => sign_in::register_passkey::post, Read, Problem, Credentials;
    Login: Post "/login" => sign_in::login::post, Read, Problem, Credentials;
    EmailLogin: Post "/login/email" => sign_in::email_login::post, Read, Problem, Credentials;
    EmailLoginVerify: Post "/login/email/verify" => sign_in::email_login_verify::post, Read, Problem, Credentials;
    LoginMfa: Post "/login/mfa" => sign_in::mfa::post, Read, Problem, Credentials;
    LoginMfaOptions: Post "/login/mfa/options" => sign_in::mfa_options::post, Read, Problem, Credentials;
    PasskeyOptions: Post "/passkeys/options" => sign_in::passkey_options::post, Ignored, Problem, None;
    PasskeyLogin: Post "/passkeys/login" => sign_in::passkey_login::post, Read, Problem, Credentials;
    ForgotPassword: Post "/password/forgot" => email::forgot_password::post, Read, Problem, Credentials;
    ResetPassword: Post "/password/reset" => email::reset_password::post, Read, Problem, Credentials;
    SendVerification: Post "/email/verify/send" => email::send_verification::post, Read, Problem, Credentials;
    VerifyEmail: Post "/email/verify" => email::verify::post, Read, Problem, Credentials;
    Disown: Post "/email/disown" => email::disown::post, Read, Problem, Credentials;
    MailLink: Post "/email/link" => email::link::post, Read, Problem, Credentials;
    Refresh: Post "/refresh" => sign_in::refresh::post, Read, Problem, None;
    Logout: Post "/logout" => sign_in::logout::post, Read, Problem, None;
    Token: Post "/token" => oauth::token::post, Read, OAuth, None;
    Revoke: Post "/revoke" => oauth::revoke::post, Read, OAuth, None;
    Introspect: Post "/introspect" => oauth::introspect::post, Read, OAuth, None;
    Me: Get "/me" => account::me::get, Ignored, Problem, None;
    UpdateMe: Patch "/me" => account::update_me::patch, Read, Problem, Writes;
    DeleteMe: Delete "/me" => account::delete_me::delete, Ignored, Problem, Writes;
    StepUp: Post "/me/step-up" => account::step_up::post, Read, Problem, Writes;
    Mfa: Get "/me/mfa" => account::mfa::get, Ignored, Problem, None;
    AddTotp: Post "/me/mfa/totp" => account::add_totp::post, Ignored, Problem, Writes;
    RemoveTotp: Delete "/me/mfa/totp" => account::remove_totp::delete, Ignored, Problem, Writes;
    ConfirmTotp: Post "/me/mfa/totp/confirm" => account::confirm_totp::post, Read, Problem, Writes;
    RecoveryCodes: Post "/me/mfa/recovery-codes" => account::recovery_codes::post, Ignored, Problem, Writes;
    ChangePassword: Post "/me/password" => account::change_password::post, Read, Problem, Writes;
    ChangeEmail: Post "/me/email" => account::change_email::post, Read, Problem, Writes;
    ConfirmEmail: Post "/me/email/confirm" => account::confirm_email::post, Read, Problem, Writes;
    CancelEmail: Post "/me/email/cancel" => account::cancel_email::post, Read, Problem, Credentials;
    Passkeys: Get "/me/passkeys" => account::passkeys::get, Ignored, Problem, None;
    AddPasskey: Post "/me/passkeys" => account::add_passkey::post, Read, Problem, Writes;
    MyPasskeyOptions: Post "/me/passkeys/options" => account::passkey_options::post, Read, Problem, Writes;
    RenamePasskey: Patch "/me/passkeys/{id}" => account::rename_passkey::patch, Read, Problem, Writes;
    RemovePasskey: Delete "/me/passkeys/{id}" => account::remove_passkey::delete, Ignored, Problem, Writes;
    MyEvents: Get "/me/events" => account::events::get_own, Ignored, Problem, None;
    Sessions: Get "/sessions" => account::sessions::get, Ignored, Problem, None;
    EndSessions: Delete "/sessions" => account::end_sessions::delete, Ignored, Problem, Writes;
    EndSession: Delete "/sessions/{id}" => account::end_session::delete, Ignored, Problem, Writes;
    Users: Get "/users" => admin::users::get, Ignored, Problem, None;
    InviteUser: Post "/users" => admin::invite_user::post, Read, Problem, Writes;
    User: Get "/users/{id}" => admin::user::get, Ignored, Problem, None;
    UpdateUser: Patch "/users/{id}" => admin::update_user::patch, Read, Problem, Writes;
    DeleteUser: Delete "/users/{id}" => admin::delete_user::delete, Ignored, Problem, Writes;
    UserSessions: Get "/users/{id}/sessions" => admin::user_sessions::get, Ignored, Problem, None;
    EndUserSessions: Delete "/users/{id}/sessions" => admin::end_user_sessions::delete, Ignored, Problem, Writes;
    ResetUserPassword: Post "/users/{id}/password-reset" => admin::reset_user_password::post, Ignored, Problem, Writes;
    ResetUserMfa: Delete "/users/{id}/mfa" => admin::reset_user_mfa::delete, Ignored, Problem, Writes;
    UserThrottle: Get "/users/{id}/throttle" => admin::throttle::get, Ignored, Problem, None;
    LiftUserThrottle: Delete "/users/{id}/throttle" => admin::lift_throttle::delete, Ignored, Problem, Writes;
    UserEvents: Get "/users/{id}/events" => account::events::get, Ignored, Problem, None;
    Stats: Get "/stats" => admin::stats::get, Ignored, Problem, None;
    Verify: Get "/verify" => gateway::get, Ignored, Problem, None;
    OAuthMetadata: Get "/.well-known/oauth-authorization-server" => oauth::metadata::get, Ignored, Problem, None;
    OpenIdMetadata: Get "/.well-known/openid-configuration" => oauth::metadata::get, Ignored, Problem, None;
    Jwks: Get "/.well-known/jwks.json" => oauth::jwks::get, Ignored, Problem, None;
    RelatedOrigins: Get "/.well-known/webauthn" => sign_in::related_origins::get, Ignored, Problem, None;
    PasskeyEndpoints: Get "/.well-known/passkey-endpoints" => pages::passkey_endpoints::get, Ignored, Problem, None;
    Healthz: Get "/healthz" => health::get, Ignored, Problem, None;
    OpenApi: Get "/openapi.json" => pages::openapi::get, Ignored, Problem, None;
    Docs: Get "/docs" => pages::docs::get, Ignored, Problem, None;
    DocsFile: Get "/docs/{*file}" => pages::docs::get_file, Ignored, Problem, None;
    Account: Get "/account" => pages::account::get, Ignored, Problem, None;
    AccountConfig: Get "/account/config.json" => pages::config::get, Ignored, Problem, None;
    AccountFile: Get "/account/{*file}" => pages::account::get_file, Ignored, Problem, None;
}

/// A path, of which one segment may be `{id}`, or which ends with `{*name}`.
#[derive(PartialEq, Eq)]
struct Pattern {
    /// The path up to the variable part.
    prefix: &'static str,
    variable: Variable,
}

/// The variable part of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Variable {
    None,
    /// One segment, followed by this.
    Id(&'static str),
    /// The rest of the path, which may be empty.
    Rest,
}

impl Pattern {
    /// Parses a pattern at compile time.
    const fn new(pattern: &'static str) -> Self {
        let mut at = 0_usize;
        let mut rest = pattern.as_bytes();
        while let [byte, tail @ ..] = rest {
            if *byte == b'{'
                && let Some((prefix, end)) = pattern.split_at_checked(at)
                && let Some((_, suffix)) = end.split_at_checked("{id}".len())
            {
                let variable = if let [b'*', ..] = tail { Variable::Rest } else { Variable::Id(suffix) };
                return Self { prefix, variable };
            }
            at = at.saturating_add(1);
            rest = tail;
        }
        Self { prefix: pattern, variable: Variable::None }
    }

    /// The variable part of a matching path; empty if the pattern has none.
    fn match_variable<'p>(&self, path: &'p str) -> Option<&'p str> {
        match self.variable {
            Variable::None => (path == self.prefix).then_some(""),
            Variable::Id(suffix) => path.strip_prefix(self.prefix)?.strip_suffix(suffix).filter(|id| !id.contains('/')),
            Variable::Rest => path.strip_prefix(self.prefix),
        }
    }
}

impl Endpoint {
    fn accepts(&self, method: Method) -> bool {
        method == self.method || (method == Method::Head && self.method == Method::Get)
    }

    /// Whether it reads a body.
    pub fn reads_body(&self) -> bool {
        self.body == Body::Read
    }

    /// Answers a request.
    pub async fn handle(&self, context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
        self.handler.call(context, request).await
    }
}

/// The endpoint for a method and a path below the base path, and the variable part of the path.
pub fn find(method: Method, path: &str) -> Option<(&'static Endpoint, &str)> {
    let at_path = |endpoint: &'static Endpoint| Some((&endpoint.pattern, endpoint.pattern.match_variable(path)?));
    let (pattern, variable) = ENDPOINTS.iter().find_map(at_path)?;
    let mut endpoints = ENDPOINTS.iter().filter(|endpoint| endpoint.pattern == *pattern);
    endpoints.find(|endpoint| endpoint.accepts(method)).map(|endpoint| (endpoint, variable))
}

/// The value of `Allow` for a path below the base path; `None` for an unknown path.
pub fn methods(path: &str) -> Option<String> {
    const NAMES: [(Method, &str); 5] = [
        (Method::Get, "GET"),
        (Method::Head, "HEAD"),
        (Method::Post, "POST"),
        (Method::Patch, "PATCH"),
        (Method::Delete, "DELETE"),
    ];
    let accepted: Vec<_> =
        NAMES.iter().filter(|(method, _)| find(*method, path).is_some()).map(|(_, name)| *name).collect();
    (!accepted.is_empty()).then(|| [accepted, vec!["OPTIONS"]].concat().join(", "))
}

/// The error format for a path below the base path.
pub fn error_format(path: &str) -> ErrorFormat {
    let endpoint = ENDPOINTS.iter().find(|endpoint| endpoint.pattern.match_variable(path).is_some());
    endpoint.map_or(ErrorFormat::Problem, |endpoint| endpoint.error_format)
}

/// Whether a path below the base path belongs to a part of the service that the configuration turns off.
pub fn is_off(path: &str, config: &Config) -> bool {
    let is_in = |area: &str| path.strip_prefix(area).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    (!config.pages.account && is_in("/account")) || (!config.pages.docs && (is_in("/docs") || is_in("/openapi.json")))
}

fn is_at(path: &str, handlers: &[Handler]) -> bool {
    find(Method::Get, path).is_some_and(|(endpoint, _)| handlers.contains(&endpoint.handler))
}

const METADATA: [Handler; 2] = [Handler::OAuthMetadata, Handler::OpenIdMetadata];
/// Browsers ask for these at the root of the host only.
const AT_ROOT: [Handler; 2] = [Handler::RelatedOrigins, Handler::PasskeyEndpoints];

/// The part of a full path below the base path; `/` for the base path itself, empty for any other path. The metadata of an issuer with
/// a path is at the root of the host, with that path after the well-known path (RFC 8414 §3). What
/// browsers ask about passkeys is at the root, too.
pub fn strip_base_path<'a>(path: &'a str, config: &Config) -> &'a str {
    if path == config.base_path {
        return "/";
    }
    if is_at(path, &AT_ROOT) {
        return path;
    }
    let metadata = path.strip_suffix(&config.base_path).filter(|path| is_at(path, &METADATA));
    metadata.or_else(|| path.strip_prefix(&config.base_path)).unwrap_or_default()
}

/// Whether a full path is answered at any address. This is true for the health check, because a monitor may use another address, and
/// for the metadata of an issuer with a path, which is at the root of the host.
pub fn answers_anywhere(path: &str, config: &Config) -> bool {
    let at_root = path.strip_suffix(&config.base_path).filter(|_| !config.base_path.is_empty());
    at_root.is_some_and(|path| is_at(path, &METADATA)) || is_at(strip_base_path(path, config), &[Handler::Healthz])
}

#[cfg(test)]
mod tests {
    use super::{ENDPOINTS, Handler, Variable, find, methods};
    use crate::http::Method;

    fn found(method: Method, path: &str) -> Option<(&'static str, &str)> {
        find(method, path).map(|(endpoint, variable)| (endpoint.name, variable))
    }

    #[test]
    fn only_the_exact_path_matches() {
        assert_eq!(found(Method::Get, "/me"), Some(("Me", "")));
        for path in ["/me/", "//me", "/ME", "/me;x", "/me%00", "/%6de", "/me/x.css", "me", ""] {
            assert_eq!(found(Method::Get, path), None, "{path}");
            assert_eq!(methods(path), None, "{path}");
        }
    }

    #[test]
    fn an_id_is_one_segment_of_a_path() {
        for (method, path, name) in [
            (Method::Delete, "/sessions/{id}", "EndSession"),
            (Method::Get, "/users/{id}", "User"),
            (Method::Head, "/users/{id}", "User"),
            (Method::Patch, "/users/{id}", "UpdateUser"),
            (Method::Delete, "/users/{id}/sessions", "EndUserSessions"),
            (Method::Get, "/users/{id}/events", "UserEvents"),
        ] {
            for id in ["BwcHBwcHBwcHBwcHBwcHBw", "x", "", "%20"] {
                assert_eq!(found(method, &path.replace("{id}", id)), Some((name, id)));
            }
            assert_eq!(found(method, &path.replace("{id}", "x/y")), None);
        }
        assert_eq!(found(Method::Get, "/sessions/x"), None);
        for path in ["/sessions/x/", "/users/x/", "/users/x/events/", "/users/x/y", "/users/x/sessions/y"] {
            assert_eq!(methods(path), None, "{path}");
        }
    }

    #[test]
    fn a_pattern_may_leave_the_rest_of_a_path_open() {
        for rest in ["", "x", "x/y.css", "x/", "%20"] {
            assert_eq!(found(Method::Head, &format!("/docs/{rest}")), Some(("DocsFile", rest)));
            assert_eq!(found(Method::Post, &format!("/docs/{rest}")), None);
        }
        assert_eq!(found(Method::Get, "/docs"), Some(("Docs", "")));
        assert_eq!(found(Method::Get, "/account/config.json"), Some(("AccountConfig", "")));
        assert_eq!(found(Method::Get, "/account/x/config.json"), Some(("AccountFile", "x/config.json")));
        assert_eq!(methods("/account/x").as_deref(), Some("GET, HEAD, OPTIONS"));
        for path in ["/docsx", "/Docs/x", "/accounts", "/openapi.json/"] {
            assert_eq!(methods(path), None, "{path}");
        }
    }

    #[test]
    fn allow_lists_the_methods_of_a_path() {
        assert_eq!(methods("/me").as_deref(), Some("GET, HEAD, PATCH, DELETE, OPTIONS"));
        assert_eq!(methods("/login").as_deref(), Some("POST, OPTIONS"));
        assert_eq!(methods("/sessions").as_deref(), Some("GET, HEAD, DELETE, OPTIONS"));
        assert_eq!(methods("/sessions/x").as_deref(), Some("DELETE, OPTIONS"));
        assert!(find(Method::Other, "/login").is_none());
    }

    #[test]
    fn every_endpoint_is_found_and_the_errors_of_a_path_have_one_format() {
        for endpoint in ENDPOINTS {
            let variable = match endpoint.pattern.variable {
                Variable::None => String::new(),
                Variable::Id(suffix) => format!("x{suffix}"),
                Variable::Rest => "x".to_owned(),
            };
            let path = endpoint.pattern.prefix.to_owned() + &variable;
            let (own, _) = find(endpoint.method, &path).unwrap();
            assert!(own.handler == endpoint.handler, "{} is hidden by {}", endpoint.name, own.name);
            assert_eq!(super::error_format(&path), endpoint.error_format, "{}", endpoint.name);
        }
        assert!(super::is_at("/healthz", &[Handler::Healthz]) && !super::is_at("/me", &[Handler::Healthz]));
    }
}
