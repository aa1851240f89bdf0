//! The credentials of users.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_core::account::audit::{AuditEvent, RevocationReason};
use portcullis_core::account::caller::Caller;
use portcullis_core::account::session::{Delivery, OwedMark, Transport};
use portcullis_core::account::throttle::Subject;
use portcullis_core::account::user::{Account, User};
use portcullis_core::id::Slot;
use portcullis_core::identity::email::Email;
use portcullis_core::identity::username::Username;
use portcullis_core::sign_in;
use portcullis_core::webauthn::MAX_CREDENTIAL_ID_LEN;
use portcullis_core::webauthn::authentication::StoredCredential;
use portcullis_core::webauthn::cose_key::CredentialKey;
use serde::Deserialize;

use super::audit::{ActionContext, EventKey, insert_own_event};
use super::batch::{Answers, sql, values};
use super::callers::{find_session, in_force};
use super::challenges::{Redemption, reclaim};
use super::connection::Store;
use super::error::{Denial, StoreError, WithOwedMarks};
use super::outbox::NewMail;
use super::revocations::find_owed_marks;
use super::rows::{account, sign_in_account};
use super::sessions::{Conditions, NewSession, revoke_recorded};
use super::throttles::{Wait, clear_recorded};

const CHANGE_PASSWORD: &str = sql!("credentials/change_password.sql");
const FIND_BY_EMAIL: &str = sql!("credentials/find_by_email.sql");
const GRANT_INVITED_ROLES: &str = sql!("invitations/grant_roles.sql");
const FIND_BY_PASSKEY: &str = sql!("passkeys/find.sql");
const FIND_BY_USERNAME: &str = sql!("credentials/find_by_username.sql");
const FIND_OWN: &str = sql!("credentials/find_own.sql");

/// The part of an account that a login needs.
pub struct Credentials {
    /// The owner.
    pub user: User,
    /// A PHC string or an imported hash; see [`portcullis_core::password::StoredHash`]. `None`: the account has no password.
    pub password_hash: Option<String>,
    /// The number of credential changes.
    pub version: u64,
    /// Whether the account is disabled.
    pub disabled: bool,
    /// The slot of the user's session ids.
    pub slot: Slot,
    /// What decides which proofs a sign-in needs.
    pub account: sign_in::Account,
}

/// A passkey and its owner.
pub struct FoundPasskey {
    /// What its uses are checked against.
    pub credential: StoredCredential,
    /// The owner.
    pub owner: Credentials,
}

/// The credentials of the caller, and how the caller's session is delivered.
pub struct OwnCredentials {
    /// The credentials.
    pub credentials: Credentials,
    /// The delivery of the caller's session.
    pub delivery: Delivery,
    /// The seconds for which confirmations of the password must wait; `None` if they need not.
    pub wait: Option<u64>,
    /// When the password was last set by a mail, in unix seconds.
    pub password_reset_at: Option<u64>,
}

/// The result of looking up the account of a login.
pub struct Lookup {
    /// The credentials; `None` if there is no such account.
    pub credentials: Option<Credentials>,
    /// The subjects for which attempts must wait, and for how many seconds.
    waits: Vec<(Subject, u64)>,
    /// The subjects and their failures in a row.
    failures: Vec<(Subject, u64)>,
}

impl Lookup {
    /// The seconds for which attempts of a subject must wait; `None` if they need not.
    pub fn wait(&self, subject: Subject) -> Option<u64> {
        self.waits.iter().find(|(other, _)| *other == subject).map(|(_, seconds)| *seconds)
    }

    /// The failures in a row of a subject.
    pub fn failures(&self, subject: Subject) -> u64 {
        self.failures.iter().find(|(other, _)| *other == subject).map_or(0, |(_, failures)| *failures)
    }
}

/// The name by which a user logs in.
pub enum LoginName<'a> {
    /// Compared by [`Email::key`].
    Email(&'a Email),
    /// Compared by [`Username::key`].
    Username(&'a Username),
}

#[derive(Deserialize)]
struct CredentialsRow {
    user: String,
    password_hash: Option<String>,
    credentials_version: u64,
    slot: u16,
    factors: String,
}

#[derive(Deserialize)]
struct PasskeyRow {
    public_key: String,
    counter: u32,
    is_backup_eligible: u8,
    user: String,
    factors: String,
    password_hash: Option<String>,
    credentials_version: u64,
    slot: u16,
}

#[derive(Deserialize)]
struct OwnCredentialsRow {
    user: String,
    factors: String,
    password_hash: Option<String>,
    credentials_version: u64,
    slot: u16,
    transport: Transport,
    remember: u8,
    password_reset_at: Option<u64>,
}

impl Store {
    /// Finds the credentials for a login, unless the name is malformed, and the waits of subjects. One round trip.
    pub async fn find_credentials(
        &self,
        name: Option<&LoginName<'_>>,
        subjects: &[Subject],
        now: u64,
    ) -> Result<Lookup, StoreError> {
        let mut batch = self.batch("find_credentials");
        let found = name.map(|name| {
            let (sql, key) = match name {
                LoginName::Email(email) => (FIND_BY_EMAIL, email.key()),
                LoginName::Username(username) => (FIND_BY_USERNAME, username.key()),
            };
            batch.query(sql, values![key])
        });
        let waits: Vec<_> = subjects.iter().map(|subject| (*subject, Wait::find(&mut batch, *subject, now))).collect();
        let answers = batch.run().await?;
        let row = found.map(|found| answers.row(found)).transpose()?.flatten();
        let credentials = row.map(|row| credentials(&answers, row)).transpose()?;
        let failures = waits.iter().map(|(subject, wait)| Ok((*subject, wait.failures(&answers)?)));
        let failures = failures.collect::<Result<_, StoreError>>()?;
        let waits = waits.into_iter().filter_map(|(subject, wait)| {
            let seconds = wait.seconds(&answers).transpose()?;
            Some(seconds.map(|seconds| (subject, seconds)))
        });
        Ok(Lookup { credentials, waits: waits.collect::<Result<_, _>>()?, failures })
    }

    /// Finds a passkey and its owner. One round trip.
    pub async fn find_passkey(&self, id: &[u8]) -> Result<Option<FoundPasskey>, StoreError> {
        if id.len() > MAX_CREDENTIAL_ID_LEN {
            return Ok(None);
        }
        let mut batch = self.batch("find_passkey");
        let found = batch.query::<PasskeyRow>(FIND_BY_PASSKEY, values![BASE64_URL_SAFE_NO_PAD.encode(id)]);
        let answers = batch.run().await?;
        let Some(row) = answers.row(found)? else { return Ok(None) };
        let public_key = BASE64_URL_SAFE_NO_PAD.decode(&row.public_key).ok();
        let public_key = public_key.and_then(|key| CredentialKey::parse(&key).ok());
        let public_key = public_key.ok_or_else(|| answers.corrupt("the key of a passkey".to_owned()))?;
        let (counter, backup_eligible) = (row.counter, row.is_backup_eligible != 0);
        let PasskeyRow { user, factors, password_hash, credentials_version, slot, .. } = row;
        let owner = credentials(&answers, CredentialsRow { user, password_hash, credentials_version, slot, factors })?;
        let user_id = owner.user.id;
        let credential = StoredCredential { id: id.to_vec(), user_id, public_key, counter, backup_eligible };
        Ok(Some(FoundPasskey { credential, owner }))
    }

    /// Finds the caller's credentials, if the session is in force. One round trip.
    pub async fn find_own_credentials(&self, caller: Caller, now: u64) -> Result<OwnCredentials, StoreError> {
        let mut batch = self.batch("find_own_credentials");
        let found = batch.query::<OwnCredentialsRow>(FIND_OWN, values![caller.session_id, caller.user_id, now]);
        let wait = Wait::find(&mut batch, Subject::User(caller.user_id), now);
        let answers = batch.run().await?;
        let row = answers.row(found)?.ok_or(Denial::SessionNotInForce)?;
        let delivery = Delivery { transport: row.transport, remember: row.remember != 0 };
        let password_reset_at = row.password_reset_at;
        let OwnCredentialsRow { user, factors, password_hash, credentials_version, slot, .. } = row;
        let row = CredentialsRow { user, password_hash, credentials_version, slot, factors };
        let credentials = credentials(&answers, row)?;
        Ok(OwnCredentials { credentials, delivery, wait: wait.seconds(&answers)?, password_reset_at })
    }

    /// Replaces the caller's password if the credentials still have the given version and no wait has begun, revokes every session of the
    /// account and begins a new one. Returns the number of revoked sessions, and another session that ended because its cookie was
    /// replaced. One round trip.
    pub async fn change_password(
        &self,
        context: &ActionContext<'_>,
        credentials_version: u64,
        new_hash: &str,
        new_session: &NewSession,
        notice: Option<&NewMail<'_>>,
    ) -> Result<WithOwedMarks<(usize, Option<OwedMark>)>, StoreError> {
        let ActionContext { caller, client, now, .. } = *context;
        let key = EventKey::new(caller.user_id, AuditEvent::PasswordChanged, context);
        let mut batch = self.batch("change_password");
        let found = find_session(&mut batch, caller.session_id);
        let subject = Subject::User(caller.user_id);
        let wait = Wait::find(&mut batch, subject, now);
        let recorded = insert_own_event(&mut batch, context, &key, credentials_version, Some(subject));
        clear_recorded(&mut batch, &key, subject);
        batch.execute(CHANGE_PASSWORD, values![key.user_id, key.at, &key.id, new_hash]);
        let revoked = revoke_recorded(&mut batch, &key, RevocationReason::PasswordChanged, Some(client));
        let renews = Some(caller.session_id);
        let conditions = Conditions { event: Some(&key.id), renews, ..Conditions::default() };
        let begun = new_session.insert(&mut batch, &conditions, client, now);
        if let Some(notice) = notice {
            notice.insert_notice(&mut batch, &key, client);
        }
        let owed = find_owed_marks(&mut batch, caller.user_id);
        let answers = batch.run().await?;
        let (recorded, revoked, replaced) = (answers.row(recorded)?, answers.rows(revoked)?, begun.replaced(&answers)?);
        let outcome = in_force(&answers, found, caller, now).and_then(|_| {
            recorded.ok_or(wait.seconds(&answers)?.map_or(Denial::CredentialsChanged, Denial::Throttled))?;
            Ok((revoked.len(), replaced))
        });
        WithOwedMarks::attach(outcome, answers.rows(owed)?.into_iter().chain(replaced).collect())
    }
}

impl Store {
    /// Spends a challenge, sets the password, proves the mailbox if the challenge was mailed, and revokes every session. With the event
    /// [`AuditEvent::InvitationAccepted`], the account gets the roles of its invitation. Returns the number of revoked sessions; `None` if
    /// the challenge was spent or the account changed. One round trip.
    pub async fn reset_password(
        &self,
        redemption: &Redemption<'_>,
        event: AuditEvent,
        new_hash: &str,
        proves_mailbox: bool,
        notice: Option<&NewMail<'_>>,
    ) -> Result<WithOwedMarks<Option<usize>>, StoreError> {
        let key = redemption.key(event);
        let mut batch = self.batch("reset_password");
        let spent = redemption.spend(&mut batch);
        redemption.record(&mut batch, &key, None);
        clear_recorded(&mut batch, &key, Subject::User(redemption.user_id));
        reclaim(&mut batch, &key, Some(new_hash), proves_mailbox);
        if event == AuditEvent::InvitationAccepted {
            batch.execute(GRANT_INVITED_ROLES, values![key.user_id, key.at, &key.id, redemption.id]);
        }
        let client = redemption.client;
        let revoked = revoke_recorded(&mut batch, &key, RevocationReason::PasswordReset, Some(client));
        if let Some(notice) = notice {
            notice.insert_notice(&mut batch, &key, client);
        }
        let owed = find_owed_marks(&mut batch, redemption.user_id);
        let answers = batch.run().await?;
        let revoked = answers.rows(revoked)?.len();
        let value = answers.row(spent)?.map(|_| revoked);
        Ok(WithOwedMarks { value, owed_marks: answers.rows(owed)? })
    }
}

fn credentials(answers: &Answers, row: CredentialsRow) -> Result<Credentials, StoreError> {
    let CredentialsRow { user, password_hash, credentials_version, slot, factors } = row;
    let Account { user, disabled_at } = account(answers, &user)?;
    let account = sign_in_account(answers, &user, &factors)?;
    let slot = Slot::from_stored(slot).ok_or_else(|| answers.corrupt("the slot is out of range".to_owned()))?;
    Ok(Credentials {
        user,
        password_hash,
        version: credentials_version,
        disabled: disabled_at.is_some(),
        slot,
        account,
    })
}
