//! Sign-ins that need a further proof.

use portcullis_core::sign_in;
use portcullis_core::token::mfa;

use super::email_code::ProvedChallenge;
use super::{FactorError, Proof};
use crate::context::Context;
use crate::store::sign_ins::PendingSignIn;

/// Opens the sign-in of an `mfa_token`. The attempt is counted before a proof is judged. Tokens that are forged, over or exhausted have one
/// error.
pub async fn open(context: &Context<'_>, mfa_token: &str) -> Result<PendingSignIn, FactorError> {
    let id = mfa::parse(mfa_token, &context.config.mfa_token_keys).ok_or(FactorError::InvalidMfaToken)?;
    context.store.try_sign_in(id, context.now).await?.ok_or(FactorError::InvalidMfaToken)
}

/// Finds the sign-in of an `mfa_token` without counting an attempt.
pub async fn find(context: &Context<'_>, mfa_token: &str) -> Result<PendingSignIn, FactorError> {
    let id = mfa::parse(mfa_token, &context.config.mfa_token_keys).ok_or(FactorError::InvalidMfaToken)?;
    context.store.find_sign_in(id, context.now).await?.ok_or(FactorError::InvalidMfaToken)
}

/// The proof of a sign-in after a code from a mail to its address.
pub fn with_email(
    context: &Context<'_>,
    pending: &PendingSignIn,
    proved: &ProvedChallenge,
) -> Result<Proof, FactorError> {
    proved.complete(proof(context, pending))
}

/// The proof of the session that begins with a new factor. `account`: what it is with the factor.
pub fn enrolling(
    context: &Context<'_>,
    pending: &PendingSignIn,
    credentials_version: u64,
    account: sign_in::Account,
) -> Proof {
    Proof { credentials_version, account, ..proof(context, pending) }
}

/// What a sign-in has proved so far.
pub fn proof(context: &Context<'_>, pending: &PendingSignIn) -> Proof {
    Proof {
        user_id: pending.user.id,
        slot: pending.slot,
        credentials_version: pending.credentials_version,
        methods: pending.methods.clone(),
        account: pending.account,
        subject: None,
        authenticated_at: context.now,
    }
}
