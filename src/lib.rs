//! Portcullis: sign-in at the edge, as one Cloudflare Worker.
//!
//! This file handles the events of the runtime. [`app`] holds the state of an isolate and passes each request, read by [`http`], to
//! its endpoint in [`routes`]. Endpoints use [`sessions`] and [`factors`], which apply the rules of `portcullis_core`, ask the rate
//! [`limits`], read and write the [`store`] and call the runtime through [`platform`]. [`config`] is read once per isolate. [`log`]
//! writes the log, [`metrics`] the data points.

mod app;
mod config;
mod context;
mod factors;
mod http;
mod limits;
mod log;
mod mail;
mod metrics;
mod platform;
mod routes;
mod sessions;
mod store;

use portcullis_core::id::Id;
use worker::web_sys::{Request as RawRequest, Response};
use worker::{Env, event};

use app::{Isolate, answer, isolate};
use factors::totp;
use http::{AllowedOrigins, ErrorFormat, Request};
use log::Event;
use platform::clock::now_millis;
use platform::random::random;
use routes::error::ApiError;
use sessions::{marks, rotation};
use store::Store;
use store::cleanup::CleanedUp;

/// The OpenAPI document, as JSON.
#[cfg(feature = "openapi")]
#[must_use]
pub fn openapi() -> String {
    routes::openapi()
}

/// The schema of a line of the log, as JSON.
#[cfg(feature = "openapi")]
#[must_use]
pub fn log_schema() -> String {
    log::schema()
}

#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

#[event(fetch)]
async fn fetch(raw: RawRequest, env: Env, background: worker::Context) -> worker::Result<Response> {
    // If the runtime has no randomness, the routes that need it report the error.
    let request_id = Id::new(random().unwrap_or_default());
    let isolate = isolate(&env).await;
    let proxy = isolate.as_ref().ok().and_then(|isolate| isolate.config.source_proxy.as_ref());
    let mut request = Request::read(&raw, proxy);
    let isolate = match isolate {
        Ok(isolate) => isolate,
        Err(problems) => {
            let reply = ApiError::Misconfigured(problems).into_reply(ErrorFormat::Problem, request_id);
            let allowed = AllowedOrigins { origins: &[], with_credentials: false };
            return reply.into_response(&request, request_id, allowed);
        }
    };
    let store = Store::new(env.clone(), isolate.config.log_costs, isolate.config.sessions_not_before);
    let reply = answer(&isolate, &env, &store, &background, raw, &mut request, request_id).await;
    let config = &isolate.config;
    let allowed = AllowedOrigins { origins: &config.allowed_origins, with_credentials: config.cookie_mode };
    reply.into_response(&request, request_id, allowed)
}

/// The cron trigger of `wrangler.toml` that changes addresses, writes owed marks and sends mails. The other one runs the cleanup and
/// makes signing keys.
const MARKS_CRON: &str = "* * * * *";

/// Handles the cron triggers. Errors are logged, and the next run continues.
#[event(scheduled)]
async fn scheduled(event: worker::ScheduledEvent, env: Env, _context: worker::ScheduleContext) {
    let id = Id::new(random().unwrap_or_default());
    let isolate = match isolate(&env).await {
        Ok(isolate) => isolate,
        Err(problems) => return ApiError::Misconfigured(problems).log_cause(id),
    };
    let store = Store::new(env.clone(), isolate.config.log_costs, isolate.config.sessions_not_before);
    let work = if event.cron() == MARKS_CRON {
        // First, because a change of address owes marks and mails.
        mail::change::take_due_steps(&isolate.config, &store, id).await;
        marks::write_owed(&store, id).await;
        mail::outbox::send_due(&isolate.config, &env, &store, id).await;
        "Marks"
    } else {
        clean_up(&store, &isolate, id).await;
        reencrypt(&store, &isolate, id).await;
        rotation::rotate(&isolate.keychain, &store, id).await;
        "Cleanup"
    };
    if isolate.config.log_costs {
        log::write_costs(id, work, None, store.costs());
    }
}

async fn clean_up(store: &Store, isolate: &Isolate, id: Id) {
    match store.clean_up(isolate.config.audit_ttl, now_millis() / 1000).await {
        Ok(CleanedUp { sessions, events, complete }) => {
            log::write(id, &Event::CleanedUp { sessions, events, complete });
        }
        Err(error) => ApiError::from(error).log_cause(id),
    }
}

/// Encrypts what is under an older data secret under the first one.
async fn reencrypt(store: &Store, isolate: &Isolate, id: Id) {
    let Some(keys) = &isolate.keychain.data_keys else { return };
    match totp::reencrypt(store, &isolate.config, keys).await {
        Ok((0, None)) => {}
        Ok((secrets, failure)) => {
            log::write(id, &Event::Reencrypted { secrets });
            if let Some(failure) = failure {
                log::write(id, &Event::InternalError { cause: &failure.to_string() });
            }
        }
        Err(error) => ApiError::from(error).log_cause(id),
    }
}
