//! Second factors: codes of authenticator apps (TOTP) and recovery codes.

pub mod qr;
pub mod recovery_code;
pub mod totp;
