//! Accounts: users, their sessions, roles and audit trail, the clients they are used from, and the servers that may ask about
//! them.

pub mod audit;
pub mod caller;
pub mod client;
pub mod metadata;
pub mod resource_server;
pub mod roles;
pub mod session;
pub mod user;
