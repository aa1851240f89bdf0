//! Creation of accounts.

use portcullis_core::account::client::Client;
use portcullis_core::account::metadata::Metadata;
use portcullis_core::account::session::OwedMark;
use portcullis_core::id::{Id, Slot, SlotKey};
use portcullis_core::identity::display_name::Name;
use portcullis_core::identity::email::Email;
use portcullis_core::identity::username::Username;
use serde::Deserialize;

use super::batch::{sql, values};
use super::connection::Store;
use super::error::{StoreError, WithOwedMarks};
use super::rows::roles_to_json;
use super::sessions::NewSession;

const FIND_TAKEN: &str = sql!("registration/find_taken.sql");
const INSERT_USER: &str = sql!("registration/insert_user.sql");

/// The availability of the names of a registration, and the slot of the address.
#[derive(Clone, Copy, Debug)]
pub struct Availability {
    /// Whether the e-mail address is taken.
    pub email_taken: bool,
    /// Whether the username is taken.
    pub username_taken: bool,
    /// The slot for the address.
    pub slot: Slot,
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
    /// A PHC string; `None` for an account without a password.
    pub password_hash: Option<&'a str>,
    /// The `roles` claim.
    pub roles: &'a [String],
}

#[derive(Deserialize)]
struct TakenRow {
    email_taken: u8,
    username_taken: u8,
    slot_key: Option<String>,
}

impl Store {
    /// Checks which names are taken, and derives the slot of the address. One round trip.
    pub async fn find_taken(&self, email: &Email, username: Option<&Username>) -> Result<Availability, StoreError> {
        let mut batch = self.batch("find_taken");
        let found = batch.query::<TakenRow>(FIND_TAKEN, values![email.key(), username.map(Username::key)]);
        let answers = batch.run().await?;
        let row = answers.row(found)?.ok_or_else(|| answers.corrupt("no row".to_owned()))?;
        let slot_key = row.slot_key.as_deref().and_then(SlotKey::parse);
        let slot_key = slot_key.ok_or_else(|| answers.corrupt("no slot key".to_owned()))?;
        Ok(Availability {
            email_taken: row.email_taken != 0,
            username_taken: row.username_taken != 0,
            slot: Slot::of(email.key(), &slot_key),
        })
    }

    /// Creates an account and its first session in one transaction; [`StoreError::Conflict`] if a name was taken in the meantime. One
    /// round trip. Returns the session that ended because its cookie was replaced.
    pub async fn insert_user(
        &self,
        user: &NewUser<'_>,
        session: &NewSession,
        client: &Client,
        now: u64,
    ) -> Result<WithOwedMarks<Option<OwedMark>>, StoreError> {
        let values = values![
            user.id,
            user.email.address(),
            user.email.key(),
            user.username.map(Username::as_str),
            user.username.map(Username::key),
            user.name.map(Name::as_str),
            user.password_hash,
            roles_to_json(user.roles),
            now,
            client.ip.as_deref(),
            client.user_agent.as_deref(),
            user.slot.number(),
            user.given_name.map(Name::as_str),
            user.family_name.map(Name::as_str),
            user.metadata.map(Metadata::as_str),
        ];
        let mut batch = self.batch("insert_user");
        batch.execute(INSERT_USER, values);
        let begun = session.insert(&mut batch, client, now);
        let answers = batch.run().await?;
        let replaced = begun.replaced(&answers)?;
        Ok(WithOwedMarks { value: replaced, owed_marks: replaced.into_iter().collect() })
    }
}
