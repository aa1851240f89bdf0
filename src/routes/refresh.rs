//! `POST /refresh`: a refresh token for its successor and a new access token. `/token` does the same in other words.

use serde::Deserialize;

use super::Context;
use crate::auth::access_token::Purpose;
use crate::auth::id::Id;
use crate::auth::refresh_token::{RefreshToken, Refusal, Reuse, Verdict, judge};
use crate::error::ApiError;
use crate::http::{Reply, Request, present};
use crate::log::Event;
use crate::store::events::ReuseEvent;
use crate::store::refresh_tokens::{Issued, Revocation, Rotation, RotationTimes, Session};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    refresh_token: String,
    /// The access token that came with it, expired or not.
    #[serde(default, deserialize_with = "present")]
    access_token: Option<String>,
}

pub(super) async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    rotate(context, request, &body.refresh_token, body.access_token.as_deref()).await
}

/// RFC 9700 §4.14.2, refresh token rotation.
///
/// 1. A token whose tag is not ours goes no further: no storage is asked. Nor one beside an access token that was never
///    issued in its session: whoever has only one of the two gets nothing, and nothing is judged by it.
/// 2. One statement rotates, or lets a grace retry pass, or changes nothing.
/// 3. If it issued, answer with the successor, which is the same for everyone who presents this token.
/// 4. If not, judge why. A rotated-out token ends the family, in D1, in KV and in the log, before the answer, which is
///    the same for every reason.
pub(super) async fn rotate(
    context: &Context<'_>,
    request: &Request,
    refresh_token: &str,
    access_token: Option<&str>,
) -> Result<Reply, ApiError> {
    // 1.
    let Some(token) = RefreshToken::parse(refresh_token, &context.config.token_keys) else {
        return Err(refused(context, None, "not_genuine"));
    };
    let user_id = match access_token {
        None => None,
        Some(compact) => match context.read_access_token(compact, Purpose::Session).await? {
            Ok(access) if access.sid == token.family_id() => Some(access.sub),
            _ => return Err(refused(context, Some(token.family_id()), "access_token")),
        },
    };
    let Some(successor) = token.successor() else {
        return Err(refused(context, Some(token.family_id()), "generations_exhausted"));
    };
    // 2.
    let config = context.config;
    let times =
        RotationTimes { grace: config.refresh_grace, idle: config.refresh_idle_ttl, access: config.access_token_ttl };
    match context.store.rotate(&token, user_id, times, &request.client, context.now).await? {
        // 3.
        Rotation::Issued(issued) => {
            log_issued(context, request, token.family_id(), &issued);
            context.token_response(200, &issued.user, &successor, issued.expires_at).await
        }
        Rotation::Refused(Some(session)) if user_id.is_some_and(|user_id| user_id != session.user.id) => {
            Err(refused(context, Some(session.family_id), "access_token"))
        }
        // 4.
        Rotation::Refused(Some(session)) => judge_unissued(context, request, &token, &session).await,
        Rotation::Refused(None) => Err(refused(context, Some(token.family_id()), "unknown")),
    }
}

fn log_issued(context: &Context<'_>, request: &Request, session_id: Id, issued: &Issued) {
    let user_id = issued.user.id;
    if issued.retries == 0 {
        // What runs most often would fill the log with what the row says already.
        if context.config.log_refreshes {
            context.log(&Event::Refreshed { user_id, session_id });
        }
        return;
    }
    context.log(&Event::GraceRetry {
        user_id,
        session_id,
        retries: issued.retries,
        same_ip: issued.rotated_by.ip == request.client.ip,
        same_user_agent: issued.rotated_by.user_agent == request.client.user_agent,
    });
}

/// Does what a token that nothing was issued for calls for. Never `Ok`.
async fn judge_unissued(
    context: &Context<'_>,
    request: &Request,
    token: &RefreshToken,
    session: &Session,
) -> Result<Reply, ApiError> {
    let reason = match judge(token, &session.state, context.now, context.config.refresh_grace) {
        Verdict::Reuse(reuse) => {
            end_family(context, request, token, session, reuse).await?;
            return Err(ApiError::InvalidRefreshToken);
        }
        Verdict::Refused(Refusal::Unknown) => "unknown",
        Verdict::Refused(Refusal::Revoked) => "revoked",
        Verdict::Refused(Refusal::UserDisabled) => "user_disabled",
        Verdict::Refused(Refusal::Expired) => "expired",
        Verdict::Rotate | Verdict::GraceRetry => {
            return Err(ApiError::Internal("a usable family was not rotated".to_owned()));
        }
    };
    Err(refused(context, Some(session.family_id), reason))
}

async fn end_family(
    context: &Context<'_>,
    request: &Request,
    token: &RefreshToken,
    session: &Session,
    reuse: Reuse,
) -> Result<(), ApiError> {
    let (user_id, session_id) = (session.user.id, session.family_id);
    let secret_hash = token.secret_hash();
    let (client, now) = (&request.client, context.now);
    let event = ReuseEvent { id: context.event_id()?, reuse };
    let revocation = context.store.revoke_reused(session_id, &secret_hash, &event, client, now).await?;
    // Not from the session as it was judged: it may have been refreshed since.
    if let Some(Revocation { access_expires_at, .. }) = revocation {
        context.mark_revoked(session_id, access_expires_at).await;
    }
    context.log(&Event::ReuseDetected { user_id, session_id, reason: reuse.as_str() });
    Ok(())
}

fn refused(context: &Context<'_>, session_id: Option<Id>, reason: &'static str) -> ApiError {
    context.log(&Event::RefreshRefused { session_id, reason });
    ApiError::InvalidRefreshToken
}
