//! Changes of accounts, which may end sessions. They are written to D1 first, then to KV as marks, then to the log.

use portcullis_core::account::audit::AuditEvent;
use portcullis_core::account::caller::Caller;
use portcullis_core::account::user::Account;
use portcullis_core::id::Id;

use super::end::settle;
use crate::context::Context;
use crate::factors::FactorError;
use crate::factors::email_code::ProvedChallenge;
use crate::http::Request;
use crate::log::{self, Event};
use crate::metrics;
use crate::store::admin::{ActionResult, AdminAction};
use crate::store::audit::ActionContext;
use crate::store::challenges::{AdminCode, Redemption};
use crate::store::invitations::InvitedUser;
use crate::store::{Denial, StoreError, TakenName};

/// The context of an action of the caller.
pub fn action<'r>(context: &Context<'_>, request: &'r Request, caller: Caller) -> ActionContext<'r> {
    ActionContext { caller, client: &request.client, event_id: event_id(context), now: context.now }
}

/// The redemption of a challenge by a request.
pub fn redemption<'r>(context: &Context<'_>, request: &'r Request, id: Id, user_id: Id) -> Redemption<'r> {
    Redemption { id, user_id, request_id: context.request_id, client: &request.client, now: context.now }
}

/// The id of an event of this request. Within one second, ids sort by time.
pub fn event_id(context: &Context<'_>) -> String {
    format!("{:03}.{}", context.millisecond, context.request_id)
}

/// Carries out an action of an admin, marks the sessions that ended and logs the recorded events.
pub async fn act_as_admin(
    context: &Context<'_>,
    request: &Request,
    caller: Caller,
    target: Id,
    admin_action: &AdminAction,
) -> Result<ActionResult, StoreError> {
    let ending = context.store.act_as_admin(&action(context, request, caller), target, admin_action).await;
    let result = for_admin(context, caller, settle(context, ending).await)?;
    for event in &result.events {
        log_change(context, target, Some(caller.user_id), *event, result.sessions_ended);
    }
    Ok(result)
}

/// Creates an account and the mail with its invitation.
pub async fn invite(
    context: &Context<'_>,
    request: &Request,
    caller: Caller,
    user: &InvitedUser<'_>,
    all_roles: &[String],
    code: &AdminCode,
) -> Result<Account, StoreError> {
    let answer = context.store.invite(&action(context, request, caller), user, all_roles, code).await;
    let account = for_admin(context, caller, answer)?;
    log_change(context, user.id, Some(caller.user_id), AuditEvent::Invited, 0);
    Ok(account)
}

/// Turns a registration into an account, with the code or link of its mail.
pub async fn complete_registration(
    context: &Context<'_>,
    request: &Request,
    proved: &ProvedChallenge,
) -> Result<(), FactorError> {
    let user_id = proved.challenge().user_id.ok_or(FactorError::InvalidCode)?;
    let redemption = redemption(context, request, proved.challenge().id, user_id);
    match context.store.complete_registration(&redemption).await {
        Ok(true) => {}
        // The response does not tell whether an account has the address meanwhile.
        Ok(false) | Err(StoreError::Conflict(TakenName::Email) | StoreError::PasskeyExists) => {
            return Err(FactorError::InvalidCode);
        }
        Err(error) => return Err(error.into()),
    }
    metrics::report(context, request, &Event::Registered { user_id, session_id: None });
    log_change(context, user_id, None, AuditEvent::EmailVerified, 0);
    Ok(())
}

/// Returns the answer of the store to an admin route, and logs a caller who is not an admin.
pub fn for_admin<T>(context: &Context<'_>, caller: Caller, answer: Result<T, StoreError>) -> Result<T, StoreError> {
    if matches!(answer, Err(StoreError::Denied { denial: Denial::NotAdmin, .. })) {
        let event = Event::Forbidden { user_id: caller.user_id, session_id: caller.session_id };
        log::write(context.request_id, &event);
    }
    answer
}

/// Logs a recorded change of an account.
pub fn log_change(context: &Context<'_>, user_id: Id, admin_id: Option<Id>, event: AuditEvent, sessions_ended: usize) {
    let sessions_ended = if event.ends_sessions() { sessions_ended } else { 0 };
    let event = Event::AccountChanged { user_id, admin_id, change: event.as_str(), sessions_ended };
    log::write(context.request_id, &event);
}
