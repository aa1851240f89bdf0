//! `GET /sessions`, and the code it shares with `GET /users/{id}/sessions`: lists the sessions of an account that are in force. Never
//! returns a token.

use serde::Serialize;

use crate::context::Context;
use crate::http::Query;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::caller;
use crate::store::sessions::{SessionSummary, SessionsQuery};
use portcullis_core::account::audit::Cursor;
use portcullis_core::id::Id;

/// A page of sessions. The session that began last comes first.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "SessionList"))]
struct Body {
    sessions: Vec<Shown>,
    /// The `cursor` of the next page; `null` on the last one.
    next_cursor: Option<String>,
}

/// A session. Times in unix seconds.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Session"))]
struct Shown {
    /// The id, which is the `sid` claim of access tokens.
    id: Id,
    /// Whether it is the session of the request's access token.
    current: bool,
    /// When it began.
    created_at: u64,
    /// The IP address of the client that began it.
    created_ip: Option<String>,
    /// The user agent of the client that began it.
    created_user_agent: Option<String>,
    /// When it was last refreshed.
    last_used_at: u64,
    /// The IP address of the client that refreshed it last.
    last_used_ip: Option<String>,
    /// The user agent of the client that refreshed it last.
    last_used_user_agent: Option<String>,
    /// When it expires, unless it is refreshed.
    expires_at: u64,
    /// When it expires in any case.
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

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::Account,
            "listSessions",
            "List your sessions",
            "The sessions of the caller that are in force, the newest first.",
        )
        .with_access_token()
        .pages()
        .succeeds(example())
}

/// A page of sessions, for the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn example() -> Success {
    let session = Shown {
        id: Id::example(),
        current: true,
        created_at: 1_796_083_200,
        created_ip: Some("192.0.2.1".to_owned()),
        created_user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0".to_owned()),
        last_used_at: 1_796_086_800,
        last_used_ip: Some("192.0.2.1".to_owned()),
        last_used_user_agent: None,
        expires_at: 1_796_691_600,
        absolute_expires_at: 1_798_675_200,
    };
    Success::json(200, "A page of the sessions.", &Body { sessions: vec![session], next_cursor: None })
}
