//! Accounts, as admins and the people themselves see them. Who asks is checked in the same round trip.

use serde::Deserialize;
use worker::D1Type;

use super::callers::{Caller, CallerIds, Refusal, admin_in_force};
use super::refresh_tokens::FIND_SESSION;
use super::users::{Account, Credentials, CredentialsRow, UserRow, account, credentials};
use super::{Statement, Store, StoreError, integer};
use portcullis_core::id::Id;

pub(super) const FIND_ACCOUNT: &str = include_str!("sql/find_account.sql");
const FIND_OWN_CREDENTIALS: &str = include_str!("sql/find_own_credentials.sql");
const LIST_ACCOUNTS: &str = include_str!("sql/list_accounts.sql");

/// Sorts behind every character of an address.
const LAST_CHARACTER: char = '\u{10FFFF}';

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
pub struct Page {
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

impl Store {
    /// What verifying the caller's password needs, if its session is in force. One round trip.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn find_own_credentials(
        &self,
        caller: Caller,
        now: u64,
    ) -> Result<Result<Credentials, Refusal>, StoreError> {
        const OPERATION: &str = "find_own_credentials";
        let ids = CallerIds::new(caller);
        let values = [D1Type::Text(&ids.family_id), D1Type::Text(&ids.user_id), integer(now)];
        let statement = Statement { sql: FIND_OWN_CREDENTIALS, values: &values };
        let row: Option<CredentialsRow> = self.batch(OPERATION, &[statement]).await?.row()?;
        Ok(row.map(|row| credentials(OPERATION, row)).transpose()?.ok_or(Refusal::NotInForce))
    }

    /// One account, for an admin. One round trip.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn find_account(&self, caller: Caller, id: Id, now: u64) -> Result<Result<Account, Refusal>, StoreError> {
        const OPERATION: &str = "find_account";
        let (ids, id) = (CallerIds::new(caller), id.to_string());
        let statements = [
            Statement { sql: FIND_SESSION, values: &ids.find() },
            Statement { sql: FIND_ACCOUNT, values: &[D1Type::Text(&id)] },
        ];
        let mut answers = self.batch(OPERATION, &statements).await?;
        if let Err(refusal) = admin_in_force(OPERATION, &mut answers, caller, now)? {
            return Ok(Err(refusal));
        }
        let row: Option<UserRow> = answers.row()?;
        Ok(row.map(|row| account(OPERATION, row)).transpose()?.ok_or(Refusal::NotFound))
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
    ) -> Result<Result<Page, Refusal>, StoreError> {
        const OPERATION: &str = "list_accounts";
        let ids = CallerIds::new(caller);
        let after = search.after.as_deref().unwrap_or_default();
        let end = format!("{}{LAST_CHARACTER}", search.prefix);
        let values = [
            // One bound to begin at, so that a page far behind is found as fast as the first.
            D1Type::Text(after.max(&search.prefix)),
            D1Type::Text(&end),
            D1Type::Text(after),
            integer(u64::try_from(search.limit).unwrap_or(u64::MAX).saturating_add(1)),
            D1Type::Text(&ids.family_id),
            D1Type::Text(&ids.user_id),
            integer(now),
        ];
        let statements =
            [Statement { sql: FIND_SESSION, values: &ids.find() }, Statement { sql: LIST_ACCOUNTS, values: &values }];
        let mut answers = self.batch(OPERATION, &statements).await?;
        if let Err(refusal) = admin_in_force(OPERATION, &mut answers, caller, now)? {
            return Ok(Err(refusal));
        }
        let mut rows: Vec<ListedRow> = answers.rows()?;
        let more = rows.len() > search.limit;
        rows.truncate(search.limit);
        let more_after = rows.last().filter(|_| more).map(|row| row.email_key.clone());
        let accounts = rows.into_iter().map(|row| account(OPERATION, row.account)).collect::<Result<_, _>>()?;
        Ok(Ok(Page { accounts, more_after }))
    }
}
