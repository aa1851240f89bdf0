//! `GET /me/events` and `GET /users/{id}/events`: the audit trail of an account, newest first.

use serde::Serialize;

use crate::context::Context;
use crate::http::Query;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
use crate::sessions::bearer::caller;
use crate::sessions::changes::for_admin;
use crate::store::audit::Excerpt;
use portcullis_core::account::audit::{self, AuditEntry, AuditEvent, Cursor};
use portcullis_core::id::Id;

#[derive(Serialize)]
struct Body {
    events: Vec<Shown>,
    next_cursor: Option<String>,
}

/// An entry for display. Members that do not apply are omitted.
#[derive(Serialize)]
struct Shown {
    at: u64,
    kind: AuditEvent,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_id: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reuse: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<String>>,
}

/// The caller's own trail. Omits the id and the session of an admin.
pub async fn get_own(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = caller(context, request).await?;
    let excerpt = excerpt(context, request)?;
    let entries = context.store.own_trail(caller, &excerpt, context.now).await?;
    reply(entries, excerpt.limit, false)
}

/// The trail of any account, for admins. That of a deleted account has one entry, the deletion.
pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let id = request.path_id();
    let caller = caller(context, request).await?;
    let excerpt = excerpt(context, request)?;
    let answer = context.store.trail_of(caller, id, &excerpt, context.now).await;
    reply(for_admin(context, caller, answer)?, excerpt.limit, true)
}

fn excerpt(context: &Context<'_>, request: &Request) -> Result<Excerpt, ApiError> {
    let query = Query::parse(request, &["limit", "cursor"])?;
    Ok(Excerpt {
        since: context.now.saturating_sub(context.config.audit_ttl),
        before: query.cursor(Cursor::parse)?.unwrap_or_else(Cursor::start),
        limit: query.limit()?,
    })
}

fn reply(entries: Vec<AuditEntry>, limit: usize, for_admin: bool) -> Result<Reply, ApiError> {
    let (entries, next) = audit::page(entries, limit);
    let events = entries.into_iter().map(|entry| shown(entry, for_admin)).collect::<Result<_, _>>()?;
    Reply::json(200, &Body { events, next_cursor: next.map(|cursor| cursor.encode()) })
}

fn shown(entry: AuditEntry, for_admin: bool) -> Result<Shown, ApiError> {
    let by_admin = entry.actor_id.is_some();
    let is_counted = entry.event.is_counted();
    let detail = |event| entry.detail.clone().filter(|_| entry.event == event);
    let roles = detail(AuditEvent::RolesChanged).map(|json| serde_json::from_str(&json)).transpose();
    Ok(Shown {
        at: entry.at,
        kind: entry.event,
        count: is_counted.then_some(entry.count),
        last_at: is_counted.then_some(entry.last_at),
        by: by_admin.then_some("admin"),
        admin_id: entry.actor_id.filter(|_| for_admin),
        session_id: entry.session_id.filter(|_| for_admin || !by_admin),
        reason: detail(AuditEvent::Revoked),
        reuse: detail(AuditEvent::ReuseDetected),
        roles: roles.map_err(|error| ApiError::Internal(format!("roles of an event: {error}")))?,
        ip: entry.client.ip,
        user_agent: entry.client.user_agent,
        other_ip: entry.other.ip,
        other_user_agent: entry.other.user_agent,
    })
}
