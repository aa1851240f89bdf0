//! Rate limits, counted by the rate limiters of the platform. If a limiter does not answer, the request continues: the throttle
//! in D1 bounds guessing too.
//!
//! A key begins with its kind (`source:`, `devices:`, `name:`, `session:`), so that keys of different kinds are never equal.

use portcullis_core::account::throttle::Subject;
use portcullis_core::id::Id;
use portcullis_core::rate_limit::{Class, Policy};

use crate::context::{Context, EndpointLimit};
use crate::http::Request;
use crate::log::{self, Event};
use crate::platform::rate_limiter;

/// A rate limit is exceeded.
#[derive(Debug)]
pub struct RateLimited {
    /// The limit, with its class.
    pub policy: Policy,
}

impl RateLimited {
    /// The example of the documentation.
    #[cfg(any(feature = "openapi", test))]
    pub const fn example() -> Self {
        Self { policy: Policy { class: Class::Credentials, quota: 20, period: 60 } }
    }
}

/// Asks whether a request may check a password or create an account. Applies only to endpoints of this class.
///
/// `users` are the users of the device tokens in the request. If there are any, the request counts by user instead of by source.
/// It is refused only if every one of them exceeds the limit: a cookie may also have tokens of other users, which must not delay
/// this one.
pub async fn credentials(context: &Context<'_>, request: &Request, users: &[Id]) -> Result<(), RateLimited> {
    if context.limit != EndpointLimit::Credentials {
        return Ok(());
    }
    let mut refused = None;
    for user in users {
        match ask(context, Class::Credentials, Some(format!("devices:{user}"))).await {
            Ok(()) => return Ok(()),
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        Some(error) => Err(error),
        None => ask(context, Class::Credentials, by_source(context, request)).await,
    }
}

/// Asks whether a password may be checked for a name. The limiter receives only a hash of the name.
pub async fn name(context: &Context<'_>, name: Subject) -> Result<(), RateLimited> {
    ask(context, Class::Name, Some(name.to_string())).await
}

/// Asks whether a forged token or a wrong secret may still be answered as usual. Never called for a valid one, so forged tokens
/// do not affect a client with valid tokens at the same source.
pub async fn bad_token(context: &Context<'_>, request: &Request) -> Result<(), RateLimited> {
    ask(context, Class::BadToken, by_source(context, request)).await
}

/// Asks whether a session may change something. Applies only to endpoints of this class.
pub async fn writes(context: &Context<'_>, session_id: Id) -> Result<(), RateLimited> {
    if context.limit != EndpointLimit::Writes {
        return Ok(());
    }
    ask(context, Class::Writes, Some(format!("session:{session_id}"))).await
}

/// Counts a registration without a Turnstile token. `true`: its source registers so often that a token is required.
pub async fn challenge(context: &Context<'_>, request: &Request) -> bool {
    !is_within(context, "LIMIT_CHALLENGE", by_source(context, request)).await
}

/// The key of the source; `None` if it is not known. Such requests are not limited, because all of them would share one limit.
fn by_source(context: &Context<'_>, request: &Request) -> Option<String> {
    request.source(context.config.source_proxy.as_ref()).map(|source| format!("source:{source}"))
}

async fn ask(context: &Context<'_>, class: Class, key: Option<String>) -> Result<(), RateLimited> {
    let binding = match class {
        Class::Credentials => "LIMIT_CREDENTIALS",
        Class::Name => "LIMIT_NAME",
        Class::BadToken => "LIMIT_BAD_TOKEN",
        Class::Writes => "LIMIT_WRITES",
    };
    if is_within(context, binding, key).await {
        return Ok(());
    }
    if let Some(count) = context.tallies.rate_limited.of(class).add(context.now) {
        log::write(context.request_id, &Event::TooManyRequests { reason: class.name(), count });
    }
    Err(RateLimited { policy: context.config.rate_limits.of(class) })
}

/// Whether a key is within the limit of a binding. `true` without a key or an answer.
async fn is_within(context: &Context<'_>, binding: &'static str, key: Option<String>) -> bool {
    let Some(key) = key else { return true };
    rate_limiter::limit(context.env, binding, key).await.unwrap_or_else(|error| {
        if context.tallies.unavailable_limiters.add(binding) {
            let cause = error.to_string();
            log::write(context.request_id, &Event::RateLimiterUnavailable { binding, cause: &cause });
        }
        true
    })
}
