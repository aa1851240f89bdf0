//! A Worker in Rust with an API of its own. It verifies the access tokens of Portcullis, a Worker of the same account: it gets the
//! keys through the service binding AUTH, and reads the revocation marks in Portcullis' KV namespace.

// Elsewhere a verifier must be `Send`, and nothing in a Worker is.
#![cfg(target_arch = "wasm32")]
#![expect(clippy::disallowed_methods, reason = "this Worker has a configuration of its own")]

use std::cell::OnceCell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};
use portcullis_verifier::{Claims, Verifier, VerifyError, bearer_token};
use serde_json::{Value, json};
use worker::{Context, Delay, Env, Fetcher, Method, Request, RequestInit, RequestRedirect, Response, event};

#[event(fetch)]
async fn fetch(request: Request, env: Env, _: Context) -> worker::Result<Response> {
    let answer = match (request.method(), request.path().as_str()) {
        (Method::Get, "/orders") => orders(&request, &env).await,
        (Method::Get, "/reports") => reports(&request, &env).await,
        _ => return Response::error("Not found", 404),
    };
    match answer {
        Ok(body) => Response::from_json(&body),
        Err(error) => refusal(&error),
    }
}

/// Refuses a token within about a minute after its session has ended.
async fn orders(request: &Request, env: &Env) -> Result<Value, VerifyError> {
    let claims = authenticate(request, env).await?;
    Ok(json!({"user": claims.sub, "roles": claims.roles}))
}

async fn reports(request: &Request, env: &Env) -> Result<Value, VerifyError> {
    authenticate(request, env).await?.require_role("admin")?;
    Ok(json!({"reports": []}))
}

async fn authenticate(request: &Request, env: &Env) -> Result<Claims, VerifyError> {
    let header = request.headers().get("Authorization").unwrap_or_default().unwrap_or_default();
    let claims = verifier(env)?.verify(bearer_token(&header)?).await?;
    if is_revoked(env, &claims).await.map_err(|error| unavailable(&error))? {
        Err(VerifyError::TokenRevoked)
    } else {
        Ok(claims)
    }
}

/// The verifier, which the isolate keeps, because it keeps the keys.
fn verifier(env: &Env) -> Result<Rc<Verifier>, VerifyError> {
    thread_local! {
        static VERIFIER: OnceCell<Rc<Verifier>> = const { OnceCell::new() };
    }
    if let Some(verifier) = VERIFIER.with(|kept| kept.get().cloned()) {
        return Ok(verifier);
    }
    let variable = |name| env.var(name).map(|value| value.to_string()).map_err(|error| unavailable(&error));
    let (issuer, audience) = (variable("ISSUER")?, variable("AUDIENCE")?);
    let auth = Rc::new(env.service("AUTH").map_err(|error| unavailable(&error))?);
    let verifier = Verifier::new(&issuer, &audience, move |url| get_text(Rc::clone(&auth), url))
        .map_err(|error| VerifyError::KeysUnavailable(error.into()))?;
    Ok(VERIFIER.with(|kept| Rc::clone(kept.get_or_init(|| Rc::new(verifier)))))
}

/// Fetches a text through the service binding.
async fn get_text(auth: Rc<Fetcher>, url: String) -> Result<String, String> {
    let mut init = RequestInit::new();
    init.with_redirect(RequestRedirect::Manual);
    let fetching = async {
        let mut response = auth.fetch(url, Some(init)).await.map_err(|error| error.to_string())?;
        if response.status_code() != 200 {
            return Err(format!("the status is {}", response.status_code()));
        }
        response.text().await.map_err(|error| error.to_string())
    };
    match select(pin!(fetching), pin!(Delay::from(Duration::from_secs(5)))).await {
        Either::Left((text, _)) => text,
        Either::Right(_) => Err("no answer within 5 s".to_owned()),
    }
}

/// Whether Portcullis has marked the session as revoked.
async fn is_revoked(env: &Env, claims: &Claims) -> worker::Result<bool> {
    let mark = env.kv("REVOCATIONS")?.get(&format!("revoked:{}", claims.sid)).cache_ttl(30).text().await?;
    Ok(mark.is_some())
}

fn unavailable(error: &worker::Error) -> VerifyError {
    VerifyError::RevocationsUnavailable(error.to_string().into())
}

fn refusal(error: &VerifyError) -> worker::Result<Response> {
    let mut response = Response::ok(error.problem())?.with_status(error.status());
    let headers = response.headers_mut();
    for (name, value) in error.headers() {
        headers.set(name, &value)?;
    }
    Ok(response)
}
