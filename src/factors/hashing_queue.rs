//! Password hashing: one hash at a time, with other requests in between.
//!
//! A hash occupies the only thread of the isolate, and the runtime runs ready tasks before it handles new events. So a burst of
//! logins would block every other request. To prevent this, each login waits in the [`HashingQueue`] of the isolate and yields
//! until it is next.
//!
//! Waiting requests poll, because the runtime does not allow one request to resolve the promise of another.

use std::cell::RefCell;
use std::time::Duration;

use portcullis_core::account::throttle::Subject;
use portcullis_core::password::Hasher;
use portcullis_core::password::hashing_queue::{Entry, HashingQueue, QueueError, Ticket, Turn};
use worker::Delay;

use super::FactorError;
use crate::context::Context;
use crate::http::Request;
use crate::log::{self, Event};
use crate::platform::clock::now_millis;

thread_local! {
    /// Never borrowed across an await.
    static QUEUE: RefCell<HashingQueue> = const { RefCell::new(HashingQueue::new()) };
}

/// A place in the queue. Dropping it leaves the queue.
struct Place(Ticket);

impl Drop for Place {
    fn drop(&mut self) {
        QUEUE.with_borrow_mut(|queue| queue.leave(&self.0));
    }
}

/// Waits for the turn of this request, then runs `work`. Stops waiting if the client resets the connection.
pub(super) async fn in_turn<T>(
    context: &Context<'_>,
    request: &Request,
    account: Subject,
    price: u64,
    work: impl FnOnce(&Hasher) -> T,
) -> Result<T, FactorError> {
    let hasher = &context.config.hasher;
    let (account, is_known_device) = match account {
        Subject::Device { user_id, .. } => (Subject::User(user_id), true),
        other => (other, false),
    };
    let entry = Entry { account, source: request.client.source(), is_known_device, price };
    let entered = QUEUE.with_borrow_mut(|queue| queue.enter(entry, hasher.cpu_micros(), now_millis()));
    let place = Place(entered.map_err(|error| refused(context, error))?);
    loop {
        Delay::from(Duration::ZERO).await;
        if request.is_abandoned() {
            return Err(FactorError::ClientLeft);
        }
        match QUEUE.with_borrow_mut(|queue| queue.poll(&place.0, now_millis())) {
            Turn::Wait => {}
            Turn::Hash => return Ok(work(hasher)),
            Turn::Displaced(error) => return Err(refused(context, error)),
        }
    }
}

fn refused(context: &Context<'_>, error: QueueError) -> FactorError {
    match error {
        QueueError::ShareTaken { retry_after } => {
            if let Some(count) = context.tallies.hashing_share_taken.add(context.now) {
                log::write(context.request_id, &Event::TooManyRequests { reason: "hashing_share", count });
            }
            FactorError::ShareTaken(retry_after)
        }
        QueueError::Full { retry_after } => {
            if let Some(count) = context.tallies.overloaded.add(context.now) {
                log::write(context.request_id, &Event::Overloaded { count });
            }
            FactorError::QueueFull(retry_after)
        }
    }
}
