//! The session of the caller. Each operation reads it in its own round trip. Statements that change or list rows also check it in
//! their own condition.

use portcullis_core::account::caller::Caller;
use portcullis_core::account::roles;
use portcullis_core::account::session::Session;
use portcullis_core::id::Id;

use super::batch::{Answers, Batch, Rows, sql, values};
use super::error::{Denial, StoreError};
use super::rows::{SessionRow, session};

const FIND_SESSION: &str = sql!("callers/find_session.sql");

/// Finds a session and its user.
pub(super) fn find_session(batch: &mut Batch<'_>, session_id: Id) -> Rows<SessionRow> {
    batch.query(FIND_SESSION, values![session_id, batch.not_before()])
}

/// The caller's session, if it is in force.
pub(super) fn in_force(
    answers: &Answers,
    found: Rows<SessionRow>,
    caller: Caller,
    now: u64,
) -> Result<Session, StoreError> {
    let found = answers.row(found)?.map(|row| session(answers, row)).transpose()?;
    let session = found.filter(|session| session.is_in_force_for(caller.user_id, now));
    Ok(session.ok_or(Denial::SessionNotInForce)?)
}

/// The caller's session, if it is in force and the caller is an admin.
pub(super) fn admin_in_force(
    answers: &Answers,
    found: Rows<SessionRow>,
    caller: Caller,
    now: u64,
) -> Result<Session, StoreError> {
    let session = in_force(answers, found, caller, now)?;
    if roles::is_admin(&session.user.roles) { Ok(session) } else { Err(Denial::NotAdmin.into()) }
}
