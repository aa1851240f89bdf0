//! What admins do with accounts. That the caller is an admin is checked in the same round trip.

use portcullis_core::account::audit::{AuditEvent, RevocationReason};
use portcullis_core::account::caller::Caller;
use portcullis_core::account::metadata::Metadata;
use portcullis_core::account::roles;
use portcullis_core::account::user::Account;
use portcullis_core::edit::Edit;
use portcullis_core::id::Id;
use serde::Deserialize;

use super::accounts::{Deletion, columns, delete_account, find_account};
use super::audit::{ActionContext, EventKey};
use super::batch::{Affected, Answers, Batch, Rows, sql, values};
use super::callers::{admin_in_force, find_session};
use super::connection::Store;
use super::error::{Denial, StoreError, WithOwedMarks};
use super::revocations::find_owed_marks;
use super::rows::{account, roles_to_json};
use super::sessions::{SessionSummary, SessionsQuery, revoke_recorded};

const INSERT_EVENT: &str = sql!("admin/insert_event.sql");
const LIST_ACCOUNTS: &str = sql!("admin/list_accounts.sql");
const UPDATE_DISABLED: &str = sql!("admin/update_disabled.sql");
const UPDATE_METADATA: &str = sql!("admin/update_metadata.sql");
const UPDATE_ROLES: &str = sql!("admin/update_roles.sql");

/// Sorts behind every character of an address.
const LAST_CHARACTER: char = '\u{10FFFF}';

/// Which accounts are asked for, in the order of their addresses.
pub struct Search {
    /// Only addresses whose key begins so.
    pub prefix: String,
    /// Only those behind this key.
    pub after: Option<String>,
    /// Maximum number of accounts.
    pub limit: usize,
}

/// Accounts, and the key behind which there are more, if there are.
pub struct Page {
    /// In the order of their addresses.
    pub accounts: Vec<Account>,
    /// The key of the last one.
    pub more_after: Option<String>,
}

/// What an admin does to an account.
pub enum AdminAction {
    /// Sets roles or metadata, disables or enables it. `None`: stays as it is.
    Update {
        /// The new roles, in the order of the configured list.
        roles: Option<Vec<String>>,
        /// Whether it is disabled.
        disabled: Option<bool>,
        /// What the user keeps.
        metadata: Edit<Metadata>,
        /// What admins keep about the user.
        app_metadata: Edit<Metadata>,
    },
    /// Ends all its sessions.
    EndSessions,
    /// Deletes it, and everything it held.
    Delete,
}

/// What an action did to an account.
pub struct ActionResult {
    /// As it is now; `None` if it is deleted.
    pub account: Option<Account>,
    /// What was recorded: nothing, where nothing was to change.
    pub events: Vec<AuditEvent>,
    /// The number of sessions it ended.
    pub sessions_ended: usize,
}

#[derive(Deserialize)]
struct ListedRow {
    email_key: String,
    user: String,
}

impl AdminAction {
    /// What it records, if there is anything to change.
    fn events(&self) -> Vec<AuditEvent> {
        match self {
            Self::Update { roles, disabled, metadata, app_metadata } => {
                let disabled =
                    disabled.map(|disabled| if disabled { AuditEvent::Disabled } else { AuditEvent::Enabled });
                let changes_metadata = metadata.is_edit() || app_metadata.is_edit();
                let metadata = changes_metadata.then_some(AuditEvent::MetadataChanged);
                roles.iter().map(|_| AuditEvent::RolesChanged).chain(disabled).chain(metadata).collect()
            }
            Self::EndSessions => vec![AuditEvent::SessionsEnded],
            Self::Delete => vec![AuditEvent::Deleted],
        }
    }

    /// The new roles as JSON, and the columns of metadata to set.
    fn values(&self) -> ActionValues {
        match self {
            Self::Update { roles, metadata, app_metadata, .. } => ActionValues {
                roles: roles.as_deref().map(roles_to_json),
                columns: columns([
                    ("metadata", metadata.as_ref().map(Metadata::as_str)),
                    ("app_metadata", app_metadata.as_ref().map(Metadata::as_str)),
                ]),
            },
            Self::EndSessions | Self::Delete => ActionValues { roles: None, columns: columns([]) },
        }
    }

    /// Whether an admin whose account it changes is not an enabled admin afterwards.
    fn removes_admin(&self) -> bool {
        match self {
            Self::Update { roles, disabled, .. } => {
                *disabled == Some(true) || roles.as_ref().is_some_and(|roles| !roles::is_admin(roles))
            }
            Self::EndSessions => false,
            Self::Delete => true,
        }
    }
}

/// What an action writes, for its statements to borrow.
struct ActionValues {
    roles: Option<String>,
    /// A JSON object; see [`columns`].
    columns: String,
}

/// The handle of what ends sessions.
enum Ending {
    Revocation(Rows<Affected>),
    Deletion(Deletion),
}

impl Ending {
    fn sessions_ended(self, answers: &Answers) -> Result<usize, StoreError> {
        match self {
            Self::Revocation(revoked) => Ok(answers.rows(revoked)?.len()),
            Self::Deletion(deletion) => deletion.sessions_ended(answers),
        }
    }
}

impl Store {
    /// One account. One round trip.
    pub async fn find_account(&self, caller: Caller, id: Id, now: u64) -> Result<Account, StoreError> {
        let mut batch = self.batch("find_account");
        let admin = find_session(&mut batch, caller.session_id);
        let found = find_account(&mut batch, id);
        let answers = batch.run().await?;
        admin_in_force(&answers, admin, caller, now)?;
        answers.row(found)?.ok_or(Denial::NotFound)?.account(&answers)
    }

    /// Accounts by the beginning of their address. One round trip; rows read are bounded by the limit.
    pub async fn list_accounts(&self, caller: Caller, search: &Search, now: u64) -> Result<Page, StoreError> {
        let after = search.after.as_deref().unwrap_or_default();
        let values = values![
            // One bound to begin at, so that a page far behind is found as fast as the first.
            after.max(&search.prefix),
            format!("{}{LAST_CHARACTER}", search.prefix),
            after,
            u64::try_from(search.limit).unwrap_or(u64::MAX).saturating_add(1),
            caller.session_id,
            caller.user_id,
            now,
        ];
        let mut batch = self.batch("list_accounts");
        let admin = find_session(&mut batch, caller.session_id);
        let listed = batch.query::<ListedRow>(LIST_ACCOUNTS, values);
        let answers = batch.run().await?;
        admin_in_force(&answers, admin, caller, now)?;
        let mut rows = answers.rows(listed)?;
        let more = rows.len() > search.limit;
        rows.truncate(search.limit);
        let more_after = rows.last().filter(|_| more).map(|row| row.email_key.clone());
        let accounts = rows.iter().map(|row| account(&answers, &row.user)).collect::<Result<_, _>>()?;
        Ok(Page { accounts, more_after })
    }

    /// The sessions of an account, as [`Self::list_own_sessions`]. One round trip.
    pub async fn list_sessions_of(
        &self,
        caller: Caller,
        user_id: Id,
        query: &SessionsQuery,
        now: u64,
    ) -> Result<Vec<SessionSummary>, StoreError> {
        let mut batch = self.batch("list_sessions_of");
        let admin = find_session(&mut batch, caller.session_id);
        let found = find_account(&mut batch, user_id);
        let sessions = query.add(&mut batch, user_id, caller, now);
        let answers = batch.run().await?;
        admin_in_force(&answers, admin, caller, now)?;
        answers.row(found)?.ok_or(Denial::NotFound)?;
        answers.rows(sessions)
    }

    /// Does to an account what an admin asks for. One round trip.
    pub async fn act_as_admin(
        &self,
        context: &ActionContext<'_>,
        target: Id,
        action: &AdminAction,
    ) -> Result<WithOwedMarks<ActionResult>, StoreError> {
        let removes_admin = action.removes_admin();
        let new = action.values();
        let events = action.events().into_iter();
        let keys: Vec<_> = events.map(|event| EventKey::new(target, event, context)).collect();
        let mut batch = self.batch("act_as_admin");
        let admin = find_session(&mut batch, context.caller.session_id);
        let before = find_account(&mut batch, target);
        // All events before any effect, so that each is judged by what was before.
        let recorded: Vec<_> =
            keys.iter().map(|key| (key.event, insert_event(&mut batch, context, key, &new, removes_admin))).collect();
        let endings: Vec<_> = keys.iter().filter_map(|key| add_effects(&mut batch, key, &new)).collect();
        let after = find_account(&mut batch, target);
        let owed = find_owed_marks(&mut batch, target);
        let answers = batch.run().await?;
        let outcome = (|| {
            admin_in_force(&answers, admin, context.caller, context.now)?;
            let before = answers.row(before)?.ok_or(Denial::NotFound)?;
            if removes_admin && before.is_last_admin(&answers)? {
                return Err(Denial::LastAdmin.into());
            }
            let mut events = Vec::new();
            for (event, recorded) in recorded {
                if answers.row(recorded)?.is_some() {
                    events.push(event);
                }
            }
            if matches!(action, AdminAction::Delete) && events.is_empty() {
                return Err(answers.corrupt("an account was not deleted".to_owned()));
            }
            let mut sessions_ended = 0_usize;
            for ending in endings {
                sessions_ended = sessions_ended.saturating_add(ending.sessions_ended(&answers)?);
            }
            let account = answers.row(after)?.map(|row| row.account(&answers)).transpose()?;
            Ok(ActionResult { account, events, sessions_ended })
        })();
        WithOwedMarks::attach(outcome, answers.rows(owed)?)
    }
}

/// Records an action, if the caller may take it and there is something to change. The admin's address is not kept: their own
/// trail has it, by the session.
fn insert_event<'v>(
    batch: &mut Batch<'v>,
    context: &ActionContext<'_>,
    key: &'v EventKey,
    new: &'v ActionValues,
    removes_admin: bool,
) -> Rows<Affected> {
    let values = values![
        context.caller.session_id,
        context.caller.user_id,
        key.at,
        &key.id,
        key.event.as_str(),
        key.user_id,
        new.roles.as_deref().filter(|_| key.event == AuditEvent::RolesChanged),
        removes_admin,
        &new.columns,
    ];
    batch.query(INSERT_EVENT, values)
}

/// Adds the statements by which a recorded event takes effect. The handle is of those that end sessions.
fn add_effects<'v>(batch: &mut Batch<'v>, key: &'v EventKey, new: &'v ActionValues) -> Option<Ending> {
    let reason = match key.event {
        AuditEvent::RolesChanged => {
            batch.execute(UPDATE_ROLES, values![key.user_id, key.at, &key.id, new.roles.as_deref()]);
            return None;
        }
        AuditEvent::MetadataChanged => {
            batch.execute(UPDATE_METADATA, values![key.user_id, key.at, &key.id, &new.columns]);
            return None;
        }
        AuditEvent::Deleted => return Some(Ending::Deletion(delete_account(batch, key))),
        // Sessions that were not ended when the account was disabled, by hand perhaps, must not come back when it is enabled.
        AuditEvent::Disabled | AuditEvent::Enabled => {
            let disabled_at = (key.event == AuditEvent::Disabled).then_some(key.at);
            batch.execute(UPDATE_DISABLED, values![key.user_id, key.at, &key.id, disabled_at]);
            RevocationReason::Disabled
        }
        AuditEvent::SessionsEnded => RevocationReason::EndedByAdmin,
        // Nothing that an admin does.
        _ => return None,
    };
    Some(Ending::Revocation(revoke_recorded(batch, key, reason, None)))
}
