//! Known devices. A device that completes a sign-in receives a token. The failures of others do not delay a login with this
//! token.
//!
//! In cookie mode the tokens are in a cookie, for up to five users of one browser, the newest first.

use std::ops::Deref;

use portcullis_core::account::throttle::Subject;
use portcullis_core::id::Id;
use portcullis_core::token::device::DeviceToken;

use crate::context::Context;
use crate::http::{Reply, Request};

const COOKIE: &str = "__Host-portcullis-device";
/// Maximum number of tokens in the cookie.
const MAX_TOKENS: usize = 5;
/// Separates the tokens in the cookie. No token contains it.
const SEPARATOR: &str = ".";

/// The device tokens of a request, the newest first. Invalid ones are ignored: their devices are unknown.
pub struct Devices(Vec<DeviceToken>);

impl Devices {
    /// Reads the tokens of a request: `token`, which is in its body, and those in the cookie.
    pub fn presented(context: &Context<'_>, request: &Request, token: Option<&str>) -> Self {
        let cookie = if context.config.cookie_mode { request.cookie(COOKIE).ok().flatten() } else { None };
        let texts = token.into_iter().chain(cookie.iter().flat_map(|cookie| cookie.split(SEPARATOR)));
        let (keys, not_before) = (&context.config.device_token_keys, context.config.sessions_not_before);
        let parse = |text| DeviceToken::parse(text, keys, context.now, not_before);
        Self(texts.take(MAX_TOKENS).filter_map(parse).collect())
    }

    /// The users of the devices.
    pub fn user_ids(&self) -> Vec<Id> {
        self.0.iter().map(DeviceToken::user_id).collect()
    }

    /// The subjects that failed attempts from the devices count against.
    pub fn subjects(&self) -> impl Iterator<Item = Subject> {
        self.0.iter().map(Subject::of_device)
    }

    /// The device of this user, if its token was issued for this version of the credentials.
    pub fn find(&self, user_id: Id, credentials_version: u64) -> Option<Subject> {
        Subject::of_known_device(self, user_id, credentials_version)
    }

    /// Removes the tokens of a user from the cookie of a reply, if the request has any.
    pub fn remove(&self, context: &Context<'_>, reply: Reply, user_id: Id) -> Reply {
        let others: Vec<_> = self.0.iter().filter(|token| token.user_id() != user_id).collect();
        if others.len() == self.0.len() { reply } else { set(context, reply, &others) }
    }

    /// Adds the cookie to a reply: the new token, and those of other users.
    pub fn set(&self, context: &Context<'_>, reply: Reply, new: &DeviceToken) -> Reply {
        let others = self.0.iter().filter(|token| token.user_id() != new.user_id());
        let tokens: Vec<_> = std::iter::once(new).chain(others).take(MAX_TOKENS).collect();
        set(context, reply, &tokens)
    }
}

impl Deref for Devices {
    type Target = [DeviceToken];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Sets the cookie to these tokens; without any, the browser deletes it.
fn set(context: &Context<'_>, reply: Reply, tokens: &[&DeviceToken]) -> Reply {
    let max_age = if tokens.is_empty() { 0 } else { DeviceToken::TTL };
    let tokens: Vec<_> = tokens.iter().map(|token| token.encode(&context.config.device_token_keys)).collect();
    reply.cookie(COOKIE, &tokens.join(SEPARATOR), Some(max_age))
}
