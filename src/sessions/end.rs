//! `POST /revoke-all`: ends every session of the caller ("log out everywhere").

use serde::Serialize;

use crate::config::MAX_CLOCK_LEEWAY;
use crate::http::{Reply, Request};
use crate::log::Event;
use crate::routes::context::Context;
use crate::routes::error::ApiError;
use portcullis_core::account::audit::RevocationReason;
use portcullis_core::account::caller::Caller;

#[derive(Serialize)]
pub struct SessionsEnded {
    pub sessions_ended: usize,
}

pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = context.caller(request).await?;
    end_all(context, request, caller, false).await
}

/// 1. One statement ends them all, but for the caller's own if `keep_own`, if the caller's own is in force.
/// 2. Those that can still have a live access token are marked in KV.
pub async fn end_all(
    context: &Context<'_>,
    request: &Request,
    caller: Caller,
    keep_own: bool,
) -> Result<Reply, ApiError> {
    let reason = RevocationReason::LogoutAll;
    let (client, now) = (&request.client, context.now);
    // 1.
    let revoked = context.store.revoke_all_sessions(caller, keep_own, MAX_CLOCK_LEEWAY, reason, client, now).await;
    // 2.
    let ended = context.settle(revoked).await?;
    context.log(&Event::RevokedAll { user_id: caller.user_id, sessions: ended, reason: reason.as_str() });
    Reply::json(200, &SessionsEnded { sessions_ended: ended })
}
