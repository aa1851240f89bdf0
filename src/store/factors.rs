//! Second factors: adding, using and removing them.
//!
//! A change is one transaction. Its first statement records the event, if the user may make the change; all others take effect only if that
//! event exists. Every change raises the version of the credentials.

use portcullis_core::account::audit::{AuditEvent, RevocationReason};
use portcullis_core::account::caller::Caller;
use portcullis_core::account::client::Client;
use portcullis_core::account::session::OwedMark;
use portcullis_core::account::throttle::Subject;
use portcullis_core::account::user::User;
use portcullis_core::id::Id;
use portcullis_core::mail::factor::Factor;
use portcullis_core::webauthn::challenge::PasskeyChallenge;
use serde::Deserialize;

use super::audit::{ActionContext, EventKey, insert_own_event};
use super::batch::{Affected, Batch, Rows, sql, values};
use super::callers::{find_session, in_force};
use super::connection::Store;
use super::error::{Denial, StoreError, WithOwedMarks};
use super::factor_use::spend_sign_in;
use super::outbox::NewMail;
use super::passkeys::NewPasskey;
use super::revocations::find_owed_marks;
use super::rows::SessionRow;
use super::sessions::{CLEAR_RESET, Conditions, NewSession, revoke_others_recorded, revoke_recorded};
use super::throttles::{Wait, forgive};

const CONFIRM_TOTP: &str = sql!("factors/confirm_totp.sql");
const DELETE_CONFIRMED_TOTP: &str = sql!("factors/delete_confirmed_totp.sql");
const DELETE_PASSKEY: &str = sql!("passkeys/delete.sql");
const DELETE_PASSKEYS: &str = sql!("factors/delete_passkeys.sql");
const DELETE_RECOVERY_CODES: &str = sql!("factors/delete_recovery_codes.sql");
const DELETE_TOTP: &str = sql!("factors/delete_totp.sql");
const DELETE_USELESS_RECOVERY_CODES: &str = sql!("factors/delete_useless_recovery_codes.sql");
const FIND_OWN: &str = sql!("factors/find_own.sql");
const FIND_RECOVERY_CODE: &str = sql!("factors/find_recovery_code.sql");
const FIND_TOTP: &str = sql!("factors/find_totp.sql");
const FIND_TOTP_TO_REENCRYPT: &str = sql!("factors/find_totp_to_reencrypt.sql");
pub(super) const INSERT_RECOVERY_CODES: &str = sql!("factors/insert_recovery_codes.sql");
const INSERT_TOTP: &str = sql!("factors/insert_totp.sql");
const KEEP_DELETED_PASSKEY: &str = sql!("passkeys/keep_deleted.sql");
const KEEP_DELETED_PASSKEYS: &str = sql!("factors/keep_deleted_passkeys.sql");
const RAISE_VERSION: &str = sql!("admin/void_devices.sql");
const RECORD_ADDED: &str = sql!("factors/record_added.sql");
const RECORD_REMOVED_PASSKEY: &str = sql!("passkeys/record_removed.sql");
const RECORD_REMOVED_TOTP: &str = sql!("factors/record_removed_totp.sql");
const REPLACE_TOTP_SECRETS: &str = sql!("factors/replace_totp_secrets.sql");
const REVOKE_OF_PASSKEY: &str = sql!("passkeys/revoke_sessions.sql");
const RESET: &str = sql!("factors/reset.sql");
const TRY_TOTP: &str = sql!("factors/try_totp.sql");

/// Seconds within which a secret must be confirmed.
pub(super) const CONFIRMATION_TTL: u64 = 3_600;
/// Maximum number of codes that are tried to confirm a secret.
const MAX_TRIES: u64 = 5;
/// Seconds for which a removed passkey cannot be added again: the life of a challenge.
const PASSKEY_CHALLENGE_TTL: u64 = PasskeyChallenge::TTL;

/// The user who adds a factor, and what must hold when it is added.
#[derive(Clone, Copy)]
pub struct Enrolling<'a> {
    /// The user.
    pub user_id: Id,
    /// The version of the credentials.
    pub credentials_version: u64,
    /// The session of the caller, which must be in force.
    pub caller: Option<Id>,
    /// The sign-in that needs a factor, and the key of the throttle of its name.
    pub pending: Option<(Id, Option<&'a str>)>,
}

/// A factor to add.
pub enum NewFactor {
    /// The TOTP secret with this id, confirmed by the code of this step.
    Totp {
        /// The secret, which is not confirmed yet.
        id: Id,
        /// The step of the code.
        step: u64,
    },
    /// A passkey.
    Passkey(NewPasskey),
}

impl NewFactor {
    /// The detail of its event and its notice.
    pub fn detail(&self) -> String {
        match self {
            Self::Totp { .. } => Factor::Totp.to_string(),
            Self::Passkey(passkey) => Factor::Passkey(&passkey.name).to_string(),
        }
    }

    /// The passkey.
    pub const fn passkey(&self) -> Option<&NewPasskey> {
        match self {
            Self::Totp { .. } => None,
            Self::Passkey(passkey) => Some(passkey),
        }
    }

    /// Adds it, if the event exists.
    fn add<'v>(&self, batch: &mut Batch<'v>, key: &'v EventKey, request_id: Id) {
        match self {
            Self::Totp { id, step } => {
                batch.execute(DELETE_CONFIRMED_TOTP, values![key.user_id, key.at, &key.id]);
                batch.execute(CONFIRM_TOTP, values![key.user_id, key.at, &key.id, *id, *step, request_id]);
            }
            Self::Passkey(passkey) => passkey.insert(batch, key.user_id, Some(&key.id), key.at),
        }
    }

    /// The TOTP secret that must not be confirmed yet.
    const fn unconfirmed(&self) -> Option<Id> {
        match self {
            Self::Totp { id, .. } => Some(*id),
            Self::Passkey(_) => None,
        }
    }
}

/// A factor that a user adds, and what is recorded and sent.
pub struct Enrolment<'a> {
    /// The user.
    pub by: Enrolling<'a>,
    /// The factor.
    pub factor: &'a NewFactor,
    /// The detail of the event.
    pub detail: &'a str,
    /// The hashes of the recovery codes to add: a JSON array.
    pub code_hashes: Option<&'a str>,
    /// The notice.
    pub notice: Option<&'a NewMail<'a>>,
    /// Whether an admin removed the factors since the last sign-in.
    pub ends_reset: bool,
    /// The beginning of the id of the event.
    pub event_id: &'a str,
    /// The request.
    pub request_id: Id,
    /// The client.
    pub client: &'a Client,
}

/// A secret that waits for its confirmation.
#[derive(Deserialize)]
pub struct UnconfirmedTotp {
    /// Its id.
    pub id: Id,
    /// The secret, encrypted.
    pub secret: String,
    /// The number of the recovery codes that the user has.
    pub codes: u64,
}

/// A secret that is a factor.
#[derive(Deserialize)]
pub struct StoredTotp {
    /// Its id.
    pub id: Id,
    /// The secret, encrypted.
    pub secret: String,
    /// The step of the last code.
    pub last_step: u64,
}

/// The result of looking up the secret of a user.
pub struct TotpLookup {
    /// The secret; `None` if it is no factor of the user.
    pub totp: Option<StoredTotp>,
    /// The seconds for which codes must wait; `None` if they need not.
    pub wait: Option<u64>,
}

/// A recovery code that was found.
#[derive(Deserialize)]
pub struct StoredRecoveryCode {
    /// Its hash.
    pub code_hash: String,
    /// The number of the codes that the user has, this one included.
    pub codes: u64,
}

/// The factors of a user.
#[derive(Deserialize)]
pub struct OwnFactors {
    /// When the authenticator app was added, in unix seconds.
    pub totp_created_at: Option<u64>,
    /// Number of passkeys.
    pub passkeys: u64,
    /// Number of recovery codes.
    pub recovery_codes: u64,
}

/// A secret under an older data secret.
#[derive(Deserialize)]
pub struct OldTotp {
    /// Its id.
    pub id: Id,
    /// The secret, encrypted.
    pub secret: String,
}

impl Store {
    /// Inserts a secret that waits for its confirmation. `false` if the user may not add it any more. One round trip.
    pub async fn insert_totp(&self, by: Enrolling<'_>, id: Id, secret: &str, now: u64) -> Result<bool, StoreError> {
        let Enrolling { user_id, credentials_version, caller, pending } = by;
        let pending = pending.map(|(id, _)| id);
        let mut batch = self.batch("insert_totp");
        let values = values![id, user_id, secret, now, credentials_version, caller, pending];
        let inserted = batch.query::<Affected>(INSERT_TOTP, values);
        let answers = batch.run().await?;
        Ok(answers.row(inserted)?.is_some())
    }

    /// Counts an attempt to confirm a secret, before the code is judged. `None` without such a secret, or after too many attempts. One
    /// round trip, one row written.
    pub async fn try_totp(&self, user_id: Id, now: u64) -> Result<Option<UnconfirmedTotp>, StoreError> {
        let mut batch = self.batch("try_totp");
        let counted = batch.query(TRY_TOTP, values![user_id, now.saturating_sub(CONFIRMATION_TTL), MAX_TRIES]);
        batch.run().await?.row(counted)
    }

    /// Finds the secret of a user, and the wait of codes. One round trip.
    pub async fn find_totp(&self, user_id: Id, now: u64) -> Result<TotpLookup, StoreError> {
        let mut batch = self.batch("find_totp");
        let found = batch.query(FIND_TOTP, values![user_id]);
        let wait = Wait::find(&mut batch, Subject::Factor(user_id), now);
        let answers = batch.run().await?;
        Ok(TotpLookup { totp: answers.row(found)?, wait: wait.seconds(&answers)? })
    }

    /// Finds a recovery code by the hashes that it may have: a JSON array. One round trip.
    pub async fn find_recovery_code(
        &self,
        user_id: Id,
        hashes: &str,
    ) -> Result<Option<StoredRecoveryCode>, StoreError> {
        let mut batch = self.batch("find_recovery_code");
        let found = batch.query(FIND_RECOVERY_CODE, values![user_id, hashes]);
        batch.run().await?.row(found)
    }

    /// Finds the factors of the caller. One round trip.
    pub async fn find_own_factors(&self, caller: Caller, now: u64) -> Result<(User, OwnFactors), StoreError> {
        let mut batch = self.batch("find_own_factors");
        let session = find_session(&mut batch, caller.session_id);
        let found = batch.query(FIND_OWN, values![caller.user_id]);
        let answers = batch.run().await?;
        let user = in_force(&answers, session, caller, now)?.user;
        let factors = answers.row(found)?.ok_or_else(|| answers.corrupt("no factors".to_owned()))?;
        Ok((user, factors))
    }

    /// Finds the factors of a user. One round trip.
    pub async fn find_factors(&self, user_id: Id) -> Result<OwnFactors, StoreError> {
        let mut batch = self.batch("find_factors");
        let found = batch.query(FIND_OWN, values![user_id]);
        let answers = batch.run().await?;
        answers.row(found)?.ok_or_else(|| answers.corrupt("no factors".to_owned()))
    }

    /// Adds a factor, ends every session of the user and begins a new one. Returns the number of sessions that ended, and another session
    /// that ended because its cookie was replaced; `None` if the user may not add it any more. [`StoreError::PasskeyExists`] if an account
    /// has the passkey. One round trip.
    pub async fn enrol(
        &self,
        enrolment: &Enrolment<'_>,
        new_session: &NewSession,
        now: u64,
    ) -> Result<WithOwedMarks<Option<(usize, Option<OwedMark>)>>, StoreError> {
        let Enrolment { by, factor, client, request_id, .. } = *enrolment;
        let Enrolling { user_id, credentials_version, caller, pending } = by;
        let event = AuditEvent::FactorAdded;
        let key = EventKey { user_id, at: now, id: format!("{}.{}", enrolment.event_id, event.as_str()), event };
        let mut batch = self.batch("enrol");
        if let Some((id, _)) = pending {
            spend_sign_in(&mut batch, id, request_id, now);
        }
        let record = values![
            key.user_id,
            key.at,
            &key.id,
            enrolment.detail,
            client.ip.as_deref(),
            client.user_agent.as_deref(),
            credentials_version,
            caller,
            pending.map(|(id, _)| id),
            request_id,
            factor.unconfirmed(),
        ];
        let recorded = batch.query::<Affected>(RECORD_ADDED, record);
        factor.add(&mut batch, &key, request_id);
        batch.execute(RAISE_VERSION, values![key.user_id, key.at, &key.id]);
        if let Some(hashes) = enrolment.code_hashes {
            batch.execute(INSERT_RECOVERY_CODES, values![key.user_id, key.at, &key.id, hashes]);
        }
        let revoked = revoke_recorded(&mut batch, &key, RevocationReason::FactorsChanged, Some(client));
        let conditions = Conditions { event: Some(&key.id), renews: caller, ..Conditions::default() };
        let begun = new_session.insert(&mut batch, &conditions, client, now);
        if let Some(notice) = enrolment.notice {
            notice.insert_notice(&mut batch, &key, client);
        }
        let session_id = new_session.token.session_id();
        if let Some(name) = pending.and_then(|(_, name)| name) {
            forgive(&mut batch, name.to_owned(), session_id);
        }
        if enrolment.ends_reset {
            batch.execute(CLEAR_RESET, values![user_id, session_id]);
        }
        let owed = find_owed_marks(&mut batch, user_id);
        let answers = batch.run().await?;
        let (recorded, revoked) = (answers.row(recorded)?, answers.rows(revoked)?.len());
        let replaced = begun.replaced(&answers)?;
        let owed_marks = answers.rows(owed)?.into_iter().chain(replaced).collect();
        Ok(WithOwedMarks { value: recorded.map(|_| (revoked, replaced)), owed_marks })
    }

    /// Removes the authenticator app of the caller, and the recovery codes if no factor is left, and ends the other sessions. Returns their
    /// number. `must_keep`: whether the account must keep a factor. One round trip.
    pub async fn remove_totp(
        &self,
        context: &ActionContext<'_>,
        credentials_version: u64,
        must_keep: bool,
        notice: Option<&NewMail<'_>>,
    ) -> Result<WithOwedMarks<usize>, StoreError> {
        let ActionContext { caller, client, now, .. } = *context;
        let key = EventKey::new(caller.user_id, AuditEvent::FactorRemoved, context);
        let mut batch = self.batch("remove_totp");
        let found = find_session(&mut batch, caller.session_id);
        let record = values![
            caller.session_id,
            caller.user_id,
            now,
            &key.id,
            Factor::Totp.to_string(),
            client.ip.as_deref(),
            client.user_agent.as_deref(),
            credentials_version,
            must_keep,
        ];
        let recorded = batch.query::<Affected>(RECORD_REMOVED_TOTP, record);
        let event = || values![key.user_id, key.at, &key.id];
        batch.execute(DELETE_TOTP, event());
        batch.execute(DELETE_USELESS_RECOVERY_CODES, event());
        batch.execute(RAISE_VERSION, event());
        let (reason, kept) = (RevocationReason::FactorsChanged, Some(caller.session_id));
        let revoked = revoke_others_recorded(&mut batch, &key, reason, Some(client), kept);
        run_removal(batch, &key, context, notice, Removal { found, recorded, revoked }).await
    }

    /// Removes a passkey of the caller, and the recovery codes if no factor is left, and ends the sessions that it began. Returns their
    /// number. One round trip.
    pub async fn remove_passkey(
        &self,
        context: &ActionContext<'_>,
        credentials_version: u64,
        (id, detail): (&str, &str),
        notice: Option<&NewMail<'_>>,
    ) -> Result<WithOwedMarks<usize>, StoreError> {
        let ActionContext { caller, client, now, .. } = *context;
        let key = EventKey::new(caller.user_id, AuditEvent::FactorRemoved, context);
        let (ip, user_agent) = (client.ip.as_deref(), client.user_agent.as_deref());
        let mut batch = self.batch("remove_passkey");
        let found = find_session(&mut batch, caller.session_id);
        let record =
            values![caller.session_id, caller.user_id, now, &key.id, detail, ip, user_agent, credentials_version, id,];
        let recorded = batch.query::<Affected>(RECORD_REMOVED_PASSKEY, record);
        let expires_at = now.saturating_add(PASSKEY_CHALLENGE_TTL);
        batch.execute(KEEP_DELETED_PASSKEY, values![key.user_id, key.at, &key.id, id, expires_at]);
        batch.execute(DELETE_PASSKEY, values![key.user_id, key.at, &key.id, id]);
        batch.execute(DELETE_USELESS_RECOVERY_CODES, values![key.user_id, key.at, &key.id]);
        batch.execute(RAISE_VERSION, values![key.user_id, key.at, &key.id]);
        let values = values![key.user_id, key.at, &key.id, id, ip, user_agent];
        let revoked = batch.query::<Affected>(REVOKE_OF_PASSKEY, values);
        run_removal(batch, &key, context, notice, Removal { found, recorded, revoked }).await
    }

    /// Replaces the recovery codes of the caller. `hashes`: a JSON array. `false` if the credentials have changed. One round trip.
    pub async fn replace_recovery_codes(
        &self,
        context: &ActionContext<'_>,
        credentials_version: u64,
        hashes: &str,
        notice: Option<&NewMail<'_>>,
    ) -> Result<bool, StoreError> {
        let ActionContext { caller, client, now, .. } = *context;
        let key = EventKey::new(caller.user_id, AuditEvent::RecoveryCodesCreated, context);
        let mut batch = self.batch("replace_recovery_codes");
        let found = find_session(&mut batch, caller.session_id);
        let recorded = insert_own_event(&mut batch, context, &key, credentials_version, None);
        batch.execute(DELETE_RECOVERY_CODES, values![key.user_id, key.at, &key.id]);
        batch.execute(INSERT_RECOVERY_CODES, values![key.user_id, key.at, &key.id, hashes]);
        batch.execute(RAISE_VERSION, values![key.user_id, key.at, &key.id]);
        if let Some(notice) = notice {
            notice.insert_notice(&mut batch, &key, client);
        }
        let answers = batch.run().await?;
        in_force(&answers, found, caller, now)?;
        Ok(answers.row(recorded)?.is_some())
    }

    /// Finds secrets that are not under the data secret whose texts begin with `prefix`. One round trip.
    pub async fn find_totp_to_reencrypt(&self, prefix: &str, limit: u64) -> Result<Vec<OldTotp>, StoreError> {
        let mut batch = self.batch("find_totp_to_reencrypt");
        let found = batch.query(FIND_TOTP_TO_REENCRYPT, values![prefix, limit]);
        batch.run().await?.rows(found)
    }

    /// Replaces the texts of secrets, unless they have changed. `replacements`: a JSON array of ids, old and new texts. One round trip.
    pub async fn replace_totp_secrets(&self, replacements: &str) -> Result<(), StoreError> {
        let mut batch = self.batch("replace_totp_secrets");
        batch.execute(REPLACE_TOTP_SECRETS, values![replacements]);
        batch.run().await.map(|_| ())
    }
}

/// Removes every factor of an account, if the event exists. The next sign-in needs a code from a mail.
pub(super) fn reset<'v>(batch: &mut Batch<'v>, key: &'v EventKey) {
    let event = || values![key.user_id, key.at, &key.id];
    let expires_at = key.at.saturating_add(PASSKEY_CHALLENGE_TTL);
    batch.execute(KEEP_DELETED_PASSKEYS, values![key.user_id, key.at, &key.id, expires_at]);
    for sql in [DELETE_TOTP, DELETE_PASSKEYS, DELETE_RECOVERY_CODES, RESET] {
        batch.execute(sql, event());
    }
}

/// The handles of a removal of a factor.
struct Removal {
    found: Rows<SessionRow>,
    recorded: Rows<Affected>,
    revoked: Rows<Affected>,
}

/// Adds the notice of a removal and runs it. Returns the number of sessions that ended.
async fn run_removal<'v>(
    mut batch: Batch<'v>,
    key: &'v EventKey,
    context: &'v ActionContext<'_>,
    notice: Option<&'v NewMail<'_>>,
    Removal { found, recorded, revoked }: Removal,
) -> Result<WithOwedMarks<usize>, StoreError> {
    let ActionContext { caller, client, now, .. } = *context;
    if let Some(notice) = notice {
        notice.insert_notice(&mut batch, key, client);
    }
    let owed = find_owed_marks(&mut batch, caller.user_id);
    let answers = batch.run().await?;
    let (recorded, revoked) = (answers.row(recorded)?, answers.rows(revoked)?.len());
    let outcome = in_force(&answers, found, caller, now).and_then(|_| {
        recorded.ok_or(Denial::NotFound)?;
        Ok(revoked)
    });
    WithOwedMarks::attach(outcome, answers.rows(owed)?)
}
