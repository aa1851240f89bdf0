//! The rules of Portcullis, pure: no clock, no storage, no randomness, nothing of the Workers runtime.
//!
//! Everything here is a function of its arguments, so every rule is tested natively. `now` is in unix seconds and random bytes
//! come in as arrays. This is a crate of its own so that the compiler keeps the rest of the program out.

#![cfg_attr(
    test,
    expect(
        clippy::arithmetic_side_effects,
        clippy::string_slice,
        clippy::format_collect,
        reason = "a test that overflows or slices badly fails, which is what it is for"
    )
)]

pub mod account;
pub mod costs;
pub mod edit;
pub mod id;
pub mod identity;
pub mod password;
pub mod sign_in;
pub mod strict_json;
pub mod token;
