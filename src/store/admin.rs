//! Actions of admins on accounts. The same round trip checks that the caller is an admin.

use portcullis_core::account::audit::{AuditEvent, RevocationReason};
use portcullis_core::account::caller::Caller;
use portcullis_core::account::client::Client;
use portcullis_core::account::metadata::Metadata;
use portcullis_core::account::roles;
use portcullis_core::account::throttle::Subject;
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
use super::factors;
use super::outbox::NewMail;
use super::revocations::find_owed_marks;
use super::rows::{account, roles_to_json};
use super::sessions::{SessionSummary, SessionsQuery, revoke_recorded};
use super::throttles::clear_recorded;

const INSERT_EVENT: &str = sql!("admin/insert_event.sql");
const LIST_ACCOUNTS: &str = sql!("admin/list_accounts.sql");
const UPDATE_DISABLED: &str = sql!("admin/update_disabled.sql");
const UPDATE_METADATA: &str = sql!("admin/update_metadata.sql");
const UPDATE_ROLES: &str = sql!("admin/update_roles.sql");
const VOID_DEVICES: &str = sql!("admin/void_devices.sql");

/// Sorts after every character of an address.
const LAST_CHARACTER: char = '\u{10FFFF}';

/// A query for accounts, in the order of their addresses.
pub struct Search {
    /// Only accounts whose address key starts with this.
    pub prefix: String,
    /// Only accounts whose address key sorts after this.
    pub after: Option<String>,
    /// Maximum number of accounts.
    pub limit: usize,
}

/// A page of accounts.
pub struct Page {
    /// The accounts, in the order of their addresses.
    pub accounts: Vec<Account>,
    /// The address key of the last account, if there are more accounts after it.
    pub more_after: Option<String>,
}

/// An action of an admin on an account.
pub enum AdminAction {
    /// Sets roles or metadata, disables or enables the account. `None`: unchanged.
    Update {
        /// The new roles, in the order of the configured list.
        roles: Option<Vec<String>>,
        /// Whether to disable or enable the account.
        disabled: Option<bool>,
        /// The metadata that the user may change.
        metadata: Edit<Metadata>,
        /// The metadata that only admins may change.
        app_metadata: Edit<Metadata>,
    },
    /// Ends all sessions of the account, and makes its device tokens void.
    EndSessions,
    /// Forgets the failed attempts of these subjects.
    LiftThrottle(Vec<Subject>),
    /// Removes all factors of the account and ends all its sessions. Holds the notice to the user.
    ResetFactors(Option<NewMail<'static>>),
    /// Deletes the account and all its data.
    Delete,
}

/// The result of an action on an account.
pub struct ActionResult {
    /// The account after the action; `None` if it is deleted.
    pub account: Option<Account>,
    /// The recorded events; empty if the action changed nothing.
    pub events: Vec<AuditEvent>,
    /// The number of sessions that ended.
    pub sessions_ended: usize,
}

#[derive(Deserialize)]
struct ListedRow {
    email_key: String,
    user: String,
}

impl AdminAction {
    /// The events to record if the action changes anything.
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
            Self::LiftThrottle(_) => vec![AuditEvent::ThrottleLifted],
            Self::ResetFactors(_) => vec![AuditEvent::FactorsReset],
            Self::Delete => vec![AuditEvent::Deleted],
        }
    }

    /// The new roles as JSON, and the metadata columns to set.
    fn values(&self) -> ActionValues<'_> {
        match self {
            Self::Update { roles, metadata, app_metadata, .. } => ActionValues {
                roles: roles.as_deref().map(roles_to_json),
                columns: columns([
                    ("metadata", metadata.as_ref().map(Metadata::as_str)),
                    ("app_metadata", app_metadata.as_ref().map(Metadata::as_str)),
                ]),
                ..ActionValues::none()
            },
            Self::LiftThrottle(subjects) => ActionValues { subjects, ..ActionValues::none() },
            Self::ResetFactors(notice) => ActionValues { notice: notice.as_ref(), ..ActionValues::none() },
            Self::EndSessions | Self::Delete => ActionValues::none(),
        }
    }

    /// Whether the account is not an enabled admin after the action.
    fn removes_admin(&self) -> bool {
        match self {
            Self::Update { roles, disabled, .. } => {
                *disabled == Some(true) || roles.as_ref().is_some_and(|roles| !roles::is_admin(roles))
            }
            Self::EndSessions | Self::LiftThrottle(_) | Self::ResetFactors(_) => false,
            Self::Delete => true,
        }
    }
}

/// The values that an action writes. Its statements borrow them.
struct ActionValues<'a> {
    roles: Option<String>,
    /// A JSON object; see [`columns`].
    columns: String,
    /// The subjects whose failures are forgotten.
    subjects: &'a [Subject],
    /// The notice to the user.
    notice: Option<&'a NewMail<'static>>,
    /// The client that the notice names: none, because it would be that of the admin.
    client: Client,
}

impl ActionValues<'_> {
    fn none() -> Self {
        Self { roles: None, columns: columns([]), subjects: &[], notice: None, client: Client::default() }
    }
}

/// The handle of the statements that end sessions.
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
    /// Finds an account. One round trip.
    pub async fn find_account(&self, caller: Caller, id: Id, now: u64) -> Result<Account, StoreError> {
        let mut batch = self.batch("find_account");
        let admin = find_session(&mut batch, caller.session_id);
        let found = find_account(&mut batch, id);
        let answers = batch.run().await?;
        admin_in_force(&answers, admin, caller, now)?;
        answers.row(found)?.ok_or(Denial::NotFound)?.account(&answers)
    }

    /// Lists accounts by the prefix of their address. One round trip; the limit bounds the rows read.
    pub async fn list_accounts(&self, caller: Caller, search: &Search, now: u64) -> Result<Page, StoreError> {
        let after = search.after.as_deref().unwrap_or_default();
        let values = values![
            // A single lower bound, so that D1 finds a late page as fast as the first.
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

    /// Lists the sessions of an account, like [`Self::list_own_sessions`]. One round trip.
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

    /// Carries out an action on an account. One round trip.
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
        // All events come before any effect, so that the condition of each sees the account before the action.
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

/// Records an action that changes neither roles nor metadata.
pub(super) fn insert_plain_event<'v>(
    batch: &mut Batch<'v>,
    context: &ActionContext<'_>,
    key: &'v EventKey,
    detail: Option<String>,
) -> Rows<Affected> {
    let caller = context.caller;
    let values = values![
        caller.session_id,
        caller.user_id,
        key.at,
        &key.id,
        key.event.as_str(),
        key.user_id,
        detail,
        false,
        "{}",
    ];
    batch.query(INSERT_EVENT, values)
}

/// Records an action if the caller is allowed to carry it out and it changes something. The event holds the admin's session, but not
/// their IP address.
fn insert_event<'v>(
    batch: &mut Batch<'v>,
    context: &ActionContext<'_>,
    key: &'v EventKey,
    new: &'v ActionValues<'_>,
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

/// Adds the statements that carry out a recorded event. Returns the handle of those that end sessions.
fn add_effects<'v>(batch: &mut Batch<'v>, key: &'v EventKey, new: &'v ActionValues<'_>) -> Option<Ending> {
    let reason = match key.event {
        AuditEvent::RolesChanged => {
            batch.execute(UPDATE_ROLES, values![key.user_id, key.at, &key.id, new.roles.as_deref()]);
            return None;
        }
        AuditEvent::MetadataChanged => {
            batch.execute(UPDATE_METADATA, values![key.user_id, key.at, &key.id, &new.columns]);
            return None;
        }
        AuditEvent::ThrottleLifted => {
            new.subjects.iter().for_each(|subject| clear_recorded(batch, key, *subject));
            return None;
        }
        AuditEvent::Deleted => return Some(Ending::Deletion(delete_account(batch, key))),
        // Enabling also ends sessions: if the account was disabled by hand in D1, its sessions are still open.
        AuditEvent::Disabled | AuditEvent::Enabled => {
            let disabled_at = (key.event == AuditEvent::Disabled).then_some(key.at);
            batch.execute(UPDATE_DISABLED, values![key.user_id, key.at, &key.id, disabled_at]);
            RevocationReason::Disabled
        }
        AuditEvent::SessionsEnded => {
            batch.execute(VOID_DEVICES, values![key.user_id, key.at, &key.id]);
            RevocationReason::EndedByAdmin
        }
        AuditEvent::FactorsReset => {
            factors::reset(batch, key);
            clear_recorded(batch, key, Subject::Factor(key.user_id));
            if let Some(notice) = new.notice {
                notice.insert_notice(batch, key, &new.client);
            }
            RevocationReason::FactorsReset
        }
        // Not an action of an admin.
        _ => return None,
    };
    Some(Ending::Revocation(revoke_recorded(batch, key, reason, None)))
}
