//! Tokens: access tokens and the keys that sign and verify them, refresh tokens, device tokens.

pub mod access;
pub mod algorithm;
pub mod device;
pub mod external_signature;
pub mod keys;
pub mod mfa;
pub mod profile;
pub mod refresh;
pub mod rotation;
pub mod sealed;
pub(crate) mod secret;
pub mod verified;
pub mod verifying_key;
