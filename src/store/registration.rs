//! Creation of accounts, and registrations that wait for their code.
//!
//! Such a registration reserves neither address nor username. The first one whose code comes back becomes the account.

use portcullis_core::account::audit::AuditEvent;
use portcullis_core::account::client::Client;
use portcullis_core::account::metadata::Metadata;
use portcullis_core::account::session::OwedMark;
use portcullis_core::id::{Id, Slot, SlotKey};
use portcullis_core::identity::display_name::Name;
use portcullis_core::identity::email::Email;
use portcullis_core::identity::username::Username;
use serde::Deserialize;

use super::batch::{Affected, Answers, Batch, Rows, Value, sql, values};
use super::challenges::{NewCode, Redemption};
use super::connection::Store;
use super::error::{StoreError, WithOwedMarks};
use super::factors::INSERT_RECOVERY_CODES;
use super::passkeys::NewPasskey;
use super::rows::roles_to_json;
use super::sessions::{Conditions, NewSession, SignIn};
use super::sign_ins::NewPendingSignIn;

const DELETE_DISOWNED: &str = sql!("registration/delete_disowned.sql");
const DELETE_OF_ADDRESS: &str = sql!("registration/delete_of_address.sql");
const DELETE_OLDEST: &str = sql!("registration/delete_oldest.sql");
const FIND_CHALLENGE: &str = sql!("registration/find_challenge.sql");
const FIND_TAKEN: &str = sql!("registration/find_taken.sql");
const INSERT_PENDING: &str = sql!("registration/insert_pending.sql");
const INSERT_PROVED: &str = sql!("registration/insert_proved.sql");
const INSERT_PROVED_PASSKEY: &str = sql!("registration/insert_proved_passkey.sql");
const INSERT_USER: &str = sql!("registration/insert_user.sql");
const SPEND: &str = sql!("registration/spend.sql");
const SPEND_OTHERS: &str = sql!("registration/spend_others.sql");

/// Lifetime of a registration that waits for its code, in seconds.
pub const PENDING_TTL: u64 = 604_800;
/// Maximum number of registrations of an address that wait. A further one replaces the oldest, so that strangers cannot keep the owner of
/// a mailbox from registering.
const MAX_PENDING: u64 = 3;

/// The availability of the names of a registration, and the slot of the address.
#[derive(Debug)]
pub struct Availability {
    /// The account with the e-mail address.
    pub owner: Option<Owner>,
    /// Whether the address is reserved for the account that had it.
    pub email_reserved: bool,
    /// Whether the username is taken.
    pub username_taken: bool,
    /// The slot for the address.
    pub slot: Slot,
}

/// The account with an address.
#[derive(Deserialize, Debug)]
pub struct Owner {
    /// The account.
    pub user_id: Id,
    /// Its address as stored; `None` if the account is disabled.
    pub email: Option<String>,
}

/// The challenge of a registration, live or not.
#[derive(Deserialize)]
pub struct RegistrationChallenge {
    /// The key of the address.
    pub email_key: String,
    /// The registration; `None` if the address was taken.
    pub user_id: Option<Id>,
    is_live: u8,
    /// The address as entered, if the registration still waits.
    pub email: Option<String>,
}

/// An account to create.
pub struct NewUser<'a> {
    /// Must be random.
    pub id: Id,
    /// Must not be taken.
    pub email: &'a Email,
    /// The slot for the address.
    pub slot: Slot,
    /// Must not be taken.
    pub username: Option<&'a Username>,
    /// The display name.
    pub name: Option<&'a Name>,
    /// First name.
    pub given_name: Option<&'a Name>,
    /// Last name.
    pub family_name: Option<&'a Name>,
    /// The metadata that the user may change.
    pub metadata: Option<&'a Metadata>,
    /// A PHC string; `None` for an account with a passkey.
    pub password_hash: Option<&'a str>,
    /// The passkey.
    pub passkey: Option<FirstPasskey<'a>>,
    /// The `roles` claim.
    pub roles: &'a [String],
}

#[derive(Deserialize)]
struct TakenRow {
    owner: Option<String>,
    email_reserved: u8,
    username_taken: u8,
    slot_key: Option<String>,
}

impl Availability {
    /// Whether nobody can register the address.
    pub const fn email_taken(&self) -> bool {
        self.owner.is_some() || self.email_reserved
    }
}

impl RegistrationChallenge {
    /// Whether its code has not expired. Nothing else that happened to it counts: whoever registered could tell.
    pub const fn is_live(&self) -> bool {
        self.is_live != 0
    }
}

impl NewUser<'_> {
    fn values<'v>(&'v self, client: &'v Client, now: u64) -> Vec<Value<'v>> {
        values![
            self.id,
            self.email.address(),
            self.email.key(),
            self.username.map(Username::as_str),
            self.username.map(Username::key),
            self.name.map(Name::as_str),
            self.password_hash,
            roles_to_json(self.roles),
            now,
            client.ip.as_deref(),
            client.user_agent.as_deref(),
            self.slot.number(),
            self.given_name.map(Name::as_str),
            self.family_name.map(Name::as_str),
            self.metadata.map(Metadata::as_str),
        ]
    }
}

/// Checks which names are taken, and finds the key of the slots.
pub(super) struct Taken(Rows<TakenRow>);

impl Taken {
    pub(super) fn find(batch: &mut Batch<'_>, email: &Email, username: Option<&Username>, now: u64) -> Self {
        Self(batch.query(FIND_TAKEN, values![email.key().to_owned(), username.map(|name| name.key().to_owned()), now]))
    }

    pub(super) fn availability(&self, answers: &Answers, email: &Email) -> Result<Availability, StoreError> {
        let row = answers.row(self.0)?.ok_or_else(|| answers.corrupt("no row".to_owned()))?;
        let slot_key = row.slot_key.as_deref().and_then(SlotKey::parse);
        let slot_key = slot_key.ok_or_else(|| answers.corrupt("no slot key".to_owned()))?;
        let parse =
            |object: String| serde_json::from_str(&object).map_err(|error| answers.corrupt(format!("owner: {error}")));
        Ok(Availability {
            owner: row.owner.map(parse).transpose()?,
            email_reserved: row.email_reserved != 0,
            username_taken: row.username_taken != 0,
            slot: Slot::of(email.key(), &slot_key),
        })
    }
}

/// The passkey of a new account.
pub struct FirstPasskey<'a> {
    /// The passkey.
    pub passkey: &'a NewPasskey,
    /// The hashes of the recovery codes: a JSON array.
    pub code_hashes: Option<&'a str>,
}

/// What a registration begins.
pub enum First<'a> {
    /// The first session.
    Session(&'a NewSession),
    /// A sign-in that needs a further proof.
    SignIn(&'a NewPendingSignIn),
}

impl Store {
    /// Checks which names are taken, and derives the slot of the address. One round trip.
    pub async fn find_taken(
        &self,
        email: &Email,
        username: Option<&Username>,
        now: u64,
    ) -> Result<Availability, StoreError> {
        let mut batch = self.batch("find_taken");
        let taken = Taken::find(&mut batch, email, username, now);
        let answers = batch.run().await?;
        taken.availability(&answers, email)
    }

    /// Creates an account and its first session or sign-in in one transaction, and the code that verifies its address;
    /// [`StoreError::Conflict`] if a name was taken in the meantime, and [`StoreError::PasskeyExists`] if the passkey was used. One round
    /// trip. Returns the session that ended because its cookie was
    /// replaced.
    pub async fn insert_user(
        &self,
        user: &NewUser<'_>,
        first: First<'_>,
        code: Option<&NewCode<'_>>,
        client: &Client,
        request_id: Id,
        now: u64,
    ) -> Result<WithOwedMarks<Option<OwedMark>>, StoreError> {
        let no_sign_in = SignIn::default();
        let mut batch = self.batch("insert_user");
        batch.execute(INSERT_USER, user.values(client, now));
        if let Some(passkey) = &user.passkey {
            passkey.passkey.insert(&mut batch, user.id, None, now);
            if let Some(hashes) = passkey.code_hashes {
                batch.execute(INSERT_RECOVERY_CODES, values![user.id, now, None::<&str>, hashes]);
            }
        }
        let begun = match first {
            First::Session(session) => Some(session.insert(&mut batch, &Conditions::default(), client, now)),
            First::SignIn(pending) => {
                pending.insert(&mut batch, &no_sign_in, request_id, now);
                None
            }
        };
        if let Some(code) = code {
            code.insert(&mut batch, client, request_id, now);
        }
        let answers = batch.run().await?;
        let replaced = begun.map_or(Ok(None), |begun| begun.replaced(&answers))?;
        Ok(WithOwedMarks { value: replaced, owed_marks: replaced.into_iter().collect() })
    }

    /// Inserts a registration that waits for its code, and the code, within the budgets of the mail. One round trip. For an address that
    /// is taken, the same rows are written, but the challenge does not name the registration, so no code can redeem it.
    pub async fn insert_registration(
        &self,
        user: &NewUser<'_>,
        code: &NewCode<'_>,
        client: &Client,
        request_id: Id,
        now: u64,
    ) -> Result<(), StoreError> {
        let challenge_id = code.challenge.id;
        let mut batch = self.batch("insert_registration");
        code.insert(&mut batch, client, request_id, now);
        let others = MAX_PENDING.saturating_sub(1);
        batch.execute(DELETE_OLDEST, values![user.email.key(), others, challenge_id, client.ip.as_deref()]);
        let passkey = user.passkey.as_ref().map(|first| first.passkey.to_json());
        let values = user.values(client, now).into_iter();
        let values = values.chain(values![now.saturating_add(PENDING_TTL), challenge_id, passkey]);
        batch.execute(INSERT_PENDING, values.collect());
        batch.run().await.map(|_| ())
    }

    /// Finds the challenge of a registration, also if it is not live. One round trip.
    pub async fn find_registration_challenge(
        &self,
        id: Id,
        now: u64,
    ) -> Result<Option<RegistrationChallenge>, StoreError> {
        let mut batch = self.batch("find_registration_challenge");
        let found = batch.query(FIND_CHALLENGE, values![id, now, self.sessions_not_before]);
        batch.run().await?.row(found)
    }

    /// Turns a registration into an account: spends the challenge, inserts the account and deletes every registration of the address, in
    /// one transaction. `false` if the challenge was spent or the registration is gone; [`StoreError::Conflict`], with nothing changed, if
    /// a name was taken in the meantime. One round trip.
    pub async fn complete_registration(&self, redemption: &Redemption<'_>) -> Result<bool, StoreError> {
        let Redemption { id, request_id, now, .. } = *redemption;
        let key = redemption.key(AuditEvent::EmailVerified);
        let mut batch = self.batch("complete_registration");
        let spent = spend(&mut batch, redemption);
        batch.execute(INSERT_PROVED, values![id, request_id, now]);
        batch.execute(INSERT_PROVED_PASSKEY, values![id, request_id, now]);
        redemption.record(&mut batch, &key, None);
        batch.execute(DELETE_OF_ADDRESS, values![id, request_id]);
        let answers = batch.run().await?;
        Ok(answers.row(spent)?.is_some())
    }

    /// Deletes a registration and makes its challenges void. `false` if the challenge was spent or the registration is gone. One round
    /// trip.
    pub async fn disown_registration(&self, redemption: &Redemption<'_>) -> Result<bool, StoreError> {
        let Redemption { id, request_id, .. } = *redemption;
        let mut batch = self.batch("disown_registration");
        spend(&mut batch, redemption);
        batch.execute(SPEND_OTHERS, values![id, request_id]);
        let deleted = batch.query::<Affected>(DELETE_DISOWNED, values![id, request_id]);
        let answers = batch.run().await?;
        Ok(answers.row(deleted)?.is_some())
    }
}

/// Spends a challenge, if it is live and its registration still waits.
fn spend(batch: &mut Batch<'_>, redemption: &Redemption<'_>) -> Rows<Affected> {
    batch.query(SPEND, values![redemption.id, redemption.request_id, redemption.now, batch.not_before()])
}
