//! Rate limits, asked from the rate limiters of the platform. Without an answer the request goes on, since D1 limits guessing too.
//!
//! A key begins with the kind of what it names, so that keys of different kinds are never equal.

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

/// Asks whether a request may check a password or create an account. Requests from known devices are counted by the users of these
/// instead of by source, and refused only if all of these exceed the limit: otherwise a token of another user in the cookie could
/// delay this one. Applies only to endpoints of this class.
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

/// Asks whether a password may be checked for a name, which does not leave the Worker.
pub async fn name(context: &Context<'_>, name: Subject) -> Result<(), RateLimited> {
    ask(context, Class::Name, Some(name.to_string())).await
}

/// Asks whether a forged token or a wrong secret may be answered as such. Never called for a valid one, so a client with valid tokens is
/// not affected by another one at the same source.
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

/// Whether a source registers so often that it must solve a challenge.
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
