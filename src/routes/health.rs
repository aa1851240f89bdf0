//! `GET /healthz`: whether the bindings answer. With an invalid configuration, no request reaches this handler.

use futures_util::future::join;
use serde::Serialize;

use crate::context::{Context, Health, HealthAnswer};
use crate::http::{Reply, Request};
use crate::platform::clock::now_millis;
use crate::routes::error::ApiError;

/// Seconds for which a result is reused: anyone can send this request, and each check costs D1 and KV.
const FRESH_SECONDS: u64 = 5;
/// Seconds after which a check is considered lost. Requests to storage time out earlier.
const ASKING_SECONDS: u64 = 30;

#[derive(Serialize)]
struct Body {
    status: &'static str,
}

pub async fn get(context: &Context<'_>, _: &Request) -> Result<Reply, ApiError> {
    let Health { answer, asked_at } = context.health;
    // While one request checks, the others get the last result, so that an outage does not cause many checks.
    let is_asked = asked_at.get().is_some_and(|at| context.now < at.saturating_add(ASKING_SECONDS));
    let is_fresh = |answer: &HealthAnswer| is_asked || context.now < answer.at.saturating_add(FRESH_SECONDS);
    let kept = answer.borrow().clone().filter(is_fresh);
    let failing = match kept {
        Some(answer) => answer.failing,
        None => ask(context).await,
    };
    if failing.is_empty() { Reply::json(200, &Body { status: "ok" }) } else { Err(ApiError::Unhealthy(failing)) }
}

/// Checks D1 and KV and logs the cause of a failure.
async fn ask(context: &Context<'_>) -> Vec<&'static str> {
    context.health.asked_at.set(Some(context.now));
    let (database, revocations) = join(context.store.check_database(), context.store.check_revocations()).await;
    let mut failing = Vec::new();
    for (name, check) in [("D1", database), ("KV", revocations)] {
        if let Err(fault) = check {
            ApiError::Storage(fault).log_cause(context.request_id);
            failing.push(name);
        }
    }
    // Read the clock again: the check may take long.
    context.health.answer.replace(Some(HealthAnswer { at: now_millis() / 1000, failing: failing.clone() }));
    context.health.asked_at.set(None);
    failing
}
