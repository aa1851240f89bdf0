//! `POST /revoke-all`: ends every session of the caller ("log out everywhere").

use futures_util::future::join_all;
use serde::Serialize;

use super::Context;
use crate::error::ApiError;
use crate::http::{Reply, Request};
use crate::log::Event;
use crate::store::refresh_tokens::Reason;

#[derive(Serialize)]
struct Body {
    sessions_ended: usize,
}

/// 1. One statement ends them all, if the caller's own session is in force.
/// 2. Those that can still have a live access token are marked in KV; the others need no mark.
pub(super) async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let token = context.authenticate(request).await?;
    // 1.
    let reason = Reason::LogoutAll;
    let ended = context.store.revoke_all_families(token.sub, token.sid, reason, &request.client, context.now).await?;
    let ended = ended.ok_or(ApiError::InvalidToken)?;
    // 2.
    join_all(ended.iter().map(|ended| context.mark_revoked(ended.family_id, ended.access_expires_at))).await;
    context.log(&Event::RevokedAll { user_id: token.sub, sessions: ended.len(), reason: reason.as_str() });
    Reply::json(200, &Body { sessions_ended: ended.len() })
}
