//! Second factors, which complete a sign-in or a step-up.

use portcullis_core::sign_in::Method;
use portcullis_core::webauthn::challenge::PasskeyPurpose;
use portcullis_core::webauthn::credential::AuthenticationResponse;

pub use super::proved::{Owner, ProvedFactor};
use super::{FactorError, passkey, recovery_code, totp};
use crate::context::Context;
use crate::http::Request;

/// A second factor, as a request sends it.
#[derive(Clone, Copy)]
pub enum SecondFactor<'a> {
    /// A code of the authenticator app.
    Code(&'a str),
    /// A recovery code.
    RecoveryCode(&'a str),
    /// A passkey, and what its challenge must have been issued for.
    Passkey(&'a AuthenticationResponse, PasskeyPurpose),
}

impl SecondFactor<'_> {
    /// The authentication method.
    pub const fn method(&self) -> Method {
        match self {
            Self::Code(_) => Method::Totp,
            Self::RecoveryCode(_) => Method::RecoveryCode,
            Self::Passkey(..) => Method::Passkey,
        }
    }
}

/// Judges a second factor. Call it only once the user has given another proof, or with a passkey: nobody else gets to guess.
pub async fn judge(
    context: &Context<'_>,
    request: &Request,
    owner: Owner,
    factor: SecondFactor<'_>,
) -> Result<ProvedFactor, FactorError> {
    match factor {
        SecondFactor::Code(code) => totp::judge(context, request, owner, code).await,
        SecondFactor::RecoveryCode(code) => recovery_code::judge(context, request, owner, code).await,
        SecondFactor::Passkey(response, purpose) => passkey::judge(context, response, purpose).await,
    }
}
