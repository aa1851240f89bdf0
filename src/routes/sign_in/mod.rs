//! Creating accounts, logging in, refreshing.

pub mod login;
pub mod refresh;
pub mod register;
