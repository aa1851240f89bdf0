//! Statements on accounts that users and admins share, and the changes that users make to their own account.

use portcullis_core::account::audit::AuditEvent;
use portcullis_core::account::metadata::Metadata;
use portcullis_core::account::throttle::Subject;
use portcullis_core::account::user::User;
use portcullis_core::edit::Edit;
use portcullis_core::id::Id;
use portcullis_core::identity::display_name::Name;
use portcullis_core::identity::username::Username;
use serde::Deserialize;

use super::audit::{ActionContext, EventKey, insert_own_event};
use super::batch::{Affected, Answers, Batch, Rows, sql, values};
use super::callers::{find_session, in_force};
use super::connection::Store;
use super::error::{Denial, StoreError, WithOwedMarks};
use super::revocations::find_owed_marks;
use super::rows::AccountRow;
use super::throttles::clear_recorded;

const COUNT_OPEN_SESSIONS: &str = sql!("accounts/count_open_sessions.sql");
const DELETE_AUDIT_EVENTS: &str = sql!("accounts/delete_audit_events.sql");
const DELETE_SESSIONS: &str = sql!("accounts/delete_sessions.sql");
const DELETE_USER: &str = sql!("accounts/delete_user.sql");
const FIND: &str = sql!("accounts/find.sql");
const INSERT_PROFILE_EVENT: &str = sql!("accounts/insert_profile_event.sql");
const UPDATE_PROFILE: &str = sql!("accounts/update_profile.sql");

/// Maximum profile changes per hour and account. The limit exists because each change writes rows.
const MAX_PROFILE_CHANGES: u64 = 20;

/// A change of a profile.
pub struct ProfileChange {
    /// The username.
    pub username: Edit<Username>,
    /// The display name.
    pub name: Edit<Name>,
    /// The first name.
    pub given_name: Edit<Name>,
    /// The last name.
    pub family_name: Edit<Name>,
    /// The metadata that the user may change.
    pub metadata: Edit<Metadata>,
}

/// Result of a profile change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProfileOutcome {
    /// The profile was changed.
    Changed,
    /// The profile already had the requested values.
    Unchanged,
    /// The hourly limit is reached.
    TooOften,
}

#[derive(Deserialize)]
struct CountRow {
    sessions: usize,
}

/// The handle of a deletion.
pub(super) struct Deletion(Rows<CountRow>);

impl Deletion {
    /// The number of sessions that the deletion ended.
    pub(super) fn sessions_ended(self, answers: &Answers) -> Result<usize, StoreError> {
        Ok(answers.row(self.0)?.map_or(0, |row| row.sessions))
    }
}

/// Finds an account.
pub(super) fn find_account(batch: &mut Batch<'_>, id: Id) -> Rows<AccountRow> {
    batch.query(FIND, values![id])
}

/// Deletes the account of an event and all its data except the event, if the event exists.
pub(super) fn delete_account<'v>(batch: &mut Batch<'v>, key: &'v EventKey) -> Deletion {
    let values = || values![key.user_id, key.at, &key.id];
    let counted = batch.query(COUNT_OPEN_SESSIONS, values());
    for sql in [DELETE_AUDIT_EVENTS, DELETE_SESSIONS, DELETE_USER] {
        batch.execute(sql, values());
    }
    Deletion(counted)
}

impl ProfileChange {
    /// Whether it changes any member.
    pub fn is_edit(&self) -> bool {
        self.username.is_edit()
            || self.name.is_edit()
            || self.given_name.is_edit()
            || self.family_name.is_edit()
            || self.metadata.is_edit()
    }

    /// Whether the user already has the requested values.
    fn is_in(&self, user: &User) -> bool {
        let is_name = |edit: &Edit<Name>, name: &Option<String>| {
            !edit.is_edit() || edit.value().map(Name::as_str) == name.as_deref()
        };
        let username = self.username.value().map(Username::as_str);
        (!self.username.is_edit() || username == user.username.as_deref())
            && is_name(&self.name, &user.name)
            && is_name(&self.given_name, &user.given_name)
            && is_name(&self.family_name, &user.family_name)
            && (!self.metadata.is_edit() || self.metadata.value() == user.metadata.as_ref())
    }

    /// The columns to set, except those of the username.
    fn columns(&self) -> String {
        columns([
            ("name", self.name.as_ref().map(Name::as_str)),
            ("given_name", self.given_name.as_ref().map(Name::as_str)),
            ("family_name", self.family_name.as_ref().map(Name::as_str)),
            ("metadata", self.metadata.as_ref().map(Metadata::as_str)),
        ])
    }
}

impl Store {
    /// Changes the caller's profile and returns the new one; [`StoreError::Conflict`] if the username is taken. One round trip.
    ///
    /// The changes of one hour share one row of the audit trail. Its `detail` holds the event id of the last change, and the profile
    /// is updated only if that is this change.
    pub async fn change_profile(
        &self,
        context: &ActionContext<'_>,
        change: &ProfileChange,
    ) -> Result<(User, ProfileOutcome), StoreError> {
        let ActionContext { caller, client, ref event_id, now, .. } = *context;
        let username = change.username.value();
        let columns = change.columns();
        let mut batch = self.batch("change_profile");
        let event = values![
            caller.session_id,
            caller.user_id,
            now,
            client.ip.as_deref(),
            client.user_agent.as_deref(),
            event_id,
            change.username.is_edit(),
            username.map(Username::as_str),
            &columns,
            MAX_PROFILE_CHANGES,
        ];
        let profile = values![
            caller.user_id,
            now,
            event_id,
            change.username.is_edit(),
            username.map(Username::as_str),
            username.map(Username::key),
            &columns,
        ];
        let recorded = batch.query::<Affected>(INSERT_PROFILE_EVENT, event);
        batch.execute(UPDATE_PROFILE, profile);
        let found = find_session(&mut batch, caller.session_id);
        let answers = batch.run().await?;
        let user = in_force(&answers, found, caller, now)?.user;
        let outcome = if answers.row(recorded)?.is_some() {
            ProfileOutcome::Changed
        } else if change.is_in(&user) {
            ProfileOutcome::Unchanged
        } else {
            ProfileOutcome::TooOften
        };
        Ok((user, outcome))
    }

    /// Deletes the caller's account and all its data except the event of the deletion, if the credentials still have the given
    /// version. Returns the number of sessions that ended. One round trip.
    pub async fn delete_own(
        &self,
        context: &ActionContext<'_>,
        credentials_version: u64,
    ) -> Result<WithOwedMarks<usize>, StoreError> {
        let caller = context.caller;
        let key = EventKey::new(caller.user_id, AuditEvent::Deleted, context);
        let mut batch = self.batch("delete_own");
        let found = find_session(&mut batch, caller.session_id);
        let account = find_account(&mut batch, caller.user_id);
        let recorded = insert_own_event(&mut batch, context, &key, credentials_version, None);
        clear_recorded(&mut batch, &key, Subject::User(caller.user_id));
        let deletion = delete_account(&mut batch, &key);
        let owed = find_owed_marks(&mut batch, caller.user_id);
        let answers = batch.run().await?;
        let (account, recorded) = (answers.row(account)?, answers.row(recorded)?);
        let outcome = in_force(&answers, found, caller, context.now).and_then(|_| {
            if recorded.is_some() {
                deletion.sessions_ended(&answers)
            } else if account.map(|row| row.is_last_admin(&answers)).transpose()?.unwrap_or(false) {
                Err(Denial::LastAdmin.into())
            } else {
                Err(Denial::SessionNotInForce.into())
            }
        });
        WithOwedMarks::attach(outcome, answers.rows(owed)?)
    }
}

/// The columns to set, as a JSON object that the statements read; `null` removes a value.
pub(super) fn columns<'v>(edits: impl IntoIterator<Item = (&'static str, Edit<&'v str>)>) -> String {
    let set = edits.into_iter().filter(|(_, edit)| edit.is_edit());
    let columns = set.map(|(column, edit)| (column.to_owned(), edit.value().copied().into()));
    serde_json::Value::Object(columns.collect()).to_string()
}
