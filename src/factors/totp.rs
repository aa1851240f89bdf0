//! Codes of authenticator apps as a factor.

use portcullis_core::account::throttle::Subject;
use portcullis_core::at_rest::Place;
use portcullis_core::id::Id;
use portcullis_core::mfa::totp::{TotpCode, TotpSecret};
use portcullis_core::sign_in::{self, Factors, Method};

use super::password::{count_failure, throttled};
use super::proved::{Owner, ProvedFactor};
use super::{FactorError, Proof};
use crate::config::Config;
use crate::context::Context;
use crate::http::Request;
use crate::platform::data_keys::{DataKeys, DecryptError};
use crate::platform::random::random;
use crate::store::audit::Failure;
use crate::store::factor_use::FactorUse;
use crate::store::factors::NewFactor;
use crate::store::{Store, StoreError};

/// Rows per step of the encryption under the first data secret, and steps per run.
const STEP: u64 = 200;
const MAX_STEPS: u32 = 20;

/// A new secret, which is no factor until a code confirms it.
pub struct NewSecret {
    /// The id of its row.
    pub id: Id,
    /// The text to store.
    pub stored: String,
    /// The secret.
    pub secret: TotpSecret,
}

/// A secret that a code has confirmed.
pub struct ConfirmedSecret {
    user_id: Id,
    id: Id,
    step: u64,
    /// Whether the user has recovery codes.
    pub has_recovery_codes: bool,
}

impl ConfirmedSecret {
    /// The factor to add.
    pub const fn factor(&self) -> NewFactor {
        NewFactor::Totp { id: self.id, step: self.step }
    }

    /// An account with such a factor.
    pub const fn added_to(account: sign_in::Account) -> sign_in::Account {
        sign_in::Account { factors: Factors { totp: true, ..account.factors }, ..account }
    }

    /// Adds the factor to the other proofs of its user.
    pub fn complete(&self, proof: Proof) -> Result<Proof, FactorError> {
        if proof.user_id == self.user_id { Ok(proof.with(Method::Totp)) } else { Err(FactorError::InvalidCode) }
    }
}

/// Makes a secret.
pub async fn new_secret(context: &Context<'_>) -> Result<NewSecret, FactorError> {
    let keys = keys(context)?;
    let (id, secret) = (Id::new(random()?), TotpSecret::new(random()?));
    let stored = keys.encrypt(&place(&id), secret.as_bytes()).await?;
    Ok(NewSecret { id, stored, secret })
}

/// How apps name the service.
pub fn issuer_name(config: &Config) -> &str {
    let host = || config.parties.issuer.split('/').nth(2).unwrap_or_default();
    config.mail.as_ref().map_or_else(host, |mail| mail.app_name.as_str())
}

/// Checks the code that confirms a secret. The attempt is counted before the code is judged. Without such a secret, and after too many
/// attempts, the error is that of a wrong code.
pub async fn confirm(context: &Context<'_>, user_id: Id, code: &str) -> Result<ConfirmedSecret, FactorError> {
    let keys = keys(context)?;
    let found = context.store.try_totp(user_id, context.now).await?.ok_or(FactorError::InvalidCode)?;
    let secret = decrypt(keys, &found.id, &found.secret).await?;
    let step = TotpCode::parse(code).and_then(|code| secret.accept(code, context.now, None));
    let step = step.ok_or(FactorError::InvalidCode)?;
    Ok(ConfirmedSecret { user_id, id: found.id, step, has_recovery_codes: found.codes > 0 })
}

/// Judges a code. A wrong one, and one that was used before, counts against the codes of the user before it is answered.
pub(super) async fn judge(
    context: &Context<'_>,
    request: &Request,
    owner: Owner,
    code: &str,
) -> Result<ProvedFactor, FactorError> {
    let keys = keys(context)?;
    let found = context.store.find_totp(owner.user_id, context.now).await?;
    if let Some(seconds) = found.wait {
        return Err(throttled(context, seconds));
    }
    let (totp, code) = found.totp.zip(TotpCode::parse(code)).ok_or(FactorError::InvalidCode)?;
    let secret = decrypt(keys, &totp.id, &totp.secret).await?;
    if let Some(step) = secret.accept(code, context.now, Some(totp.last_step)) {
        return Ok(ProvedFactor { method: Method::Totp, used: FactorUse::Totp { id: totp.id, step } });
    }
    let Owner { user_id, session_id } = owner;
    let failure = Failure { subject: Subject::Factor(user_id), user_id: Some(user_id), session_id };
    Err(count_failure(context, request, &failure, "wrong_code", FactorError::InvalidCode).await?)
}

/// Encrypts secrets under the first data secret that are under an older one, so that the older one can be removed. Those that cannot be
/// decrypted stay as they are. Returns the number of secrets that were encrypted, and the first error of the others.
pub async fn reencrypt(
    store: &Store,
    config: &Config,
    keys: &DataKeys,
) -> Result<(usize, Option<DecryptError>), StoreError> {
    let Some(first) = config.data_secrets.as_ref().map(|secrets| secrets.first().id().to_string()) else {
        return Ok((0, None));
    };
    let (mut count, mut failure) = (0_usize, None);
    for _ in 0..MAX_STEPS {
        let found = store.find_totp_to_reencrypt(&first, STEP).await?;
        let mut replacements = Vec::new();
        for old in &found {
            match encrypted_again(keys, &old.id, &old.secret).await {
                Ok(new) => replacements.push(serde_json::json!([old.id.to_string(), old.secret, new])),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if !replacements.is_empty() {
            store.replace_totp_secrets(&serde_json::Value::from(replacements.as_slice()).to_string()).await?;
        }
        count = count.saturating_add(replacements.len());
        // The next step would find the same rows again.
        if failure.is_some() || u64::try_from(found.len()).unwrap_or(u64::MAX) < STEP {
            break;
        }
    }
    Ok((count, failure))
}

async fn encrypted_again(keys: &DataKeys, id: &Id, stored: &str) -> Result<String, DecryptError> {
    let secret = keys.decrypt(&place(id), stored).await?;
    keys.encrypt(&place(id), &secret).await.map_err(DecryptError::Refused)
}

/// The keys of the data secrets.
fn keys<'c>(context: &Context<'c>) -> Result<&'c DataKeys, FactorError> {
    context.data_keys.ok_or(FactorError::Off)
}

fn place(id: &Id) -> Place<'_> {
    Place { table: "totp_secrets", column: "secret", row: id.as_bytes() }
}

async fn decrypt(keys: &DataKeys, id: &Id, stored: &str) -> Result<TotpSecret, FactorError> {
    let corrupt = |cause: String| FactorError::Corrupt(format!("TOTP secret {id}: {cause}"));
    let secret = keys.decrypt(&place(id), stored).await.map_err(|error| corrupt(error.to_string()))?;
    secret.try_into().map(TotpSecret::new).map_err(|_| corrupt("it has another length".to_owned()))
}
