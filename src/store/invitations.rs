//! Accounts that admins create, and links with which users set a password, that admins send.

use portcullis_core::account::audit::AuditEvent;
use portcullis_core::account::caller::Caller;
use portcullis_core::account::user::Account;
use portcullis_core::id::{Id, Slot};
use portcullis_core::identity::display_name::Name;
use portcullis_core::identity::email::Email;
use portcullis_core::identity::username::Username;

use super::accounts::find_account;
use super::admin::insert_plain_event;
use super::audit::{ActionContext, EventKey};
use super::batch::{sql, values};
use super::callers::{admin_in_force, find_session};
use super::challenges::AdminCode;
use super::connection::Store;
use super::error::{Denial, StoreError};
use super::registration::Taken;
use super::rows::roles_to_json;

const INSERT_USER: &str = sql!("invitations/insert_user.sql");

/// An account that an admin creates. It has no password.
pub struct InvitedUser<'a> {
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
    /// The roles that it has before the invitation is accepted.
    pub roles: &'a [String],
}

/// Whether a reset was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartedReset {
    /// A mail is in the outbox.
    Started,
    /// The account is disabled.
    Disabled,
    /// Admins have asked for too many already.
    TooMany,
}

impl Store {
    /// The slot of an address, for an admin. One round trip.
    pub async fn find_slot(&self, caller: Caller, email: &Email, now: u64) -> Result<Slot, StoreError> {
        let mut batch = self.batch("find_slot");
        let admin = find_session(&mut batch, caller.session_id);
        let taken = Taken::find(&mut batch, email, None, now);
        let answers = batch.run().await?;
        admin_in_force(&answers, admin, caller, now)?;
        Ok(taken.availability(&answers, email)?.slot)
    }

    /// Creates an account and the mail with its invitation; [`StoreError::Conflict`] if a name is taken. `all_roles`: those that the
    /// account has after the acceptance. One round trip.
    pub async fn invite(
        &self,
        context: &ActionContext<'_>,
        user: &InvitedUser<'_>,
        all_roles: &[String],
        code: &AdminCode,
    ) -> Result<Account, StoreError> {
        let ActionContext { caller, now, .. } = *context;
        let key = EventKey::new(user.id, AuditEvent::Invited, context);
        let values = values![
            caller.session_id,
            caller.user_id,
            now,
            user.id,
            user.email.address(),
            user.email.key(),
            user.username.map(Username::as_str),
            user.username.map(Username::key),
            user.name.map(Name::as_str),
            roles_to_json(user.roles),
            user.slot.number(),
        ];
        let mut batch = self.batch("invite");
        let admin = find_session(&mut batch, caller.session_id);
        batch.execute(INSERT_USER, values);
        insert_plain_event(&mut batch, context, &key, Some(roles_to_json(all_roles)));
        code.insert(&mut batch, &key);
        let found = find_account(&mut batch, user.id);
        let answers = batch.run().await?;
        admin_in_force(&answers, admin, caller, now)?;
        let row = answers.row(found)?.ok_or_else(|| answers.corrupt("an account was not created".to_owned()))?;
        row.account(&answers)
    }

    /// Inserts the mail with which a user sets a new password. One round trip.
    pub async fn start_reset(
        &self,
        context: &ActionContext<'_>,
        target: Id,
        code: &AdminCode,
    ) -> Result<StartedReset, StoreError> {
        let key = EventKey::new(target, AuditEvent::PasswordResetStarted, context);
        let mut batch = self.batch("start_reset");
        let admin = find_session(&mut batch, context.caller.session_id);
        let found = find_account(&mut batch, target);
        let recorded = insert_plain_event(&mut batch, context, &key, None);
        code.insert(&mut batch, &key);
        let answers = batch.run().await?;
        admin_in_force(&answers, admin, context.caller, context.now)?;
        let account = answers.row(found)?.ok_or(Denial::NotFound)?.account(&answers)?;
        Ok(match answers.row(recorded)? {
            Some(_) => StartedReset::Started,
            None if account.disabled_at.is_some() => StartedReset::Disabled,
            None => StartedReset::TooMany,
        })
    }
}
