//! What belongs to one request, and to the isolate that handles it: plain data and bindings, without behaviour.

use std::cell::{Cell, RefCell};

use portcullis_core::id::Id;
use portcullis_core::token::verified::VerifiedTokenCache;

use crate::config::Config;
use crate::log::Tallies;
use crate::platform::webcrypto::Keys;
use crate::store::Store;

/// What the bindings answered when this isolate last asked them.
#[derive(Default)]
pub struct Health {
    pub answer: RefCell<Option<HealthAnswer>>,
    /// When the request that is asking now began, in unix seconds.
    pub asked_at: Cell<Option<u64>>,
}

#[derive(Clone)]
pub struct HealthAnswer {
    /// Unix seconds.
    pub at: u64,
    pub failing: Vec<&'static str>,
}

/// What a handler is given.
pub struct Context<'a> {
    /// The checked configuration.
    pub config: &'a Config,
    /// The imported signing keys.
    pub keys: &'a Keys,
    /// The access tokens that were verified. Never borrowed over an await.
    pub verified_tokens: &'a RefCell<VerifiedTokenCache>,
    /// What is counted rather than logged.
    pub tallies: &'a Tallies,
    /// What the bindings answered last.
    pub health: &'a Health,
    /// The bindings.
    pub store: &'a Store,
    /// What runs after the reply.
    pub background: &'a worker::Context,
    /// When the request was read, in unix seconds.
    pub now: u64,
    /// The millisecond of that second.
    pub millisecond: u64,
    /// The identifier of the request, in its reply and in the log.
    pub request_id: Id,
}
