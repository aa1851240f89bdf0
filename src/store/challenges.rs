//! Challenges: requests for a code by mail, and their redemption.
//!
//! A redemption is one transaction. Its first statement spends the challenge, if the account is still as it was when the challenge was
//! made. All other statements take effect only if this request spent it.

use portcullis_core::account::audit::AuditEvent;
use portcullis_core::account::client::Client;
use portcullis_core::account::user::Account;
use portcullis_core::id::{Id, Slot};
use portcullis_core::identity::email::Email;
use portcullis_core::mail::budget::Budget;
use portcullis_core::mail::challenge::Purpose;
use portcullis_core::mail::kind::Kind;
use portcullis_core::mail::locale::Locale;
use portcullis_core::sign_in;
use serde::Deserialize;

use super::audit::EventKey;
use super::batch::{Affected, Answers, Batch, Rows, sql, values};
use super::connection::Store;
use super::error::StoreError;
use super::outbox::{NewMail, insert_of_challenge};
use super::rows::{account, client, sign_in_account};

const FIND: &str = sql!("challenges/find.sql");
const INSERT: &str = sql!("challenges/insert.sql");
const INSERT_EVENT: &str = sql!("challenges/insert_event.sql");
const INSERT_OF_EVENT: &str = sql!("challenges/insert_of_event.sql");
const DELETE_RECLAIMED: [&str; 3] = [
    sql!("factors/delete_reclaimed_totp.sql"),
    sql!("factors/delete_reclaimed_recovery_codes.sql"),
    sql!("factors/delete_reclaimed_passkeys.sql"),
];
const RECLAIM: &str = sql!("challenges/reclaim.sql");
const SPEND: &str = sql!("challenges/spend.sql");
const TRY: &str = sql!("challenges/try.sql");
const USE_BUDGET: &str = sql!("budgets/use.sql");
const VERIFY_EMAIL: &str = sql!("challenges/verify_email.sql");

/// Maximum number of codes that are compared with a challenge.
const MAX_TRIES: u64 = 5;
/// Maximum number of live challenges of an address.
const MAX_LIVE: u64 = 20;
/// Maximum number of live challenges of an address that one source asked for.
const MAX_LIVE_OF_SOURCE: u64 = 3;

/// A challenge to insert.
pub struct NewChallenge<'a> {
    /// Must be random.
    pub id: Id,
    /// Must be random, and is never shown.
    pub salt: Id,
    /// What it is for.
    pub purpose: Purpose,
    /// The account or registration, and the version of its credentials; `None` for an unknown address.
    pub user: Option<(Id, u64)>,
    /// The key of the address that the request names.
    pub email_key: &'a str,
    /// The new address of a change.
    pub new_email: Option<&'a Email>,
    /// The roles that come with the acceptance of an invitation, as JSON.
    pub roles: Option<String>,
    /// A hash of the source; empty if it is not known.
    pub source: String,
    /// The language of its mails.
    pub locale: Locale,
}

impl<'v> NewChallenge<'v> {
    /// Inserts the challenge, within the budget and the maximum of live challenges.
    pub(super) fn insert(
        &'v self,
        batch: &mut Batch<'v>,
        client: &'v Client,
        request_id: Id,
        budget: Option<&'v str>,
        now: u64,
    ) {
        let values = values![
            self.id,
            self.purpose.as_str(),
            self.user.map(|(id, _)| id),
            self.email_key,
            self.new_email.map(Email::address),
            self.new_email.map(Email::key),
            self.user.map(|(_, version)| version),
            self.roles.as_deref(),
            self.salt,
            &self.source,
            now,
            now.saturating_add(self.purpose.ttl()),
            client.ip.as_deref(),
            client.user_agent.as_deref(),
            self.locale.as_str(),
            MAX_LIVE,
            MAX_LIVE_OF_SOURCE,
            request_id,
            budget,
        ];
        batch.execute(INSERT, values);
    }
}

/// The budgets that a mail uses, by key. A refused one leaves those after it unused.
pub struct Budgets(pub Vec<(String, Budget)>);

/// A challenge to insert, the mail with its code, and the budgets that the mail uses.
pub struct NewCode<'a> {
    /// The budgets.
    pub budgets: Budgets,
    /// The challenge.
    pub challenge: NewChallenge<'a>,
    /// The mail.
    pub mail: NewMail<'a>,
}

/// A challenge that an admin makes for an account, and the mail with its code.
pub struct AdminCode {
    /// Must be random.
    pub id: Id,
    /// Must be random, and is never shown.
    pub salt: Id,
    /// Id of the mail. Must be random.
    pub mail_id: Id,
    /// What it is for.
    pub purpose: Purpose,
    /// The kind of mail.
    pub kind: Kind,
    /// The roles that come with the acceptance of an invitation, as JSON.
    pub roles: Option<String>,
    /// The language of the mail.
    pub locale: Locale,
}

/// A live challenge.
pub struct StoredChallenge {
    /// Its id.
    pub id: Id,
    /// What it is for.
    pub purpose: Purpose,
    /// The account or registration; `None` for an unknown address.
    pub user_id: Option<Id>,
    /// The key of the account's address when it was made.
    pub email_key: String,
    /// The new address of a change: as entered, and its key. `None` also if it was not free.
    pub new_email: Option<(String, String)>,
    /// The version of the credentials when it was made.
    pub credentials_version: u64,
    /// Its salt.
    pub salt: Id,
    /// The hash of the token of the command line.
    pub token_hash: Option<String>,
    /// When it was made, in unix seconds.
    pub created_at: u64,
    /// When it expires, in unix seconds.
    pub expires_at: u64,
    /// The client that asked for it.
    pub client: Client,
    /// The account as it is now.
    pub account: Option<ChallengedAccount>,
    /// The registration, if it still waits for its code.
    pub registration: Option<PendingRegistration>,
}

/// The registration of a challenge.
#[derive(Deserialize)]
pub struct PendingRegistration {
    /// The address as entered.
    pub email: String,
    /// A PHC string; `None` if it has a passkey.
    pub password_hash: Option<String>,
}

/// The account of a challenge.
pub struct ChallengedAccount {
    /// The account.
    pub account: Account,
    /// The key of its address.
    pub email_key: String,
    /// The version of its credentials.
    pub credentials_version: u64,
    /// Its slot.
    pub slot: Slot,
    /// What decides which proofs a sign-in needs.
    pub sign_in: sign_in::Account,
}

impl StoredChallenge {
    /// Whether a mail had its code and link. Those of the command line go other ways, so they do not prove that the user has the mailbox.
    pub const fn was_mailed(&self) -> bool {
        self.token_hash.is_none()
    }

    /// The account, if it may still be redeemed: its address and credentials are as they were, and it is not disabled.
    pub fn redeemable(&self) -> Option<&ChallengedAccount> {
        self.account.as_ref().filter(|found| {
            found.email_key == self.email_key
                && found.credentials_version == self.credentials_version
                && found.account.disabled_at.is_none()
        })
    }
}

#[derive(Deserialize)]
struct ChallengeRow {
    id: Id,
    purpose: String,
    user_id: Option<Id>,
    email_key: String,
    new_email: Option<String>,
    new_email_key: Option<String>,
    credentials_version: Option<u64>,
    salt: Id,
    token_hash: Option<String>,
    created_at: u64,
    expires_at: u64,
    ip: Option<String>,
    user_agent: Option<String>,
    account: Option<String>,
    registration: Option<String>,
}

/// A budget that was used.
#[derive(Deserialize)]
struct UsedRow {}

#[derive(Deserialize)]
struct AccountObject {
    user: String,
    factors: String,
    email_key: String,
    credentials_version: u64,
    slot: u16,
}

/// A challenge to spend in the transaction of an act.
#[derive(Clone, Copy)]
pub struct Redemption<'a> {
    /// The challenge.
    pub id: Id,
    /// Its account.
    pub user_id: Id,
    /// The request that spends it.
    pub request_id: Id,
    /// The client.
    pub client: &'a Client,
    /// Current time, in unix seconds.
    pub now: u64,
}

impl Redemption<'_> {
    /// Spends the challenge, if it is live and its account is as it was.
    pub(super) fn spend(&self, batch: &mut Batch<'_>) -> Rows<Affected> {
        batch.query(SPEND, values![self.id, self.request_id, self.now, batch.not_before()])
    }

    /// The key of an event of this redemption.
    pub(super) fn key(&self, event: AuditEvent) -> EventKey {
        let id = format!("{}.{}", self.request_id, event.as_str());
        EventKey { user_id: self.user_id, at: self.now, id, event }
    }

    /// Records an event, if this request has spent the challenge.
    pub(super) fn record<'v>(
        &'v self,
        batch: &mut Batch<'v>,
        key: &'v EventKey,
        detail: Option<&'v str>,
    ) -> Rows<Affected> {
        self.record_if(batch, key, detail, false)
    }

    /// Records an event, if this request has spent the challenge and the address is not verified yet.
    pub(super) fn record_first_proof<'v>(&'v self, batch: &mut Batch<'v>, key: &'v EventKey) -> Rows<Affected> {
        self.record_if(batch, key, None, true)
    }

    fn record_if<'v>(
        &'v self,
        batch: &mut Batch<'v>,
        key: &'v EventKey,
        detail: Option<&'v str>,
        is_first_proof: bool,
    ) -> Rows<Affected> {
        let (ip, user_agent) = (self.client.ip.as_deref(), self.client.user_agent.as_deref());
        let (kind, first) = (key.event.as_str(), is_first_proof);
        batch.query(
            INSERT_EVENT,
            values![self.id, self.request_id, self.now, &key.id, kind, ip, user_agent, detail, first],
        )
    }
}

/// Sets the password, or removes it, and raises the version of the credentials, if the event exists. If the user has proved to have the
/// mailbox and the address was not verified, it is now, and what the account had before is deleted.
pub(super) fn reclaim<'v>(
    batch: &mut Batch<'v>,
    key: &'v EventKey,
    password_hash: Option<&'v str>,
    proves_mailbox: bool,
) {
    if proves_mailbox {
        for delete in DELETE_RECLAIMED {
            batch.execute(delete, values![key.user_id, key.at, &key.id]);
        }
    }
    batch.execute(RECLAIM, values![key.user_id, key.at, &key.id, password_hash, proves_mailbox]);
}

impl Budgets {
    /// Uses the budgets in their order, if the event exists. Returns the key that the statements after it depend on.
    pub(super) fn use_all<'v>(
        &'v self,
        batch: &mut Batch<'v>,
        event: Option<&'v EventKey>,
        request_id: Id,
        now: u64,
    ) -> Option<&'v str> {
        let (user_id, event_id) = event.map(|key| (key.user_id, key.id.as_str())).unzip();
        let mut last = None;
        for (key, Budget { free, spacing, max, window }) in &self.0 {
            let values = values![key, now, *free, *spacing, *max, *window, request_id, last, user_id, event_id];
            batch.execute(USE_BUDGET, values);
            last = Some(key.as_str());
        }
        last
    }
}

impl Store {
    /// Uses a budget. `false` if it is used up. One round trip.
    pub async fn use_budget(&self, key: &str, budget: Budget, request_id: Id, now: u64) -> Result<bool, StoreError> {
        let Budget { free, spacing, max, window } = budget;
        let (none, event): (Option<&str>, Option<Id>) = (None, None);
        let mut batch = self.batch("use_budget");
        let values = values![key, now, free, spacing, max, window, request_id, none, event, none];
        let used = batch.query::<UsedRow>(USE_BUDGET, values);
        Ok(batch.run().await?.row(used)?.is_some())
    }

    /// Inserts a challenge and the mails with its code, within the budgets and the maximum of live challenges. One round trip.
    pub async fn insert_challenge(
        &self,
        budgets: &Budgets,
        challenge: &NewChallenge<'_>,
        mails: &[NewMail<'_>],
        client: &Client,
        request_id: Id,
        now: u64,
    ) -> Result<(), StoreError> {
        let mut batch = self.batch("insert_challenge");
        insert(&mut batch, budgets, challenge, mails, client, request_id, now);
        batch.run().await.map(|_| ())
    }

    /// Sends the mails of a live challenge again, within the budgets. One round trip.
    pub async fn send_challenge_again(
        &self,
        budgets: &Budgets,
        challenge_id: Id,
        mails: &[NewMail<'_>],
        client: &Client,
        request_id: Id,
        now: u64,
    ) -> Result<(), StoreError> {
        let mut batch = self.batch("send_challenge_again");
        let last = budgets.use_all(&mut batch, None, request_id, now);
        for mail in mails {
            mail.insert(&mut batch, challenge_id, client, request_id, last, now);
        }
        batch.run().await.map(|_| ())
    }

    /// Finds a live challenge. One round trip.
    pub async fn find_challenge(&self, id: Id, now: u64) -> Result<Option<StoredChallenge>, StoreError> {
        let mut batch = self.batch("find_challenge");
        let found = batch.query::<ChallengeRow>(FIND, values![id, now, self.sessions_not_before]);
        let answers = batch.run().await?;
        answers.row(found)?.map(|row| stored(&answers, row)).transpose()
    }

    /// Counts an attempt to redeem a live challenge by its code, before the code is compared. `None` without a live challenge, or after
    /// too many attempts. One round trip, one row written.
    pub async fn try_challenge(&self, id: Id, now: u64) -> Result<Option<StoredChallenge>, StoreError> {
        let mut batch = self.batch("try_challenge");
        let counted = batch.query::<Affected>(TRY, values![id, now, MAX_TRIES, self.sessions_not_before]);
        let found = batch.query::<ChallengeRow>(FIND, values![id, now, self.sessions_not_before]);
        let answers = batch.run().await?;
        let found = answers.row(counted)?.and(answers.row(found)?);
        found.map(|row| stored(&answers, row)).transpose()
    }

    /// Spends a challenge and records that its user has the mailbox. `false` if the challenge was spent or the account changed. One round
    /// trip.
    pub async fn verify_email(&self, redemption: &Redemption<'_>) -> Result<bool, StoreError> {
        let key = redemption.key(AuditEvent::EmailVerified);
        let mut batch = self.batch("verify_email");
        let spent = redemption.spend(&mut batch);
        redemption.record(&mut batch, &key, None);
        batch.execute(VERIFY_EMAIL, values![key.user_id, key.at, &key.id]);
        let answers = batch.run().await?;
        Ok(answers.row(spent)?.is_some())
    }
}

/// Inserts a challenge and the mails with its code, within the budgets and the maximum of live challenges.
fn insert<'v>(
    batch: &mut Batch<'v>,
    budgets: &'v Budgets,
    challenge: &'v NewChallenge<'_>,
    mails: &[NewMail<'v>],
    client: &'v Client,
    request_id: Id,
    now: u64,
) {
    let last = budgets.use_all(batch, None, request_id, now);
    challenge.insert(batch, client, request_id, last, now);
    for mail in mails {
        mail.insert(batch, challenge.id, client, request_id, None, now);
    }
}

impl NewCode<'_> {
    /// Inserts the challenge and its mail, within the budgets and the maximum of live challenges.
    pub(super) fn insert<'v>(&'v self, batch: &mut Batch<'v>, client: &'v Client, request_id: Id, now: u64) {
        insert(batch, &self.budgets, &self.challenge, std::slice::from_ref(&self.mail), client, request_id, now);
    }
}

impl AdminCode {
    /// Inserts the challenge and its mail, if the event exists.
    pub(super) fn insert<'v>(&'v self, batch: &mut Batch<'v>, key: &'v EventKey) {
        let values = values![
            key.user_id,
            key.at,
            &key.id,
            self.id,
            self.purpose.as_str(),
            self.roles.as_deref(),
            self.salt,
            key.at.saturating_add(self.purpose.ttl()),
            self.locale.as_str(),
        ];
        batch.execute(INSERT_OF_EVENT, values);
        insert_of_challenge(batch, self.mail_id, self.kind, self.id);
    }
}

fn stored(answers: &Answers, row: ChallengeRow) -> Result<StoredChallenge, StoreError> {
    let purpose = Purpose::parse(&row.purpose).ok_or_else(|| answers.corrupt("an unknown purpose".to_owned()))?;
    let account = row.account.map(|object| challenged_account(answers, &object)).transpose()?;
    let parse = |object: String| {
        serde_json::from_str(&object).map_err(|error| answers.corrupt(format!("registration: {error}")))
    };
    let registration = row.registration.map(parse).transpose()?;
    Ok(StoredChallenge {
        id: row.id,
        purpose,
        user_id: row.user_id,
        email_key: row.email_key,
        new_email: row.new_email.zip(row.new_email_key),
        credentials_version: row.credentials_version.unwrap_or_default(),
        salt: row.salt,
        token_hash: row.token_hash,
        created_at: row.created_at,
        expires_at: row.expires_at,
        client: client(row.ip, row.user_agent),
        account,
        registration,
    })
}

fn challenged_account(answers: &Answers, object: &str) -> Result<ChallengedAccount, StoreError> {
    let object: AccountObject =
        serde_json::from_str(object).map_err(|error| answers.corrupt(format!("account: {error}")))?;
    let account = account(answers, &object.user)?;
    Ok(ChallengedAccount {
        sign_in: sign_in_account(answers, &account.user, &object.factors)?,
        account,
        email_key: object.email_key,
        credentials_version: object.credentials_version,
        slot: Slot::from_stored(object.slot).ok_or_else(|| answers.corrupt("the slot is out of range".to_owned()))?,
    })
}
