//! Who asks. The caller's session is found in the same round trip as what is asked for, and what is changed or listed has it in
//! its own condition too.

use serde::Deserialize;
use worker::D1Type;

use super::refresh_tokens::{FIND_SESSION, Session, SessionRow, session};
use super::{Answers, Statement, Store, StoreError};
use portcullis_core::account::roles;
use portcullis_core::id::Id;

/// Who asks, by an access token.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The `sub` claim.
    pub user_id: Id,
    /// The `sid` claim.
    pub family_id: Id,
}

/// Why a change or an answer is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The caller's session is not in force.
    NotInForce,
    /// The caller is no admin.
    NotAdmin,
    /// There is no such account, or the caller has no such session.
    NotFound,
    /// Nobody would be admin any more.
    LastAdmin,
    /// The password has changed meanwhile.
    PasswordChanged,
}

/// The texts of a caller's identifiers, for statements to borrow.
pub(super) struct CallerIds {
    pub(super) family_id: String,
    pub(super) user_id: String,
}

impl CallerIds {
    pub(super) fn new(caller: Caller) -> Self {
        Self { family_id: caller.family_id.to_string(), user_id: caller.user_id.to_string() }
    }

    /// The values of [`FIND_SESSION`].
    pub(super) fn find(&self) -> [D1Type<'_>; 1] {
        [D1Type::Text(&self.family_id)]
    }
}

impl Store {
    /// The rows of a statement, if the caller's session is in force. The statement has to have that in its own condition too.
    pub(super) async fn ask_as<T: for<'de> Deserialize<'de>>(
        &self,
        operation: &'static str,
        caller: Caller,
        statement: Statement<'_>,
        now: u64,
    ) -> Result<Result<Vec<T>, Refusal>, StoreError> {
        let ids = CallerIds::new(caller);
        let find_caller = Statement { sql: FIND_SESSION, values: &ids.find() };
        let mut answers = self.batch(operation, &[find_caller, statement]).await?;
        match in_force(operation, &mut answers, caller, now)? {
            Ok(_) => answers.rows().map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        }
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
