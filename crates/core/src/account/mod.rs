//! Accounts: users, sessions, roles, the audit trail, clients, resource servers and the throttle.

pub mod audit;
pub mod caller;
pub mod client;
pub mod email_change;
pub mod metadata;
pub mod passkey;
pub mod resource_server;
pub mod roles;
pub mod session;
pub mod throttle;
pub mod user;
