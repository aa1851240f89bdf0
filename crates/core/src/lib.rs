//! The rules of Portcullis, as pure functions: no clock, no storage, no randomness, no Workers runtime.
//!
//! Every function depends only on its arguments, so every rule is tested natively. `now` is in unix seconds, and random bytes are
//! passed as arrays. It is a separate crate so that the compiler enforces this.

#![cfg_attr(
    test,
    expect(clippy::arithmetic_side_effects, clippy::string_slice, clippy::format_collect, reason = "a test may panic")
)]

pub mod account;
pub mod at_rest;
pub mod costs;
pub mod edit;
pub mod header;
pub mod id;
pub mod identity;
pub mod mail;
pub mod mfa;
pub mod password;
pub mod rate_limit;
pub mod sign_in;
pub mod stats;
pub mod strict_json;
pub mod token;
pub mod turnstile;
pub mod webauthn;
