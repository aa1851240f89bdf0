//! `GET /stats`: what happened in the last 24 hours, for admins.

use portcullis_core::stats::{Counts, Hour, Stats, first_hour};
use serde::Serialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::metrics::{self, Recent};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::admin;
use crate::sessions::changes::for_admin;

/// What happened in the last 24 hours.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Stats"))]
struct Body {
    /// The start of the first hour, in unix seconds.
    since: u64,
    /// The sums of all hours.
    total: Counts,
    /// The 24 hours, the earliest first. The last one is not over.
    hours: Vec<Hour>,
    /// Mails that wait now for their first or next attempt.
    mails_waiting: u64,
    /// Whether the metrics were read.
    metrics: MetricsState,
}

/// Whether the metrics were read.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum MetricsState {
    /// They were.
    Read,
    /// `METRICS_URL` or `METRICS_TOKEN` is not set.
    Off,
    /// Their service did not answer as it should.
    Unavailable,
}

/// 1. Count the events in D1. This checks that the caller is an admin.
/// 2. Read from the metrics what D1 does not count, because a row for each would make every login more expensive.
pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = admin(context, request).await?;
    let since = first_hour(context.now);
    // 1.
    let answer = context.store.count_recent_events(caller, since, context.now).await;
    let events = for_admin(context, caller, answer)?;
    // 2.
    let (points, metrics) = match metrics::count_recent(context, since).await {
        Recent::Read(points) => (Some(points), MetricsState::Read),
        Recent::Off => (None, MetricsState::Off),
        Recent::Unavailable => (None, MetricsState::Unavailable),
    };
    let counts = events.counts.iter().chain(points.iter().flatten());
    let Stats { hours, total } = Stats::new(since, counts, points.is_some());
    Reply::json(200, &Body { since, total, hours, mails_waiting: events.mails_waiting, metrics })
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    let total = Counts {
        logins: Some(412),
        registrations: Some(9),
        failed_logins: 31,
        throttled: 2,
        refused: Some(4),
        reuse_detected: 1,
        mails_sent: 57,
        mails_failed: 0,
    };
    let since = 1_796_083_200;
    let hours = vec![Hour { at: since, counts: total.clone() }];
    operation
        .named(
            Tag::Administration,
            "getStats",
            "Get the numbers of the last 24 hours",
            "Logins, failures, refused requests, reuse and mails by hour. `logins`, `registrations` and `refused` are `null` \
             unless the metrics can be read (`METRICS_URL`).",
        )
        .with_admin_token()
        .succeeds(Success::json(200, "Each hour, and the sums.", &Body { since, total, hours, mails_waiting: 0, metrics: MetricsState::Read }))
}
