//! Recovery codes as a factor.

use portcullis_core::id::Id;
use portcullis_core::mail::kind::Kind;
use portcullis_core::mfa::recovery_code::RecoveryCode;
use portcullis_core::sign_in::Method;

use super::FactorError;
use super::proved::{Owner, ProvedFactor};
use crate::context::Context;
use crate::http::Request;
use crate::log::Event;
use crate::mail::notice::notice;
use crate::metrics;
use crate::platform::random::random;
use crate::store::factor_use::FactorUse;
use crate::store::outbox::NewMail;

/// How many codes are left after one was used, as the notice tells it.
const LEFT: [&str; RecoveryCode::COUNT] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// A set of codes.
pub struct NewCodes {
    /// The codes, for the user.
    pub codes: Vec<String>,
    /// The hashes to store: a JSON array.
    pub hashes: String,
}

/// Makes the codes of a user.
pub fn new_set(context: &Context<'_>, user_id: Id) -> Result<NewCodes, FactorError> {
    let secrets = context.config.data_secrets.as_ref().ok_or(FactorError::Off)?;
    let set = RecoveryCode::set(&random()?);
    let hashes: serde_json::Value = set.iter().map(|code| code.hash(user_id, secrets)).collect();
    Ok(NewCodes { codes: set.iter().map(ToString::to_string).collect(), hashes: hashes.to_string() })
}

/// Makes the codes of a user who adds a passkey, which needs no data secret. Without one, there are no codes.
pub fn first_set(context: &Context<'_>, user_id: Id) -> Result<Option<NewCodes>, FactorError> {
    if context.config.data_secrets.is_none() {
        return Ok(None);
    }
    new_set(context, user_id).map(Some)
}

/// Judges a recovery code. Wrong ones are not counted: a code has 120 bits, and the owner must not have to wait (NIST SP 800-63B-4 §3.1.2.2).
pub(super) async fn judge(
    context: &Context<'_>,
    request: &Request,
    owner: Owner,
    code: &str,
) -> Result<ProvedFactor, FactorError> {
    let secrets = context.config.data_secrets.as_ref().ok_or(FactorError::Off)?;
    let user_id = owner.user_id;
    let code = RecoveryCode::parse(code).ok_or(FactorError::InvalidCode)?;
    let hashes = serde_json::Value::from(code.hashes(user_id, secrets)).to_string();
    let Some(found) = context.store.find_recovery_code(user_id, &hashes).await? else {
        metrics::report(
            context,
            request,
            &Event::LoginFailed { user_id: Some(user_id), reason: "wrong_recovery_code", name: None },
        );
        return Err(FactorError::InvalidCode);
    };
    let left = usize::try_from(found.codes).unwrap_or_default().saturating_sub(1);
    let notice = notice(context, request, Kind::RecoveryCodeUsed)?;
    let notice = notice.map(|notice| NewMail { detail: LEFT.get(left).copied(), ..notice });
    Ok(ProvedFactor { method: Method::RecoveryCode, used: FactorUse::RecoveryCode { hash: found.code_hash, notice } })
}
