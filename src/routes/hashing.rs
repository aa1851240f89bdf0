//! Hashing passwords, one at a time, with everything else in between.
//!
//! A hash occupies the isolate's one thread for some 17 ms. The runtime runs what is ready before it looks for
//! what has come in, so of a burst of log-ins one would hash right after the other, and every other request would wait for
//! all of them. So each gives way before it hashes, until nobody else has hashed meanwhile.

use std::cell::Cell;
use std::time::Duration;

use worker::Delay;

use super::Context;
use crate::auth::password::{HashError, Password, Verification};
use crate::error::ApiError;
use crate::webcrypto::random;

thread_local! {
    /// Who waits, and how far the others are.
    static TURNS: Cell<Turns> = const { Cell::new(Turns { arrived: 0, begun: 0, first: u64::MAX }) };
}

/// Plain numbers: a request that is cancelled while it waits leaves nothing that others wait for.
#[derive(Clone, Copy)]
struct Turns {
    /// Requests that came to hash, which is the number of the last one.
    arrived: u64,
    /// Hashes begun.
    begun: u64,
    /// The lowest number of those who were seen waiting since the last hash began.
    first: u64,
}

impl Context<'_> {
    /// See [`crate::auth::password::Hasher::hash`].
    pub(super) async fn hash(&self, password: &Password) -> Result<String, ApiError> {
        turn().await;
        Ok(self.config.hasher.hash(password, random()?)?)
    }

    /// See [`crate::auth::password::Hasher::verify`].
    pub(super) async fn verify(&self, password: &Password, stored: &str) -> Result<Verification, HashError> {
        turn().await;
        self.config.hasher.verify(password, stored)
    }

    /// See [`crate::auth::password::Hasher::verify_absent`].
    pub(super) async fn verify_absent(&self, password: &Password) -> Result<(), HashError> {
        turn().await;
        self.config.hasher.verify_absent(password)
    }
}

/// Waits until the runtime has looked for other events, nobody has hashed since, and who came first of those who wait is this
/// request. Should that one be gone, cancelled since it was seen, the others pass over it.
async fn turn() {
    const PASSED_OVER: u8 = 3;
    let number = change(|turns| turns.arrived = turns.arrived.saturating_add(1)).arrived;
    let mut waits = 0_u8;
    loop {
        let seen = change(|turns| turns.first = turns.first.min(number));
        Delay::from(Duration::ZERO).await;
        let now = TURNS.get();
        if now.begun != seen.begun {
            waits = 0;
        } else if now.first == number || waits == PASSED_OVER {
            change(|turns| (turns.begun, turns.first) = (turns.begun.wrapping_add(1), u64::MAX));
            return;
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
