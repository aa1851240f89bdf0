//! `GET /sessions`, and the code it shares with `GET /users/{id}/sessions`: lists the sessions of an account that are in force. Never
//! returns a token.

use serde::Serialize;

use crate::context::Context;
use crate::http::Query;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
use crate::sessions::bearer::caller;
use crate::store::sessions::{SessionSummary, SessionsQuery};
use portcullis_core::account::audit::Cursor;
use portcullis_core::id::Id;

#[derive(Serialize)]
struct Body {
    sessions: Vec<Shown>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    id: Id,
    /// Whether it is the session of the access token.
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

pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = caller(context, request).await?;
    let query = query(request)?;
    let sessions = context.store.list_own_sessions(caller, &query, context.now).await?;
    reply(sessions, query.limit, caller.session_id)
}

/// The requested page. The newest session comes first.
pub fn query(request: &Request) -> Result<SessionsQuery, ApiError> {
    let query = Query::parse(request, &["limit", "cursor"])?;
    let before = query.cursor(Cursor::parse)?.unwrap_or_else(Cursor::start);
    Ok(SessionsQuery { before: (before.at, before.id), limit: query.limit()? })
}

/// `sessions`: one more than the limit, if there are more.
pub fn reply(mut sessions: Vec<SessionSummary>, limit: usize, own: Id) -> Result<Reply, ApiError> {
    let more = sessions.len() > limit;
    sessions.truncate(limit);
    let last = sessions.last().filter(|_| more);
    let next_cursor = last.map(|last| Cursor { at: last.created_at, id: last.session_id.to_string() }.encode());
    let show = |session: SessionSummary| Shown {
        id: session.session_id,
        current: session.session_id == own,
        created_at: session.created_at,
        created_ip: session.created_ip,
        created_user_agent: session.created_user_agent,
        last_used_at: session.rotated_at,
        last_used_ip: session.rotated_ip,
        last_used_user_agent: session.rotated_user_agent,
        expires_at: session.expires_at,
        absolute_expires_at: session.absolute_expires_at,
    };
    Reply::json(200, &Body { sessions: sessions.into_iter().map(show).collect(), next_cursor })
}
