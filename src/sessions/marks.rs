//! Writes the marks that show `/verify` which sessions are revoked.
//!
//! D1 holds the revocation and its owed mark, so a failure here cannot undo a revocation. Marks are written before the reply. After the
//! reply, the owed marks that were written are deleted from D1 and failed writes are retried. The scheduled event, which runs every
//! minute, writes the rest.

use std::time::Duration;

use futures_util::future::join_all;
use worker::Delay;

use super::log_failure;
use crate::log::{self, Event};
use crate::platform::clock::now_millis;
use crate::store::Store;
use portcullis_core::account::session::OwedMark;
use portcullis_core::id::Id;

/// Delay between two writes of a mark. KV allows one write per second and key.
const PAUSE: Duration = Duration::from_millis(1_100);
/// Retries after the reply.
const MORE_TRIES: u32 = 2;
/// Marks per page of the scheduled event.
const PAGE: u64 = 100;
/// Maximum pages per run. An invocation may make 1,000 requests to its bindings.
const MAX_PAGES: u32 = 8;

/// Maximum clock skew between the machines that issue, revoke and verify tokens, in seconds.
const CLOCK_MARGIN: u64 = 60;

/// Result of writing marks.
#[derive(Default)]
pub struct Written {
    /// Marks that are in KV or no longer needed.
    done: Vec<OwedMark>,
    /// Marks that KV did not store.
    failed: Vec<OwedMark>,
}

/// Writes marks to KV. Each lasts until the last issued access token of its session expires, whatever lifetime is configured now.
/// Failures are logged.
pub async fn write(store: &Store, request_id: Id, owed: &[OwedMark], now: u64) -> Written {
    let puts = owed.iter().map(async |mark| {
        let lifetime = mark.access_expires_at.saturating_add(CLOCK_MARGIN).saturating_sub(now);
        if lifetime == 0 { Ok(()) } else { store.mark_revoked(mark.session_id, lifetime, now).await }
    });
    let mut written = Written::default();
    let mut first_failure = None;
    for (mark, put) in owed.iter().zip(join_all(puts).await) {
        match put {
            Ok(()) => written.done.push(*mark),
            Err(error) => {
                written.failed.push(*mark);
                first_failure.get_or_insert((mark.session_id, error));
            }
        }
    }
    if let Some((session_id, error)) = first_failure {
        let (marks, cause) = (written.failed.len(), error.to_string());
        log::write(request_id, &Event::RevocationMarkFailed { session_id, marks, cause: &cause });
    }
    written
}

/// After the reply: deletes the owed marks that were written, and retries failed writes.
pub async fn follow_up(store: Store, request_id: Id, mut written: Written, logs_costs: bool) {
    // Let the runtime send the reply first.
    Delay::from(Duration::ZERO).await;
    forget(&store, request_id, &written.done).await;
    for _ in 0..MORE_TRIES {
        if written.failed.is_empty() {
            break;
        }
        Delay::from(PAUSE).await;
        written = write(&store, request_id, &written.failed, now_millis() / 1000).await;
        forget(&store, request_id, &written.done).await;
    }
    if logs_costs {
        log::write_costs(request_id, "Marks", None, store.costs());
    }
}

/// The scheduled event: writes all owed marks.
pub async fn write_owed(store: &Store, request_id: Id) {
    let mut after: Option<OwedMark> = None;
    let (mut marks, mut failed, mut failed_pages) = (0_usize, 0_usize, 0_u32);
    for _ in 0..MAX_PAGES {
        let page = match store.list_owed_marks(after.as_ref(), PAGE).await {
            Ok(page) => page,
            Err(error) => return log_failure(request_id, &error),
        };
        let written = write(store, request_id, &page, now_millis() / 1000).await;
        forget(store, request_id, &written.done).await;
        (marks, failed) = (marks.saturating_add(written.done.len()), failed.saturating_add(written.failed.len()));
        after = page.last().copied();
        failed_pages = failed_pages.saturating_add(u32::from(written.done.is_empty()));
        // If KV stores no mark of two pages, it is unlikely to store the next page.
        if failed_pages == 2 || u64::try_from(page.len()).unwrap_or(u64::MAX) < PAGE {
            break;
        }
    }
    if marks > 0 || failed > 0 {
        log::write(request_id, &Event::OwedMarksWritten { marks, failed });
    }
}

async fn forget(store: &Store, request_id: Id, done: &[OwedMark]) {
    if let Err(error) = store.forget_owed_marks(done).await {
        log_failure(request_id, &error);
    }
}
