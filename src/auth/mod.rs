//! The rules, pure: no clock, no storage, no randomness, nothing of the Workers runtime.
//!
//! Everything here is a function of its arguments, so every rule is tested natively. `now` is in unix seconds and
//! random bytes come in as arrays. A check in the test command keeps this folder free of the rest of the crate.

pub mod access_token;
pub mod algorithm;
pub mod client;
mod common_passwords;
pub mod email;
mod foreign_hash;
mod guessable;
pub mod hashing_queue;
pub mod id;
pub mod known_tokens;
pub mod password;
pub mod profile;
pub mod refresh_token;
mod reserved_usernames;
pub mod resource_server;
pub mod roles;
mod secret;
mod signed_elsewhere;
pub mod signing_key;
mod strict_json;
mod text;
pub mod trail;
