//! What the routes that change accounts share.

use crate::config::MAX_CLOCK_LEEWAY;
use crate::factors::hashing_queue::Verified;
use crate::http::Request;
use crate::log::Event;
use crate::routes::context::Context;
use crate::routes::error::ApiError;
use crate::store::callers::Caller;
use crate::store::changes::{AdminChange, ChangeRequest, Changes};
use crate::store::users::Credentials;
use portcullis_core::account::audit::Kind;
use portcullis_core::id::Id;
use portcullis_core::identity::email::Email;
use portcullis_core::password::Password;
use portcullis_core::password::hashing_queue::Account;

impl Context<'_> {
    /// A change that the caller asks for.
    pub fn change<'r>(&self, request: &'r Request, caller: Caller) -> ChangeRequest<'r> {
        let (event_id, client) = (self.event_id(), &request.client);
        ChangeRequest { caller, client, event_id, leeway: MAX_CLOCK_LEEWAY, now: self.now }
    }

    /// Does what an admin asks for, marks the sessions that ended, and logs what was recorded.
    pub async fn change_as_admin(
        &self,
        request: &Request,
        caller: Caller,
        target: Id,
        change: &AdminChange,
    ) -> Result<Changes, ApiError> {
        let ending = self.store.change_as_admin(&self.change(request, caller), target, change).await?;
        let changes = self.allowed(caller, self.settle(ending).await)?;
        for kind in &changes.kinds {
            self.log_change(target, Some(caller.user_id), *kind, changes.sessions_ended);
        }
        Ok(changes)
    }

    pub fn log_change(&self, user_id: Id, admin_id: Option<Id>, kind: Kind, sessions_ended: usize) {
        let sessions_ended = if kind.ends_sessions() { sessions_ended } else { 0 };
        self.log(&Event::AccountChanged { user_id, admin_id, change: kind.as_str(), sessions_ended });
    }

    /// A new password by the rules, which know its owner.
    pub fn new_password(
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
        Ok(Password::for_registration(input, self.config.password_min_length, &about)?)
    }

    /// What verifying the caller's password needs, if its session is in force.
    pub async fn own_credentials(&self, caller: Caller) -> Result<Credentials, ApiError> {
        Ok(self.store.find_own_credentials(caller, self.now).await??)
    }

    /// Verifies that whoever holds the access token knows the password too. A wrong one counts as a failed log-in.
    pub async fn verify_current_password(
        &self,
        request: &Request,
        caller: Caller,
        credentials: &Credentials,
        input: &str,
    ) -> Result<(), ApiError> {
        let password = Password::for_login(input).map_err(|_| ApiError::WrongPassword)?;
        let account = Account::User(caller.user_id);
        match self.verify(request, &account, &password, &credentials.password_hash).await?? {
            Verified::Matches { .. } => Ok(()),
            Verified::Differs => Err(self.wrong_current_password(request, caller).await?),
        }
    }

    /// Counts a wrong current password as a failed log-in.
    pub async fn wrong_current_password(&self, request: &Request, caller: Caller) -> Result<ApiError, ApiError> {
        let (user_id, session_id) = (Some(caller.user_id), Some(caller.family_id));
        self.count_failed_login(request, user_id, session_id, "wrong_current_password").await?;
        Ok(ApiError::WrongPassword)
    }

    /// Logs a failed log-in, and counts it in the audit trail of the account; of no account, in a row for all of them, so
    /// that both take the same work.
    pub async fn count_failed_login(
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
