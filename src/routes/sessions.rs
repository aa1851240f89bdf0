//! `GET /sessions`: the caller's sessions that are in force. Never a token.

use serde::Serialize;

use super::Context;
use crate::auth::id::Id;
use crate::error::ApiError;
use crate::http::{Reply, Request};
use crate::store::refresh_tokens::SessionSummary;

#[derive(Serialize)]
struct Body {
    sessions: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    id: Id,
    current: bool,
    created_at: u64,
    created_ip: Option<String>,
    created_user_agent: Option<String>,
    last_used_at: u64,
    last_used_ip: Option<String>,
    last_used_user_agent: Option<String>,
    expires_at: u64,
    absolute_expires_at: u64,
}

/// The one last used comes first.
pub(super) async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = context.caller(request).await?;
    let mut sessions = context.store.list_sessions(caller, context.now).await??;
    sessions.sort_by_key(|session| std::cmp::Reverse(session.rotated_at));
    let show = |session: SessionSummary| Shown {
        id: session.family_id,
        current: session.family_id == caller.family_id,
        created_at: session.created_at,
        created_ip: session.created_ip,
        created_user_agent: session.created_user_agent,
        last_used_at: session.rotated_at,
        last_used_ip: session.rotated_ip,
        last_used_user_agent: session.rotated_user_agent,
        expires_at: session.expires_at,
        absolute_expires_at: session.absolute_expires_at,
    };
    Reply::json(200, &Body { sessions: sessions.into_iter().map(show).collect() })
}
