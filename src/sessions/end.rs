//! Ends sessions: first in D1, then by marks in KV, then in the log.

use portcullis_core::account::audit::RevocationReason;
use portcullis_core::account::caller::Caller;
use portcullis_core::account::session::OwedMark;
use portcullis_core::id::Id;
use portcullis_core::token::access::{Purpose, Rejection};
use portcullis_core::token::refresh::{PREFIX, SecretHash};

use super::refresh_token::open;
use super::{SessionError, bearer, marks};
use crate::context::Context;
use crate::http::Request;
use crate::log::{self, Event};
use crate::store::{StoreError, WithOwedMarks};

/// Ends the session of a token (RFC 7009), if it exists. An invalid token changes nothing (§2.2).
pub async fn end_by_token(context: &Context<'_>, request: &Request, token: &str) -> Result<(), SessionError> {
    let ended = if token.starts_with(PREFIX) {
        end_by_refresh_token(context, request, token).await
    } else {
        end_by_access_token(context, request, token, None).await
    };
    match ended {
        Ok(_) | Err(SessionError::RefreshToken | SessionError::AccessToken(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Ends the session of a refresh token, if it exists, and returns its id. A rotated-out token is accepted like the live one, because a
/// logout must take effect even with an older token.
pub async fn end_by_refresh_token(context: &Context<'_>, request: &Request, token: &str) -> Result<Id, SessionError> {
    let token = open(context, request, token).await?.ok_or(SessionError::RefreshToken)?;
    end(context, request, token.session_id(), Some(&token.secret_hash())).await?;
    Ok(token.session_id())
}

/// Ends the session of an access token, if it exists, and returns its id. The token is accepted until `REFRESH_IDLE_TTL_SECONDS` after
/// its expiry, and without limit if the request also has the cookie of that session, which may have been refreshed since.
pub async fn end_by_access_token(
    context: &Context<'_>,
    request: &Request,
    token: &str,
    of_cookie: Option<Id>,
) -> Result<Id, SessionError> {
    let token = bearer::read(context, request, token, Purpose::Logout).await?;
    let is_recent = context.now < token.exp.saturating_add(context.config.refresh_idle_ttl);
    if !is_recent && of_cookie != Some(token.sid) {
        return Err(SessionError::AccessToken(Rejection::Expired));
    }
    end(context, request, token.sid, None).await?;
    Ok(token.sid)
}

/// Ends a session and writes its mark. If the session has already ended, writes the mark if it is still owed.
async fn end(
    context: &Context<'_>,
    request: &Request,
    session_id: Id,
    secret_hash: Option<&SecretHash>,
) -> Result<(), SessionError> {
    let (client, reason) = (&request.client, RevocationReason::Logout);
    let ending = context.store.revoke_session(session_id, secret_hash, reason, client, context.now).await;
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
