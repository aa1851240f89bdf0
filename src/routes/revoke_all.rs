//! `POST /revoke-all`: ends every session of the caller ("log out everywhere").

use futures_util::future::join_all;
use serde::Serialize;

use super::Context;
use crate::error::ApiError;
use crate::http::{Reply, Request};
use crate::log::Event;
use crate::store::refresh_tokens::{Ended, Reason};

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
    let marks = ended.iter().filter(|ended| may_have_access_token(context, ended));
    join_all(marks.map(|ended| context.mark_revoked(ended.family_id))).await;
    context.log(&Event::RevokedAll { user_id: token.sub, sessions: ended.len(), reason: reason.as_str() });
    Reply::json(200, &Body { sessions_ended: ended.len() })
}

fn may_have_access_token(context: &Context<'_>, ended: &Ended) -> bool {
    // A grace retry issues an access token too, and leaves `rotated_at` as it is.
    let config = context.config;
    let last_issued = ended.rotated_at.saturating_add(config.refresh_grace);
    last_issued.saturating_add(config.access_token_ttl).saturating_add(config.clock_leeway) > context.now
}
