//! The queue of requests that wait to hash a password.
//!
//! A hash occupies the only thread of the isolate, so requests wait for their turn. The price of a request is the CPU time that
//! its hash takes. The queue shares the CPU time fairly between the sources of the requests.
//!
//! **Order.** Self-clocked fair queueing (Golestani, "A Self-Clocked Fair Queueing Scheme for Broadband Applications", 1994). The
//! tag of a request is its price plus the tag of the previous request from its source. The lowest tag is served next. So the
//! requests of a busy source are interleaved with those of others, and a cheap hash does not wait for an expensive one from
//! another source.
//!
//! **Limits.** The queue holds at most [`MAX_WAITING`] requests and [`MAX_WORK_MICROS`] of work, of which expensive hashes may
//! take half. One source may use a quarter of the places and of the work; one account four places, of which one source may use
//! three. If the places of an account are taken, a request displaces the last one from the source with the most of them, provided
//! its own source has fewer. So even three sources together cannot take all places of an account.
//!
//! **Known devices.** Those of one account count as one source, and all of them together may use half of the places and of the
//! work. So requests of others from the same network do not take their share. A quarter of the queue is reserved for them: however many
//! sources fill the rest, a known device can wait.
//!
//! **Polling.** A waiting request polls the queue. A cancelled one stops polling and loses its place.

#[cfg(test)]
mod tests;

use crate::account::client::Source;
use crate::account::throttle::Subject;

/// Maximum waiting requests. Each holds about 30 KiB if its body has the maximum size.
pub const MAX_WAITING: usize = 256;
/// Maximum waiting requests from one source.
pub const MAX_PER_SOURCE: usize = MAX_WAITING / 4;
/// Maximum waiting requests that are not from known devices.
pub const MAX_UNKNOWN: usize = MAX_WAITING / 4 * 3;
/// Maximum waiting requests for one account.
pub const MAX_PER_ACCOUNT: usize = 4;
/// Maximum waiting requests for one account from one source.
const MAX_PER_ACCOUNT_AND_SOURCE: usize = MAX_PER_ACCOUNT - 1;
/// The limits of work are divided by this for one source.
const SOURCE_DIVISOR: u64 = 4;
/// Maximum waiting work, in microseconds of CPU time.
pub const MAX_WORK_MICROS: u64 = 4_000_000;
/// Maximum waiting work of requests that are not from known devices, in microseconds of CPU time.
pub const MAX_UNKNOWN_WORK_MICROS: u64 = MAX_WORK_MICROS / 4 * 3;
/// Maximum waiting work of expensive hashes, in microseconds of CPU time.
const MAX_EXPENSIVE_WORK_MICROS: u64 = MAX_WORK_MICROS / 2;
/// A hash is expensive if it costs more than this many hashes at the configured cost.
const EXPENSIVE_FACTOR: u64 = 4;
/// Time without a poll after which a request is removed, in milliseconds. It does not count while no request can poll.
const ABANDONED_AFTER_MILLIS: u64 = 1_000;
/// Waiting time after which a request is served next whatever its tag, in milliseconds. Otherwise cheap requests from many
/// sources could delay an expensive one forever.
const OVERDUE_AFTER_MILLIS: u64 = 4_000;

/// A request to hash a password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The account that the password belongs to, as the request identifies it. It may not exist.
    pub account: Subject,
    /// The source of the request, if known.
    pub source: Option<Source>,
    /// Whether the request comes from a known device of the account.
    pub is_known_device: bool,
    /// The CPU time that the hash takes, in microseconds.
    pub price: u64,
}

/// Why a request may not wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QueueError {
    /// Its source or account has reached its limit.
    ShareTaken {
        /// When to retry, in seconds from now.
        retry_after: u64,
    },
    /// The queue is full.
    Full {
        /// When the waiting work will be done, in seconds from now.
        retry_after: u64,
    },
}

/// The result of polling.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Other requests, or other events of the isolate, come first.
    Wait,
    /// The request is next. It has left the queue and must hash now.
    Hash,
    /// A request from another source has taken its place.
    Displaced(QueueError),
}

/// A place in the queue. Times in unix milliseconds.
#[derive(Clone, Debug)]
pub struct Ticket {
    number: u64,
    tag: u64,
    entry: Entry,
    is_expensive: bool,
    /// [`HashingQueue::begun`] at the last poll.
    begun: u64,
    entered_at: u64,
    polled_at: u64,
}

/// The queue of an isolate. Times in unix milliseconds.
#[derive(Debug, Default)]
pub struct HashingQueue {
    waiting: Vec<Ticket>,
    /// The numbers of displaced requests that have not polled since.
    displaced: Vec<u64>,
    /// The number of requests that have entered.
    entered: u64,
    /// The number of hashes that have begun.
    begun: u64,
    /// The tag of the last hash that began.
    virtual_time: u64,
    /// The time of the first poll since the last hash began. While a hash runs, no request can poll.
    idle_since: Option<u64>,
}

impl HashingQueue {
    /// An empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self { waiting: Vec::new(), displaced: Vec::new(), entered: 0, begun: 0, virtual_time: 0, idle_since: None }
    }

    /// Queues a request. `current_price` is the price of a hash at the configured cost.
    ///
    /// # Errors
    /// [`QueueError`] if the request may not wait.
    pub fn enter(&mut self, entry: Entry, current_price: u64, now: u64) -> Result<Ticket, QueueError> {
        let is_expensive = entry.price > current_price.saturating_mul(EXPENSIVE_FACTOR);
        if self.refusal(&entry, is_expensive).is_some() {
            self.drop_abandoned(now);
            self.displace_for(&entry);
            if let Some(refusal) = self.refusal(&entry, is_expensive) {
                return Err(refusal);
            }
        }
        self.entered = self.entered.saturating_add(1);
        let same_source = self.waiting.iter().filter(|other| is_same_source(&other.entry, &entry));
        let start = same_source.map(|other| other.tag).max().unwrap_or(0).max(self.virtual_time);
        let tag = start.saturating_add(entry.price);
        let ticket = Ticket {
            number: self.entered,
            tag,
            entry,
            is_expensive,
            begun: self.begun,
            entered_at: now,
            polled_at: now,
        };
        self.waiting.push(ticket.clone());
        Ok(ticket)
    }

    /// Polls the queue. A request is next if its tag is the lowest and no hash has begun since its last poll. So between two
    /// hashes every request polls, and the runtime handles other events.
    pub fn poll(&mut self, ticket: &Ticket, now: u64) -> Turn {
        let idle_since = *self.idle_since.get_or_insert(now);
        let begun = self.begun;
        if let Some(place) = self.displaced.iter().position(|number| *number == ticket.number) {
            self.displaced.swap_remove(place);
            return Turn::Displaced(SHARE_TAKEN);
        }
        let Some(own) = self.waiting.iter_mut().find(|other| other.number == ticket.number) else {
            // It was removed because it had not polled.
            self.waiting.push(Ticket { begun, polled_at: now, ..ticket.clone() });
            return Turn::Wait;
        };
        own.polled_at = now;
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
        if is_abandoned(first, idle_since, now) {
            self.drop_abandoned(now);
        }
        Turn::Wait
    }

    /// Gives up a place.
    pub fn leave(&mut self, ticket: &Ticket) {
        self.waiting.retain(|other| other.number != ticket.number);
        self.displaced.retain(|number| *number != ticket.number);
    }

    /// If the places of the entry's account are taken, frees the last place of the source that has the most of them, provided
    /// the entry's source has fewer.
    fn displace_for(&mut self, entry: &Entry) {
        let of_account: Vec<_> = self.waiting.iter().filter(|other| other.entry.account == entry.account).collect();
        if of_account.len() < MAX_PER_ACCOUNT {
            return;
        }
        let places = |of: &Entry| of_account.iter().filter(|other| is_same_source(&other.entry, of)).count();
        let last = of_account.iter().max_by_key(|other| (places(&other.entry), other.number));
        let Some(number) =
            last.filter(|last| places(&last.entry) > places(entry).saturating_add(1)).map(|last| last.number)
        else {
            return;
        };
        self.waiting.retain(|other| other.number != number);
        // Requests that never poll again must not accumulate.
        if self.displaced.len() >= MAX_WAITING {
            self.displaced.swap_remove(0);
        }
        self.displaced.push(number);
    }

    fn refusal(&self, entry: &Entry, is_expensive: bool) -> Option<QueueError> {
        let of_account = |other: &&Ticket| other.entry.account == entry.account;
        let of_source = |other: &&Ticket| is_same_source(&other.entry, entry);
        let in_share =
            |other: &&Ticket| if entry.is_known_device { other.entry.is_known_device } else { of_source(other) };
        let (max_places, max_work, max_expensive_work) = if entry.is_known_device {
            (MAX_WAITING / 2, MAX_WORK_MICROS / 2, MAX_EXPENSIVE_WORK_MICROS / 2)
        } else {
            (MAX_PER_SOURCE, MAX_WORK_MICROS / SOURCE_DIVISOR, MAX_EXPENSIVE_WORK_MICROS / SOURCE_DIVISOR)
        };
        let count = |is_counted: &dyn Fn(&&Ticket) -> bool| self.waiting.iter().filter(is_counted).count();
        let work = |is_counted: &dyn Fn(&&Ticket) -> bool| {
            self.waiting.iter().filter(is_counted).map(|other| other.entry.price).fold(0, u64::saturating_add)
        };
        let exceeds = |waiting: u64, bound: u64| waiting > 0 && waiting.saturating_add(entry.price) > bound;
        if count(&of_account) >= MAX_PER_ACCOUNT
            || count(&|other| of_account(other) && of_source(other)) >= MAX_PER_ACCOUNT_AND_SOURCE
            || count(&in_share) >= max_places
            || exceeds(work(&in_share), max_work)
            || (is_expensive && exceeds(work(&|other| other.is_expensive && in_share(other)), max_expensive_work))
        {
            return Some(SHARE_TAKEN);
        }
        let all = work(&|_| true);
        let is_unknown = |other: &&Ticket| !other.entry.is_known_device;
        let is_full = self.waiting.len() >= MAX_WAITING
            || exceeds(all, MAX_WORK_MICROS)
            || (is_expensive && exceeds(work(&|other| other.is_expensive), MAX_EXPENSIVE_WORK_MICROS))
            || (!entry.is_known_device
                && (count(&is_unknown) >= MAX_UNKNOWN || exceeds(work(&is_unknown), MAX_UNKNOWN_WORK_MICROS)));
        is_full.then(|| QueueError::Full { retry_after: all.div_ceil(1_000_000).max(1) })
    }

    fn drop_abandoned(&mut self, now: u64) {
        let idle_since = *self.idle_since.get_or_insert(now);
        self.waiting.retain(|ticket| !is_abandoned(ticket, idle_since, now));
    }
}

const SHARE_TAKEN: QueueError = QueueError::ShareTaken { retry_after: 1 };

impl Ticket {
    /// The sort key of waiting requests. The lowest is served first.
    fn order(&self, now: u64) -> (bool, u64, u64) {
        let is_overdue = now > self.entered_at.saturating_add(OVERDUE_AFTER_MILLIS);
        (!is_overdue, if is_overdue { 0 } else { self.tag }, self.number)
    }
}

/// Known devices are a source per account.
fn is_same_source(one: &Entry, other: &Entry) -> bool {
    match (one.is_known_device, other.is_known_device) {
        (true, true) => one.account == other.account,
        (false, false) => one.source.is_some() && one.source == other.source,
        _ => false,
    }
}

fn is_abandoned(ticket: &Ticket, idle_since: u64, now: u64) -> bool {
    now > ticket.polled_at.max(idle_since).saturating_add(ABANDONED_AFTER_MILLIS)
}
