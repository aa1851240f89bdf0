//! `GET /healthz`: whether the bindings answer. That the configuration is good shows in there being an answer at all.

use futures_util::future::join;
use serde::Serialize;

use super::Context;
use crate::error::ApiError;
use crate::http::Reply;

#[derive(Serialize)]
struct Body {
    status: &'static str,
}

pub(super) async fn get(context: &Context<'_>) -> Result<Reply, ApiError> {
    let (database, revocations) = join(context.store.check_database(), context.store.check_revocations()).await;
    let faults: Vec<_> = [("D1", database), ("KV", revocations)]
        .into_iter()
        .filter_map(|(name, check)| Some((name, check.err()?)))
        .collect();
    if faults.is_empty() { Reply::json(200, &Body { status: "ok" }) } else { Err(ApiError::Unhealthy(faults)) }
}
