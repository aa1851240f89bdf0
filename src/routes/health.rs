//! `GET /healthz`: whether the bindings answer. With an invalid configuration, no request reaches this handler.

use futures_util::future::join;
use serde::Serialize;

use crate::context::{Context, Health, HealthResult};
use crate::http::{Reply, Request};
use crate::platform::clock::now_millis;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};

/// Seconds for which a result is reused: anyone can send this request, and each check reads D1 and KV.
const FRESH_SECONDS: u64 = 5;
/// Seconds after which a check is considered lost. Requests to storage time out earlier.
const LOST_AFTER_SECONDS: u64 = 30;

/// The state of the service.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Health"))]
struct Body {
    /// Always `ok`.
    #[cfg_attr(feature = "openapi", schemars(extend("enum" = ["ok"])))]
    status: &'static str,
}

pub async fn get(context: &Context<'_>, _: &Request) -> Result<Reply, ApiError> {
    let Health { last_result, running_since } = context.health;
    // While one request checks, the others get the last result, so that an outage does not cause many checks.
    let is_running = running_since.get().is_some_and(|since| context.now < since.saturating_add(LOST_AFTER_SECONDS));
    let is_fresh = |result: &HealthResult| is_running || context.now < result.at.saturating_add(FRESH_SECONDS);
    let kept = last_result.borrow().clone().filter(is_fresh);
    let failing = match kept {
        Some(result) => result.failing,
        None => check(context).await,
    };
    if failing.is_empty() { Reply::json(200, &Body { status: "ok" }) } else { Err(ApiError::Unhealthy(failing)) }
}

/// Checks D1 and KV and logs the cause of a failure.
async fn check(context: &Context<'_>) -> Vec<&'static str> {
    context.health.running_since.set(Some(context.now));
    let (database, revocations) = join(context.store.check_database(), context.store.check_revocations()).await;
    let mut failing = Vec::new();
    for (name, result) in [("D1", database), ("KV", revocations)] {
        if let Err(error) = result {
            ApiError::Storage(error).log_cause(context.request_id);
            failing.push(name);
        }
    }
    // Read the clock again: the check may take long.
    context.health.last_result.replace(Some(HealthResult { at: now_millis() / 1000, failing: failing.clone() }));
    context.health.running_since.set(None);
    failing
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::Operations,
            "getHealth",
            "Check the health",
            "Whether D1 and KV answer. A result is reused for five seconds.",
        )
        .succeeds(Success::json(200, "Both answer.", &Body { status: "ok" }))
        .fails(ApiError::Unhealthy(vec!["D1"]))
        .answers_anywhere()
}
