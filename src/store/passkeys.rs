//! Passkeys.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_core::account::caller::Caller;
use portcullis_core::account::passkey::Passkey;
use portcullis_core::id::Id;
use portcullis_core::webauthn::authentication::PasskeyAuthentication;
use portcullis_core::webauthn::authenticator::aaguid_text;
use portcullis_core::webauthn::registration::NewCredential;
use serde::Deserialize;

use super::batch::{Affected, Answers, Batch, Rows, sql, values};
use super::callers::{find_session, in_force};
use super::connection::Store;
use super::error::{Denial, StoreError};

const INSERT: &str = sql!("passkeys/insert.sql");
const LIST: &str = sql!("passkeys/list.sql");
const RENAME: &str = sql!("passkeys/rename.sql");
const USE: &str = sql!("passkeys/use.sql");

/// The use of a passkey, which passed every check but those of the store.
pub struct PasskeyUse {
    /// The credential id, as stored.
    pub id: String,
    /// The use.
    pub used: PasskeyAuthentication,
}

/// A passkey to store.
pub struct NewPasskey {
    /// The credential.
    pub credential: NewCredential,
    /// How the user calls it.
    pub name: String,
}

#[derive(Deserialize)]
struct PasskeyRow {
    credential_id: String,
    name: String,
    transports: String,
    aaguid: String,
    is_backed_up: u8,
    created_at: u64,
    last_used_at: Option<u64>,
}

impl PasskeyUse {
    /// Uses the passkey, unless it answered the challenge before or its counter has gone back meanwhile.
    pub(super) fn spend<'v>(&'v self, batch: &mut Batch<'v>, request_id: Id, now: u64) {
        let PasskeyAuthentication { user_id, challenge, counter, backed_up, counter_went_back } = &self.used;
        let values = values![
            &self.id,
            *user_id,
            *counter,
            *counter_went_back,
            *backed_up,
            now,
            &challenge.hash,
            challenge.expires_at,
            request_id,
        ];
        batch.query::<Affected>(USE, values);
    }
}

impl NewPasskey {
    /// The credential id, as stored.
    pub fn id(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(&self.credential.id)
    }

    /// The passkey for display.
    pub fn passkey(&self, now: u64) -> Passkey {
        Passkey {
            id: self.id(),
            name: self.name.clone(),
            transports: self.credential.transports.clone(),
            aaguid: aaguid_text(&self.credential.aaguid),
            backed_up: self.credential.backed_up,
            created_at: now,
            last_used_at: None,
        }
    }

    /// The columns, for a statement that reads them.
    pub(super) fn to_json(&self) -> String {
        let NewCredential { public_key, counter, backup_eligible, backed_up, aaguid, transports, .. } =
            &self.credential;
        serde_json::json!({
            "id": self.id(),
            "public_key": BASE64_URL_SAFE_NO_PAD.encode(public_key),
            "name": self.name,
            "transports": transports,
            "aaguid": aaguid_text(aaguid),
            "backup_eligible": backup_eligible,
            "backed_up": backed_up,
            "counter": counter,
        })
        .to_string()
    }

    /// Inserts it, if the event exists. The transaction fails with [`StoreError::PasskeyExists`] if an account has the credential, or
    /// had it until a moment ago.
    pub(super) fn insert<'v>(&self, batch: &mut Batch<'v>, user_id: Id, event_id: Option<&'v str>, now: u64) {
        batch.execute(INSERT, values![self.to_json(), user_id, now, event_id]);
    }
}

impl Store {
    /// The passkeys of the caller, the oldest first. One round trip.
    pub async fn list_own_passkeys(&self, caller: Caller, now: u64) -> Result<Vec<Passkey>, StoreError> {
        let mut batch = self.batch("list_own_passkeys");
        let found = find_session(&mut batch, caller.session_id);
        let listed = list(&mut batch, caller.user_id);
        let answers = batch.run().await?;
        in_force(&answers, found, caller, now)?;
        passkeys(&answers, listed)
    }

    /// The passkeys of a user, the oldest first. One round trip.
    pub async fn list_passkeys(&self, user_id: Id) -> Result<Vec<Passkey>, StoreError> {
        let mut batch = self.batch("list_passkeys");
        let listed = list(&mut batch, user_id);
        passkeys(&batch.run().await?, listed)
    }

    /// Renames a passkey of the caller. One round trip.
    pub async fn rename_passkey(&self, caller: Caller, id: &str, name: &str, now: u64) -> Result<Passkey, StoreError> {
        let mut batch = self.batch("rename_passkey");
        let found = find_session(&mut batch, caller.session_id);
        let renamed = batch.query::<PasskeyRow>(RENAME, values![caller.session_id, caller.user_id, now, id, name]);
        let answers = batch.run().await?;
        in_force(&answers, found, caller, now)?;
        passkey(&answers, answers.row(renamed)?.ok_or(Denial::NotFound)?)
    }
}

fn list(batch: &mut Batch<'_>, user_id: Id) -> Rows<PasskeyRow> {
    batch.query(LIST, values![user_id])
}

fn passkeys(answers: &Answers, listed: Rows<PasskeyRow>) -> Result<Vec<Passkey>, StoreError> {
    answers.rows(listed)?.into_iter().map(|row| passkey(answers, row)).collect()
}

fn passkey(answers: &Answers, row: PasskeyRow) -> Result<Passkey, StoreError> {
    let transports =
        serde_json::from_str(&row.transports).map_err(|error| answers.corrupt(format!("transports: {error}")))?;
    Ok(Passkey {
        id: row.credential_id,
        name: row.name,
        transports,
        aaguid: row.aaguid,
        backed_up: row.is_backed_up != 0,
        created_at: row.created_at,
        last_used_at: row.last_used_at,
    })
}
