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
mod clock;
mod config;
mod deadline;
mod error;
mod http;
mod log;
mod marks;
mod routes;
mod store;
mod webcrypto;

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use worker::web_sys::{Request as RawRequest, Response};
use worker::{Env, event};

use auth::id::Id;
use auth::known_tokens::KnownTokens;
use clock::now_millis;
use config::{Config, Problem};
use error::ApiError;
use http::{Method, RefusedOrigins, Reply, Request};
use log::{Event, Tallies};
use routes::{Context, Health};
use store::Store;
use store::sweep::Swept;
use webcrypto::{Keys, random};

/// What an isolate keeps from request to request: plain data and imported keys, nothing that belongs to a request.
struct Isolate {
    config: Config,
    keys: Keys,
    known_tokens: RefCell<KnownTokens>,
    refused_origins: RefCell<RefusedOrigins>,
    tallies: Tallies,
    health: Health,
}

thread_local! {
    static ISOLATE: OnceCell<Rc<Isolate>> = const { OnceCell::new() };
}

#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

#[event(fetch)]
async fn fetch(request: RawRequest, env: Env, background: worker::Context) -> worker::Result<Response> {
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
    let store = Store::new(env, isolate.config.log_costs);
    let reply = answer(&isolate, &store, &background, request, &mut read, request_id).await;
    Ok(reply.into_response(&read, request_id, &isolate.config.allowed_origins)?)
}

/// When the marks that are owed are written: the `crons` of `wrangler.toml` have it, and beside it when the sweep runs.
const MARKS_CRON: &str = "* * * * *";

/// What runs by the clock. There is nobody to answer: what went wrong is in the log, and the next run goes on.
#[event(scheduled)]
async fn scheduled(event: worker::ScheduledEvent, env: Env, _context: worker::ScheduleContext) {
    let id = Id::new(random().unwrap_or_default());
    let isolate = match isolate(&env).await {
        Ok(isolate) => isolate,
        Err(problems) => return ApiError::Misconfigured(problems).log_cause(id),
    };
    let store = Store::new(env, isolate.config.log_costs);
    let work = if event.cron() == MARKS_CRON {
        marks::write_owed(&store, id).await;
        "Marks"
    } else {
        sweep(&store, &isolate, id).await;
        "Sweep"
    };
    if isolate.config.log_costs {
        log::write_costs(id, work, None, store.costs());
    }
}

async fn sweep(store: &Store, isolate: &Isolate, id: Id) {
    match store.sweep(isolate.config.audit_ttl, now_millis() / 1000).await {
        Ok(Swept { sessions, events, complete }) => log::write(id, &Event::Swept { sessions, events, complete }),
        Err(error) => ApiError::from(error).log_cause(id),
    }
}

async fn answer(
    isolate: &Isolate,
    store: &Store,
    background: &worker::Context,
    request: RawRequest,
    read: &mut Request,
    request_id: Id,
) -> Reply {
    let config = &isolate.config;
    let path = routes::below_base(&read.path, config);
    let dialect = routes::dialect(path);
    let refuse = |error: ApiError| error.into_reply(dialect, request_id);
    // RFC 9110 §15.5.20. Before anything else: where no rule of the zone is in front, nothing is answered.
    if !config.addresses.include(&read.target_origin) && !routes::answers_anywhere(&read.path, config) {
        return refuse(ApiError::WrongHost);
    }
    if let Some(origin) = isolate.refused_origins.borrow_mut().note(read, &config.allowed_origins) {
        log::write(request_id, &Event::OriginRefused { origin: &origin });
    }
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
        match http::read_body(&request).await {
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
        tallies: &isolate.tallies,
        health: &isolate.health,
        store,
        background,
        now,
        millisecond,
        request_id,
    };
    let reply = route.handle(&context, read).await.unwrap_or_else(refuse);
    if config.log_costs {
        // The route's name, not the path: what somebody puts into a path may be a token.
        let route = format!("{route:?}");
        let route = route.split('(').next().unwrap_or_default();
        log::write_costs(request_id, route, Some(reply.status()), store.costs());
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
    let isolate = Rc::new(Isolate {
        config,
        keys,
        known_tokens: RefCell::default(),
        refused_origins: RefCell::default(),
        tallies: Tallies::default(),
        health: Health::default(),
    });
    Ok(ISOLATE.with(|cell| cell.get_or_init(|| isolate).clone()))
}
