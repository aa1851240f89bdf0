//! Codes and links from mails as a factor.

use portcullis_core::id::Id;
use portcullis_core::mail::challenge::{Challenge, Purpose, Use};
use portcullis_core::mail::code::Code;
use portcullis_core::sign_in::{self, Factors, Method};

use super::{FactorError, Proof};
use crate::context::Context;
use crate::store::challenges::{ChallengedAccount, PendingRegistration, StoredChallenge};
use crate::store::email_changes::EmailChange;

/// A live challenge whose code or link token was right.
pub struct ProvedChallenge(StoredChallenge);

impl ProvedChallenge {
    /// The challenge.
    pub const fn challenge(&self) -> &StoredChallenge {
        &self.0
    }

    /// The code of the challenge, for whoever has its link.
    pub fn code(&self, context: &Context<'_>) -> Option<String> {
        context.config.challenge_keys.code(&columns(&self.0)?, Use::Code).map(|code| code.to_string())
    }

    /// The account.
    pub fn account(&self) -> Result<&ChallengedAccount, FactorError> {
        self.0.redeemable().ok_or(FactorError::InvalidCode)
    }

    /// The registration that waits for its code.
    pub fn registration(&self) -> Result<&PendingRegistration, FactorError> {
        self.0.registration.as_ref().ok_or(FactorError::InvalidCode)
    }

    /// The address of the account or the registration.
    pub fn email(&self) -> Result<&str, FactorError> {
        if self.0.purpose == Purpose::Register {
            return Ok(&self.registration()?.email);
        }
        Ok(&self.account()?.account.user.email)
    }

    /// The new address of a change: as entered, and its key.
    pub fn new_email(&self) -> Result<(&str, &str), FactorError> {
        let (email, key) = self.0.new_email.as_ref().ok_or(FactorError::InvalidCode)?;
        Ok((email, key))
    }

    /// Adds the mailbox to the other proofs of its user.
    pub fn complete(&self, proof: Proof) -> Result<Proof, FactorError> {
        let is_own = self.account()?.account.user.id == proof.user_id;
        if is_own { Ok(proof.with(Method::Email)) } else { Err(FactorError::InvalidCode) }
    }

    /// The proof that the user has the mailbox. `reclaims`: whether the sign-in raises the version of the credentials, because it is the
    /// first proof of the mailbox.
    pub fn proof(&self, context: &Context<'_>, reclaims: bool) -> Result<Proof, FactorError> {
        let account = self.account()?;
        // A reclaimed account has no factors any more.
        let facts = if reclaims {
            sign_in::Account {
                factors: Factors::default(),
                email_verified: true,
                factors_reset: false,
                ..account.sign_in
            }
        } else {
            account.sign_in
        };
        Ok(Proof {
            user_id: account.account.user.id,
            slot: account.slot,
            credentials_version: account.credentials_version.saturating_add(u64::from(reclaims)),
            methods: vec![Method::Email],
            account: facts,
            subject: None,
            authenticated_at: context.now,
        })
    }
}

/// Checks a code against the challenge of a request. The attempt is counted before the code is compared. Challenges that are unknown,
/// spent, expired, exhausted or of another purpose have one error.
pub async fn check_code(
    context: &Context<'_>,
    challenge: &str,
    code: &str,
    purposes: &[Purpose],
) -> Result<ProvedChallenge, FactorError> {
    let id = context.config.challenge_keys.open(challenge).ok_or(FactorError::InvalidCode)?;
    let found = context.store.try_challenge(id, context.now).await?.ok_or(FactorError::InvalidCode)?;
    let code = Code::parse(code).ok_or(FactorError::InvalidCode)?;
    let is_right =
        columns(&found).is_some_and(|columns| context.config.challenge_keys.is_code(&columns, Use::Code, code));
    proved(found, is_right, purposes)
}

/// Checks the code to the new address of a change, and the one to the old address unless its mailbox is lost. The attempt is counted before
/// the codes are compared. A challenge of another user has the error of a wrong code.
pub async fn check_change(
    context: &Context<'_>,
    user_id: Id,
    challenge: &str,
    code: &str,
    old_code: Option<&str>,
) -> Result<ProvedChallenge, FactorError> {
    let keys = &context.config.challenge_keys;
    let id = keys.open(challenge).ok_or(FactorError::InvalidCode)?;
    let found = context.store.try_challenge(id, context.now).await?.ok_or(FactorError::InvalidCode)?;
    let is_right = |columns: &Challenge<'_>, purpose, code: &str| {
        Code::parse(code).is_some_and(|code| keys.is_code(columns, purpose, code))
    };
    let is_right = columns(&found).zip(found.new_email.as_ref()).is_some_and(|(old, (_, new_key))| {
        let new = Challenge { email_key: new_key, ..old };
        // Both are compared, so that the time does not tell which one is wrong.
        let old_is_right = old_code.is_none_or(|old_code| is_right(&old, Use::OldCode, old_code));
        is_right(&new, Use::Code, code) & old_is_right
    });
    let is_own = found.user_id == Some(user_id);
    proved(found, is_right && is_own, &[Purpose::Change])
}

/// Checks a link token. Attempts are not counted, because nobody can guess one.
pub async fn check_link(
    context: &Context<'_>,
    token: &str,
    purposes: &[Purpose],
) -> Result<ProvedChallenge, FactorError> {
    let keys = &context.config.challenge_keys;
    let token = keys.parse_link(token).ok_or(FactorError::InvalidCode)?;
    let found = context.store.find_challenge(token.id(), context.now).await?.ok_or(FactorError::InvalidCode)?;
    let is_right =
        columns(&found).is_some_and(|columns| keys.is_link(&columns, Use::Link, &token, found.token_hash.as_deref()));
    proved(found, is_right, purposes)
}

fn proved(found: StoredChallenge, is_right: bool, purposes: &[Purpose]) -> Result<ProvedChallenge, FactorError> {
    if is_right && purposes.contains(&found.purpose) {
        Ok(ProvedChallenge(found))
    } else {
        Err(FactorError::InvalidCode)
    }
}

/// Finds the pending change that a link token cancels.
pub async fn find_pending_change(context: &Context<'_>, token: &str) -> Result<EmailChange, FactorError> {
    let keys = &context.config.challenge_keys;
    let token = keys.parse_link(token).ok_or(FactorError::InvalidCode)?;
    let pending = context.store.find_email_change(token.id()).await?.ok_or(FactorError::InvalidCode)?;
    let is_right = keys.is_link(&pending.columns(), Use::Cancel, &token, None);
    if is_right { Ok(pending) } else { Err(FactorError::InvalidCode) }
}

/// The columns that code and link are computed from; `None` for an unknown address, of which no code is right.
fn columns(found: &StoredChallenge) -> Option<Challenge<'_>> {
    Some(Challenge {
        id: found.id,
        purpose: found.purpose,
        salt: found.salt,
        user_id: found.user_id?,
        credentials_version: found.credentials_version,
        email_key: &found.email_key,
    })
}
