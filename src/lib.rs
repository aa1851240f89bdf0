//! Portcullis: sign-in at the edge, as one Cloudflare Worker.
//!
//! A request comes in here, is read into plain data ([`http`]), finds its endpoint ([`routes`]), which applies the rules
//! ([`auth`]) to what it reads and writes ([`store`]) and signs or verifies through the runtime ([`webcrypto`]). What goes
//! wrong is an [`error::ApiError`]; what happened is a [`log::Event`]. [`config`] is read once an isolate.

#![cfg_attr(
    test,
    expect(
        clippy::arithmetic_side_effects,
        clippy::string_slice,
        clippy::format_collect,
        reason = "a test that overflows or slices badly fails, which is what it is for"
    )
)]

mod auth;
mod config;
mod error;
mod http;
mod log;
mod routes;
mod store;
mod webcrypto;

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use worker::web_sys::{Request as RawRequest, Response};
use worker::{Env, event};

use auth::id::Id;
use auth::known_tokens::KnownTokens;
use config::{Config, Problem};
use error::ApiError;
use http::{Method, Reply, Request};
use log::Event;
use routes::Context;
use store::Store;
use store::sweep::Swept;
use webcrypto::{Keys, random};

/// What an isolate keeps from request to request: plain data and imported keys, nothing that belongs to a request.
struct Isolate {
    config: Config,
    keys: Keys,
    known_tokens: RefCell<KnownTokens>,
}

thread_local! {
    static ISOLATE: OnceCell<Rc<Isolate>> = const { OnceCell::new() };
}

#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

#[event(fetch)]
async fn fetch(request: RawRequest, env: Env, _context: worker::Context) -> worker::Result<Response> {
    // Without randomness nothing can be issued, and every route that needs some says so itself.
    let request_id = Id::new(random().unwrap_or_default());
    let mut read = Request::read(&request);
    let isolate = match isolate(&env).await {
        Ok(isolate) => isolate,
        Err(problems) => {
            let reply = ApiError::Misconfigured(problems).into_reply(error::Dialect::Problem, request_id);
            return Ok(reply.into_response(&read, request_id, &[])?);
        }
    };
    let store = Store::new(&env, isolate.config.log_costs);
    let reply = answer(&isolate, &store, request, &mut read, request_id).await;
    Ok(reply.into_response(&read, request_id, &isolate.config.allowed_origins)?)
}

/// The sweep. There is nobody to answer: what went wrong is in the log, and the next one goes on.
#[event(scheduled)]
async fn scheduled(_event: worker::ScheduledEvent, env: Env, _context: worker::ScheduleContext) {
    let id = Id::new(random().unwrap_or_default());
    let isolate = match isolate(&env).await {
        Ok(isolate) => isolate,
        Err(problems) => return ApiError::Misconfigured(problems).log_cause(id),
    };
    let store = Store::new(&env, isolate.config.log_costs);
    match store.sweep(isolate.config.audit_ttl, now_millis() / 1000).await {
        Ok(Swept { sessions, events, complete }) => log::write(id, &Event::Swept { sessions, events, complete }),
        Err(error) => ApiError::from(error).log_cause(id),
    }
    if isolate.config.log_costs {
        log::write(id, &Event::Costs { route: "Sweep", status: None, memory_kib: memory_kib(), costs: store.costs() });
    }
}

async fn answer(
    isolate: &Isolate,
    store: &Store<'_>,
    request: RawRequest,
    read: &mut Request,
    request_id: Id,
) -> Reply {
    let config = &isolate.config;
    let path = routes::below_base(&read.path, config);
    let dialect = routes::dialect(path);
    let refuse = |error: ApiError| error.into_reply(dialect, request_id);
    let Some(methods) = routes::methods(path) else {
        return refuse(ApiError::NotFound);
    };
    if read.method == Method::Options {
        return Reply::options(read, &methods, &config.allowed_origins);
    }
    let Some(route) = routes::find(read.method, path) else {
        return refuse(ApiError::MethodNotAllowed(methods));
    };
    if route.takes_body() {
        match http::read_body(request).await {
            Ok(body) => read.body = body,
            Err(error) => return refuse(error),
        }
    }
    // Only now: a client could hold its body back until a window that was open at the first byte has closed.
    let now = now_millis();
    let (now, millisecond) = (now / 1000, now % 1000);
    let context = Context {
        config,
        keys: &isolate.keys,
        known_tokens: &isolate.known_tokens,
        store,
        now,
        millisecond,
        request_id,
    };
    let reply = route.handle(&context, read).await.unwrap_or_else(refuse);
    if config.log_costs {
        // The route's name, not the path: what somebody puts into a path may be a token.
        let route = format!("{route:?}");
        let route = route.split('(').next().unwrap_or_default();
        log::write(
            request_id,
            &Event::Costs { route, status: Some(reply.status()), memory_kib: memory_kib(), costs: store.costs() },
        );
    }
    reply
}

/// Reads the configuration and imports the keys, unless this isolate has them. Requests that come in together at the
/// very first may each do so; a lock held over the import would get the waiting ones cancelled by the runtime.
async fn isolate(env: &Env) -> Result<Rc<Isolate>, Vec<Problem>> {
    if let Some(isolate) = ISOLATE.with(|cell| cell.get().cloned()) {
        return Ok(isolate);
    }
    let config = Config::from_env(env)?;
    let problem = |problem: String| vec![Problem { variable: "SIGNING_KEYS", problem }];
    if config.signing_keys.active(now_millis() / 1000).is_none() {
        return Err(problem("the \"signs_from\" of every key lies ahead: none may sign yet".to_owned()));
    }
    let keys = Keys::import(&config.signing_keys).await.map_err(|error| problem(error.to_string()))?;
    let isolate = Rc::new(Isolate { config, keys, known_tokens: RefCell::default() });
    Ok(ISOLATE.with(|cell| cell.get_or_init(|| isolate).clone()))
}

/// Of WebAssembly, whose pages have 64 KiB. Natively there is none.
fn memory_kib() -> usize {
    #[cfg(target_arch = "wasm32")]
    return core::arch::wasm32::memory_size::<0>().saturating_mul(64);
    #[cfg(not(target_arch = "wasm32"))]
    0
}

/// Unix milliseconds.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number of milliseconds since 1970, far below 2^53"
)]
fn now_millis() -> u64 {
    js_sys::Date::now() as u64
}
