//! Signing keys that the scheduled event makes: when a key is made, when it signs, and until when it verifies.
//!
//! Time is divided into periods of [`PERIOD`] seconds, counted from 1970, so that all deployments agree on them without a word. Each
//! period has at most one key. A key is published from the second in which it is made:
//!
//! ```text
//! created_at     activates_at             retires_at             expires_at
//! |- published ->|- published, signs ---->|- published --------->|- known --------->|
//!    at least LEAD   until the period ends   OVERLAP                 until nobody is left who needs it to be logged in
//! ```
//!
//! All these times are stored with the key and authenticated with it, so no row that anybody writes makes a key live longer. The keys of
//! `SIGNING_KEYS` sign whenever no such key does, and are published and accepted all the time.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::at_rest::Place;
use crate::token::algorithm::Algorithm;
use crate::token::keys::{KeyState, PublicSet, SigningKey, SigningKeys};
use crate::token::sealed::length_of;

/// Length of a period, in seconds: 30 days. A constant, because deployments that number their periods differently would not agree.
pub const PERIOD: u64 = 30 * 86_400;
/// How long before its period a key is made, in seconds: a week of hourly tries.
pub const AHEAD: u64 = 7 * 86_400;
/// Minimum time from the publication of a key to its first signature, in seconds. It is longer than everything that may keep an older
/// list of keys, one after another: KV ([`MAX_KEPT_AGE`]), an isolate ([`MAX_COPY_AGE`]; for the JWKS [`RENEWAL_AGE`], and then five
/// minutes in HTTP caches and ten in jose).
pub const LEAD: u64 = MAX_KEPT_AGE + MAX_COPY_AGE;
/// Age from which the list in KV is not used without D1, in seconds. The scheduled event writes it every hour.
pub const MAX_KEPT_AGE: u64 = 2 * 3_600;
/// Age from which the copy of an isolate is not used to sign before it is read again, in seconds.
pub const MAX_COPY_AGE: u64 = 3_600;
/// Age from which the copy of an isolate is read again, in seconds.
pub const RENEWAL_AGE: u64 = 300;
/// Minimum time between two readings because of tokens with an unknown `kid` or because of a failure, in seconds.
pub const RETRY_AGE: u64 = 10;
/// Maximum lifetime of an access token that can be configured, in seconds.
pub const MAX_ACCESS_TOKEN_TTL: u64 = 86_400;
/// How long a key verifies after its last signature, in seconds: the longest access token, and an hour for caches and clocks.
const OVERLAP: u64 = MAX_ACCESS_TOKEN_TTL + 3_600;
/// Maximum difference of two clocks, in seconds.
const MAX_CLOCK_DIFFERENCE: u64 = 300;
/// The algorithm of every key that is made.
const ALGORITHM: Algorithm = Algorithm::Es256;

/// A key as D1 and KV have it. Times in unix seconds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoredKey {
    /// The number of the period in which it signs.
    pub period: u64,
    /// The `kid`.
    pub kid: String,
    /// The algorithm.
    pub algorithm: String,
    /// When it was made, from when on it is published.
    pub created_at: u64,
    /// From when on it signs.
    pub activates_at: u64,
    /// From when on it no longer signs.
    pub retires_at: u64,
    /// From when on it is neither published nor accepted.
    pub expires_at: u64,
    /// The private JWK, encrypted under a data secret. The other members are its associated data.
    pub private_key: String,
}

impl StoredKey {
    /// A key that is made now for a period, without its private part.
    #[must_use]
    pub fn new(period: u64, kid: String, now: u64) -> Self {
        let retires_at = start_of(period.saturating_add(1));
        Self {
            period,
            kid,
            algorithm: ALGORITHM.name().to_owned(),
            created_at: now,
            activates_at: start_of(period).max(now.saturating_add(LEAD)),
            retires_at,
            expires_at: retires_at.saturating_add(OVERLAP),
            private_key: String::new(),
        }
    }

    /// What the associated data of the private part calls the row: everything that the row says about the key. The numbers have eight
    /// bytes each; each text is preceded by its length as u32.
    #[must_use]
    pub fn row(&self) -> Vec<u8> {
        let numbers = [self.period, self.created_at, self.activates_at, self.retires_at, self.expires_at];
        let texts = [self.kid.as_bytes(), self.algorithm.as_bytes()];
        let texts = texts.into_iter().flat_map(|text| [&length_of(text), text].concat());
        numbers.into_iter().flat_map(u64::to_be_bytes).chain(texts).collect()
    }

    /// Where the private part is stored. `row` is [`Self::row`].
    #[must_use]
    pub const fn place(row: &[u8]) -> Place<'_> {
        Place { table: "signing_keys", column: "private_key", row }
    }

    /// Whether its times are those with which a key of its period is made. Whoever knows a data secret could otherwise make one that lives for
    /// decades.
    #[must_use]
    fn has_times_of_its_period(&self) -> bool {
        let made = Self::new(self.period, String::new(), self.created_at);
        self.period <= self.created_at.saturating_add(AHEAD) / PERIOD
            && self.activates_at == made.activates_at
            && self.retires_at == made.retires_at
            && self.expires_at == made.expires_at
    }

    /// Whether nobody needs the key any more. A client that was away for `idle_ttl` seconds may still send the last access token with its
    /// refresh token, which must not log it out. Keys from before `not_before` are not to be used.
    #[must_use]
    pub fn is_obsolete(&self, now: u64, not_before: u64, idle_ttl: u64) -> bool {
        self.created_at < not_before || now >= self.expires_at.max(self.retires_at.saturating_add(idle_ttl))
    }
}

/// The first second of a period.
const fn start_of(period: u64) -> u64 {
    period.saturating_mul(PERIOD)
}

/// The periods for which a key is to be made now: the one in which a new key could sign, and the next one in its last [`AHEAD`]
/// seconds. `stored` are the keys that are not obsolete.
#[must_use]
pub fn to_make(now: u64, not_before: u64, stored: &[StoredKey]) -> Vec<u64> {
    let wanted = [LEAD, AHEAD].map(|ahead| now.saturating_add(ahead) / PERIOD);
    let is_missing = |period: &u64| now >= not_before && stored.iter().all(|key| key.period != *period);
    let mut periods: Vec<_> = wanted.into_iter().filter(is_missing).collect();
    periods.dedup();
    periods
}

/// A key whose private part was decrypted.
pub struct AutomaticKey {
    stored: StoredKey,
    key: SigningKey,
}

impl AutomaticKey {
    /// The key of a decrypted JWK; `None` if it is not the key that the row names, or if no scheduled event made such a row.
    #[must_use]
    pub fn new(stored: StoredKey, jwk: &[u8]) -> Option<Self> {
        let key = SigningKey::from_json(jwk)?;
        let is_named = key.kid() == stored.kid && key.algorithm().name() == stored.algorithm;
        let is_made = stored.has_times_of_its_period();
        (is_named && is_made && key.algorithm() == ALGORITHM).then_some(Self { stored, key })
    }

    /// The row.
    #[must_use]
    pub const fn stored(&self) -> &StoredKey {
        &self.stored
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Whether its making is not in the future, except by the difference of two clocks.
    const fn is_made(&self, now: u64) -> bool {
        self.stored.created_at <= now.saturating_add(MAX_CLOCK_DIFFERENCE)
    }

    const fn signs(&self, now: u64) -> bool {
        self.stored.activates_at <= now && now < self.stored.retires_at
    }
}

/// All keys of the service: those of `SIGNING_KEYS`, and those that the scheduled event made.
#[derive(Clone, Copy)]
pub struct KeyRing<'k> {
    /// The keys of `SIGNING_KEYS`.
    pub configured: &'k SigningKeys,
    /// The others.
    pub automatic: &'k [Rc<AutomaticKey>],
    /// Whether the others sign.
    pub is_automatic: bool,
}

impl<'k> KeyRing<'k> {
    /// The key that signs. `None` if no key of `SIGNING_KEYS` may sign yet.
    #[must_use]
    pub fn active(self, now: u64) -> Option<&'k SigningKey> {
        let signing = self.automatic.iter().filter(|key| self.is_automatic && key.signs(now));
        // A key of a later period never activates earlier, and two keys sign only if clocks or rows are odd.
        let latest = signing.max_by_key(|key| key.stored.activates_at);
        latest.map(|key| &key.key).or_else(|| self.configured.active(now))
    }

    /// The key with that `kid`, in any state.
    #[must_use]
    pub fn find(self, kid: &str) -> Option<&'k SigningKey> {
        self.configured.find(kid).or_else(|| self.find_automatic(kid).map(AutomaticKey::key))
    }

    fn find_automatic(self, kid: &str) -> Option<&'k AutomaticKey> {
        self.automatic.iter().map(Rc::as_ref).find(|key| key.key.kid() == kid)
    }

    /// Whether a key of this ring no longer verifies. `overlap` is that of [`SigningKeys::state`].
    #[must_use]
    pub fn is_expired(self, key: &SigningKey, now: u64, overlap: u64) -> bool {
        match self.find_automatic(key.kid()) {
            Some(automatic) => !automatic.is_made(now) || now >= automatic.stored.expires_at,
            None => self.configured.state(key, now, overlap) == KeyState::Expired,
        }
    }

    /// The keys whose public part is published.
    pub fn published(self, now: u64, overlap: u64) -> impl Iterator<Item = &'k SigningKey> {
        let automatic = self.automatic.iter().filter(move |key| key.is_made(now) && now < key.stored.expires_at);
        self.configured.published(now, overlap).chain(automatic.map(|key| &key.key))
    }

    /// The public JWK Set.
    #[must_use]
    pub fn public_set(self, now: u64, overlap: u64) -> PublicSet<'k> {
        PublicSet::of(self.published(now, overlap))
    }
}

/// What is in KV beside D1: the same keys, so that neither a cold start nor an outage of D1 stops `/verify`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeptKeys {
    /// When it was written.
    pub at: u64,
    /// The `kid` of the key that signed then.
    pub active: Option<String>,
    /// The keys.
    pub keys: Vec<StoredKey>,
}

impl KeptKeys {
    /// Whether it has every key that may sign, without a look at D1. A list from the future would hide newer keys for ever.
    #[must_use]
    pub const fn is_current(&self, now: u64) -> bool {
        self.at <= now.saturating_add(MAX_CLOCK_DIFFERENCE) && now < self.at.saturating_add(MAX_KEPT_AGE)
    }
}

/// How old the copy of an isolate is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Age {
    /// It needs no reading.
    New,
    /// It can be used, and is to be read again meanwhile.
    Old,
    /// It may lack the key that signs.
    TooOld,
}

impl Age {
    /// The age of a copy that was read at that time; `None`: never.
    #[must_use]
    pub fn of(read_at: Option<u64>, now: u64) -> Self {
        match read_at.map(|at| now.saturating_sub(at)) {
            Some(..RENEWAL_AGE) => Self::New,
            Some(RENEWAL_AGE..MAX_COPY_AGE) => Self::Old,
            _ => Self::TooOld,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use serde_json::{Value, json};

    use super::{
        AHEAD, Age, AutomaticKey, KeptKeys, KeyRing, LEAD, MAX_CLOCK_DIFFERENCE, MAX_COPY_AGE, MAX_KEPT_AGE, OVERLAP,
        PERIOD, RENEWAL_AGE, StoredKey, to_make,
    };
    use crate::token::keys::tests::{another_key, parse, rfc_7515_a3_key, rfc_8037_a1_key};
    use crate::token::keys::{SigningKey, SigningKeys};

    const DAY: u64 = 86_400;
    /// A period, and its first second.
    const P: u64 = 690;
    const START: u64 = P * PERIOD;
    const IDLE: u64 = 7 * DAY;

    fn kid(jwk: &Value) -> String {
        SigningKey::from_json(jwk.to_string().as_bytes()).unwrap().kid().to_owned()
    }

    fn stored(period: u64, now: u64) -> StoredKey {
        StoredKey::new(period, format!("kid of {period}"), now)
    }

    fn automatic(jwk: &Value, period: u64, now: u64) -> Rc<AutomaticKey> {
        let stored = StoredKey::new(period, kid(jwk), now);
        Rc::new(AutomaticKey::new(stored, jwk.to_string().as_bytes()).unwrap())
    }

    fn ring<'k>(configured: &'k SigningKeys, automatic: &'k [Rc<AutomaticKey>], is_automatic: bool) -> KeyRing<'k> {
        KeyRing { configured, automatic, is_automatic }
    }

    #[test]
    fn a_key_is_published_for_longer_than_anything_keeps_an_older_list() {
        const HTTP_CACHES_AND_JOSE: u64 = 300 + 600;
        const { assert!(MAX_KEPT_AGE + RENEWAL_AGE + HTTP_CACHES_AND_JOSE < LEAD) };
        const { assert!(MAX_KEPT_AGE + MAX_COPY_AGE <= LEAD && LEAD < AHEAD && AHEAD < PERIOD) };
    }

    #[test]
    fn a_key_made_ahead_signs_exactly_in_its_period() {
        for now in [START - AHEAD, START - LEAD] {
            let key = stored(P, now);
            assert_eq!((key.period, key.created_at, key.activates_at), (P, now, START), "{now}");
            assert_eq!((key.retires_at, key.expires_at), (START + PERIOD, START + PERIOD + DAY + 3_600), "{now}");
            assert_eq!(key.algorithm, "ES256");
        }
    }

    #[test]
    fn a_key_made_late_signs_once_it_was_published_for_long_enough() {
        for now in [START - LEAD + 1, START, START + PERIOD - LEAD - 1] {
            let key = stored(P, now);
            assert_eq!((key.activates_at, key.retires_at), (now + LEAD, START + PERIOD), "{now}");
            assert!(key.activates_at < key.retires_at);
        }
        assert_eq!(stored(u64::MAX, u64::MAX).expires_at, u64::MAX, "no overflow");
    }

    #[test]
    fn the_next_key_is_made_a_week_ahead_to_the_second() {
        let current = stored(P, START);
        let both = [current.clone(), stored(P + 1, START + PERIOD - AHEAD)];
        let end = START + PERIOD;
        for (now, none, one) in [
            (START - LEAD - 1, vec![P - 1, P], vec![P - 1]),
            (START - LEAD, vec![P], vec![]),
            (START, vec![P], vec![]),
            (end - AHEAD - 1, vec![P], vec![]),
            (end - AHEAD, vec![P, P + 1], vec![P + 1]),
            (end - LEAD - 1, vec![P, P + 1], vec![P + 1]),
            (end - LEAD, vec![P + 1], vec![P + 1]),
        ] {
            assert_eq!(to_make(now, 0, &[]), none, "{now}");
            assert_eq!(to_make(now, 0, std::slice::from_ref(&current)), one, "{now}");
            if now >= START {
                assert_eq!(to_make(now, 0, &both), Vec::<u64>::new(), "{now}");
            }
        }
        assert_eq!(to_make(START - 1, START, &[]), Vec::<u64>::new(), "no key is made before KEYS_NOT_BEFORE");
        assert_eq!(to_make(START, START, &[]), [P]);
        assert_eq!(to_make(u64::MAX, 0, &[]).len(), 1);
    }

    #[test]
    fn a_key_is_obsolete_when_no_client_needs_it() {
        let key = stored(P, START);
        let end = START + PERIOD;
        assert!(!key.is_obsolete(end + IDLE - 1, 0, IDLE) && key.is_obsolete(end + IDLE, 0, IDLE));
        // A short idle time does not end the time in which it verifies.
        assert!(!key.is_obsolete(end + OVERLAP - 1, 0, 900) && key.is_obsolete(end + OVERLAP, 0, 900));
        assert!(!key.is_obsolete(START, START, IDLE) && key.is_obsolete(START, START + 1, IDLE));
    }

    #[test]
    fn every_member_of_the_row_is_in_the_associated_data() {
        let key = stored(P, START);
        let row = key.row();
        assert_eq!(row.len(), 5 * 8 + 4 + key.kid.len() + 4 + 5);
        let changed: [fn(&mut StoredKey); 7] = [
            |key| key.period += 1,
            |key| key.created_at += 1,
            |key| key.activates_at -= 1,
            |key| key.retires_at += 1,
            |key| key.expires_at += 1,
            |key| key.kid.push('x'),
            |key| key.algorithm.push('x'),
        ];
        for (number, change) in changed.into_iter().enumerate() {
            let mut other = key.clone();
            change(&mut other);
            assert_ne!(other.row(), row, "{number}");
        }
        let moved = StoredKey { kid: format!("{}E", key.kid), algorithm: "S256".to_owned(), ..key.clone() };
        assert_ne!(moved.row(), row, "the texts have their lengths");
        assert_eq!(StoredKey::place(&row).table, "signing_keys");
    }

    #[test]
    fn a_private_part_is_that_of_its_row_or_none() {
        let jwk = rfc_7515_a3_key();
        let good = StoredKey::new(P, kid(&jwk), START);
        let opened = |stored: &StoredKey, jwk: &Value| AutomaticKey::new(stored.clone(), jwk.to_string().as_bytes());
        assert_eq!(opened(&good, &jwk).unwrap().key().kid(), good.kid);
        assert!(opened(&good, &another_key()).is_none());
        assert!(opened(&StoredKey { kid: kid(&another_key()), ..good.clone() }, &jwk).is_none());
        assert!(opened(&StoredKey { algorithm: "EdDSA".to_owned(), ..good.clone() }, &jwk).is_none());
        // Only keys of the one algorithm that is made here.
        let other = rfc_8037_a1_key();
        let named = StoredKey { kid: kid(&other), algorithm: "EdDSA".to_owned(), ..good.clone() };
        assert!(opened(&named, &other).is_none());
        assert!(AutomaticKey::new(good.clone(), b"{}").is_none() && AutomaticKey::new(good, b"").is_none());
    }

    #[test]
    fn a_key_with_times_that_no_scheduled_event_makes_is_none() {
        let jwk = rfc_7515_a3_key();
        let made = |change: fn(&mut StoredKey)| {
            let mut stored = StoredKey::new(P, kid(&jwk), START);
            change(&mut stored);
            AutomaticKey::new(stored, jwk.to_string().as_bytes()).is_some()
        };
        assert!(made(|_| ()));
        assert!(!made(|key| key.expires_at += 1) && !made(|key| key.retires_at += PERIOD));
        assert!(!made(|key| key.activates_at -= 1));
        // The key of a period that begins later than a week after its making.
        let ahead = |now| AutomaticKey::new(StoredKey::new(P, kid(&jwk), now), jwk.to_string().as_bytes()).is_some();
        assert!(ahead(START - AHEAD) && !ahead(START - AHEAD - 1));
    }

    #[test]
    fn a_list_from_the_future_is_not_current() {
        let current = |at| KeptKeys { at, active: None, keys: vec![] }.is_current(START);
        assert!(current(START) && current(START + MAX_CLOCK_DIFFERENCE) && !current(START + MAX_CLOCK_DIFFERENCE + 1));
        assert!(!current(u64::MAX));
    }

    #[test]
    fn one_key_after_the_other_signs_without_a_gap() {
        let configured = parse(&[rfc_8037_a1_key()]).unwrap();
        let (first, second) = (rfc_7515_a3_key(), another_key());
        // The first key is made at the start of its period, the second one ahead.
        let keys = [automatic(&second, P + 1, START + PERIOD - AHEAD), automatic(&first, P, START)];
        let ring = ring(&configured, &keys, true);
        let [base, first, second] = [rfc_8037_a1_key(), first, second].map(|jwk| kid(&jwk));
        let end = START + PERIOD;
        for (now, active, published) in [
            (START, &base, vec![&base, &first]),
            (START + LEAD - 1, &base, vec![&base, &first]),
            (START + LEAD, &first, vec![&base, &first]),
            (end - AHEAD - MAX_CLOCK_DIFFERENCE - 1, &first, vec![&base, &first]),
            (end - AHEAD - MAX_CLOCK_DIFFERENCE, &first, vec![&base, &second, &first]),
            (end - 1, &first, vec![&base, &second, &first]),
            (end, &second, vec![&base, &second, &first]),
            (end + OVERLAP - 1, &second, vec![&base, &second, &first]),
            (end + OVERLAP, &second, vec![&base, &second]),
            (end + PERIOD - 1, &second, vec![&base, &second]),
            // No third key was made.
            (end + PERIOD, &base, vec![&base, &second]),
            (end + PERIOD + OVERLAP, &base, vec![&base]),
            (u64::MAX, &base, vec![&base]),
        ] {
            assert_eq!(ring.active(now).unwrap().kid(), active, "{now}");
            assert_eq!(ring.published(now, 900).map(SigningKey::kid).collect::<Vec<_>>(), published, "{now}");
            for key in [&base, &first, &second] {
                let is_expired = ring.is_expired(ring.find(key).unwrap(), now, 900);
                assert_eq!(is_expired, !published.contains(&key), "{key} {now}");
            }
        }
        assert!(ring.find("unknown").is_none());
        let set = serde_json::to_string(&ring.public_set(START, 900)).unwrap();
        assert!(set.contains(&first) && set.contains(&base) && !set.contains("\"d\""));
    }

    #[test]
    fn with_manual_rotation_the_other_keys_verify_and_sign_nothing() {
        let configured = parse(&[rfc_8037_a1_key()]).unwrap();
        let keys = [automatic(&rfc_7515_a3_key(), P, START)];
        let (on, off) = (ring(&configured, &keys, true), ring(&configured, &keys, false));
        for now in [START, START + LEAD, START + PERIOD, START + PERIOD + OVERLAP] {
            assert_eq!(off.active(now).unwrap().kid(), kid(&rfc_8037_a1_key()));
            let published = |ring: KeyRing<'_>| ring.published(now, 900).count();
            assert_eq!(published(on), published(off), "{now}");
            let key = off.find(&kid(&rfc_7515_a3_key())).unwrap();
            assert_eq!(on.is_expired(key, now, 900), off.is_expired(key, now, 900), "{now}");
        }
    }

    #[test]
    fn a_configured_key_that_may_not_sign_yet_is_not_replaced() {
        let mut later = rfc_8037_a1_key();
        later["signs_from"] = json!(START + 10);
        let configured = parse(&[later]).unwrap();
        assert!(ring(&configured, &[], true).active(START).is_none());
        assert!(ring(&configured, &[], true).active(START + 10).is_some());
    }

    #[test]
    fn the_age_of_a_copy_decides_what_happens_to_the_second() {
        for (seconds, age) in [
            (0, Age::New),
            (RENEWAL_AGE - 1, Age::New),
            (RENEWAL_AGE, Age::Old),
            (MAX_COPY_AGE - 1, Age::Old),
            (MAX_COPY_AGE, Age::TooOld),
            (u64::MAX, Age::TooOld),
        ] {
            assert_eq!(Age::of(Some(1_000), 1_000_u64.saturating_add(seconds)), age, "{seconds}");
        }
        assert_eq!(Age::of(None, 1_000), Age::TooOld);
        assert_eq!(Age::of(Some(1_000), 999), Age::New, "a clock that goes back");
        let kept = KeptKeys { at: 1_000, active: None, keys: vec![stored(P, START)] };
        assert!(kept.is_current(1_000 + MAX_KEPT_AGE - 1) && !kept.is_current(1_000 + MAX_KEPT_AGE));
        let json = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<KeptKeys>(&json).unwrap(), kept);
    }
}
