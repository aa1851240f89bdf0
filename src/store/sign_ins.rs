//! Sign-ins that need a further proof.

use portcullis_core::account::client::Client;
use portcullis_core::account::session::{Delivery, Transport};
use portcullis_core::account::throttle::Subject;
use portcullis_core::account::user::User;
use portcullis_core::id::{Id, Slot};
use portcullis_core::sign_in::{self, Method};
use serde::Deserialize;

use super::batch::{Affected, Answers, Batch, Rows, sql, values};
use super::connection::Store;
use super::error::{StoreError, WithOwedMarks};
use super::factor_use::FactorUse;
use super::rows::{account, sign_in_account};
use super::sessions::{REPLACE_HASH, SignIn};
use super::throttles::Wait;

const ADD_EMAIL: &str = sql!("sign_ins/add_email.sql");
const FIND: &str = sql!("sign_ins/find.sql");
const INSERT: &str = sql!("sign_ins/insert.sql");
const TRY: &str = sql!("sign_ins/try.sql");

/// Seconds within which a sign-in must be complete.
const TTL: u64 = 600;
/// Maximum number of proofs that are tried.
const MAX_TRIES: u64 = 5;

/// A sign-in to insert.
pub struct NewPendingSignIn {
    /// Must be random.
    pub id: Id,
    /// The account.
    pub user_id: Id,
    /// The version that was verified.
    pub credentials_version: u64,
    /// What was proved: values of RFC 8176, separated by spaces.
    pub amr: String,
    /// How the refresh token will be delivered.
    pub delivery: Delivery,
    /// What failed attempts count against. If a wait has begun, nothing is inserted.
    pub subject: Option<Subject>,
}

/// The result of inserting a sign-in.
pub struct PendingInsertion {
    /// `false`: nothing was inserted, because the account was disabled, deleted or had its credentials changed since they were read, or
    /// because a wait has begun.
    pub has_begun: bool,
    /// The seconds of that wait.
    pub wait: Option<u64>,
}

/// A live sign-in and its account.
pub struct PendingSignIn {
    /// Its id.
    pub id: Id,
    /// What was proved.
    pub methods: Vec<Method>,
    /// How the refresh token will be delivered.
    pub delivery: Delivery,
    /// The key of the throttle of its name.
    pub name_key: Option<String>,
    /// The passkey that was proved.
    pub passkey_id: Option<String>,
    /// The version of the credentials.
    pub credentials_version: u64,
    /// The slot of the user's session ids.
    pub slot: Slot,
    /// The user.
    pub user: User,
    /// What decides which proofs are needed.
    pub account: sign_in::Account,
}

#[derive(Deserialize)]
struct PendingRow {
    amr: String,
    transport: Transport,
    remember: u8,
    name_key: Option<String>,
    passkey_id: Option<String>,
    credentials_version: u64,
    slot: u16,
    user: String,
    factors: String,
}

impl NewPendingSignIn {
    /// Inserts it, unless the account has changed, a wait has begun or the challenge or the passkey was not used up.
    pub(super) fn insert<'v>(
        &'v self,
        batch: &mut Batch<'v>,
        sign_in: &'v SignIn<'_>,
        request_id: Id,
        now: u64,
    ) -> Rows<Affected> {
        let challenge = sign_in.redemption.as_ref().map(|redemption| redemption.id);
        let values = values![
            self.id,
            self.user_id,
            self.credentials_version,
            now,
            &self.amr,
            self.delivery.transport.as_str(),
            self.delivery.remember,
            sign_in.name,
            now.saturating_add(TTL),
            self.subject,
            challenge,
            request_id,
            sign_in.factor.as_ref().and_then(FactorUse::passkey_id),
        ];
        batch.query(INSERT, values)
    }
}

impl Store {
    /// Inserts a sign-in that needs a further proof. Spends its challenge, with what that changes, uses up its passkey, and replaces an
    /// outdated hash. One round trip.
    pub async fn insert_pending_sign_in(
        &self,
        pending: &NewPendingSignIn,
        sign_in: &SignIn<'_>,
        client: &Client,
        request_id: Id,
        now: u64,
    ) -> Result<WithOwedMarks<PendingInsertion>, StoreError> {
        let verified = sign_in.verified();
        let mut batch = self.batch("insert_pending_sign_in");
        let wait = pending.subject.map(|subject| Wait::find(&mut batch, subject, now));
        let owed = sign_in.redeem(&mut batch, verified.as_ref(), client);
        if let Some(FactorUse::Passkey(passkey)) = &sign_in.factor {
            passkey.spend(&mut batch, request_id, now);
        }
        let inserted = pending.insert(&mut batch, sign_in, request_id, now);
        if let Some((old, new)) = sign_in.rehash {
            batch.execute(REPLACE_HASH, values![pending.user_id, old, new]);
        }
        let answers = batch.run().await?;
        let wait = wait.map(|wait| wait.seconds(&answers)).transpose()?.flatten();
        let value = PendingInsertion { has_begun: answers.row(inserted)?.is_some(), wait };
        let owed_marks = owed.map(|owed| answers.rows(owed)).transpose()?.unwrap_or_default();
        Ok(WithOwedMarks { value, owed_marks })
    }

    /// Counts an attempt to complete a live sign-in, before the proof is judged. `None` without a live sign-in, or after too many attempts.
    /// One round trip, one row written.
    pub async fn try_sign_in(&self, id: Id, now: u64) -> Result<Option<PendingSignIn>, StoreError> {
        let mut batch = self.batch("try_sign_in");
        let counted = batch.query::<Affected>(TRY, values![id, now, MAX_TRIES, self.sessions_not_before]);
        let found = batch.query::<PendingRow>(FIND, values![id, now, self.sessions_not_before]);
        let answers = batch.run().await?;
        let Some(row) = answers.row(counted)?.and(answers.row(found)?) else { return Ok(None) };
        pending_sign_in(&answers, id, row)
    }

    /// Finds a live sign-in without counting an attempt. One round trip.
    pub async fn find_sign_in(&self, id: Id, now: u64) -> Result<Option<PendingSignIn>, StoreError> {
        let mut batch = self.batch("find_sign_in");
        let found = batch.query::<PendingRow>(FIND, values![id, now, self.sessions_not_before]);
        let answers = batch.run().await?;
        let Some(row) = answers.row(found)? else { return Ok(None) };
        pending_sign_in(&answers, id, row)
    }

    /// Spends a challenge and adds its proof to a live sign-in. Verifies the address if it was not. `false` if the challenge was spent or
    /// the sign-in is not live. One round trip.
    pub async fn add_email_proof(&self, id: Id, amr: &str, sign_in: &SignIn<'_>) -> Result<bool, StoreError> {
        let Some(redemption) = sign_in.redemption else { return Ok(false) };
        let verified = sign_in.verified();
        let mut batch = self.batch("add_email_proof");
        sign_in.redeem(&mut batch, verified.as_ref(), redemption.client);
        let not_before = self.sessions_not_before;
        let values = values![id, redemption.now, amr, redemption.id, redemption.request_id, not_before];
        let added = batch.query::<Affected>(ADD_EMAIL, values);
        let answers = batch.run().await?;
        Ok(answers.row(added)?.is_some())
    }
}

/// A live sign-in; `None` if the account is disabled.
fn pending_sign_in(answers: &Answers, id: Id, row: PendingRow) -> Result<Option<PendingSignIn>, StoreError> {
    let owner = account(answers, &row.user)?;
    if owner.disabled_at.is_some() {
        return Ok(None);
    }
    Ok(Some(PendingSignIn {
        id,
        methods: Method::parse_amr(&row.amr),
        delivery: Delivery { transport: row.transport, remember: row.remember != 0 },
        name_key: row.name_key,
        passkey_id: row.passkey_id,
        credentials_version: row.credentials_version,
        slot: Slot::from_stored(row.slot).ok_or_else(|| answers.corrupt("the slot is out of range".to_owned()))?,
        account: sign_in_account(answers, &owner.user, &row.factors)?,
        user: owner.user,
    }))
}
