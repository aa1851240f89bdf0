//! Accounts, as admins and the people themselves see them. Who asks is checked in the same round trip.

use serde::Deserialize;
use worker::D1Type;

use super::events::{Excerpt, FIND_ENDINGS, FIND_EVENTS, FIND_LOG_INS, FIND_REGISTRATION, TrailQuery, entries};
use super::refresh_tokens::{Caller, FIND_SESSION, Session, SessionRow, session};
use super::users::{Account, Credentials, CredentialsRow, UserRow, account, credentials, roles_from_json};
use super::{Answers, Statement, Store, StoreError, integer};
use crate::auth::id::Id;
use crate::auth::roles;
use crate::auth::trail::Entry;

pub(super) const FIND_ACCOUNT: &str = include_str!("sql/find_account.sql");
const FIND_OWN_CREDENTIALS: &str = include_str!("sql/find_own_credentials.sql");
const LIST_ACCOUNTS: &str = include_str!("sql/list_accounts.sql");

/// Sorts behind every character of an address.
const LAST_CHARACTER: char = '\u{10FFFF}';

/// Why a change or an answer is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The caller's session is not in force.
    NotInForce,
    /// The caller is no admin.
    NotAdmin,
    /// There is no such account.
    NoSuchUser,
    /// Nobody would be admin any more.
    LastAdmin,
    /// The password is another by now.
    PasswordChanged,
}

/// Which accounts are asked for, in the order of their addresses.
pub struct Search {
    /// Only addresses whose key begins so.
    pub prefix: String,
    /// Only those behind this key.
    pub after: Option<String>,
    /// So many.
    pub limit: usize,
}

/// Accounts, and the key behind which there are more, if there are.
pub struct Found {
    /// In the order of their addresses.
    pub accounts: Vec<Account>,
    /// The key of the last one.
    pub more_after: Option<String>,
}

#[derive(Deserialize)]
struct ListedRow {
    email_key: String,
    #[serde(flatten)]
    account: UserRow,
}

#[derive(Deserialize)]
pub(super) struct TargetRow {
    another_is_admin: u8,
    #[serde(flatten)]
    pub(super) account: UserRow,
}

impl TargetRow {
    /// Whether it is the only admin that is not shut out.
    pub(super) fn is_last_admin(&self, operation: &'static str) -> Result<bool, StoreError> {
        let roles = roles_from_json(operation, &self.account.roles)?;
        Ok(roles::is_admin(&roles) && self.account.disabled_at.is_none() && self.another_is_admin == 0)
    }
}

impl Store<'_> {
    /// What verifying the caller's password needs; `None` if its session is not in force. One round trip.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn find_own_credentials(&self, caller: Caller, now: u64) -> Result<Option<Credentials>, StoreError> {
        const OPERATION: &str = "find_own_credentials";
        let (family_id, user_id) = (caller.family_id.to_string(), caller.user_id.to_string());
        let values = [D1Type::Text(&family_id), D1Type::Text(&user_id), integer(now)];
        let statement = Statement { sql: FIND_OWN_CREDENTIALS, values: &values };
        let row: Option<CredentialsRow> = self.batch(OPERATION, &[statement]).await?.row()?;
        row.map(|row| credentials(OPERATION, row)).transpose()
    }

    /// One account, for an admin. One round trip.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn find_account(&self, caller: Caller, id: Id, now: u64) -> Result<Result<Account, Refusal>, StoreError> {
        const OPERATION: &str = "find_account";
        let (family_id, id) = (caller.family_id.to_string(), id.to_string());
        let statements = [
            Statement { sql: FIND_SESSION, values: &[D1Type::Text(&family_id)] },
            Statement { sql: FIND_ACCOUNT, values: &[D1Type::Text(&id)] },
        ];
        let mut answers = self.batch(OPERATION, &statements).await?;
        if let Err(refusal) = admin_in_force(OPERATION, &mut answers, caller, now)? {
            return Ok(Err(refusal));
        }
        let row: Option<TargetRow> = answers.row()?;
        Ok(row.map(|row| account(OPERATION, row.account)).transpose()?.ok_or(Refusal::NoSuchUser))
    }

    /// Accounts by the beginning of their address, for an admin. One round trip; rows read are bounded by the limit.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_accounts(
        &self,
        caller: Caller,
        search: &Search,
        now: u64,
    ) -> Result<Result<Found, Refusal>, StoreError> {
        const OPERATION: &str = "list_accounts";
        let (family_id, user_id) = (caller.family_id.to_string(), caller.user_id.to_string());
        let after = search.after.as_deref().unwrap_or_default();
        let end = format!("{}{LAST_CHARACTER}", search.prefix);
        let values = [
            // One bound to begin at, so that a page far behind is found as fast as the first.
            D1Type::Text(after.max(&search.prefix)),
            D1Type::Text(&end),
            D1Type::Text(after),
            integer(u64::try_from(search.limit).unwrap_or(u64::MAX).saturating_add(1)),
            D1Type::Text(&family_id),
            D1Type::Text(&user_id),
            integer(now),
        ];
        let statements = [
            Statement { sql: FIND_SESSION, values: &[D1Type::Text(&family_id)] },
            Statement { sql: LIST_ACCOUNTS, values: &values },
        ];
        let mut answers = self.batch(OPERATION, &statements).await?;
        if let Err(refusal) = admin_in_force(OPERATION, &mut answers, caller, now)? {
            return Ok(Err(refusal));
        }
        let mut rows: Vec<ListedRow> = answers.rows()?;
        let more = rows.len() > search.limit;
        rows.truncate(search.limit);
        let more_after = rows.last().filter(|_| more).map(|row| row.email_key.clone());
        let accounts = rows.into_iter().map(|row| account(OPERATION, row.account)).collect::<Result<_, _>>()?;
        Ok(Ok(Found { accounts, more_after }))
    }

    /// The audit trail of the caller, in no order: of every record the latest, and one more than the limit. One round trip.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn own_trail(
        &self,
        caller: Caller,
        excerpt: &Excerpt,
        now: u64,
    ) -> Result<Result<Vec<Entry>, Refusal>, StoreError> {
        const OPERATION: &str = "own_trail";
        let mut answers = self.trail(OPERATION, caller, caller.user_id, excerpt, now).await?;
        if let Err(refusal) = in_force(OPERATION, &mut answers, caller, now)? {
            return Ok(Err(refusal));
        }
        Ok(Ok(entries(&mut answers, &excerpt.before)?.unwrap_or_default()))
    }

    /// The audit trail of an account, for an admin, as [`Self::own_trail`]. One round trip.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn trail_of(
        &self,
        caller: Caller,
        user_id: Id,
        excerpt: &Excerpt,
        now: u64,
    ) -> Result<Result<Vec<Entry>, Refusal>, StoreError> {
        const OPERATION: &str = "trail_of";
        let mut answers = self.trail(OPERATION, caller, user_id, excerpt, now).await?;
        if let Err(refusal) = admin_in_force(OPERATION, &mut answers, caller, now)? {
            return Ok(Err(refusal));
        }
        Ok(entries(&mut answers, &excerpt.before)?.ok_or(Refusal::NoSuchUser))
    }

    async fn trail(
        &self,
        operation: &'static str,
        caller: Caller,
        user_id: Id,
        excerpt: &Excerpt,
        now: u64,
    ) -> Result<Answers, StoreError> {
        let query = TrailQuery::new(caller, user_id, excerpt, now);
        let values = query.values();
        let statements = [
            Statement { sql: FIND_SESSION, values: &query.caller() },
            Statement { sql: FIND_REGISTRATION, values: &query.user() },
            Statement { sql: FIND_EVENTS, values: &values },
            Statement { sql: FIND_LOG_INS, values: &values },
            Statement { sql: FIND_ENDINGS, values: &values },
        ];
        self.batch(operation, &statements).await
    }
}

/// The caller's session, from the answer to [`FIND_SESSION`], if it is in force.
pub(super) fn in_force(
    operation: &'static str,
    answers: &mut Answers,
    caller: Caller,
    now: u64,
) -> Result<Result<Session, Refusal>, StoreError> {
    let found = answers.row::<SessionRow>()?.map(|row| session(operation, row)).transpose()?;
    Ok(found.filter(|session| session.is_in_force_for(caller.user_id, now)).ok_or(Refusal::NotInForce))
}

/// The same, if the caller is an admin.
pub(super) fn admin_in_force(
    operation: &'static str,
    answers: &mut Answers,
    caller: Caller,
    now: u64,
) -> Result<Result<Session, Refusal>, StoreError> {
    let session = in_force(operation, answers, caller, now)?;
    Ok(session
        .and_then(|session| if roles::is_admin(&session.user.roles) { Ok(session) } else { Err(Refusal::NotAdmin) }))
}
