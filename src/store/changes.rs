//! Changes of accounts, by the person and by admins.
//!
//! Every change is one transaction. Its first statement inserts the event that records it, if whoever asks may, and if
//! there is something to change; all others take place only if that event is there. So nothing changes without being
//! recorded, nor is anything recorded that did not happen. Changes of a profile share one row an hour, which names the last of them.

use serde::Deserialize;
use worker::D1Type;

use super::accounts::FIND_ACCOUNT;
use super::callers::{Caller, CallerIds, Refusal, admin_in_force, in_force};
use super::refresh_tokens::{Ending, FIND_SESSION, NewFamily, Reason};
use super::revocations::FIND_OWED_MARKS;
use super::users::{Account, User, UserRow, account, roles_from_json, roles_to_json};
use super::{Answers, Changed, Statement, Store, StoreError, integer, text};
use portcullis_core::account::audit::Kind;
use portcullis_core::account::client::Client;
use portcullis_core::account::roles;
use portcullis_core::edit::Edit;
use portcullis_core::id::Id;
use portcullis_core::identity::display_name::Name;
use portcullis_core::identity::username::Username;

const CHANGE_DISABLED: &str = include_str!("sql/change_disabled.sql");
const CHANGE_PASSWORD: &str = include_str!("sql/change_password.sql");
const CHANGE_PROFILE: &str = include_str!("sql/change_profile.sql");
const CHANGE_ROLES: &str = include_str!("sql/change_roles.sql");
const COUNT_OPEN_SESSIONS: &str = include_str!("sql/count_open_sessions.sql");
const DELETE_EVENTS_OF: &str = include_str!("sql/delete_events_of.sql");
const DELETE_FAMILIES_OF: &str = include_str!("sql/delete_families_of.sql");
const DELETE_USER: &str = include_str!("sql/delete_user.sql");
const INSERT_ADMIN_EVENT: &str = include_str!("sql/insert_admin_event.sql");
const INSERT_OWN_EVENT: &str = include_str!("sql/insert_own_event.sql");
const INSERT_PROFILE_EVENT: &str = include_str!("sql/insert_profile_event.sql");
const INSERT_RENEWED_FAMILY: &str = include_str!("sql/insert_renewed_family.sql");
const REVOKE_FAMILIES_OF: &str = include_str!("sql/revoke_families_of.sql");

/// A change that is asked for: who asks, from where, when, and the name of its event.
pub struct ChangeRequest<'a> {
    /// Who.
    pub caller: Caller,
    /// From where.
    pub client: &'a Client,
    /// Of the millisecond and the request.
    pub event_id: String,
    /// How long past its end an access token may still be accepted, in seconds.
    pub leeway: u64,
    /// Unix seconds.
    pub now: u64,
}

/// What an admin does to an account.
pub enum AdminChange {
    /// Sets roles, disables or enables it. `None`: stays as it is.
    Update {
        /// The new roles, in the order of the configured list.
        roles: Option<Vec<String>>,
        /// Whether it is disabled.
        disabled: Option<bool>,
    },
    /// Ends all its sessions.
    EndSessions,
    /// Takes it out of D1, and everything it held.
    Delete,
}

/// What became of an account that an admin changed.
pub struct Changes {
    /// As it is now; `None` if it is gone.
    pub account: Option<Account>,
    /// What was recorded: nothing, where nothing was to change.
    pub kinds: Vec<Kind>,
    /// How many sessions it ended.
    pub sessions_ended: usize,
}

/// What became of a profile that was to be changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProfileOutcome {
    /// It is as asked for now.
    Changed,
    /// It was so already.
    Unchanged,
    /// It has been changed as often in this hour as it may.
    TooOften,
}

/// Changes of a profile in one hour: each writes rows.
const MAX_PROFILE_CHANGES: u64 = 20;

/// What is to become of a profile.
pub struct ProfileChange {
    /// The username.
    pub username: Edit<Username>,
    /// The name to show.
    pub name: Edit<Name>,
}

#[derive(Deserialize)]
struct CountRow {
    sessions: usize,
}

#[derive(Deserialize)]
struct TargetRow {
    another_is_admin: u8,
    #[serde(flatten)]
    account: UserRow,
}

impl TargetRow {
    /// Whether it is the only enabled admin.
    fn is_last_admin(&self, operation: &'static str) -> Result<bool, StoreError> {
        let roles = roles_from_json(operation, &self.account.roles)?;
        Ok(roles::is_admin(&roles) && self.account.disabled_at.is_none() && self.another_is_admin == 0)
    }
}

/// The event that a change hangs on, as the statements name it.
struct EventKey {
    user_id: String,
    now: u64,
    id: String,
    kind: Kind,
}

impl EventKey {
    fn new(user_id: Id, kind: Kind, request: &ChangeRequest<'_>) -> Self {
        // One request may record several events in one second.
        let id = format!("{}.{}", request.event_id, kind.as_str());
        Self { user_id: user_id.to_string(), now: request.now, id, kind }
    }

    /// The values of a statement that takes place only if the event is there.
    fn and<'v, const N: usize>(&'v self, more: [D1Type<'v>; N]) -> Vec<D1Type<'v>> {
        let own = [D1Type::Text(&self.user_id), integer(self.now), D1Type::Text(&self.id)];
        own.into_iter().chain(more).collect()
    }

    /// The values of [`REVOKE_FAMILIES_OF`].
    fn ending<'v>(&'v self, reason: Reason, client: Option<&'v Client>, leeway: u64) -> Vec<D1Type<'v>> {
        self.and([
            D1Type::Text(reason.as_str()),
            text(client.and_then(|client| client.ip.as_deref())),
            text(client.and_then(|client| client.user_agent.as_deref())),
            integer(leeway),
        ])
    }
}

impl CallerIds {
    /// The values of [`INSERT_OWN_EVENT`]. Of a deletion neither address nor session is kept.
    fn own_event<'v>(&'v self, key: &'v EventKey, client: &'v Client, password_version: u64) -> [D1Type<'v>; 9] {
        let kept = key.kind != Kind::Deleted;
        [
            D1Type::Text(&self.family_id),
            D1Type::Text(&self.user_id),
            integer(key.now),
            D1Type::Text(&key.id),
            D1Type::Text(key.kind.as_str()),
            text(kept.then_some(&self.family_id)),
            text(client.ip.as_deref().filter(|_| kept)),
            text(client.user_agent.as_deref().filter(|_| kept)),
            integer(password_version),
        ]
    }

    /// The values of [`INSERT_ADMIN_EVENT`]. The admin's address is not kept: their own trail has it, by the session.
    fn admin_event<'v>(&'v self, key: &'v EventKey, detail: Option<&'v str>, takes_admin: bool) -> [D1Type<'v>; 8] {
        [
            D1Type::Text(&self.family_id),
            D1Type::Text(&self.user_id),
            integer(key.now),
            D1Type::Text(&key.id),
            D1Type::Text(key.kind.as_str()),
            D1Type::Text(&key.user_id),
            text(detail),
            integer(takes_admin.into()),
        ]
    }
}

impl Store {
    /// Replaces the caller's password, if it is still of that version, ends every session of the account and begins a new one,
    /// for the new version. Gives how many sessions it ended. One round trip.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn change_password(
        &self,
        request: &ChangeRequest<'_>,
        password_version: u64,
        new_hash: &str,
        new_session: &NewFamily<'_>,
    ) -> Result<Ending<Result<usize, Refusal>>, StoreError> {
        const OPERATION: &str = "change_password";
        let ids = CallerIds::new(request.caller);
        let key = EventKey::new(request.caller.user_id, Kind::PasswordChanged, request);
        let session_ids = new_session.ids();
        let renewed = new_session.values(&session_ids, request.client, request.now);
        let renewed: Vec<_> = renewed.into_iter().chain([D1Type::Text(&key.id)]).collect();
        let statements = [
            Statement { sql: FIND_SESSION, values: &ids.find() },
            Statement { sql: INSERT_OWN_EVENT, values: &ids.own_event(&key, request.client, password_version) },
            Statement { sql: CHANGE_PASSWORD, values: &key.and([D1Type::Text(new_hash)]) },
            Statement {
                sql: REVOKE_FAMILIES_OF,
                values: &key.ending(Reason::PasswordChanged, Some(request.client), request.leeway),
            },
            Statement { sql: INSERT_RENEWED_FAMILY, values: &renewed },
            Statement { sql: FIND_OWED_MARKS, values: &[D1Type::Text(&ids.user_id)] },
        ];
        let mut answers = self.batch(OPERATION, &statements).await?;
        let caller = in_force(OPERATION, &mut answers, request.caller, request.now)?;
        let recorded: Option<Changed> = answers.row()?;
        answers.skip();
        let ended = answers.rows::<Changed>()?.len();
        answers.skip();
        let outcome = caller.and(recorded.map(|_| ended).ok_or(Refusal::PasswordChanged));
        Ok(Ending { outcome, owed: answers.rows()? })
    }

    /// Changes the caller's profile, and gives it as it is then. One round trip.
    ///
    /// Changes of one hour are counted in one row, which holds the name of the last: the change takes place only if that is its
    /// own.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the username is somebody else's.
    pub async fn change_profile(
        &self,
        request: &ChangeRequest<'_>,
        change: &ProfileChange,
    ) -> Result<Result<(User, ProfileOutcome), Refusal>, StoreError> {
        const OPERATION: &str = "change_profile";
        let ids = CallerIds::new(request.caller);
        let username = change.username.value();
        let name = text(change.name.value().map(Name::as_str));
        let event_values = [
            D1Type::Text(&ids.family_id),
            D1Type::Text(&ids.user_id),
            integer(request.now),
            text(request.client.ip.as_deref()),
            text(request.client.user_agent.as_deref()),
            D1Type::Text(&request.event_id),
            integer(change.username.is_edit().into()),
            text(username.map(Username::as_str)),
            integer(change.name.is_edit().into()),
            text(change.name.value().map(Name::as_str)),
            integer(MAX_PROFILE_CHANGES),
        ];
        let values = [
            D1Type::Text(&ids.user_id),
            integer(request.now),
            D1Type::Text(&request.event_id),
            integer(change.username.is_edit().into()),
            text(username.map(Username::as_str)),
            text(username.map(Username::key)),
            integer(change.name.is_edit().into()),
            name,
        ];
        let statements = [
            Statement { sql: INSERT_PROFILE_EVENT, values: &event_values },
            Statement { sql: CHANGE_PROFILE, values: &values },
            Statement { sql: FIND_SESSION, values: &ids.find() },
        ];
        let mut answers = self.batch(OPERATION, &statements).await?;
        let recorded = answers.row::<Changed>()?.is_some();
        answers.skip();
        let session = in_force(OPERATION, &mut answers, request.caller, request.now)?;
        Ok(session.map(|session| {
            let user = session.user;
            let outcome = if recorded {
                ProfileOutcome::Changed
            } else if change.is_in(&user) {
                ProfileOutcome::Unchanged
            } else {
                ProfileOutcome::TooOften
            };
            (user, outcome)
        }))
    }

    /// Deletes the caller's account, if the password is still of that version, with everything it held but the event that says
    /// so. Gives how many sessions ended with it. One round trip.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn delete_own(
        &self,
        request: &ChangeRequest<'_>,
        password_version: u64,
    ) -> Result<Ending<Result<usize, Refusal>>, StoreError> {
        const OPERATION: &str = "delete_own";
        let ids = CallerIds::new(request.caller);
        let key = EventKey::new(request.caller.user_id, Kind::Deleted, request);
        let own_event = ids.own_event(&key, request.client, password_version);
        let (caller, user_id) = (ids.find(), [D1Type::Text(&ids.user_id)]);
        let effects = effects(&key, None, request.leeway);
        let mut statements = vec![
            Statement { sql: FIND_SESSION, values: &caller },
            Statement { sql: FIND_ACCOUNT, values: &user_id },
            Statement { sql: INSERT_OWN_EVENT, values: &own_event },
        ];
        statements.extend(effects.iter().map(|(sql, values)| Statement { sql, values }));
        statements.push(Statement { sql: FIND_OWED_MARKS, values: &user_id });
        let mut answers = self.batch(OPERATION, &statements).await?;
        let caller = in_force(OPERATION, &mut answers, request.caller, request.now)?;
        let target: Option<TargetRow> = answers.row()?;
        let recorded: Option<Changed> = answers.row()?;
        let ended = sessions_ended(&mut answers, &effects)?;
        let outcome = if recorded.is_some() {
            Ok(ended)
        } else if target.map(|row| row.is_last_admin(OPERATION)).transpose()?.unwrap_or(false) {
            Err(Refusal::LastAdmin)
        } else {
            Err(Refusal::PasswordChanged)
        };
        Ok(Ending { outcome: caller.and(outcome), owed: answers.rows()? })
    }

    /// Does to an account what an admin asks for. One round trip.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn change_as_admin(
        &self,
        request: &ChangeRequest<'_>,
        target: Id,
        change: &AdminChange,
    ) -> Result<Ending<Result<Changes, Refusal>>, StoreError> {
        const OPERATION: &str = "change_as_admin";
        let ids = CallerIds::new(request.caller);
        let target_id = target.to_string();
        let takes_admin = change.takes_admin();
        let new_roles = match change {
            AdminChange::Update { roles: Some(roles), .. } => Some(roles_to_json(roles)),
            _ => None,
        };
        let keys: Vec<_> = change.kinds().into_iter().map(|kind| EventKey::new(target, kind, request)).collect();
        let caller_values = ids.find();
        let target_values = [D1Type::Text(&target_id)];
        let find_target = Statement { sql: FIND_ACCOUNT, values: &target_values };
        let event_values = keys.iter().map(|key| {
            let detail = new_roles.as_deref().filter(|_| key.kind == Kind::RolesChanged);
            ids.admin_event(key, detail, takes_admin)
        });
        let event_values: Vec<_> = event_values.collect();
        let effects: Vec<_> = keys.iter().flat_map(|key| effects(key, new_roles.as_deref(), request.leeway)).collect();
        let mut statements = vec![Statement { sql: FIND_SESSION, values: &caller_values }, find_target];
        // All events before any effect, so that each is judged by what was before.
        statements.extend(event_values.iter().map(|values| Statement { sql: INSERT_ADMIN_EVENT, values }));
        statements.extend(effects.iter().map(|(sql, values)| Statement { sql, values }));
        statements.extend([find_target, Statement { sql: FIND_OWED_MARKS, values: &target_values }]);
        let mut answers = self.batch(OPERATION, &statements).await?;
        let caller = admin_in_force(OPERATION, &mut answers, request.caller, request.now)?;
        let before: Option<TargetRow> = answers.row()?;
        let mut kinds = Vec::new();
        for key in &keys {
            if answers.row::<Changed>()?.is_some() {
                kinds.push(key.kind);
            }
        }
        let sessions_ended = sessions_ended(&mut answers, &effects)?;
        let after: Option<TargetRow> = answers.row()?;
        let refusal = match (caller, before) {
            (Err(refusal), _) => Some(refusal),
            (Ok(_), None) => Some(Refusal::NotFound),
            (Ok(_), Some(before)) => (takes_admin && before.is_last_admin(OPERATION)?).then_some(Refusal::LastAdmin),
        };
        let outcome = match refusal {
            Some(refusal) => Err(refusal),
            None if matches!(change, AdminChange::Delete) && kinds.is_empty() => {
                return Err(StoreError::Corrupt {
                    operation: OPERATION,
                    cause: "an account was not deleted".to_owned(),
                });
            }
            None => {
                let account = after.map(|row| account(OPERATION, row.account)).transpose()?;
                Ok(Changes { account, kinds, sessions_ended })
            }
        };
        Ok(Ending { outcome, owed: answers.rows()? })
    }
}

/// How many sessions these effects ended, from their answers.
fn sessions_ended(answers: &mut Answers, effects: &[(&'static str, Vec<D1Type<'_>>)]) -> Result<usize, StoreError> {
    let mut ended = 0_usize;
    for (sql, _) in effects {
        match *sql {
            REVOKE_FAMILIES_OF => ended = ended.saturating_add(answers.rows::<Changed>()?.len()),
            COUNT_OPEN_SESSIONS => {
                let count: Option<CountRow> = answers.row()?;
                ended = ended.saturating_add(count.map_or(0, |row| row.sessions));
            }
            _ => answers.skip(),
        }
    }
    Ok(ended)
}

impl ProfileChange {
    /// Whether the profile is so already.
    fn is_in(&self, user: &User) -> bool {
        let username = self.username.value().map(Username::as_str);
        let name = self.name.value().map(Name::as_str);
        (!self.username.is_edit() || username == user.username.as_deref())
            && (!self.name.is_edit() || name == user.name.as_deref())
    }
}

impl AdminChange {
    /// What it records, if there is anything to change.
    fn kinds(&self) -> Vec<Kind> {
        match self {
            Self::Update { roles, disabled } => {
                let disabled = disabled.map(|disabled| if disabled { Kind::Disabled } else { Kind::Enabled });
                roles.iter().map(|_| Kind::RolesChanged).chain(disabled).collect()
            }
            Self::EndSessions => vec![Kind::SessionsEnded],
            Self::Delete => vec![Kind::Deleted],
        }
    }

    /// Whether an admin that it is done to is none afterwards.
    fn takes_admin(&self) -> bool {
        match self {
            Self::Update { roles, disabled } => {
                *disabled == Some(true) || roles.as_ref().is_some_and(|roles| !roles::is_admin(roles))
            }
            Self::EndSessions => false,
            Self::Delete => true,
        }
    }
}

/// The statements by which a recorded event takes effect, with their values.
fn effects<'v>(key: &'v EventKey, new_roles: Option<&'v str>, leeway: u64) -> Vec<(&'static str, Vec<D1Type<'v>>)> {
    let revoke = |reason| (REVOKE_FAMILIES_OF, key.ending(reason, None, leeway));
    match key.kind {
        Kind::RolesChanged => vec![(CHANGE_ROLES, key.and([text(new_roles)]))],
        Kind::Disabled => vec![(CHANGE_DISABLED, key.and([integer(key.now)])), revoke(Reason::Disabled)],
        // Sessions that were not ended when it was disabled, by hand perhaps, must not come back.
        Kind::Enabled => vec![(CHANGE_DISABLED, key.and([D1Type::Null])), revoke(Reason::Disabled)],
        Kind::SessionsEnded => vec![revoke(Reason::EndedByAdmin)],
        Kind::Deleted => [COUNT_OPEN_SESSIONS, DELETE_EVENTS_OF, DELETE_FAMILIES_OF, DELETE_USER]
            .map(|sql| (sql, key.and([])))
            .into(),
        // Nothing that an admin does.
        _ => Vec::new(),
    }
}
