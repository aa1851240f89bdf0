//! Metrics: a data point for each fact that helps to recognise an attack. docs/reference/metrics.md describes them.
//!
//! A point holds nothing that identifies a user. Of the successful requests, only logins and registrations have one, so refreshes
//! and `/verify` do no work for metrics.

use portcullis_core::account::throttle::NameHash;
use portcullis_core::stats::{Count, parse};

use crate::config::MetricsApi;
use crate::context::Context;
use crate::http::Request;
use crate::log::{self, Event};
use crate::platform::fetch::{FetchError, OutgoingRequest, fetch};
use crate::platform::metrics::origin;

/// The query for what D1 does not count.
const COUNT_RECENT: &str = include_str!("metrics/count_recent.sql");
/// Maximum time of a query, in milliseconds.
const MAX_MILLIS: u64 = 5_000;
/// Maximum size of an answer, in bytes. It has at most 75 rows of less than 100 bytes.
const MAX_BYTES: usize = 64 * 1024;

/// What the metrics say about recent hours.
pub enum Recent {
    /// The data points, by hour and kind.
    Read(Vec<Count>),
    /// They are not configured.
    Off,
    /// They could not be read.
    Unavailable,
}

/// Logs an event and adds its data point. Events with a data point are logged only here, so that the log and the metrics agree.
pub fn report(context: &Context<'_>, request: &Request, event: &Event<'_>) {
    log::write(context.request_id, event);
    if let Some((kind, reason)) = kind_and_reason(event) {
        let name = if let Event::LoginFailed { name, .. } = event { *name } else { None };
        add(context, request, kind, reason, name);
    }
}

/// Adds the data point of a refused request. The log has one line for many of these requests, or none.
pub fn refused(context: &Context<'_>, request: &Request, code: &'static str) {
    add(context, request, "refused", code, None);
}

/// Counts the logins, registrations and refused requests since `since`, the start of an hour.
pub async fn count_recent(context: &Context<'_>, since: u64) -> Recent {
    let Some(api) = &context.config.metrics_api else { return Recent::Off };
    match ask(api, since).await {
        Ok(points) => Recent::Read(points),
        Err(reason) => {
            log::write(context.request_id, &Event::MetricsUnavailable { reason });
            Recent::Unavailable
        }
    }
}

/// The error is the reason in the log.
async fn ask(api: &MetricsApi, since: u64) -> Result<Vec<Count>, &'static str> {
    let query = COUNT_RECENT.replace("{dataset}", &api.dataset).replace("{since}", &since.to_string());
    let request = OutgoingRequest {
        method: "POST",
        url: &api.url,
        headers: &[("Authorization", &format!("Bearer {}", api.token))],
        body: Some(&query),
        max_millis: MAX_MILLIS,
        max_bytes: MAX_BYTES,
    };
    let answer = fetch(&request).await.map_err(FetchError::as_str)?;
    if answer.status != 200 {
        return Err("status");
    }
    parse(&answer.body).ok_or("malformed")
}

/// The kind and the reason in the data point of an event, if it has one.
const fn kind_and_reason(event: &Event<'_>) -> Option<(&'static str, &'static str)> {
    match event {
        Event::Registered { .. } => Some(("registration", "")),
        Event::LoginSucceeded { .. } => Some(("login", "")),
        Event::LoginFailed { reason, .. } => Some(("login_failed", reason)),
        Event::ReuseDetected { reason, .. } => Some(("reuse", reason)),
        _ => None,
    }
}

/// A missing binding turns metrics off. One that fails is logged once per isolate, and the request continues.
fn add(context: &Context<'_>, request: &Request, kind: &str, reason: &str, name: Option<NameHash>) {
    let origin = origin(request.raw());
    let name = name.map(|name| context.config.name_key.label(name)).unwrap_or_default();
    // Queries name the blobs by their positions, so a new one goes to the end.
    let blobs = [kind, reason, context.endpoint, &origin.country, &origin.network, &name];
    if let Err(cause) = context.store.write_data_point(kind, &blobs)
        && !context.tallies.metrics_failed.replace(true)
    {
        log::write(context.request_id, &Event::MetricsFailed { cause: &cause });
    }
}

#[cfg(test)]
mod tests {
    use portcullis_core::id::Id;

    use super::kind_and_reason;
    use crate::log::Event;

    #[test]
    fn logins_failures_registrations_and_reuse_have_a_data_point() {
        let (user_id, session_id) = (Id::NIL, Id::NIL);
        for (event, expected) in [
            (Event::Registered { user_id, session_id: Some(session_id) }, Some(("registration", ""))),
            (Event::LoginSucceeded { user_id, session_id, rehashed: false }, Some(("login", ""))),
            (Event::LoginFailed { user_id: None, reason: "disabled", name: None }, Some(("login_failed", "disabled"))),
            (Event::ReuseDetected { user_id, session_id, reason: "older" }, Some(("reuse", "older"))),
            (Event::Refreshed { user_id, session_id }, None),
            (Event::Revoked { user_id, session_id, reason: "logout" }, None),
        ] {
            assert_eq!(kind_and_reason(&event), expected, "{event:?}");
        }
    }
}
