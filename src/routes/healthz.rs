//! `GET /healthz`: whether the bindings answer. That the configuration is good shows in there being an answer at all.

use std::cell::RefCell;

use futures_util::future::join;
use serde::Serialize;

use super::Context;
use crate::error::ApiError;
use crate::http::Reply;

/// For so many seconds an answer is given again: anybody may ask, and asking takes D1 and KV.
const FRESH_SECONDS: u64 = 5;

/// What the bindings answered when this isolate asked them last.
#[derive(Default)]
pub struct Health(RefCell<Option<Answer>>);

#[derive(Clone)]
struct Answer {
    /// Unix seconds.
    at: u64,
    failing: Vec<&'static str>,
}

#[derive(Serialize)]
struct Body {
    status: &'static str,
}

pub(super) async fn get(context: &Context<'_>) -> Result<Reply, ApiError> {
    let is_fresh = |answer: &Answer| context.now < answer.at.saturating_add(FRESH_SECONDS);
    let kept = context.health.0.borrow().clone().filter(is_fresh);
    let failing = match kept {
        Some(answer) => answer.failing,
        None => ask(context).await,
    };
    if failing.is_empty() { Reply::json(200, &Body { status: "ok" }) } else { Err(ApiError::Unhealthy(failing)) }
}

/// Asks both, and logs why one does not answer.
async fn ask(context: &Context<'_>) -> Vec<&'static str> {
    let (database, revocations) = join(context.store.check_database(), context.store.check_revocations()).await;
    let mut failing = Vec::new();
    for (name, check) in [("D1", database), ("KV", revocations)] {
        if let Err(fault) = check {
            ApiError::Storage(fault).log_cause(context.request_id);
            failing.push(name);
        }
    }
    context.health.0.replace(Some(Answer { at: context.now, failing: failing.clone() }));
    failing
}
