//! Known devices. A device that completes a sign-in gets a token, and a login that brings it is not delayed by the failures of others.
//!
//! In cookie mode the tokens are in a cookie, for up to five users of one browser, the newest first.

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
#[derive(Default)]
pub struct Devices(Vec<DeviceToken>);

impl Devices {
    /// Reads the tokens of a request. `token`: the one in its body.
    pub fn presented(context: &Context<'_>, request: &Request, token: Option<&str>) -> Self {
        let cookie = if context.config.cookie_mode { request.cookie(COOKIE).ok().flatten() } else { None };
        let texts = token.into_iter().chain(cookie.iter().flat_map(|cookie| cookie.split(SEPARATOR)));
        let parse = |text| DeviceToken::parse(text, &context.config.device_token_keys, context.now);
        Self(texts.take(MAX_TOKENS).filter_map(parse).collect())
    }

    /// The ids of the devices.
    pub fn ids(&self) -> impl Iterator<Item = Id> {
        self.0.iter().map(DeviceToken::device_id)
    }

    /// The device that is known to a user whose credentials have this version.
    pub fn find(&self, user_id: Id, credentials_version: u64) -> Option<Id> {
        self.0.iter().find(|token| token.is_of(user_id, credentials_version)).map(DeviceToken::device_id)
    }

    /// Adds the cookie to a reply: the new token, and those of other users.
    pub fn set(&self, context: &Context<'_>, reply: Reply, new: &DeviceToken) -> Reply {
        let others = self.0.iter().filter(|token| token.user_id() != new.user_id());
        let tokens = std::iter::once(new).chain(others).take(MAX_TOKENS);
        let tokens: Vec<_> = tokens.map(|token| token.encode(&context.config.device_token_keys)).collect();
        reply.cookie(COOKIE, &tokens.join(SEPARATOR), Some(DeviceToken::TTL))
    }
}
