//! The sessions of an account, as its owner and admins see them. Who asks is checked in the same round trip.

use serde::Deserialize;
use worker::D1Type;

use super::accounts::FIND_ACCOUNT;
use super::callers::{Caller, CallerIds, Refusal, admin_in_force};
use super::refresh_tokens::FIND_SESSION;
use super::users::UserRow;
use super::{Statement, Store, StoreError, integer};
use portcullis_core::id::Id;

const LIST_SESSIONS: &str = include_str!("sql/list_sessions.sql");

/// Which sessions of an account are asked for.
pub struct SessionsQuery {
    /// Only those that began before this one: when it began, and its id.
    pub before: (u64, String),
    /// How many.
    pub limit: usize,
}

/// A session as it is shown to the person it belongs to. Times in unix seconds.
#[derive(Deserialize, Debug)]
pub struct SessionSummary {
    /// The `sid` claim.
    pub family_id: Id,
    /// The log-in.
    pub created_at: u64,
    /// Its address.
    pub created_ip: Option<String>,
    /// Its user agent.
    pub created_user_agent: Option<String>,
    /// The last refresh, or the log-in.
    pub rotated_at: u64,
    /// Its address.
    pub rotated_ip: Option<String>,
    /// Its user agent.
    pub rotated_user_agent: Option<String>,
    /// The idle end.
    pub expires_at: u64,
    /// The absolute end.
    pub absolute_expires_at: u64,
}

impl SessionsQuery {
    /// The values of [`LIST_SESSIONS`]. One more than asked for tells whether there are more.
    fn values<'v>(&'v self, user_id: &'v str, ids: &'v CallerIds, now: u64) -> [D1Type<'v>; 7] {
        let (began_at, family_id) = &self.before;
        [
            D1Type::Text(user_id),
            integer(now),
            integer(*began_at),
            D1Type::Text(family_id),
            integer(u64::try_from(self.limit).unwrap_or(u64::MAX).saturating_add(1)),
            D1Type::Text(&ids.family_id),
            D1Type::Text(&ids.user_id),
        ]
    }
}

impl Store {
    /// The sessions of the caller that are in force, those that began last first: one more than the limit, if there are more.
    /// One round trip.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_own_sessions(
        &self,
        caller: Caller,
        query: &SessionsQuery,
        now: u64,
    ) -> Result<Result<Vec<SessionSummary>, Refusal>, StoreError> {
        let ids = CallerIds::new(caller);
        let values = query.values(&ids.user_id, &ids, now);
        self.ask_as("list_own_sessions", caller, Statement { sql: LIST_SESSIONS, values: &values }, now).await
    }

    /// The sessions of an account, for an admin, as [`Self::list_own_sessions`]. One round trip.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_sessions_of(
        &self,
        caller: Caller,
        user_id: Id,
        query: &SessionsQuery,
        now: u64,
    ) -> Result<Result<Vec<SessionSummary>, Refusal>, StoreError> {
        const OPERATION: &str = "list_sessions_of";
        let (ids, user_id) = (CallerIds::new(caller), user_id.to_string());
        let values = query.values(&user_id, &ids, now);
        let statements = [
            Statement { sql: FIND_SESSION, values: &ids.find() },
            Statement { sql: FIND_ACCOUNT, values: &[D1Type::Text(&user_id)] },
            Statement { sql: LIST_SESSIONS, values: &values },
        ];
        let mut answers = self.batch(OPERATION, &statements).await?;
        if let Err(refusal) = admin_in_force(OPERATION, &mut answers, caller, now)? {
            return Ok(Err(refusal));
        }
        let account: Option<UserRow> = answers.row()?;
        if account.is_none() {
            return Ok(Err(Refusal::NotFound));
        }
        answers.rows().map(Ok)
    }
}
