//! `POST /refresh`: a refresh token for its successor and a new access token. `/token` does the same in other words.

use serde::Deserialize;

use crate::http::{Reply, Request};
use crate::log::Event;
use crate::routes::context::Context;
use crate::routes::error::ApiError;
use crate::store::sessions::{Issued, Rotation, RotationTimes};
use portcullis_core::account::session::Session;
use portcullis_core::id::Id;
use portcullis_core::token::access::Purpose;
use portcullis_core::token::refresh::{Judgement, RefreshToken, RefusalReason, judge};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    refresh_token: String,
    /// The access token that came with it, expired or not.
    access_token: Option<String>,
}

pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    rotate(context, request, &body.refresh_token, body.access_token.as_deref()).await
}

/// RFC 9700 §4.14.2, refresh token rotation.
///
/// 1. A token whose tag is not ours goes no further: no storage is asked. Nor one beside an access token that was never
///    issued in its session: whoever has only one of the two gets nothing, and nothing is judged by it.
/// 2. One statement rotates, or lets a grace retry pass, or changes nothing.
/// 3. If it issued, answer with the successor, which is the same for everyone who presents this token.
/// 4. A rotated-out token has ended the session in the same transaction that found it out. Mark it in KV and log it before the
///    answer.
/// 5. For any other reason nothing happens. The answer is the same for all of them.
pub async fn rotate(
    context: &Context<'_>,
    request: &Request,
    refresh_token: &str,
    access_token: Option<&str>,
) -> Result<Reply, ApiError> {
    // 1.
    let Some(token) = RefreshToken::parse(refresh_token, &context.config.refresh_token_keys) else {
        // Anybody can make these up.
        if let Some(count) = context.tallies.forged_refresh_tokens.add(context.now) {
            let count = Some(count);
            context.log(&Event::RefreshRefused { session_id: None, reason: "not_genuine", count });
        }
        return Err(ApiError::InvalidRefreshToken);
    };
    let user_id = match access_token {
        None => None,
        Some(compact) => match context.read_access_token(compact, Purpose::Session).await? {
            Ok(access) if access.sid == token.session_id() => Some(access.sub),
            _ => return Err(refused(context, Some(token.session_id()), "access_token")),
        },
    };
    let Some(successor) = token.successor() else {
        return Err(refused(context, Some(token.session_id()), "generations_exhausted"));
    };
    // 2.
    let config = context.config;
    let times =
        RotationTimes { grace: config.refresh_grace, idle: config.refresh_idle_ttl, access: config.access_token_ttl };
    let event_id = context.event_id();
    let rotation = context.store.rotate(&token, user_id, times, &event_id, &request.client, context.now).await?;
    match rotation {
        // 3.
        Rotation::Issued(issued) => {
            log_issued(context, request, token.session_id(), &issued);
            context.token_response(200, &issued.user, &successor, issued.expires_at).await
        }
        // 4.
        Rotation::Reused(reused) => {
            let session = context.settle(Ok(reused)).await?;
            let verdict = judge(&token, &session.state, context.now, config.refresh_grace);
            let Judgement::Reuse(reuse) = verdict else {
                return Err(ApiError::Internal(format!("a session was ended for reuse, and judged {verdict:?}")));
            };
            let (user_id, session_id) = (session.user.id, session.id);
            context.log(&Event::ReuseDetected { user_id, session_id, reason: reuse.as_str() });
            Err(ApiError::InvalidRefreshToken)
        }
        // 5.
        Rotation::Refused(Some(session)) => {
            let reason = if user_id.is_some_and(|user_id| user_id != session.user.id) {
                "access_token"
            } else {
                why_refused(context, &token, &session)?
            };
            Err(refused(context, Some(session.id), reason))
        }
        Rotation::Refused(None) => Err(refused(context, Some(token.session_id()), "unknown")),
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

/// Why nothing was issued for a token.
fn why_refused(context: &Context<'_>, token: &RefreshToken, session: &Session) -> Result<&'static str, ApiError> {
    match judge(token, &session.state, context.now, context.config.refresh_grace) {
        Judgement::Refused(RefusalReason::Unknown) => Ok("unknown"),
        Judgement::Refused(RefusalReason::Revoked) => Ok("revoked"),
        Judgement::Refused(RefusalReason::UserDisabled) => Ok("user_disabled"),
        Judgement::Refused(RefusalReason::Expired) => Ok("expired"),
        verdict @ (Judgement::Rotate | Judgement::GraceRetry | Judgement::Reuse(_)) => {
            Err(ApiError::Internal(format!("a session was left as it was, and judged {verdict:?}")))
        }
    }
}

fn refused(context: &Context<'_>, session_id: Option<Id>, reason: &'static str) -> ApiError {
    context.log(&Event::RefreshRefused { session_id, reason, count: None });
    ApiError::InvalidRefreshToken
}
