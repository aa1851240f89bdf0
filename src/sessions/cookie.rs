//! Cookie mode: the refresh token of a session in a cookie, which scripts cannot read.
//!
//! A request that refreshes or logs out with the cookie, or that requests a cookie, is checked for cross-site request forgery.
//! Other requests only compare the cookie: its session ends when a new cookie replaces it, and it is deleted when its session ends.

use portcullis_core::account::session::{Delivery, Transport};
use portcullis_core::id::Id;
use portcullis_core::token::refresh::RefreshToken;

use super::SessionError;
use crate::context::Context;
use crate::http::{Reply, Request, RequestError};
use crate::log::{self, Event};

const NAME: &str = "__Host-portcullis";

/// How the refresh token of a new session is delivered.
pub struct NewDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// The token in the cookie that the new cookie replaces.
    pub replaced: Option<RefreshToken>,
}

impl NewDelivery {
    /// Returns the delivery that a sign-in requests. Call it before any expensive step, because it can refuse the request.
    pub fn requested(
        context: &Context<'_>,
        request: &Request,
        transport: Option<Transport>,
        remember: Option<bool>,
    ) -> Result<Self, SessionError> {
        let delivery = Delivery { transport: transport.unwrap_or_default(), remember: remember.unwrap_or(true) };
        Self::checked(context, request, delivery)
    }

    /// Returns the delivery of a session that replaces the caller's. It is the same as that of the caller's session.
    pub fn renewed(context: &Context<'_>, request: &Request, current: Delivery) -> Result<Self, SessionError> {
        Self::checked(context, request, current)
    }

    fn checked(context: &Context<'_>, request: &Request, delivery: Delivery) -> Result<Self, SessionError> {
        if delivery.transport == Transport::Body {
            return Ok(Self { delivery, replaced: None });
        }
        if !context.config.cookie_mode {
            return Err(SessionError::CookieModeOff);
        }
        check_page(context, request)?;
        Ok(Self { delivery, replaced: token(context, request) })
    }
}

/// Returns the value of the cookie for a refresh.
pub fn for_refresh(context: &Context<'_>, request: &Request) -> Result<String, SessionError> {
    if !context.config.cookie_mode {
        return Err(RequestError::Invalid("The member refresh_token is missing.".to_owned()).into());
    }
    presented(context, request)?.ok_or(SessionError::RefreshToken)
}

/// Returns the value of the cookie, or `None` if the request has no cookie. Works without cookie mode, so that a logout still works.
pub fn presented(context: &Context<'_>, request: &Request) -> Result<Option<String>, SessionError> {
    match request.cookie(NAME) {
        Ok(None) => Ok(None),
        Ok(Some(text)) => check_page(context, request).map(|()| Some(text)),
        Err(_) => {
            check_page(context, request)?;
            if let Some(count) = context.tallies.repeated_cookies.add(context.now) {
                let event = Event::RefreshRefused { session_id: None, reason: "repeated_cookie", count: Some(count) };
                log::write(context.request_id, &event);
            }
            Err(SessionError::RefreshToken)
        }
    }
}

/// Returns the id of the session to which the cookie belongs.
pub fn session_id(context: &Context<'_>, request: &Request) -> Option<Id> {
    token(context, request).map(|token| token.session_id())
}

/// Adds the cookie to a reply. `max_age` is in seconds. Without it, the cookie ends with the browser.
pub fn set(reply: Reply, token: &str, max_age: Option<u64>) -> Reply {
    reply.cookie(NAME, token, max_age)
}

/// Makes the browser delete the cookie.
pub fn delete(reply: Reply) -> Reply {
    reply.cookie(NAME, "", Some(0))
}

/// Returns the refresh token in the cookie, if its tag is valid.
fn token(context: &Context<'_>, request: &Request) -> Option<RefreshToken> {
    let text = request.cookie(NAME).ok()??;
    RefreshToken::parse(&text, &context.config.refresh_token_keys)
}

fn check_page(context: &Context<'_>, request: &Request) -> Result<(), SessionError> {
    let config = context.config;
    let is_own = |origin: &str| config.addresses.is_issuer(origin);
    let Err(refused) = request.check_page(&config.allowed_origins, is_own) else { return Ok(()) };
    if let Some(count) = context.tallies.csrf_refused.add(context.now) {
        log::write(context.request_id, &Event::CsrfRefused { site: &refused.site, origin: &refused.origin, count });
    }
    Err(SessionError::CsrfRefused)
}
