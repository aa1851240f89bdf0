//! Hashing passwords, one at a time, with everything else in between.
//!
//! A hash occupies the isolate's one thread, and the runtime runs what is ready before it looks for what has come in: of a burst
//! of log-ins one would hash right after the other, and every other request would wait for all of them. So each waits in the
//! isolate's [`HashingQueue`], and gives way to other events until it is next.
//!
//! Waiting requests poll: the runtime does not allow one request to resolve another's promise. The queue is plain data.

use std::cell::RefCell;
use std::time::Duration;

use worker::Delay;

use crate::http::Request;
use crate::log::Event;
use crate::platform::clock::now_millis;
use crate::platform::random::random;
use crate::routes::context::Context;
use crate::routes::error::ApiError;
use portcullis_core::password::hashing_queue::{Account, Entry, HashingQueue, QueueError, Ticket, Turn};
use portcullis_core::password::{HashError, Hasher, Password, Verification};

thread_local! {
    /// Never borrowed over an await.
    static QUEUE: RefCell<HashingQueue> = const { RefCell::new(HashingQueue::new()) };
}

/// A place in the queue, given up when it is dropped.
struct Place(Ticket);

impl Drop for Place {
    fn drop(&mut self) {
        QUEUE.with_borrow_mut(|queue| queue.leave(&self.0));
    }
}

impl Context<'_> {
    /// Hashes a new password. `account` is what its account is counted by.
    pub async fn hash(&self, request: &Request, account: &Account, password: &Password) -> Result<String, ApiError> {
        let salt = random()?;
        let price = self.config.hasher.cpu_micros();
        Ok(self.in_turn(request, account, price, |hasher| hasher.hash(password, salt)).await??)
    }

    /// Verifies a password against a stored hash. If it matches and the stored hash is outdated, the same turn makes the
    /// one that replaces it. Without a stored hash, of an account that does not exist or has no password, it does the work of
    /// one verification, and nothing matches.
    pub async fn verify(
        &self,
        request: &Request,
        account: &Account,
        password: &Password,
        stored: Option<&str>,
    ) -> Result<Result<Verified, HashError>, ApiError> {
        let Some(stored) = stored else {
            self.verify_dummy(request, account, password).await?;
            return Ok(Ok(Verified::Differs));
        };
        let salt = random()?;
        let price = self.config.hasher.price(password, stored);
        self.in_turn(request, account, price, |hasher| {
            Ok(match hasher.verify(password, stored)? {
                Verification::Differs => Verified::Differs,
                Verification::Matches { outdated } => {
                    Verified::Matches { new_hash: outdated.then(|| hasher.hash(password, salt)).transpose()? }
                }
            })
        })
        .await
    }

    /// Verifies the current password, and if it matches hashes the new one, in one turn.
    pub async fn verify_and_hash_new(
        &self,
        request: &Request,
        account: &Account,
        current: (&Password, Option<&str>),
        new: &Password,
    ) -> Result<Result<Option<String>, HashError>, ApiError> {
        let (password, stored) = current;
        let Some(stored) = stored else {
            self.verify_dummy(request, account, password).await?;
            return Ok(Ok(None));
        };
        let salt = random()?;
        let hasher = &self.config.hasher;
        let price = hasher.price(password, stored).saturating_add(hasher.cpu_micros());
        self.in_turn(request, account, price, |hasher| match hasher.verify(password, stored)? {
            Verification::Differs => Ok(None),
            Verification::Matches { .. } => hasher.hash(new, salt).map(Some),
        })
        .await
    }

    /// The work of one verification.
    async fn verify_dummy(&self, request: &Request, account: &Account, password: &Password) -> Result<(), ApiError> {
        let price = self.config.hasher.cpu_micros();
        Ok(self.in_turn(request, account, price, |hasher| hasher.verify_dummy(password)).await??)
    }

    /// Waits for this request's turn, then runs `work` at once. Stops if the client has reset the connection.
    async fn in_turn<T>(
        &self,
        request: &Request,
        account: &Account,
        price: u64,
        work: impl FnOnce(&Hasher) -> T,
    ) -> Result<T, ApiError> {
        let hasher = &self.config.hasher;
        let entry = Entry { account: account.clone(), source: request.client.source(), price };
        let entered = QUEUE.with_borrow_mut(|queue| queue.enter(entry, hasher.cpu_micros(), now_millis()));
        let place = Place(entered.map_err(|refusal| self.refused(refusal))?);
        loop {
            Delay::from(Duration::ZERO).await;
            if request.is_abandoned() {
                return Err(ApiError::ClientLeft);
            }
            match QUEUE.with_borrow_mut(|queue| queue.look(&place.0, now_millis())) {
                Turn::Wait => {}
                Turn::Hash => return Ok(work(hasher)),
                Turn::Displaced(refusal) => return Err(self.refused(refusal)),
            }
        }
    }

    fn refused(&self, refusal: QueueError) -> ApiError {
        match refusal {
            QueueError::ShareTaken { retry_after } => {
                if let Some(count) = self.tallies.hashing_share_taken.add(self.now) {
                    self.log(&Event::TooManyRequests { reason: "hashing_share", count });
                }
                ApiError::TooManyRequests(retry_after)
            }
            QueueError::Full { retry_after } => {
                if let Some(count) = self.tallies.overloaded.add(self.now) {
                    self.log(&Event::Overloaded { count });
                }
                ApiError::Overloaded(retry_after)
            }
        }
    }
}

/// What verifying a password found.
pub enum Verified {
    /// It is the password.
    Matches {
        /// What replaces an outdated hash.
        new_hash: Option<String>,
    },
    /// It is not.
    Differs,
}
