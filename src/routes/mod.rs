//! The routes: one file an endpoint, and the table of them.

mod account;
mod admin;
pub mod context;
pub mod error;
mod gateway;
mod health;
mod oauth;
mod sign_in;

use account::{change_password, delete_me, end_session, end_sessions, events, me, sessions, update_me};
use admin::{delete_user, end_user_sessions, update_user, user, user_sessions, users};
use context::Context;
use error::ApiError;
use oauth::{introspect, jwks, metadata, revoke, token};
use portcullis_core::id::Id;
use sign_in::{login, refresh, register};

use crate::config::Config;
use crate::http::{ErrorFormat, Method, Reply, Request};

pub use health::Health;

/// An endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// `POST /register`.
    Register,
    /// `POST /login`.
    Login,
    /// `POST /refresh`.
    Refresh,
    /// `POST /token`.
    Token,
    /// `POST /revoke`.
    Revoke,
    /// `POST /introspect`.
    Introspect,
    /// `POST /revoke-all`.
    RevokeAll,
    /// `GET /me`.
    Me,
    /// `PATCH /me`.
    UpdateMe,
    /// `DELETE /me`.
    DeleteMe,
    /// `POST /me/password`.
    ChangePassword,
    /// `GET /me/events`.
    MyEvents,
    /// `GET /sessions`.
    Sessions,
    /// `DELETE /sessions`.
    EndSessions,
    /// `DELETE /sessions/{id}`.
    EndSession(Id),
    /// `GET /users`.
    Users,
    /// `GET /users/{id}`.
    User(Id),
    /// `PATCH /users/{id}`.
    UpdateUser(Id),
    /// `DELETE /users/{id}`.
    DeleteUser(Id),
    /// `DELETE /users/{id}/sessions`.
    EndUserSessions(Id),
    /// `GET /users/{id}/sessions`.
    UserSessions(Id),
    /// `GET /users/{id}/events`.
    UserEvents(Id),
    /// `GET /verify`.
    Verify,
    /// `GET /.well-known/oauth-authorization-server` and `GET /.well-known/openid-configuration`.
    Metadata,
    /// `GET /.well-known/jwks.json`.
    Jwks,
    /// `GET /healthz`.
    Healthz,
}

/// What [`find`] takes of a whole path: what stands below the base path. But the metadata of an issuer with a path stands at
/// the root of its host, that path behind the well-known one (RFC 8414 §3).
#[must_use]
pub fn strip_base_path<'a>(path: &'a str, config: &Config) -> &'a str {
    let metadata = path.strip_suffix(config.issuer_path()).filter(|path| metadata::PATHS.contains(path));
    metadata.or_else(|| path.strip_prefix(&config.base_path)).unwrap_or_default()
}

/// Whether a whole path is answered at any address: the health check, as what watches over a deployment may know it by another
/// one, and the metadata at the root of the host, of an issuer with a path, as that is for the whole host to serve.
#[must_use]
pub fn answers_anywhere(path: &str, config: &Config) -> bool {
    let issuer_path = config.issuer_path();
    let of_root = path.strip_suffix(issuer_path).filter(|_| !issuer_path.is_empty());
    of_root.is_some_and(|path| metadata::PATHS.contains(&path)) || strip_base_path(path, config) == "/healthz"
}

/// The table: the endpoint of a method and a path below the base path.
#[must_use]
pub fn find(method: Method, path: &str) -> Option<Route> {
    if let Some(id) = path.strip_prefix("/sessions/").filter(|id| !id.contains('/')) {
        // A text that is no id is nobody's: what asks for it is refused, or not found, like any other.
        return (method == Method::Delete).then(|| Route::EndSession(Id::parse(id).unwrap_or(Id::NIL)));
    }
    if let Some(rest) = path.strip_prefix("/users/") {
        let (id, part) = rest.split_once('/').map_or((rest, None), |(id, part)| (id, Some(part)));
        let id = Id::parse(id).unwrap_or(Id::NIL);
        return Some(match (method, part) {
            (Method::Get | Method::Head, None) => Route::User(id),
            (Method::Patch, None) => Route::UpdateUser(id),
            (Method::Delete, None) => Route::DeleteUser(id),
            (Method::Delete, Some("sessions")) => Route::EndUserSessions(id),
            (Method::Get | Method::Head, Some("sessions")) => Route::UserSessions(id),
            (Method::Get | Method::Head, Some("events")) => Route::UserEvents(id),
            _ => return None,
        });
    }
    Some(match (method, path) {
        (Method::Post, "/register") => Route::Register,
        (Method::Post, "/login") => Route::Login,
        (Method::Post, "/refresh") => Route::Refresh,
        (Method::Post, "/token") => Route::Token,
        (Method::Post, "/revoke") => Route::Revoke,
        (Method::Post, "/introspect") => Route::Introspect,
        (Method::Post, "/revoke-all") => Route::RevokeAll,
        (Method::Get | Method::Head, "/me") => Route::Me,
        (Method::Patch, "/me") => Route::UpdateMe,
        (Method::Delete, "/me") => Route::DeleteMe,
        (Method::Post, "/me/password") => Route::ChangePassword,
        (Method::Get | Method::Head, "/me/events") => Route::MyEvents,
        (Method::Get | Method::Head, "/sessions") => Route::Sessions,
        (Method::Delete, "/sessions") => Route::EndSessions,
        (Method::Get | Method::Head, "/users") => Route::Users,
        (Method::Get | Method::Head, "/verify") => Route::Verify,
        (Method::Get | Method::Head, path) if metadata::PATHS.contains(&path) => Route::Metadata,
        (Method::Get | Method::Head, "/.well-known/jwks.json") => Route::Jwks,
        (Method::Get | Method::Head, "/healthz") => Route::Healthz,
        _ => return None,
    })
}

/// The methods a path takes, as `Allow` lists them; `None` for an unknown path.
#[must_use]
pub fn methods(path: &str) -> Option<String> {
    const NAMES: [(Method, &str); 5] = [
        (Method::Get, "GET"),
        (Method::Head, "HEAD"),
        (Method::Post, "POST"),
        (Method::Patch, "PATCH"),
        (Method::Delete, "DELETE"),
    ];
    let taken: Vec<_> =
        NAMES.iter().filter(|(method, _)| find(*method, path).is_some()).map(|(_, name)| *name).collect();
    (!taken.is_empty()).then(|| [taken, vec!["OPTIONS"]].concat().join(", "))
}

/// How errors are worded at a path.
#[must_use]
pub fn error_format(path: &str) -> ErrorFormat {
    if matches!(path, "/token" | "/revoke" | "/introspect") { ErrorFormat::OAuth } else { ErrorFormat::Problem }
}

impl Route {
    /// Whether the endpoint reads a body.
    #[must_use]
    pub fn takes_body(self) -> bool {
        matches!(
            self,
            Self::Register
                | Self::Login
                | Self::Refresh
                | Self::Token
                | Self::Revoke
                | Self::Introspect
                | Self::UpdateMe
                | Self::DeleteMe
                | Self::ChangePassword
                | Self::UpdateUser(_)
        )
    }

    /// Answers a request.
    ///
    /// # Errors
    /// Every way of not answering as asked.
    pub async fn handle(self, context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
        match self {
            Self::Register => register::post(context, request).await,
            Self::Login => login::post(context, request).await,
            Self::Refresh => refresh::post(context, request).await,
            Self::Token => token::post(context, request).await,
            Self::Revoke => revoke::post(context, request).await,
            Self::Introspect => introspect::post(context, request).await,
            Self::RevokeAll => crate::sessions::end::post(context, request).await,
            Self::Me => me::get(context, request).await,
            Self::UpdateMe => update_me::patch(context, request).await,
            Self::DeleteMe => delete_me::delete(context, request).await,
            Self::ChangePassword => change_password::post(context, request).await,
            Self::MyEvents => events::get_own(context, request).await,
            Self::Sessions => sessions::get(context, request).await,
            Self::EndSessions => end_sessions::delete(context, request).await,
            Self::EndSession(id) => end_session::delete(context, request, id).await,
            Self::Users => users::get(context, request).await,
            Self::User(id) => user::get(context, request, id).await,
            Self::UpdateUser(id) => update_user::patch(context, request, id).await,
            Self::DeleteUser(id) => delete_user::delete(context, request, id).await,
            Self::EndUserSessions(id) => end_user_sessions::delete(context, request, id).await,
            Self::UserSessions(id) => user_sessions::get(context, request, id).await,
            Self::UserEvents(id) => events::get(context, request, id).await,
            Self::Verify => gateway::get(context, request).await,
            Self::Metadata => metadata::get(context),
            Self::Jwks => jwks::get(context),
            Self::Healthz => health::get(context).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Route, find, methods};
    use crate::http::Method;
    use portcullis_core::id::Id;

    #[test]
    fn a_path_is_taken_only_as_it_is_spelt() {
        assert_eq!(find(Method::Get, "/me"), Some(Route::Me));
        for path in ["/me/", "//me", "/ME", "/me;x", "/me%00", "/%6de", "/me/x.css", "me", "", "/"] {
            assert_eq!(find(Method::Get, path), None, "{path}");
            assert_eq!(methods(path), None, "{path}");
        }
    }

    #[test]
    fn a_session_is_named_by_its_id() {
        let id = Id::new([7; 16]);
        assert_eq!(find(Method::Delete, &format!("/sessions/{id}")), Some(Route::EndSession(id)));
        assert_eq!(find(Method::Delete, "/sessions/x"), Some(Route::EndSession(Id::NIL)));
        assert_eq!(find(Method::Get, &format!("/sessions/{id}")), None);
        assert_eq!(find(Method::Delete, &format!("/sessions/{id}/")), None);
    }

    #[test]
    fn an_account_is_named_by_its_id_and_what_is_none_is_nobodys() {
        let id = Id::new([7; 16]);
        assert_eq!(find(Method::Get, &format!("/users/{id}")), Some(Route::User(id)));
        assert_eq!(find(Method::Patch, &format!("/users/{id}")), Some(Route::UpdateUser(id)));
        assert_eq!(find(Method::Delete, &format!("/users/{id}/sessions")), Some(Route::EndUserSessions(id)));
        assert_eq!(find(Method::Get, &format!("/users/{id}/events")), Some(Route::UserEvents(id)));
        assert_eq!(find(Method::Get, "/users/x"), Some(Route::User(Id::NIL)));
        for path in ["/users/", "/users//events"] {
            assert_ne!(find(Method::Get, path), Some(Route::Users), "{path}");
        }
        for path in [format!("/users/{id}/"), format!("/users/{id}/events/"), format!("/users/{id}/x")] {
            assert_eq!(methods(&path), None, "{path}");
        }
    }

    #[test]
    fn allow_lists_the_methods_of_a_path() {
        assert_eq!(methods("/me").as_deref(), Some("GET, HEAD, PATCH, DELETE, OPTIONS"));
        assert_eq!(methods("/login").as_deref(), Some("POST, OPTIONS"));
        assert_eq!(methods("/sessions").as_deref(), Some("GET, HEAD, DELETE, OPTIONS"));
        assert_eq!(methods("/sessions/x").as_deref(), Some("DELETE, OPTIONS"));
        assert_eq!(find(Method::Other, "/login"), None);
    }
}
