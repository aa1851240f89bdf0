//! Ends sessions: first in D1, then by marks in KV, then in the log.

use portcullis_core::account::audit::RevocationReason;
use portcullis_core::account::caller::Caller;
use portcullis_core::account::session::OwedMark;
use portcullis_core::id::Id;
use portcullis_core::token::access::Purpose;
use portcullis_core::token::refresh::{PREFIX, RefreshToken, SecretHash};

use super::{SessionError, bearer, marks};
use crate::context::Context;
use crate::http::Request;
use crate::log::{self, Event};
use crate::store::{StoreError, WithOwedMarks};

/// Ends the session of a token (RFC 7009), if it exists.
///
/// 1. An invalid token changes nothing (§2.2). An access token is accepted until `REFRESH_IDLE_TTL_SECONDS` after its expiry, and a
///    rotated-out refresh token like the live one, because a logout must take effect even with an older token.
/// 2. End the session and write its mark, even if the mark is owed by an earlier revocation.
pub async fn end_by_token(context: &Context<'_>, request: &Request, token: &str) -> Result<(), SessionError> {
    // 1.
    let Some((session_id, secret_hash)) = session_of(context, token).await? else { return Ok(()) };
    // 2.
    let (client, reason) = (&request.client, RevocationReason::Logout);
    let ending = context.store.revoke_session(session_id, secret_hash.as_ref(), reason, client, context.now).await;
    if let Some(user_id) = settle(context, ending).await? {
        log::write(context.request_id, &Event::Revoked { user_id, session_id, reason: reason.as_str() });
    }
    Ok(())
}

/// Ends one session of the caller.
pub async fn end_own(
    context: &Context<'_>,
    request: &Request,
    caller: Caller,
    session_id: Id,
) -> Result<(), SessionError> {
    let (client, reason) = (&request.client, RevocationReason::EndedByUser);
    let ending = context.store.revoke_own_session(caller, session_id, reason, client, context.now).await;
    settle(context, ending).await?;
    log::write(context.request_id, &Event::Revoked { user_id: caller.user_id, session_id, reason: reason.as_str() });
    Ok(())
}

/// Ends every session of the caller, except the current one if `keep_own`. Returns the number of ended sessions.
pub async fn end_all(
    context: &Context<'_>,
    request: &Request,
    caller: Caller,
    keep_own: bool,
) -> Result<usize, SessionError> {
    let (client, reason) = (&request.client, RevocationReason::LogoutAll);
    let ending = context.store.revoke_all_sessions(caller, keep_own, reason, client, context.now).await;
    let sessions = settle(context, ending).await?;
    let event = Event::RevokedAll { user_id: caller.user_id, sessions, reason: reason.as_str() };
    log::write(context.request_id, &event);
    Ok(sessions)
}

/// Writes the owed marks of an operation and returns its result. A failure of KV is logged and retried after the reply, but does not
/// fail the request, because D1 holds the revocation and the owed mark.
pub async fn settle<T>(context: &Context<'_>, ending: Result<WithOwedMarks<T>, StoreError>) -> Result<T, StoreError> {
    match ending {
        Ok(WithOwedMarks { value, owed_marks }) => {
            mark(context, &owed_marks).await;
            Ok(value)
        }
        Err(error) => {
            if let StoreError::Denied { owed_marks, .. } = &error {
                mark(context, owed_marks).await;
            }
            Err(error)
        }
    }
}

async fn mark(context: &Context<'_>, owed: &[OwedMark]) {
    if owed.is_empty() {
        return;
    }
    let written = marks::write(context.store, context.request_id, owed, context.now).await;
    let after = marks::follow_up(context.store.renewed(), context.request_id, written, context.config.log_costs);
    context.background.wait_until(after);
}

/// The session of a token; for a refresh token, also the hash of its secret.
async fn session_of(context: &Context<'_>, token: &str) -> Result<Option<(Id, Option<SecretHash>)>, SessionError> {
    if token.starts_with(PREFIX) {
        let token = RefreshToken::parse(token, &context.config.refresh_token_keys);
        return Ok(token.map(|token| (token.session_id(), Some(token.secret_hash()))));
    }
    match bearer::read(context, token, Purpose::Logout).await {
        Ok(token) => {
            let names_session = context.now < token.exp.saturating_add(context.config.refresh_idle_ttl);
            Ok(names_session.then_some((token.sid, None)))
        }
        Err(SessionError::AccessToken(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
