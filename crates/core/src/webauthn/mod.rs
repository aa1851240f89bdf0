//! Passkeys: the checks of a relying party (WebAuthn Level 3), without clock, storage, randomness or cryptography.
//!
//! A *ceremony* registers a passkey ([`registration`]) or uses one ([`authentication`]). The server issues a [`challenge`] within
//! [`options`], the browser answers with a [`credential`], and the checks decide over it in the order of §7.1 and §7.2. They end
//! in a [`refusal::PasskeyRefusal`] or in [`unverified::UnverifiedPasskey`], which yields its result only for the outcome of the
//! signature's verification.

pub mod attestation_object;
pub mod authentication;
pub mod authenticator;
pub mod authenticator_data;
pub mod base64url;
mod cbor;
pub mod ceremony;
pub mod challenge;
pub mod client_data;
pub mod cose_key;
pub mod credential;
pub mod options;
pub mod refusal;
pub mod registration;
pub mod signature;
pub mod unverified;

#[cfg(test)]
mod tests;

/// Maximum number of passkeys of an account.
pub const MAX_CREDENTIALS: usize = 10;
/// Maximum length of a credential id, in bytes (WebAuthn §6.5.1).
pub const MAX_CREDENTIAL_ID_LEN: usize = 1023;
