//! `POST /me/email/cancel`: cancels a change of address that waits.

use portcullis_core::account::audit::AuditEvent;
use serde::Deserialize;

use crate::context::Context;
use crate::factors::email_code::find_pending_change;
use crate::http::{Reply, Request};
use crate::limits;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::caller;
use crate::sessions::changes::{action, event_id, log_change};
use crate::sessions::end::settle;

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "CancelEmailRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The token in the link of a mail to the old address. Without it, the request needs an access token.
    token: Option<String>,
}

/// The user changes their mind, or whoever has the old mailbox objects. The latter ends every session too, because somebody with the
/// password asked for the change. That gives nothing to a thief of the mailbox, who could set a new password instead.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    if let Some(token) = &body.token {
        limits::credentials(context, request, &[]).await?;
        let pending = find_pending_change(context, token).await?;
        let (client, event_id) = (&request.client, event_id(context));
        let ending = context.store.cancel_email_change(&pending, &event_id, client, context.now).await;
        let sessions_ended = settle(context, ending).await?.ok_or(ApiError::InvalidCode)?;
        log_change(context, pending.user_id, None, AuditEvent::EmailChangeCancelled, sessions_ended);
    } else {
        let caller = caller(context, request).await?;
        if context.store.cancel_own_email_change(&action(context, request, caller)).await? {
            log_change(context, caller.user_id, None, AuditEvent::EmailChangeCancelled, 0);
        }
    }
    Ok(Reply::new(204))
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::Account,
            "cancelEmail",
            "Cancel a change of your address",
            "Cancels a change of address that waits for seven days, if there is one. With the token from a mail to the old address, it ends \
             every session of the account too.",
        )
        .with_optional_access_token()
        .json::<Body>(&serde_json::json!({"token": crate::routes::email::EXAMPLE_LINK}))
        .succeeds(Success::empty(204, "No change is pending."))
        .fails(ApiError::InvalidCode)
}
