//! `GET /me/events` and `GET /users/{id}/events`: the audit trail of an account, newest first.

use serde::Serialize;

use crate::context::Context;
use crate::http::Query;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::{admin, caller};
use crate::sessions::changes::for_admin;
use crate::store::audit::Excerpt;
use portcullis_core::account::audit::{self, AuditEntry, AuditEvent, Cursor};
use portcullis_core::id::Id;

/// A page of an audit trail, the newest entry first.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "AuditTrail"))]
struct Body {
    events: Vec<Shown>,
    /// The `cursor` of the next page; `null` on the last one.
    next_cursor: Option<String>,
}

/// An entry of an audit trail. Members that do not apply are omitted.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "AuditEntry"))]
struct Shown {
    /// When it happened, in unix seconds; for counted events, the start of the hour.
    at: u64,
    /// What happened.
    kind: AuditEvent,
    /// How often it happened within the hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    /// When it last happened within the hour, in unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_at: Option<u64>,
    /// `admin`, if an admin did it.
    #[cfg_attr(feature = "openapi", schemars(extend("enum" = ["admin"])))]
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'static str>,
    /// The id of that admin, for admins only.
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_id: Option<Id>,
    /// The session of the request, or the session that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<Id>,
    /// The IP address of the client, or of the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
    /// The user agent of the client, or of the last one. It is what the client sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    /// The IP address of another client: of the last refresh before a reuse, or the first one of the hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    other_ip: Option<String>,
    /// The user agent of that other client.
    #[serde(skip_serializing_if = "Option::is_none")]
    other_user_agent: Option<String>,
    /// Why the session ended, or how a change of the address was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Which refresh token was reused.
    #[cfg_attr(feature = "openapi", schemars(extend("enum" = ["predecessor", "older"])))]
    #[serde(skip_serializing_if = "Option::is_none")]
    reuse: Option<String>,
    /// The kind of mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<String>,
    /// The factor: `totp`, or `passkey:` and its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<String>,
    /// The new roles, or those of an invitation.
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
    let caller = admin(context, request).await?;
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
    let roles = detail(AuditEvent::RolesChanged).or_else(|| detail(AuditEvent::Invited));
    let roles = roles.map(|json| serde_json::from_str(&json)).transpose();
    Ok(Shown {
        at: entry.at,
        kind: entry.event,
        count: is_counted.then_some(entry.count),
        last_at: is_counted.then_some(entry.last_at),
        by: by_admin.then_some("admin"),
        admin_id: entry.actor_id.filter(|_| for_admin),
        session_id: entry.session_id.filter(|_| for_admin || !by_admin),
        reason: detail(AuditEvent::Revoked).or_else(|| detail(AuditEvent::EmailChangeCancelled)),
        reuse: detail(AuditEvent::ReuseDetected),
        factor: detail(AuditEvent::FactorAdded).or_else(|| detail(AuditEvent::FactorRemoved)),
        mail: detail(AuditEvent::MailSent).or_else(|| detail(AuditEvent::MailFailed)),
        roles: roles.map_err(|error| ApiError::Internal(format!("roles of an event: {error}")))?,
        ip: entry.client.ip,
        user_agent: entry.client.user_agent,
        other_ip: entry.other.ip,
        other_user_agent: entry.other.user_agent,
    })
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    let is_own = operation.path == "/me/events";
    let entry = |event, by_admin: bool| Shown {
        at: 1_796_083_200,
        kind: event,
        count: None,
        last_at: None,
        by: by_admin.then_some("admin"),
        admin_id: by_admin.then(Id::example),
        session_id: Some(Id::example()),
        ip: (!by_admin).then(|| "192.0.2.1".to_owned()),
        user_agent: (!by_admin)
            .then(|| "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0".to_owned()),
        other_ip: None,
        other_user_agent: None,
        reason: None,
        mail: None,
        factor: None,
        reuse: None,
        roles: None,
    };
    let events = if is_own {
        vec![entry(AuditEvent::LoggedIn, false), entry(AuditEvent::PasswordChanged, false)]
    } else {
        vec![entry(AuditEvent::SessionsEnded, true), entry(AuditEvent::LoggedIn, false)]
    };
    let success = Success::json(200, "A page of the audit trail.", &Body { events, next_cursor: None });
    if is_own {
        let text = "What happened to the account of the caller, the newest entry first.";
        operation.named(Tag::Account, "listMyEvents", "List your audit trail", text).with_access_token()
    } else {
        let text = "What happened to an account, the newest entry first. The trail of a deleted account has one entry, \
                    the deletion.";
        operation
            .named(Tag::Administration, "listUserEvents", "List the audit trail of a user", text)
            .with_admin_token()
            .path_id("The id of the user.")
    }
    .pages()
    .succeeds(success)
}
