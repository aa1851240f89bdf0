//! Identifiers of users: e-mail address, username, display name.

pub mod characters;
pub mod display_name;
pub mod email;
mod reserved_usernames;
pub mod username;
