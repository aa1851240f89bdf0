//! What the routes that change accounts share.

use crate::config::MAX_CLOCK_LEEWAY;
use crate::factors::hashing_queue::Verified;
use crate::http::Request;
use crate::log::Event;
use crate::routes::context::Context;
use crate::routes::error::ApiError;
use crate::store::admin::{ActionResult, AdminAction};
use crate::store::audit::ActionContext;
use crate::store::credentials::Credentials;
use portcullis_core::account::audit::AuditEvent;
use portcullis_core::account::caller::Caller;
use portcullis_core::id::Id;
use portcullis_core::identity::email::Email;
use portcullis_core::password::Password;
use portcullis_core::password::hashing_queue::Account;

impl Context<'_> {
    /// What the store is told of an action of the caller.
    pub fn action<'r>(&self, request: &'r Request, caller: Caller) -> ActionContext<'r> {
        let (event_id, client) = (self.event_id(), &request.client);
        ActionContext { caller, client, event_id, leeway: MAX_CLOCK_LEEWAY, now: self.now }
    }

    /// Does what an admin asks for, marks the sessions that ended, and logs what was recorded.
    pub async fn act_as_admin(
        &self,
        request: &Request,
        caller: Caller,
        target: Id,
        action: &AdminAction,
    ) -> Result<ActionResult, ApiError> {
        let outcome = self.store.act_as_admin(&self.action(request, caller), target, action).await;
        let result = self.allowed(caller, self.settle(outcome).await)?;
        for event in &result.events {
            self.log_change(target, Some(caller.user_id), *event, result.sessions_ended);
        }
        Ok(result)
    }

    pub fn log_change(&self, user_id: Id, admin_id: Option<Id>, event: AuditEvent, sessions_ended: usize) {
        let sessions_ended = if event.ends_sessions() { sessions_ended } else { 0 };
        self.log(&Event::AccountChanged { user_id, admin_id, change: event.as_str(), sessions_ended });
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
        Ok(self.store.find_own_credentials(caller, self.now).await?)
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
        match self.verify(request, &account, &password, credentials.password_hash.as_deref()).await?? {
            Verified::Matches { .. } => Ok(()),
            Verified::Differs => Err(self.wrong_current_password(request, caller).await?),
        }
    }

    /// Counts a wrong current password as a failed log-in.
    pub async fn wrong_current_password(&self, request: &Request, caller: Caller) -> Result<ApiError, ApiError> {
        let (user_id, session_id) = (Some(caller.user_id), Some(caller.session_id));
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
