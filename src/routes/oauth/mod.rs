//! The endpoints of OAuth 2 and its metadata, for clients and resource servers.

pub mod introspect;
pub mod jwks;
pub mod metadata;
pub mod revoke;
pub mod token;
