//! What admins do with accounts.

pub mod delete_user;
pub mod end_user_sessions;
pub mod update_user;
pub mod user;
pub mod user_sessions;
pub mod users;
