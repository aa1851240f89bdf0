//! Hashing passwords, one at a time, with everything else in between.
//!
//! A hash occupies the isolate's one thread for some 17 ms. The runtime runs what is ready before it looks for what has come
//! in, so of a burst of log-ins one would hash right after the other, and every other request would wait for all of them. So
//! each gives way before it hashes, until nobody else has hashed meanwhile.

use std::cell::Cell;
use std::time::Duration;

use worker::Delay;

use super::Context;
use crate::auth::password::{HashError, Password, Verification};
use crate::error::ApiError;
use crate::webcrypto::random;

/// Who may wait at once. Beyond that the answer is 503: each of them holds some 30 KiB, if it sends all that is read, and the
/// last waits for some four seconds.
const MOST_WAITING: u32 = 256;
/// After so many seconds without a hash nobody waits any more, whoever was seen doing so: it was cancelled.
const STALE: u64 = 5;

thread_local! {
    /// Who waits, and how far the others are.
    static TURNS: Cell<Turns> =
        const { Cell::new(Turns { arrived: 0, begun: 0, begun_at: 0, arrived_at: 0, first: u64::MAX, waiting: 0, waited: 0 }) };
}

/// Plain numbers: a request that is cancelled while it waits leaves nothing that others wait for.
#[derive(Clone, Copy)]
struct Turns {
    /// Requests that came to hash, which is the number of the last one.
    arrived: u64,
    /// Hashes begun.
    begun: u64,
    /// When the last one was, in unix seconds: by the request that came last, as whoever waits has an old clock.
    begun_at: u64,
    /// When the last request came.
    arrived_at: u64,
    /// The lowest number of those who were seen waiting since the last hash began.
    first: u64,
    /// How many those are.
    waiting: u32,
    /// How many they were when it began.
    waited: u32,
}

impl Context<'_> {
    /// See [`crate::auth::password::Hasher::hash`].
    pub(super) async fn hash(&self, password: &Password) -> Result<String, ApiError> {
        turn(self.now).await?;
        Ok(self.config.hasher.hash(password, random()?)?)
    }

    /// See [`crate::auth::password::Hasher::verify`].
    pub(super) async fn verify(
        &self,
        password: &Password,
        stored: &str,
    ) -> Result<Result<Verification, HashError>, ApiError> {
        turn(self.now).await?;
        Ok(self.config.hasher.verify(password, stored))
    }

    /// See [`crate::auth::password::Hasher::verify_absent`].
    pub(super) async fn verify_absent(&self, password: &Password) -> Result<(), ApiError> {
        turn(self.now).await?;
        Ok(self.config.hasher.verify_absent(password)?)
    }
}

/// Waits until the runtime has looked for other events, nobody has hashed since, and who came first of those who wait is this
/// request. Should that one be gone, cancelled since it was seen, the others pass over it.
async fn turn(now: u64) -> Result<(), ApiError> {
    const PASSED_OVER: u8 = 3;
    let here = change(|turns| {
        if now > turns.begun_at.saturating_add(STALE) {
            (turns.waiting, turns.waited) = (0, 0);
        }
        (turns.arrived, turns.arrived_at) = (turns.arrived.saturating_add(1), now.max(turns.arrived_at));
    });
    // Since the last hash began not all of them may have been seen yet.
    if here.waiting.max(here.waited) >= MOST_WAITING {
        return Err(ApiError::Overloaded);
    }
    let number = here.arrived;
    let mut is_seen = false;
    let mut waits = 0_u8;
    loop {
        let seen = change(|turns| {
            turns.first = turns.first.min(number);
            turns.waiting = turns.waiting.saturating_add(u32::from(!is_seen));
        });
        is_seen = true;
        Delay::from(Duration::ZERO).await;
        let turns = TURNS.get();
        if turns.begun != seen.begun {
            (is_seen, waits) = (false, 0);
        } else if turns.first == number || waits == PASSED_OVER {
            change(|turns| {
                (turns.begun, turns.begun_at) = (turns.begun.wrapping_add(1), turns.arrived_at);
                (turns.first, turns.waited, turns.waiting) = (u64::MAX, turns.waiting, 0);
            });
            return Ok(());
        } else {
            waits = waits.saturating_add(1);
        }
    }
}

fn change(how: impl FnOnce(&mut Turns)) -> Turns {
    let mut turns = TURNS.get();
    how(&mut turns);
    TURNS.set(turns);
    turns
}
