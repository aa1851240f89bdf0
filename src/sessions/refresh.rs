//! Refreshing: exchanges a refresh token for its successor and a new access token (refresh token rotation, RFC 9700 §4.14.2).

use portcullis_core::account::session::{Delivery, Transport};
use portcullis_core::id::Id;
use portcullis_core::mail::kind::Kind;
use portcullis_core::sign_in::Mfa;
use portcullis_core::token::access::Purpose;
use portcullis_core::token::refresh::{Judgement, judge};

use super::changes::event_id;
use super::delivery::{Delivered, deliver};
use super::end::settle;
use super::{SessionError, bearer, refresh_token};
use crate::context::Context;
use crate::http::{Reply, Request};
use crate::log::{self, Event};
use crate::mail::notice::notice;
use crate::mail::outbox;
use crate::metrics;
use crate::store::sessions::{Issued, PresentedToken, ReuseEvent, Rotation, RotationTimes};

/// A refresh token and what was sent with it.
pub struct Presented<'a> {
    /// The token.
    pub refresh_token: &'a str,
    /// How it was sent. A session is refreshed only by its own transport, so that no script gets the token of a cookie.
    pub transport: Transport,
    /// The access token in the same request, expired or not.
    pub access_token: Option<&'a str>,
    /// The user that the page expects. The token of another user is not rotated.
    pub user_id: Option<Id>,
}

/// Refreshes a session.
///
/// 1. Refuse a token with an invalid tag, or with an invalid access token, without reading storage.
/// 2. One statement rotates the token, accepts a grace retry, or changes nothing.
/// 3. On rotation or grace retry, reply with the successor, which is the same for every request with this token.
/// 4. On reuse, the transaction that detected it has ended the session. Write the mark to KV and log the reuse before the reply.
/// 5. Otherwise, nothing changes. The reply is the same for every reason, with one exception: a token of another user than the page
///    expects is a 409.
pub async fn refresh(
    context: &Context<'_>,
    request: &Request,
    presented: Presented<'_>,
) -> Result<Reply, SessionError> {
    let config = context.config;
    let Presented { refresh_token, transport, access_token, user_id: expected_user } = presented;
    // 1.
    let Some(token) = refresh_token::open(context, request, refresh_token).await? else {
        // Anyone can forge such tokens, so they are counted and not logged one by one.
        if let Some(count) = context.tallies.forged_refresh_tokens.add(context.now) {
            let event = Event::RefreshRefused { session_id: None, reason: "not_genuine", count: Some(count) };
            log::write(context.request_id, &event);
        }
        return Err(SessionError::RefreshToken);
    };
    let session_id = token.session_id();
    // `NIL` owns no session. So nothing is rotated if the access token belongs to another session.
    let token_user = match access_token {
        None => None,
        Some(compact) => match bearer::read(context, request, compact, Purpose::Session).await {
            Ok(access) if access.sid == session_id => Some(access.sub),
            Ok(_) => Some(Id::NIL),
            Err(SessionError::AccessToken(_)) => return Err(refused(context, session_id, "access_token")),
            Err(error) => return Err(error),
        },
    };
    let user_id = match (expected_user, token_user) {
        (Some(expected), Some(user_id)) if expected != user_id => Some(Id::NIL),
        _ => expected_user.or(token_user),
    };
    let Some(successor) = token.successor() else {
        return Err(refused(context, session_id, "generations_exhausted"));
    };
    // 2.
    let delivery = |remember| Delivery { transport, remember };
    let times = RotationTimes {
        grace: config.refresh_grace,
        idle: delivery(true).idle_ttl(config.refresh_idle_ttl),
        unremembered_idle: delivery(false).idle_ttl(config.refresh_idle_ttl),
        access: config.access_token_ttl,
    };
    let event_id = event_id(context);
    let needs_aal2 = config.policy.mfa == Mfa::Required;
    let presented = PresentedToken { token: &token, transport, user_id, needs_aal2 };
    let notice = notice(context, request, Kind::ReuseDetected)?;
    let reuse_event = ReuseEvent { id: &event_id, notice: notice.as_ref(), request_id: context.request_id };
    match context.store.rotate(presented, times, &reuse_event, &request.client, context.now).await? {
        // 3.
        Rotation::Issued(issued) => {
            log_issued(context, request, session_id, &issued);
            let delivered = Delivered {
                refresh_token: &successor,
                session_expires_at: issued.expires_at,
                amr: &issued.amr,
                authenticated_at: issued.authenticated_at,
                delivery: delivery(issued.remember),
                device: None,
                is_breached: false,
                challenge: None,
                passkey: None,
                recovery_codes: None,
            };
            deliver(context, 200, &issued.user, &delivered).await
        }
        // 4.
        Rotation::Reused(ending) => {
            let session = settle(context, Ok(ending)).await?;
            let judgement = judge(&token, &session.state, context.now, config.refresh_grace);
            let Judgement::Reuse(reuse) = judgement else {
                return Err(SessionError::Internal(format!("a session was ended for reuse but judged {judgement:?}")));
            };
            let user_id = session.user.id;
            let reason = reuse.as_str();
            metrics::report(context, request, &Event::ReuseDetected { user_id, session_id, reason });
            outbox::send_after_reply(context, notice.iter().map(|notice| notice.id).collect());
            Err(SessionError::RefreshToken)
        }
        // 5.
        Rotation::Refused(Some(session)) => {
            let judgement = judge(&token, &session.state, context.now, config.refresh_grace);
            let is_other = |user_id: Option<Id>| user_id.is_some_and(|user_id| user_id != session.user.id);
            if let Judgement::Refused(reason) = judgement {
                Err(refused(context, session_id, reason.as_str()))
            } else if is_other(expected_user) {
                Err(other_user(context, session_id))
            } else if is_other(token_user) {
                Err(refused(context, session_id, "access_token"))
            } else if session.transport != transport {
                Err(refused(context, session_id, "transport"))
            } else if needs_aal2 && !session.is_aal2 {
                Err(refused(context, session_id, "mfa_required"))
            } else {
                Err(SessionError::Internal(format!("a session was left unchanged but judged {judgement:?}")))
            }
        }
        Rotation::Refused(None) => Err(refused(context, session_id, "unknown")),
    }
}

fn log_issued(context: &Context<'_>, request: &Request, session_id: Id, issued: &Issued) {
    let user_id = issued.user.id;
    if issued.retries == 0 {
        // Refreshes are the most frequent event, and D1 holds the last one of each session. So they are logged only if configured.
        if context.config.log_refreshes {
            log::write(context.request_id, &Event::Refreshed { user_id, session_id });
        }
        return;
    }
    let event = Event::GraceRetry {
        user_id,
        session_id,
        retries: issued.retries,
        same_ip: issued.rotated_by.ip == request.client.ip,
        same_user_agent: issued.rotated_by.user_agent == request.client.user_agent,
    };
    log::write(context.request_id, &event);
}

fn refused(context: &Context<'_>, session_id: Id, reason: &'static str) -> SessionError {
    let event = Event::RefreshRefused { session_id: Some(session_id), reason, count: None };
    log::write(context.request_id, &event);
    SessionError::RefreshToken
}

/// The token is valid, but belongs to another user than the page expects.
fn other_user(context: &Context<'_>, session_id: Id) -> SessionError {
    refused(context, session_id, "other_user");
    SessionError::OtherUser
}
