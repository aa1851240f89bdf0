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

use super::client::Source;
use super::id::Id;

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

#[cfg(test)]
mod tests {
    use super::{
        Account, Entry, GONE_AFTER_MILLIS, HashingQueue, MAX_PER_ACCOUNT, MAX_PER_SOURCE, MAX_WAITING, MAX_WORK_MICROS,
        QueueError, Ticket, Turn,
    };
    use crate::auth::client::Source;
    use crate::auth::id::Id;

    const OURS: u64 = 17_000;
    const DEAR: u64 = 500_000;

    fn entry(account: &str, source: u8, price: u64) -> Entry {
        Entry { account: Account::Email(account.to_owned()), source: Source::of(&format!("192.0.2.{source}")), price }
    }

    /// Serves everybody who waits, and gives their numbers in the order in which they hash.
    fn serve(queue: &mut HashingQueue, waiting: &[Ticket], now: u64) -> Vec<u64> {
        let mut left: Vec<_> = waiting.to_vec();
        let mut served = Vec::new();
        while !left.is_empty() {
            let before = left.len();
            for _ in 0..2 {
                left.retain(|ticket| {
                    let turn = queue.look(ticket, now);
                    if turn == Turn::Hash {
                        served.push(ticket.number);
                    }
                    turn == Turn::Wait
                });
            }
            assert!(left.len() < before, "nobody is served");
        }
        served
    }

    #[test]
    fn requests_of_one_source_are_served_in_their_order() {
        let mut queue = HashingQueue::new();
        let enter = |n: u32| queue.enter(entry(&n.to_string(), 1, OURS), OURS, 0).unwrap();
        let tickets: Vec<_> = (0..20).map(enter).collect();
        assert_eq!(serve(&mut queue, &tickets, 1), (1..=20).collect::<Vec<_>>());
    }

    #[test]
    fn between_two_hashes_everybody_looks_once() {
        let mut queue = HashingQueue::new();
        let [one, other] = ["a", "b"].map(|account| queue.enter(entry(account, 1, OURS), OURS, 0).unwrap());
        assert_eq!(queue.look(&other, 1), Turn::Wait);
        assert_eq!(queue.look(&one, 1), Turn::Hash);
        assert_eq!(queue.look(&other, 2), Turn::Wait, "a hash has begun since it looked last");
        assert_eq!(queue.look(&other, 2), Turn::Hash);
    }

    #[test]
    fn sources_take_turns() {
        let mut queue = HashingQueue::new();
        let mut tickets: Vec<_> =
            (0..10).map(|n| queue.enter(entry(&format!("a{n}"), 1, OURS), OURS, 0).unwrap()).collect();
        tickets.push(queue.enter(entry("b", 2, OURS), OURS, 0).unwrap());
        let served = serve(&mut queue, &tickets, 1);
        assert!(served.iter().position(|number| *number == 11).unwrap() <= 1, "{served:?}");
    }

    #[test]
    fn a_cheap_hash_overtakes_dear_ones_and_they_are_served_all_the_same() {
        let mut queue = HashingQueue::new();
        let mut tickets: Vec<_> =
            (0..4).map(|n| queue.enter(entry(&format!("a{n}"), n, DEAR), OURS, 0).unwrap()).collect();
        tickets.extend((0..60).map(|n| queue.enter(entry(&format!("b{n}"), 100 + n, OURS), OURS, 0).unwrap()));
        let served = serve(&mut queue, &tickets, 1);
        let place = |number: u64| served.iter().position(|served| *served == number).unwrap();
        assert!(place(5) < 2 && place(64) < 64, "{served:?}");

        // Cheap ones that keep coming do not hold a dear one back for ever.
        let dear = queue.enter(entry("dear", 255, DEAR), OURS, 2).unwrap();
        let mut hashed = 0;
        let is_served = (0..200).any(|n| {
            let cheap = queue.enter(entry(&format!("c{n}"), n, OURS), OURS, 2).unwrap();
            for _ in 0..2 {
                if queue.look(&dear, 3) == Turn::Hash {
                    return true;
                }
                hashed += u32::from(queue.look(&cheap, 3) == Turn::Hash);
            }
            queue.leave(&cheap);
            false
        });
        assert!(is_served && hashed >= 10, "after {hashed} cheap ones");
    }

    #[test]
    fn a_source_holds_a_quarter_of_the_places_and_the_others_are_free() {
        let mut queue = HashingQueue::new();
        let mut enter = |n: usize, source| queue.enter(entry(&format!("{source}-{n}"), source, 1), OURS, 0).err();
        let refused = (0..MAX_WAITING).filter_map(|n| enter(n, 1)).collect::<Vec<_>>();
        assert_eq!(refused, vec![QueueError::ShareTaken { retry_after: 1 }; MAX_WAITING - MAX_PER_SOURCE]);
        assert!((0..MAX_PER_SOURCE).all(|n| enter(n, 2).is_none()));
        assert!((0..MAX_PER_SOURCE).all(|n| enter(n, 3).is_none()));
        assert!((0..MAX_PER_SOURCE).all(|n| enter(n, 4).is_none()));
        assert_eq!(enter(0, 5), Some(QueueError::Full { retry_after: 1 }));
    }

    #[test]
    fn an_account_holds_four_places_and_no_source_all_of_them() {
        let mut queue = HashingQueue::new();
        let mut enter = |source| queue.enter(entry("ada", source, 1), OURS, 0).err();
        let refused: Vec<_> = (0..6).map(|_| enter(1).is_some()).collect();
        assert_eq!(refused, [false, false, false, true, true, true]);
        assert_eq!(enter(2), None, "the owner");
        assert_eq!(queue.waiting.len(), MAX_PER_ACCOUNT);
    }

    #[test]
    fn a_source_with_fewer_places_of_an_account_displaces_the_last_of_the_source_with_the_most() {
        let mut queue = HashingQueue::new();
        let mut enter = |source| queue.enter(entry("ada", source, 1), OURS, 0);
        let flood: Vec<_> = [1, 1, 2, 2].map(|source| enter(source).unwrap()).into();
        assert!(enter(1).is_err() && enter(2).is_err(), "they have the most themselves");
        let owner = enter(3).unwrap();
        let more = enter(4).unwrap();
        assert!(enter(5).is_err(), "each has one");
        assert_eq!(queue.waiting.len(), MAX_PER_ACCOUNT);
        let displaced: Vec<_> = flood
            .iter()
            .filter(|ticket| matches!(queue.look(ticket, 1), Turn::Displaced(_)))
            .map(|ticket| ticket.number)
            .collect();
        assert_eq!(displaced, [2, 4]);
        assert!(queue.displaced.is_empty());
        let left: Vec<_> = [&flood[0], &flood[2], &owner, &more].map(Ticket::clone).into();
        assert_eq!(serve(&mut queue, &left, 1).len(), 4);
    }

    #[test]
    fn displaced_requests_that_never_look_are_forgotten() {
        let mut queue = HashingQueue::new();
        for round in 0..2 * MAX_WAITING {
            let account = round.to_string();
            for source in [1, 1, 1, 2, 3] {
                queue.enter(entry(&account, source, 1), OURS, 0).unwrap();
            }
            queue.waiting.clear();
        }
        assert_eq!(queue.displaced.len(), MAX_WAITING);
    }

    #[test]
    fn an_address_a_username_and_an_id_of_one_text_are_different_accounts() {
        let id = Id::new([7; 16]);
        let text = id.to_string();
        let accounts = [
            Account::Email(text.clone()),
            Account::Username(text.clone()),
            Account::Malformed(text.clone()),
            Account::User(id),
        ];
        for (place, account) in accounts.iter().enumerate() {
            assert!(accounts.iter().skip(place + 1).all(|other| other != account));
        }
    }

    #[test]
    fn a_source_has_a_quarter_of_the_work_and_others_are_free_to_wait() {
        let mut queue = HashingQueue::new();
        let mut enter =
            |n: usize, source, price| queue.enter(entry(&format!("{source}-{n}"), source, price), OURS, 0).err();
        let taken = (0..64).filter(|n| enter(*n, 1, 3 * OURS).is_none()).count() as u64;
        assert_eq!(taken, MAX_WORK_MICROS / 4 / (3 * OURS));
        assert_eq!(enter(0, 2, 3 * OURS), None);
        let dear = (0..5).filter(|n| enter(*n, 3, DEAR).is_none()).count();
        assert_eq!(dear, 1);
        assert_eq!(enter(0, 4, DEAR), None);
    }

    #[test]
    fn a_request_that_has_waited_for_seconds_is_served_next() {
        let mut queue = HashingQueue::new();
        let dear = queue.enter(entry("dear", 1, DEAR), OURS, 0).unwrap();
        let cheap: Vec<_> =
            (2..20).map(|n| queue.enter(entry(&n.to_string(), n, OURS), OURS, 4_000).unwrap()).collect();
        for ticket in &cheap {
            assert_eq!(queue.look(ticket, 4_001), Turn::Wait, "{}", ticket.number);
            queue.leave(ticket);
            if queue.look(&dear, 4_001) == Turn::Hash {
                return;
            }
        }
        panic!("the dear one was not served");
    }

    #[test]
    fn requests_of_unknown_source_do_not_share_a_quota() {
        let mut queue = HashingQueue::new();
        let unknown = |n: usize| Entry { account: Account::Email(n.to_string()), source: None, price: 1 };
        assert!((0..MAX_WAITING).all(|n| queue.enter(unknown(n), OURS, 0).is_ok()));
    }

    #[test]
    fn work_is_bounded_by_its_price() {
        let mut queue = HashingQueue::new();
        let mut enter = |n: u8, price| queue.enter(entry(&n.to_string(), n, price), OURS, 0).err();
        assert_eq!((0..4).filter_map(|n| enter(n, DEAR)).count(), 0, "each of its own source");
        assert_eq!(enter(4, DEAR), Some(QueueError::Full { retry_after: 2 }), "half of it is for dear ones");
        let cheap = (5..250).filter(|n| enter(*n, OURS).is_none()).count() as u64;
        assert_eq!(cheap, (MAX_WORK_MICROS - 4 * DEAR) / OURS, "the other half for today's");
        assert_eq!(enter(255, OURS), Some(QueueError::Full { retry_after: 4 }));
    }

    #[test]
    fn a_hash_dearer_than_all_bounds_is_served_alone() {
        let mut queue = HashingQueue::new();
        assert!(queue.enter(entry("a", 1, 2 * MAX_WORK_MICROS), OURS, 0).is_ok());
        assert!(queue.enter(entry("b", 2, 2 * MAX_WORK_MICROS), OURS, 0).is_err());
    }

    #[test]
    fn leaving_frees_the_place() {
        let mut queue = HashingQueue::new();
        let tickets: Vec<_> = (0..3).map(|_| queue.enter(entry("ada", 1, 1), OURS, 0).unwrap()).collect();
        assert!(queue.enter(entry("ada", 1, 1), OURS, 0).is_err());
        queue.leave(&tickets[0]);
        assert!(queue.enter(entry("ada", 1, 1), OURS, 0).is_ok());
    }

    #[test]
    fn a_request_that_stops_looking_loses_its_place_and_regains_it_on_return() {
        let mut queue = HashingQueue::new();
        let gone = queue.enter(entry("a", 1, 1), OURS, 0).unwrap();
        let here = queue.enter(entry("b", 2, 2), OURS, 0).unwrap();
        assert_eq!(queue.look(&here, 1), Turn::Wait);
        assert_eq!(queue.look(&here, GONE_AFTER_MILLIS + 1), Turn::Wait);
        assert_eq!(queue.look(&here, GONE_AFTER_MILLIS + 2), Turn::Wait, "now it is taken for gone");
        assert_eq!(queue.look(&here, GONE_AFTER_MILLIS + 2), Turn::Hash);
        assert_eq!(queue.look(&gone, GONE_AFTER_MILLIS + 3), Turn::Wait);
        assert_eq!(queue.look(&gone, GONE_AFTER_MILLIS + 3), Turn::Hash);
    }

    #[test]
    fn no_request_is_gone_during_a_hash() {
        let mut queue = HashingQueue::new();
        let [dear, patient, next] = [(1, DEAR), (2, DEAR), (3, DEAR)]
            .map(|(n, price)| queue.enter(entry(&n.to_string(), n, price), OURS, 0).unwrap());
        assert_eq!(queue.look(&dear, 1), Turn::Hash);
        // The hash took ten seconds, in which nobody could look.
        assert_eq!(queue.look(&next, 10_000), Turn::Wait);
        assert_eq!(queue.look(&next, 10_001), Turn::Wait);
        assert_eq!(queue.waiting.len(), 2);
        assert_eq!(queue.look(&patient, 10_002), Turn::Wait);
        assert_eq!(queue.look(&patient, 10_003), Turn::Hash);
    }

    #[test]
    fn a_queue_of_requests_that_are_gone_refuses_nobody() {
        let mut queue = HashingQueue::new();
        for n in 0..MAX_PER_SOURCE {
            queue.enter(entry(&n.to_string(), 1, 1), OURS, 0).unwrap();
        }
        assert!(queue.enter(entry("x", 1, 1), OURS, 1).is_err());
        assert!(queue.enter(entry("x", 1, 1), OURS, GONE_AFTER_MILLIS + 2).is_ok());
    }
}
