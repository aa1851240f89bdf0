//! What a sign-in uses up when its session begins.

use portcullis_core::account::audit::AuditEvent;
use portcullis_core::account::client::Client;
use portcullis_core::account::throttle::Subject;
use portcullis_core::id::Id;

use super::audit::EventKey;
use super::batch::{Affected, Batch, Rows, sql, values};
use super::outbox::NewMail;
use super::passkeys::PasskeyUse;

const RECORD_RECOVERY_CODE: &str = sql!("factors/record_recovery_code.sql");
const USE_RECOVERY_CODE: &str = sql!("factors/use_recovery_code.sql");
const SPEND_SIGN_IN: &str = sql!("sign_ins/spend.sql");
const USE_TOTP: &str = sql!("factors/use_totp.sql");

/// Spends a sign-in, if it is live and its account is as it was.
pub(super) fn spend_sign_in(batch: &mut Batch<'_>, id: Id, request_id: Id, now: u64) -> Rows<Affected> {
    batch.query(SPEND_SIGN_IN, values![id, request_id, now, batch.not_before()])
}

/// The user whose session begins, and what this request must have spent.
pub(super) struct FactorUser {
    pub(super) user_id: Id,
    pub(super) credentials_version: u64,
    pub(super) pending: Option<Id>,
    pub(super) caller: Option<Id>,
    pub(super) challenge: Option<Id>,
    /// What failed attempts count against.
    pub(super) subject: Option<Subject>,
}

/// What a proof uses up, in the transaction that begins the session.
pub enum FactorUse {
    /// A code of an authenticator app.
    Totp {
        /// The secret.
        id: Id,
        /// The time step of the code.
        step: u64,
    },
    /// A recovery code.
    RecoveryCode {
        /// Its hash, as stored.
        hash: String,
        /// The notice that it was used.
        notice: Option<NewMail<'static>>,
    },
    /// A passkey.
    Passkey(PasskeyUse),
}

impl FactorUse {
    /// The id of the passkey.
    pub fn passkey_id(&self) -> Option<&str> {
        match self {
            Self::Passkey(passkey) => Some(&passkey.id),
            Self::Totp { .. } | Self::RecoveryCode { .. } => None,
        }
    }

    /// Uses it up. Returns the condition under which the session begins: that this request used it up.
    pub(super) fn spend<'v>(
        &'v self,
        batch: &mut Batch<'v>,
        user: &FactorUser,
        client: &'v Client,
        request_id: Id,
        now: u64,
    ) -> FactorCondition {
        match self {
            Self::Totp { id, step } => {
                batch.query::<Affected>(USE_TOTP, values![*id, *step, request_id]);
                FactorCondition::Totp(*id)
            }
            Self::Passkey(passkey) => {
                passkey.spend(batch, request_id, now);
                FactorCondition::Passkey(passkey.id.clone())
            }
            Self::RecoveryCode { hash, .. } => {
                let event = AuditEvent::RecoveryCodeUsed;
                let id = format!("{request_id}.{}", event.as_str());
                let key = EventKey { user_id: user.user_id, at: now, id, event };
                let values = values![
                    key.user_id,
                    key.at,
                    key.id.clone(),
                    hash,
                    client.ip.as_deref(),
                    client.user_agent.as_deref(),
                    user.credentials_version,
                    user.pending,
                    request_id,
                    user.caller,
                    user.challenge,
                    user.subject,
                ];
                batch.query::<Affected>(RECORD_RECOVERY_CODE, values);
                batch.query::<Affected>(USE_RECOVERY_CODE, values![key.user_id, key.at, key.id.clone(), hash]);
                FactorCondition::Event(key)
            }
        }
    }

    /// The notice of its use.
    pub const fn notice(&self) -> Option<&NewMail<'static>> {
        match self {
            Self::Totp { .. } | Self::Passkey(_) => None,
            Self::RecoveryCode { notice, .. } => notice.as_ref(),
        }
    }

    /// What wrong ones of its kind count against.
    pub(super) const fn subject(&self, user_id: Id) -> Option<Subject> {
        match self {
            Self::Totp { .. } => Some(Subject::Factor(user_id)),
            // Nobody can guess a recovery code or a signature.
            Self::RecoveryCode { .. } | Self::Passkey(_) => None,
        }
    }
}

/// The condition under which a session begins with a second factor.
pub(super) enum FactorCondition {
    /// The code of this TOTP secret was used.
    Totp(Id),
    /// The answer of this passkey was used.
    Passkey(String),
    /// This event was recorded.
    Event(EventKey),
}
