//! Accounts: their roles, their audit trail, the clients they are used from, and the servers that may ask about them.

pub mod audit;
pub mod client;
pub mod metadata;
pub mod resource_server;
pub mod roles;
