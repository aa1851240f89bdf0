//! What a handler is given.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use portcullis_core::id::Id;
use portcullis_core::token::access::{AccessToken, Purpose, Rejection, Unverified, VerifiedToken};
use portcullis_core::token::keys::KeyState;
use portcullis_core::token::verified::{TokenHash, VerifiedTokenCache};

use super::error::ApiError;
use crate::config::Config;
use crate::http::Request;
use crate::log::{self, Event, Tallies};
use crate::platform::webcrypto::Keys;
use crate::sessions::marks;
use crate::store::{Denial, Store, StoreError, WithOwedMarks};
use portcullis_core::account::caller::Caller;
use portcullis_core::account::session::OwedMark;

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

/// What a route works with.
pub struct Context<'a> {
    /// The checked configuration.
    pub config: &'a Config,
    /// The imported signing keys.
    pub keys: &'a Keys,
    /// The access tokens that were seen. Never borrowed over an await.
    pub verified_tokens: &'a RefCell<VerifiedTokenCache>,
    /// What is counted rather than logged.
    pub tallies: &'a Tallies,
    /// What the bindings answered last.
    pub health: &'a Health,
    /// The bindings.
    pub store: &'a Store,
    /// What runs behind the answer.
    pub background: &'a worker::Context,
    /// Unix seconds.
    pub now: u64,
    /// Of that second: tells apart what happens in it.
    pub millisecond: u64,
    /// Of this request.
    pub request_id: Id,
}

impl Context<'_> {
    pub fn log(&self, event: &Event<'_>) {
        log::write(self.request_id, event);
    }

    /// The access token of a request, by signature and claims alone.
    pub async fn authenticate(&self, request: &Request) -> Result<AccessToken, ApiError> {
        self.verify_access_token(request.bearer()?).await?.map_err(|rejection| match rejection {
            Rejection::Expired => ApiError::ExpiredToken,
            _ => ApiError::InvalidToken,
        })
    }

    /// The name of an event to record: of those in one second, the later sorts behind.
    pub fn event_id(&self) -> String {
        format!("{:03}.{}", self.millisecond, self.request_id)
    }

    /// The answer of the store to an admin's route. A caller who is not an admin is logged.
    pub fn allowed<T>(&self, caller: Caller, answer: Result<T, StoreError>) -> Result<T, ApiError> {
        if matches!(answer, Err(StoreError::Denied { denial: Denial::NotAdmin, .. })) {
            self.log(&Event::Forbidden { user_id: caller.user_id, session_id: caller.session_id });
        }
        Ok(answer?)
    }

    /// Who asks, by signature and claims alone: whether the session is in force is for the store to tell.
    pub async fn caller(&self, request: &Request) -> Result<Caller, ApiError> {
        let token = self.authenticate(request).await?;
        Ok(Caller { user_id: token.sub, session_id: token.sid })
    }

    pub async fn verify_access_token(&self, compact: &str) -> Result<Result<AccessToken, Rejection>, ApiError> {
        self.read_access_token(compact, Purpose::Access).await
    }

    /// An access token by signature and claims alone. To know its session, a key that has expired is good enough.
    pub async fn read_access_token(
        &self,
        compact: &str,
        purpose: Purpose,
    ) -> Result<Result<AccessToken, Rejection>, ApiError> {
        let (config, keys) = (self.config, &self.config.signing_keys);
        let genuine = match self.verified_token(compact).await? {
            Ok(genuine) => genuine,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let Some(key) = keys.find(genuine.kid()) else { return Ok(Err(Rejection::Signature)) };
        let token = genuine.accept(purpose, self.now, config.clock_leeway);
        // Only now, so that a token that has ended with its key is told to be expired, as any other.
        let state = keys.state(key, self.now, config.key_overlap());
        if purpose == Purpose::Access && state == KeyState::Expired && token.is_ok() {
            return Ok(Err(Rejection::Signature));
        }
        Ok(token)
    }

    /// What a key of ours has signed, by its text alone.
    pub async fn verified_token(&self, compact: &str) -> Result<Result<Rc<VerifiedToken>, Rejection>, ApiError> {
        let hash = TokenHash::new(compact);
        if let Some(known) = hash.and_then(|hash| self.verified_tokens.borrow().find(hash)) {
            return Ok(Ok(known));
        }
        let unverified = match Unverified::parse(compact) {
            Ok(unverified) => unverified,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let Some(key) = self.config.signing_keys.find(unverified.kid()).filter(|key| unverified.is_for(key)) else {
            return Ok(Err(Rejection::Signature));
        };
        let genuine = self.keys.verify(key, unverified.signature(), unverified.signing_input().as_bytes()).await?;
        Ok(unverified.verify((key, genuine), &self.config.parties).map(|genuine| {
            let genuine = Rc::new(genuine);
            if let Some(hash) = hash {
                self.verified_tokens.borrow_mut().remember(hash, Rc::clone(&genuine));
            }
            genuine
        }))
    }

    /// Writes the marks that an operation found owed, also where it was denied, and gives what it did. D1 holds both, so a failure
    /// of KV is logged and tried again behind the answer, and no more.
    pub async fn settle<T>(&self, outcome: Result<WithOwedMarks<T>, StoreError>) -> Result<T, StoreError> {
        match &outcome {
            Ok(WithOwedMarks { owed_marks, .. }) | Err(StoreError::Denied { owed_marks, .. }) => {
                self.mark(owed_marks).await;
            }
            Err(_) => {}
        }
        Ok(outcome?.value)
    }

    pub async fn mark(&self, owed: &[OwedMark]) {
        if owed.is_empty() {
            return;
        }
        let written = marks::write(self.store, self.request_id, owed, self.now).await;
        let behind = marks::follow_up(self.store.renewed(), self.request_id, written, self.config.log_costs);
        self.background.wait_until(behind);
    }
}
