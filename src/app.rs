//! The state of an isolate, and the steps of a request: match, limit, body, clock, handle, log.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use portcullis_core::id::Id;
use portcullis_core::token::verified::VerifiedTokenCache;
use worker::Env;
use worker::web_sys::Request as RawRequest;

use crate::config::{Config, Found, Problem};
use crate::context::{Context, Health, Keychain};
use crate::http::{Method, RefusedOrigins, Reply, Request};
use crate::log::{self, Event, Tallies};
use crate::metrics;
use crate::platform::body;
use crate::platform::clock::now_millis;
use crate::platform::data_keys::DataKeys;
use crate::platform::environment::{self, NotText};
use crate::platform::webcrypto::Keys;
use crate::routes;
use crate::routes::error::ApiError;
use crate::store::Store;

/// The state that an isolate keeps between requests.
pub struct Isolate {
    pub config: Rc<Config>,
    pub keychain: Rc<Keychain>,
    verified_tokens: RefCell<VerifiedTokenCache>,
    refused_origins: RefCell<RefusedOrigins>,
    tallies: Tallies,
    health: Health,
}

thread_local! {
    static ISOLATE: OnceCell<Rc<Isolate>> = const { OnceCell::new() };
}

/// Answers a request.
pub async fn answer(
    isolate: &Isolate,
    env: &Env,
    store: &Store,
    background: &worker::Context,
    raw: RawRequest,
    request: &mut Request,
    request_id: Id,
) -> Reply {
    let config: &Config = &isolate.config;
    let path = routes::strip_base_path(&request.path, config);
    let error_format = routes::error_format(path);
    let refuse = |error: ApiError| error.into_reply(error_format, request_id);
    // RFC 9110 §15.5.20. Checked first, because the firewall rules of a zone do not apply at other addresses.
    if !config.addresses.include(&request.target_origin) && !routes::answers_anywhere(&request.path, config) {
        return refuse(ApiError::WrongHost);
    }
    if let Some(origin) = isolate.refused_origins.borrow_mut().note(request, &config.allowed_origins) {
        log::write(request_id, &Event::OriginRefused { origin: &origin });
    }
    if routes::is_off(path, config) {
        return refuse(ApiError::NotFound);
    }
    let Some((endpoint, variable)) = routes::find(request.method, path) else {
        return match routes::methods(path) {
            None => refuse(ApiError::NotFound),
            Some(methods) if request.method == Method::Options => {
                Reply::options(request, &methods, &config.allowed_origins)
            }
            Some(methods) => refuse(ApiError::MethodNotAllowed(methods)),
        };
    };
    request.path_variable = String::from(variable);
    if endpoint.reads_body() {
        match body::read(&raw).await {
            Ok(body) => request.body = body,
            Err(error) => return refuse(error.into()),
        }
    }
    // Read the clock after the body: otherwise a client could delay its body and still be judged by the earlier time.
    let now = now_millis();
    let (now, millisecond) = (now / 1000, now % 1000);
    let context = Context {
        config: &isolate.config,
        keychain: &isolate.keychain,
        data_keys: isolate.keychain.data_keys.as_ref(),
        verified_tokens: &isolate.verified_tokens,
        tallies: &isolate.tallies,
        health: &isolate.health,
        env,
        limit: endpoint.limit,
        store,
        background,
        now,
        millisecond,
        endpoint: endpoint.name,
        request_id,
    };
    let reply = endpoint.handle(&context, request).await.unwrap_or_else(|error| {
        if let Some(code) = error.refusal_code() {
            metrics::refused(&context, request, code);
        }
        refuse(error)
    });
    if config.log_costs {
        // Logs the name of the endpoint, because the path may contain a token.
        log::write_costs(request_id, endpoint.name, Some(reply.status()), store.costs());
    }
    reply
}

/// Reads the configuration and imports the keys, unless this isolate has done so. The first requests may do this concurrently. A lock
/// held during the import would make the runtime cancel the waiting requests.
pub async fn isolate(env: &Env) -> Result<Rc<Isolate>, Vec<Problem>> {
    if let Some(isolate) = ISOLATE.with(|cell| cell.get().cloned()) {
        return Ok(isolate);
    }
    let config = Config::read(|name| match environment::variable(env, name) {
        Ok(Some(text)) if !text.is_empty() => Found::Text(text),
        Ok(_) => Found::Absent,
        Err(NotText) => Found::NotText,
    })?;
    let problem_of = |variable, problem| vec![Problem { variable, problem }];
    let now = now_millis() / 1000;
    // Otherwise, a year or a unit that was mistyped would go unnoticed, and all earlier sessions would continue.
    if config.sessions_not_before > now {
        return Err(problem_of("SESSIONS_NOT_BEFORE", "is in the future".to_owned()));
    }
    // Otherwise, all keys would be deleted and none made.
    if config.keys_not_before > now {
        return Err(problem_of("KEYS_NOT_BEFORE", "is in the future".to_owned()));
    }
    let problem = |problem| problem_of("SIGNING_KEYS", problem);
    if config.signing_keys.active(now).is_none() {
        return Err(problem("every \"signs_from\" is in the future: no key may sign yet".to_owned()));
    }
    let keys = Keys::import(&config.signing_keys).await.map_err(|error| problem(error.to_string()))?;
    let data_keys = match &config.data_secrets {
        Some(secrets) => Some(DataKeys::import(secrets).await),
        None => None,
    };
    let data_keys = data_keys.transpose().map_err(|error| problem_of("DATA_SECRETS", error.to_string()))?;
    let config = Rc::new(config);
    let isolate = Rc::new(Isolate {
        keychain: Rc::new(Keychain::new(Rc::clone(&config), keys, data_keys)),
        config,
        verified_tokens: RefCell::default(),
        refused_origins: RefCell::default(),
        tallies: Tallies::default(),
        health: Health::default(),
    });
    Ok(ISOLATE.with(|cell| cell.get_or_init(|| isolate).clone()))
}
