//! Cookie mode: the refresh token of a session in a cookie, which scripts cannot read. Only requests that ask for the cookie or use it
//! are checked for cross-site request forgery. Account routes never read it.

use portcullis_core::account::session::{Delivery, Transport};
use portcullis_core::id::Id;
use portcullis_core::token::refresh::RefreshToken;

use super::SessionError;
use crate::context::Context;
use crate::http::{Reply, Request};

const NAME: &str = "__Host-portcullis";

/// How a sign-in wants the refresh token of its session.
pub struct RequestedDelivery {
    pub delivery: Delivery,
    /// The token in the cookie that the new one replaces.
    pub replaced: Option<RefreshToken>,
}

/// Checks whether a sign-in may have the delivery that it asks for. Call it before any expensive step.
pub fn requested(
    context: &Context<'_>,
    request: &Request,
    transport: Option<Transport>,
    remember: Option<bool>,
) -> Result<RequestedDelivery, SessionError> {
    let delivery = Delivery { transport: transport.unwrap_or_default(), remember: remember.unwrap_or(true) };
    if delivery.transport == Transport::Body {
        return Ok(RequestedDelivery { delivery, replaced: None });
    }
    if !context.config.cookie_mode {
        return Err(SessionError::CookieModeOff);
    }
    check_page(context, request)?;
    Ok(RequestedDelivery { delivery, replaced: token(context, request) })
}

/// The delivery of the session that replaces the caller's. An access token is proof enough that no other site made the request.
pub fn renewed(context: &Context<'_>, request: &Request, delivery: Delivery) -> RequestedDelivery {
    let replaced = (delivery.transport == Transport::Cookie).then(|| token(context, request)).flatten();
    RequestedDelivery { delivery, replaced }
}

/// The refresh token in the cookie of a request, as it was sent.
pub fn presented(context: &Context<'_>, request: &Request) -> Result<String, SessionError> {
    let value = request.cookie(NAME).map_err(|_| SessionError::RefreshToken)?.ok_or(SessionError::RefreshToken)?;
    check_page(context, request)?;
    Ok(value)
}

/// Makes the browser delete the cookie if it is the one of a session, which has ended. The cookie of another session stays.
pub fn delete_of_session(context: &Context<'_>, request: &Request, reply: Reply, session_id: Id) -> Reply {
    let is_of_session = token(context, request).is_some_and(|token| token.session_id() == session_id);
    if is_of_session { delete(reply) } else { reply }
}

/// Whether a request has the cookie.
pub fn is_present(context: &Context<'_>, request: &Request) -> bool {
    context.config.cookie_mode && !matches!(request.cookie(NAME), Ok(None))
}

/// Adds the cookie to a reply. `max_age` in seconds; `None`: the cookie ends with the browser.
pub fn set(reply: Reply, token: &str, max_age: Option<u64>) -> Reply {
    reply.cookie(NAME, token, max_age)
}

/// Makes the browser delete the cookie.
pub fn delete(reply: Reply) -> Reply {
    reply.cookie(NAME, "", Some(0))
}

/// The genuine refresh token in the cookie of a request.
fn token(context: &Context<'_>, request: &Request) -> Option<RefreshToken> {
    if !context.config.cookie_mode {
        return None;
    }
    let value = request.cookie(NAME).ok()??;
    RefreshToken::parse(&value, &context.config.refresh_token_keys)
}

fn check_page(context: &Context<'_>, request: &Request) -> Result<(), SessionError> {
    let config = context.config;
    let is_own = |origin: &str| config.addresses.list(origin);
    if request.may_use_cookies(&config.allowed_origins, is_own) { Ok(()) } else { Err(SessionError::CsrfRefused) }
}
