//! Who may hash a password next.
//!
//! A hash occupies the isolate's one thread, so those who want one wait in a queue. It is priced by the CPU time that each
//! waiting request is going to take, and shared fairly between the sources of the requests.
//!
//! **Order**: self-clocked fair queueing (Golestani, 1994). Every request gets a tag, the price of what its source has waiting
//! before it added up, and the lowest tag is next. So a source with much to hash is served between the others, not before
//! them, and a cheap hash does not wait behind a dear one of another source.
//!
//! **Bounds**: [`MAX_WAITING`] requests and [`MAX_WORK_MICROS`] of work in all, of which hashes much dearer than today's get half;
//! for one source a quarter of the places and of the work; for one account four places. Where the places of an account are taken, a
//! request of a source with fewer of them displaces the last one of the source with the most: one source, or three, cannot keep
//! the owner waiting outside.
//!
//! A request that waits looks again and again whether it is next. One that is cut off stops looking, and loses its place.

#[cfg(test)]
mod tests;

use crate::account::client::Source;
use crate::id::Id;

/// Maximum waiting requests: each holds some 30 KiB if it sends all that is read.
pub const MAX_WAITING: usize = 256;
/// Maximum waiting requests from one source.
pub const MAX_PER_SOURCE: usize = MAX_WAITING / 4;
/// Maximum waiting requests for one account.
pub const MAX_PER_ACCOUNT: usize = 4;
/// Maximum waiting requests for one account from one source.
const MAX_PER_ACCOUNT_AND_SOURCE: usize = MAX_PER_ACCOUNT - 1;
/// The part of the work that may wait from one source.
const SOURCE_SHARE: u64 = 4;
/// Maximum waiting work, in microseconds of CPU time.
pub const MAX_WORK_MICROS: u64 = 4_000_000;
/// Maximum waiting work of dear hashes.
const MAX_DEAR_WORK_MICROS: u64 = MAX_WORK_MICROS / 2;
/// A hash is dear if it costs more than this many hashes at today's cost.
const DEAR: u64 = 4;
/// A request that has not looked for this long, in milliseconds, although others could, is considered gone.
const GONE_AFTER_MILLIS: u64 = 1_000;

/// A request that has waited for this long, in milliseconds, is served next, whatever its tag: cheap requests of many sources
/// must not hold a dear one back for ever.
const OVERDUE_AFTER_MILLIS: u64 = 4_000;

/// What an account is counted by: what the request calls it, whether it exists or not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Account {
    /// The key of an e-mail address.
    Email(String),
    /// The key of a username.
    Username(String),
    /// A text that can be neither.
    Malformed(String),
    /// The id, where an access token tells it.
    User(Id),
}

/// A request that is going to hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The account whose password it is.
    pub account: Account,
    /// Where the request comes from, if that is known.
    pub source: Option<Source>,
    /// The CPU time its hash is going to take, in microseconds.
    pub price: u64,
}

/// Why a request may not wait. Times in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QueueError {
    /// Its source or its account has its maximum of waiting requests.
    ShareTaken {
        /// When to try again.
        retry_after: u64,
    },
    /// The queue is full.
    Full {
        /// When the work that waits now is done.
        retry_after: u64,
    },
}

/// What a request finds when it looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Others come first, or events that have come in meanwhile.
    Wait,
    /// It is next: it has left the queue and must hash at once.
    Hash,
    /// A request of another source has taken its place.
    Displaced(QueueError),
}

/// A place in the queue.
#[derive(Clone, Debug)]
pub struct Ticket {
    number: u64,
    tag: u64,
    entry: Entry,
    is_dear: bool,
    /// How many hashes had begun when it looked last.
    begun: u64,
    /// When it entered, in unix milliseconds.
    entered_at: u64,
    /// When it looked last.
    looked_at: u64,
}

/// The queue of an isolate. Times in unix milliseconds.
#[derive(Debug, Default)]
pub struct HashingQueue {
    waiting: Vec<Ticket>,
    /// Those that have lost their place to another source and do not know it yet.
    displaced: Vec<u64>,
    arrived: u64,
    begun: u64,
    /// The tag of the hash that began last.
    virtual_time: u64,
    /// Time of the first look since the last hash began: while a hash runs, no request can look.
    idle_since: Option<u64>,
}

impl HashingQueue {
    /// An empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self { waiting: Vec::new(), displaced: Vec::new(), arrived: 0, begun: 0, virtual_time: 0, idle_since: None }
    }

    /// Queues a request. `todays_price` is that of a hash at today's cost.
    ///
    /// # Errors
    /// [`QueueError`].
    pub fn enter(&mut self, entry: Entry, todays_price: u64, now: u64) -> Result<Ticket, QueueError> {
        let is_dear = entry.price > todays_price.saturating_mul(DEAR);
        if self.refusal(&entry, is_dear).is_some() {
            self.drop_gone(now);
            self.displace_for(&entry);
            if let Some(refusal) = self.refusal(&entry, is_dear) {
                return Err(refusal);
            }
        }
        self.arrived = self.arrived.saturating_add(1);
        let before = self.waiting.iter().filter(|other| is_same_source(&other.entry, &entry));
        let begins = before.map(|other| other.tag).max().unwrap_or(0).max(self.virtual_time);
        let tag = begins.saturating_add(entry.price);
        let ticket =
            Ticket { number: self.arrived, tag, entry, is_dear, begun: self.begun, entered_at: now, looked_at: now };
        self.waiting.push(ticket.clone());
        Ok(ticket)
    }

    /// Tells a waiting request whether it is next. It is if its tag is the lowest and no hash has begun since it looked last, so
    /// that between two hashes the runtime gets to everything else that has come in.
    pub fn look(&mut self, ticket: &Ticket, now: u64) -> Turn {
        let idle_since = *self.idle_since.get_or_insert(now);
        let begun = self.begun;
        if let Some(place) = self.displaced.iter().position(|number| *number == ticket.number) {
            self.displaced.swap_remove(place);
            return Turn::Displaced(SHARE_TAKEN);
        }
        let Some(own) = self.waiting.iter_mut().find(|other| other.number == ticket.number) else {
            // It was taken for gone.
            self.waiting.push(Ticket { begun, looked_at: now, ..ticket.clone() });
            return Turn::Wait;
        };
        own.looked_at = now;
        if own.begun != begun {
            own.begun = begun;
            return Turn::Wait;
        }
        let Some(first) = self.waiting.iter().min_by_key(|other| other.order(now)) else {
            return Turn::Wait;
        };
        if first.number == ticket.number {
            self.begun = self.begun.saturating_add(1);
            self.virtual_time = ticket.tag;
            self.idle_since = None;
            self.leave(ticket);
            return Turn::Hash;
        }
        if is_gone(first, idle_since, now) {
            self.drop_gone(now);
        }
        Turn::Wait
    }

    /// Gives a place up.
    pub fn leave(&mut self, ticket: &Ticket) {
        self.waiting.retain(|other| other.number != ticket.number);
        self.displaced.retain(|number| *number != ticket.number);
    }

    /// If the places of the entry's account are taken, frees the last one of the source that has the most, should the entry's
    /// source have fewer than that.
    fn displace_for(&mut self, entry: &Entry) {
        let of_account: Vec<_> = self.waiting.iter().filter(|other| other.entry.account == entry.account).collect();
        if of_account.len() < MAX_PER_ACCOUNT {
            return;
        }
        let places = |of: &Entry| of_account.iter().filter(|other| is_same_source(&other.entry, of)).count();
        let loser = of_account.iter().max_by_key(|other| (places(&other.entry), other.number));
        let Some(number) =
            loser.filter(|loser| places(&loser.entry) > places(entry).saturating_add(1)).map(|loser| loser.number)
        else {
            return;
        };
        self.waiting.retain(|other| other.number != number);
        // One that never looks again is not to be kept for ever.
        if self.displaced.len() >= MAX_WAITING {
            self.displaced.swap_remove(0);
        }
        self.displaced.push(number);
    }

    fn refusal(&self, entry: &Entry, is_dear: bool) -> Option<QueueError> {
        let of_account = |other: &&Ticket| other.entry.account == entry.account;
        let of_source = |other: &&Ticket| is_same_source(&other.entry, entry);
        let count = |is_counted: &dyn Fn(&&Ticket) -> bool| self.waiting.iter().filter(is_counted).count();
        let work = |is_counted: &dyn Fn(&&Ticket) -> bool| {
            self.waiting.iter().filter(is_counted).map(|other| other.entry.price).fold(0, u64::saturating_add)
        };
        let exceeds = |waiting: u64, bound: u64| waiting > 0 && waiting.saturating_add(entry.price) > bound;
        if count(&of_account) >= MAX_PER_ACCOUNT
            || count(&|other| of_account(other) && of_source(other)) >= MAX_PER_ACCOUNT_AND_SOURCE
            || count(&of_source) >= MAX_PER_SOURCE
            || exceeds(work(&of_source), MAX_WORK_MICROS / SOURCE_SHARE)
            || (is_dear
                && exceeds(work(&|other| other.is_dear && of_source(other)), MAX_DEAR_WORK_MICROS / SOURCE_SHARE))
        {
            return Some(SHARE_TAKEN);
        }
        let all = work(&|_| true);
        let is_full = self.waiting.len() >= MAX_WAITING
            || exceeds(all, MAX_WORK_MICROS)
            || (is_dear && exceeds(work(&|other| other.is_dear), MAX_DEAR_WORK_MICROS));
        is_full.then(|| QueueError::Full { retry_after: all.div_ceil(1_000_000).max(1) })
    }

    fn drop_gone(&mut self, now: u64) {
        let idle_since = *self.idle_since.get_or_insert(now);
        self.waiting.retain(|ticket| !is_gone(ticket, idle_since, now));
    }
}

const SHARE_TAKEN: QueueError = QueueError::ShareTaken { retry_after: 1 };

impl Ticket {
    /// Which of several waiting requests is served first.
    fn order(&self, now: u64) -> (bool, u64, u64) {
        let is_overdue = now > self.entered_at.saturating_add(OVERDUE_AFTER_MILLIS);
        (!is_overdue, if is_overdue { 0 } else { self.tag }, self.number)
    }
}

fn is_same_source(one: &Entry, other: &Entry) -> bool {
    one.source.is_some() && one.source == other.source
}

fn is_gone(ticket: &Ticket, idle_since: u64, now: u64) -> bool {
    now > ticket.looked_at.max(idle_since).saturating_add(GONE_AFTER_MILLIS)
}
