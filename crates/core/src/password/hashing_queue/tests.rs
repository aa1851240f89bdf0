use super::{
    ABANDONED_AFTER_MILLIS, Entry, HashingQueue, MAX_PER_ACCOUNT, MAX_PER_ACCOUNT_AND_SOURCE, MAX_PER_SOURCE,
    MAX_UNKNOWN, MAX_UNKNOWN_WORK_MICROS, MAX_WAITING, MAX_WORK_MICROS, QueueError, Ticket, Turn,
};
use crate::account::client::Source;
use crate::account::throttle::Subject;
use crate::id::Id;

const CHEAP: u64 = 17_000;
const EXPENSIVE: u64 = 500_000;

fn subject(account: &str) -> Subject {
    let mut id = [0; Id::LEN];
    id.iter_mut().zip(account.bytes()).for_each(|(to, from)| *to = from);
    Subject::User(Id::new(id))
}

fn entry(account: &str, source: u8, price: u64) -> Entry {
    Entry { account: subject(account), source: Source::of(&format!("192.0.2.{source}")), is_known_device: false, price }
}

/// Serves all waiting requests. Returns their numbers in the order in which they hash.
fn serve(queue: &mut HashingQueue, waiting: &[Ticket], now: u64) -> Vec<u64> {
    let mut left: Vec<_> = waiting.to_vec();
    let mut served = Vec::new();
    while !left.is_empty() {
        let before = left.len();
        for _ in 0..2 {
            left.retain(|ticket| {
                let turn = queue.poll(ticket, now);
                if turn == Turn::Hash {
                    served.push(ticket.number);
                }
                turn == Turn::Wait
            });
        }
        assert!(left.len() < before, "no request is served");
    }
    served
}

#[test]
fn requests_of_one_source_are_served_in_order() {
    let mut queue = HashingQueue::new();
    let enter = |n: u32| queue.enter(entry(&n.to_string(), 1, CHEAP), CHEAP, 0).unwrap();
    let tickets: Vec<_> = (0..20).map(enter).collect();
    assert_eq!(serve(&mut queue, &tickets, 1), (1..=20).collect::<Vec<_>>());
}

#[test]
fn every_request_polls_between_two_hashes() {
    let mut queue = HashingQueue::new();
    let [one, other] = ["a", "b"].map(|account| queue.enter(entry(account, 1, CHEAP), CHEAP, 0).unwrap());
    assert_eq!(queue.poll(&other, 1), Turn::Wait);
    assert_eq!(queue.poll(&one, 1), Turn::Hash);
    assert_eq!(queue.poll(&other, 2), Turn::Wait, "a hash has begun since its last poll");
    assert_eq!(queue.poll(&other, 2), Turn::Hash);
}

#[test]
fn sources_are_served_in_turn() {
    let mut queue = HashingQueue::new();
    let mut tickets: Vec<_> =
        (0..10).map(|n| queue.enter(entry(&format!("a{n}"), 1, CHEAP), CHEAP, 0).unwrap()).collect();
    tickets.push(queue.enter(entry("b", 2, CHEAP), CHEAP, 0).unwrap());
    let served = serve(&mut queue, &tickets, 1);
    assert!(served.iter().position(|number| *number == 11).unwrap() <= 1, "{served:?}");
}

#[test]
fn cheap_hashes_overtake_expensive_ones_without_delaying_them_forever() {
    let mut queue = HashingQueue::new();
    let mut tickets: Vec<_> =
        (0..4).map(|n| queue.enter(entry(&format!("a{n}"), n, EXPENSIVE), CHEAP, 0).unwrap()).collect();
    tickets.extend((0..40).map(|n| queue.enter(entry(&format!("b{n}"), 100 + n, CHEAP), CHEAP, 0).unwrap()));
    let served = serve(&mut queue, &tickets, 1);
    let place = |number: u64| served.iter().position(|served| *served == number).unwrap();
    assert!(place(5) < 2 && place(44) < 44, "{served:?}");

    // A steady stream of cheap requests.
    let expensive = queue.enter(entry("expensive", 255, EXPENSIVE), CHEAP, 2).unwrap();
    let mut hashed = 0;
    let is_served = (0..200).any(|n| {
        let cheap = queue.enter(entry(&format!("c{n}"), n, CHEAP), CHEAP, 2).unwrap();
        for _ in 0..2 {
            if queue.poll(&expensive, 3) == Turn::Hash {
                return true;
            }
            hashed += u32::from(queue.poll(&cheap, 3) == Turn::Hash);
        }
        queue.leave(&cheap);
        false
    });
    assert!(is_served && hashed >= 10, "after {hashed} cheap ones");
}

#[test]
fn a_source_uses_at_most_a_quarter_of_the_places() {
    let mut queue = HashingQueue::new();
    let mut enter = |n: usize, source| queue.enter(entry(&format!("{source}-{n}"), source, 1), CHEAP, 0).err();
    let refused = (0..MAX_WAITING).filter_map(|n| enter(n, 1)).collect::<Vec<_>>();
    assert_eq!(refused, vec![QueueError::ShareTaken { retry_after: 1 }; MAX_WAITING - MAX_PER_SOURCE]);
    assert!((0..MAX_PER_SOURCE).all(|n| enter(n, 2).is_none()));
    assert!((0..MAX_PER_SOURCE).all(|n| enter(n, 3).is_none()));
    assert_eq!(enter(0, 4), Some(QueueError::Full { retry_after: 1 }), "the rest is for known devices");
}

#[test]
fn an_account_uses_at_most_four_places_and_a_source_three_of_them() {
    let mut queue = HashingQueue::new();
    let mut enter = |source| queue.enter(entry("ada", source, 1), CHEAP, 0).err();
    let refused: Vec<_> = (0..6).map(|_| enter(1).is_some()).collect();
    assert_eq!(refused, [false, false, false, true, true, true]);
    assert_eq!(enter(2), None, "the owner");
    assert_eq!(queue.waiting.len(), MAX_PER_ACCOUNT);
}

#[test]
fn a_request_displaces_the_last_one_of_the_source_with_the_most_places() {
    let mut queue = HashingQueue::new();
    let mut enter = |source| queue.enter(entry("ada", source, 1), CHEAP, 0);
    let flood: Vec<_> = [1, 1, 2, 2].map(|source| enter(source).unwrap()).into();
    assert!(enter(1).is_err() && enter(2).is_err(), "these sources have the most places");
    let owner = enter(3).unwrap();
    let more = enter(4).unwrap();
    assert!(enter(5).is_err(), "every source has one place");
    assert_eq!(queue.waiting.len(), MAX_PER_ACCOUNT);
    let displaced: Vec<_> = flood
        .iter()
        .filter(|ticket| matches!(queue.poll(ticket, 1), Turn::Displaced(_)))
        .map(|ticket| ticket.number)
        .collect();
    assert_eq!(displaced, [2, 4]);
    assert!(queue.displaced.is_empty());
    let left: Vec<_> = [&flood[0], &flood[2], &owner, &more].map(Ticket::clone).into();
    assert_eq!(serve(&mut queue, &left, 1).len(), 4);
}

#[test]
fn displaced_requests_that_never_poll_do_not_accumulate() {
    let mut queue = HashingQueue::new();
    for round in 0..2 * MAX_WAITING {
        let account = round.to_string();
        for source in [1, 1, 1, 2, 3] {
            queue.enter(entry(&account, source, 1), CHEAP, 0).unwrap();
        }
        queue.waiting.clear();
    }
    assert_eq!(queue.displaced.len(), MAX_WAITING);
}

#[test]
fn a_source_uses_at_most_a_quarter_of_the_work() {
    let mut queue = HashingQueue::new();
    let mut enter =
        |n: usize, source, price| queue.enter(entry(&format!("{source}-{n}"), source, price), CHEAP, 0).err();
    let taken = (0..64).filter(|n| enter(*n, 1, 3 * CHEAP).is_none()).count() as u64;
    assert_eq!(taken, MAX_WORK_MICROS / 4 / (3 * CHEAP));
    assert_eq!(enter(0, 2, 3 * CHEAP), None);
    let expensive = (0..5).filter(|n| enter(*n, 3, EXPENSIVE).is_none()).count();
    assert_eq!(expensive, 1);
    assert_eq!(enter(0, 4, EXPENSIVE), None);
}

#[test]
fn an_overdue_request_is_served_next() {
    let mut queue = HashingQueue::new();
    let expensive = queue.enter(entry("expensive", 1, EXPENSIVE), CHEAP, 0).unwrap();
    let cheap: Vec<_> = (2..20).map(|n| queue.enter(entry(&n.to_string(), n, CHEAP), CHEAP, 4_000).unwrap()).collect();
    for ticket in &cheap {
        assert_eq!(queue.poll(ticket, 4_001), Turn::Wait, "{}", ticket.number);
        queue.leave(ticket);
        if queue.poll(&expensive, 4_001) == Turn::Hash {
            return;
        }
    }
    panic!("the expensive request was not served");
}

#[test]
fn requests_of_unknown_source_have_no_source_limit() {
    let mut queue = HashingQueue::new();
    let unknown = |n: usize| Entry { account: subject(&n.to_string()), source: None, is_known_device: false, price: 1 };
    assert!((0..MAX_UNKNOWN).all(|n| queue.enter(unknown(n), CHEAP, 0).is_ok()));
}

#[test]
fn waiting_work_is_limited_by_price() {
    let mut queue = HashingQueue::new();
    let mut enter = |n: u8, price| queue.enter(entry(&n.to_string(), n, price), CHEAP, 0).err();
    assert_eq!((0..4).filter_map(|n| enter(n, EXPENSIVE)).count(), 0, "every request has its own source");
    assert_eq!(
        enter(4, EXPENSIVE),
        Some(QueueError::Full { retry_after: 2 }),
        "expensive hashes may take half of the work"
    );
    let cheap = (5..250).filter(|n| enter(*n, CHEAP).is_none()).count() as u64;
    assert_eq!(cheap, (MAX_UNKNOWN_WORK_MICROS - 4 * EXPENSIVE) / CHEAP, "cheap hashes may take the rest");
    assert_eq!(enter(255, CHEAP), Some(QueueError::Full { retry_after: 3 }));
}

#[test]
fn a_hash_above_all_limits_is_served_alone() {
    let mut queue = HashingQueue::new();
    assert!(queue.enter(entry("a", 1, 2 * MAX_WORK_MICROS), CHEAP, 0).is_ok());
    assert!(queue.enter(entry("b", 2, 2 * MAX_WORK_MICROS), CHEAP, 0).is_err());
}

#[test]
fn leaving_frees_a_place() {
    let mut queue = HashingQueue::new();
    let tickets: Vec<_> = (0..3).map(|_| queue.enter(entry("ada", 1, 1), CHEAP, 0).unwrap()).collect();
    assert!(queue.enter(entry("ada", 1, 1), CHEAP, 0).is_err());
    queue.leave(&tickets[0]);
    assert!(queue.enter(entry("ada", 1, 1), CHEAP, 0).is_ok());
}

#[test]
fn a_request_that_stops_polling_loses_its_place_and_regains_it_by_polling() {
    let mut queue = HashingQueue::new();
    let paused = queue.enter(entry("a", 1, 1), CHEAP, 0).unwrap();
    let polling = queue.enter(entry("b", 2, 2), CHEAP, 0).unwrap();
    assert_eq!(queue.poll(&polling, 1), Turn::Wait);
    assert_eq!(queue.poll(&polling, ABANDONED_AFTER_MILLIS + 1), Turn::Wait);
    assert_eq!(queue.poll(&polling, ABANDONED_AFTER_MILLIS + 2), Turn::Wait, "this poll removes the other request");
    assert_eq!(queue.poll(&polling, ABANDONED_AFTER_MILLIS + 2), Turn::Hash);
    assert_eq!(queue.poll(&paused, ABANDONED_AFTER_MILLIS + 3), Turn::Wait);
    assert_eq!(queue.poll(&paused, ABANDONED_AFTER_MILLIS + 3), Turn::Hash);
}

#[test]
fn a_long_hash_removes_no_request() {
    let mut queue = HashingQueue::new();
    let [first, second, third] = [(1, EXPENSIVE), (2, EXPENSIVE), (3, EXPENSIVE)]
        .map(|(n, price)| queue.enter(entry(&n.to_string(), n, price), CHEAP, 0).unwrap());
    assert_eq!(queue.poll(&first, 1), Turn::Hash);
    // The hash takes ten seconds, in which no request can poll.
    assert_eq!(queue.poll(&third, 10_000), Turn::Wait);
    assert_eq!(queue.poll(&third, 10_001), Turn::Wait);
    assert_eq!(queue.waiting.len(), 2);
    assert_eq!(queue.poll(&second, 10_002), Turn::Wait);
    assert_eq!(queue.poll(&second, 10_003), Turn::Hash);
}

#[test]
fn abandoned_requests_take_no_places() {
    let mut queue = HashingQueue::new();
    for n in 0..MAX_PER_SOURCE {
        queue.enter(entry(&n.to_string(), 1, 1), CHEAP, 0).unwrap();
    }
    assert!(queue.enter(entry("x", 1, 1), CHEAP, 1).is_err());
    assert!(queue.enter(entry("x", 1, 1), CHEAP, ABANDONED_AFTER_MILLIS + 2).is_ok());
}

#[test]
fn known_devices_of_one_network_share_half_of_the_queue() {
    let mut queue = HashingQueue::new();
    let known = |n: usize| Entry { is_known_device: true, ..entry(&n.to_string(), 1, 1) };
    let taken = (0..MAX_WAITING).filter(|n| queue.enter(known(*n), CHEAP, 0).is_ok()).count();
    assert_eq!(taken, MAX_WAITING / 2);
    assert!(queue.enter(entry("other", 1, 1), CHEAP, 0).is_ok(), "they take no place of their source");
    assert!(queue.enter(entry("another", 2, 1), CHEAP, 0).is_ok());
}

#[test]
fn the_known_devices_of_one_account_have_three_places() {
    let mut queue = HashingQueue::new();
    let known = || Entry { is_known_device: true, ..entry("a", 1, 1) };
    let taken = (0..10).filter(|_| queue.enter(known(), CHEAP, 0).is_ok()).count();
    assert_eq!(taken, MAX_PER_ACCOUNT_AND_SOURCE);
}

#[test]
fn however_many_sources_fill_the_queue_a_known_device_can_wait() {
    let known = |n: u8, price| Entry { is_known_device: true, ..entry(&format!("known {n}"), n, price) };
    for (price, refused) in [(1, 300), (CHEAP, 300)] {
        let mut queue = HashingQueue::new();
        let taken = (0..refused).filter(|n| {
            let one = Entry { source: None, ..entry(&n.to_string(), 1, price) };
            queue.enter(one, CHEAP, 0).is_ok()
        });
        assert!(taken.count() <= MAX_UNKNOWN);
        assert!(matches!(queue.enter(entry("x", 1, price), CHEAP, 0), Err(QueueError::Full { .. })));
        assert!((0..10).all(|n| queue.enter(known(n, price), CHEAP, 0).is_ok()), "{price}");
    }
}
