use super::{
    Account, Entry, GONE_AFTER_MILLIS, HashingQueue, MAX_PER_ACCOUNT, MAX_PER_SOURCE, MAX_WAITING, MAX_WORK_MICROS,
    QueueError, Ticket, Turn,
};
use crate::account::client::Source;
use crate::id::Id;

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
    let mut tickets: Vec<_> = (0..4).map(|n| queue.enter(entry(&format!("a{n}"), n, DEAR), OURS, 0).unwrap()).collect();
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
    let cheap: Vec<_> = (2..20).map(|n| queue.enter(entry(&n.to_string(), n, OURS), OURS, 4_000).unwrap()).collect();
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
