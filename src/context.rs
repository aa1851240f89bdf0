//! The context of a request: plain data and bindings, without behaviour.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use portcullis_core::id::Id;
use portcullis_core::token::rotation::AutomaticKey;
use portcullis_core::token::verified::VerifiedTokenCache;
use worker::Env;

use crate::config::Config;
use crate::log::Tallies;
use crate::platform::data_keys::DataKeys;
use crate::platform::webcrypto::Keys;
use crate::store::Store;

/// The last health check of this isolate.
#[derive(Default)]
pub struct Health {
    pub last_result: RefCell<Option<HealthResult>>,
    /// Start of the running check, in unix seconds; `None` if none is running.
    pub running_since: Cell<Option<u64>>,
}

#[derive(Clone)]
pub struct HealthResult {
    /// Time of the check, in unix seconds.
    pub at: u64,
    pub failing: Vec<&'static str>,
}

/// The keys of an isolate. Work after the reply shares them.
pub struct Keychain {
    pub config: Rc<Config>,
    /// The imported keys of `SIGNING_KEYS`.
    pub configured: Keys,
    /// The imported keys of the data secrets; `None` without `DATA_SECRETS`.
    pub data_keys: Option<DataKeys>,
    /// The copy of the keys that the scheduled event made. Never borrowed across an await.
    pub copy: RefCell<Rc<KeyCopy>>,
    /// When the copy was read, in unix seconds; `None`: never.
    pub read_at: Cell<Option<u64>>,
    /// When the last reading began, in unix seconds.
    pub tried_at: Cell<Option<u64>>,
    /// When the running reading began, in unix seconds; `None` if none is running.
    pub reading_since: Cell<Option<u64>>,
    /// Whether the last reading failed.
    pub has_failed: Cell<bool>,
    /// Periods and names of keys that do not open and have been logged.
    pub refused: RefCell<BTreeSet<(u64, String)>>,
}

/// The keys that the scheduled event made, and all imported keys, those of `SIGNING_KEYS` too.
#[derive(Clone)]
pub struct KeyCopy {
    pub automatic: Vec<Rc<AutomaticKey>>,
    pub imported: Keys,
}

/// The class of rate limits that an endpoint asks, which is a column of the table of endpoints.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum EndpointLimit {
    /// No class. A forged token is counted nevertheless.
    None,
    /// It checks a password or creates an account.
    Credentials,
    /// It changes something for the bearer of an access token.
    Writes,
}

/// The context of a request.
pub struct Context<'a> {
    /// The checked configuration.
    pub config: &'a Rc<Config>,
    /// The signing keys.
    pub keychain: &'a Rc<Keychain>,
    /// The imported keys of the data secrets; `None` without `DATA_SECRETS`.
    pub data_keys: Option<&'a DataKeys>,
    /// The cache of verified access tokens. Never borrowed across an await.
    pub verified_tokens: &'a RefCell<VerifiedTokenCache>,
    /// Counts of events that are not logged one by one.
    pub tallies: &'a Tallies,
    /// The last health check.
    pub health: &'a Health,
    /// The bindings that are not storage.
    pub env: &'a Env,
    /// The rate limit of the endpoint.
    pub limit: EndpointLimit,
    /// The bindings of the storage.
    pub store: &'a Store,
    /// Keeps work running after the reply.
    pub background: &'a worker::Context,
    /// Time when the request was read, in unix seconds.
    pub now: u64,
    /// The millisecond of that second.
    pub millisecond: u64,
    /// The name of the endpoint, in the log and in data points.
    pub endpoint: &'static str,
    /// The id of the request, in its reply and in the log.
    pub request_id: Id,
}
