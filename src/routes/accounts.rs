//! What the routes that change accounts share.

use futures_util::future::join_all;

use super::Context;
use crate::auth::email::Email;
use crate::auth::id::Id;
use crate::auth::password::{Password, Verification};
use crate::auth::trail::Kind;
use crate::config::MAX_CLOCK_LEEWAY;
use crate::error::ApiError;
use crate::http::Request;
use crate::log::Event;
use crate::store::callers::Caller;
use crate::store::changes::{AdminChange, ChangeRequest, Changes};
use crate::store::refresh_tokens::Ended;
use crate::store::users::Credentials;

/// Writes to KV that one request may make: a Worker may make a thousand an invocation.
const MOST_MARKS: usize = 900;

impl Context<'_> {
    /// A change that the caller asks for.
    pub(super) fn change<'r>(&self, request: &'r Request, caller: Caller) -> Result<ChangeRequest<'r>, ApiError> {
        let (event_id, client) = (self.event_id()?, &request.client);
        Ok(ChangeRequest { caller, client, event_id, leeway: MAX_CLOCK_LEEWAY, now: self.now })
    }

    /// Does what an admin asks for, marks the sessions that ended, and logs what was recorded.
    pub(super) async fn change_as_admin(
        &self,
        request: &Request,
        caller: Caller,
        target: Id,
        change: &AdminChange,
    ) -> Result<Changes, ApiError> {
        let answer = self.store.change_as_admin(&self.change(request, caller)?, target, change).await?;
        let changes = self.allowed(caller, answer)?;
        self.mark_all_revoked(&changes.ended).await;
        for kind in &changes.kinds {
            self.log_change(target, Some(caller.user_id), *kind, &changes.ended);
        }
        Ok(changes)
    }

    pub(super) fn log_change(&self, user_id: Id, admin_id: Option<Id>, kind: Kind, ended: &[Ended]) {
        let ended = ended.iter().filter(|ended| kind.ends_sessions() && ended.in_force != 0);
        self.log(&Event::AccountChanged { user_id, admin_id, change: kind.as_str(), sessions_ended: ended.count() });
    }

    /// Marks the sessions that can still have a live access token; the others need no mark. Those first whose token lives
    /// longest: of more than an invocation may write, the rest is left to expire.
    pub(super) async fn mark_all_revoked(&self, ended: &[Ended]) {
        let mut ended = ended.to_vec();
        ended.sort_by_key(|ended| std::cmp::Reverse(ended.access_expires_at));
        let marks = ended.iter().take(MOST_MARKS);
        join_all(marks.map(|ended| self.mark_revoked(ended.family_id, ended.access_expires_at))).await;
    }

    /// A new password by the rules, which know its owner.
    pub(super) fn chosen_password(
        &self,
        input: &str,
        email: Option<&Email>,
        username: Option<&str>,
        name: Option<&str>,
    ) -> Result<Password, ApiError> {
        let issuer = self.config.parties.issuer.as_str();
        let about = [
            email.map(Email::key),
            email.map(Email::local_key),
            username,
            name,
            Some(issuer),
            issuer.split_once("://").map(|(_, address)| address),
        ];
        let about: Vec<_> = about.into_iter().flatten().collect();
        Ok(Password::chosen(input, self.config.password_min_length, &about)?)
    }

    /// What verifying the caller's password needs, if its session is in force.
    pub(super) async fn own_credentials(&self, caller: Caller) -> Result<Credentials, ApiError> {
        Ok(self.store.find_own_credentials(caller, self.now).await??)
    }

    /// Verifies that whoever holds the access token knows the password too. A wrong one counts as a failed log-in.
    pub(super) async fn verify_current_password(
        &self,
        request: &Request,
        caller: Caller,
        credentials: &Credentials,
        input: &str,
    ) -> Result<(), ApiError> {
        let password = Password::presented(input).map_err(|_| ApiError::WrongPassword)?;
        match self.verify(&password, &credentials.password_hash).await?? {
            Verification::Matches { .. } => Ok(()),
            Verification::Differs => {
                let (user_id, session_id) = (Some(caller.user_id), Some(caller.family_id));
                self.count_failed_login(request, user_id, session_id, "wrong_current_password").await?;
                Err(ApiError::WrongPassword)
            }
        }
    }

    /// Logs a failed log-in, and counts it in the audit trail of the account; of no account, in a row for all of them, so
    /// that both take the same work.
    pub(super) async fn count_failed_login(
        &self,
        request: &Request,
        user_id: Option<Id>,
        session_id: Option<Id>,
        reason: &'static str,
    ) -> Result<(), ApiError> {
        self.log(&Event::LoginFailed { user_id, reason });
        Ok(self.store.count_failed_login(user_id, session_id, &request.client, self.now).await?)
    }
}
