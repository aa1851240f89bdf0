//! What users do with their own account and sessions.

pub mod change_password;
pub mod delete_me;
pub mod end_session;
pub mod end_sessions;
pub mod events;
pub mod me;
pub mod sessions;
pub mod update_me;
