//! `GET /healthz`: whether the bindings answer. With an invalid configuration nothing gets here.

use futures_util::future::join;
use serde::Serialize;

use crate::context::{Context, Health, HealthAnswer};
use crate::http::{Reply, Request};
use crate::platform::clock::now_millis;
use crate::routes::error::ApiError;

/// Seconds for which an answer is reused: anyone may ask, and each check costs D1 and KV.
const FRESH_SECONDS: u64 = 5;
/// Seconds after which whoever asked is considered cut off: storage is given up before.
const ASKING_SECONDS: u64 = 30;

#[derive(Serialize)]
struct Body {
    status: &'static str,
}

pub async fn get(context: &Context<'_>, _: &Request) -> Result<Reply, ApiError> {
    let Health { answer, asked_at } = context.health;
    // While one request asks, the others get the last known answer: what does not answer must not be asked by all of them.
    let is_asked = asked_at.get().is_some_and(|at| context.now < at.saturating_add(ASKING_SECONDS));
    let is_fresh = |answer: &HealthAnswer| is_asked || context.now < answer.at.saturating_add(FRESH_SECONDS);
    let kept = answer.borrow().clone().filter(is_fresh);
    let failing = match kept {
        Some(answer) => answer.failing,
        None => ask(context).await,
    };
    if failing.is_empty() { Reply::json(200, &Body { status: "ok" }) } else { Err(ApiError::Unhealthy(failing)) }
}

/// Asks both, and logs why one does not answer.
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
    // By the clock as it is now: an answer may take long to come.
    context.health.answer.replace(Some(HealthAnswer { at: now_millis() / 1000, failing: failing.clone() }));
    context.health.asked_at.set(None);
    failing
}
