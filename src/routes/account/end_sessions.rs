//! `DELETE /sessions`: ends every session of the caller; with `?except=current`, all except the current one.

use serde::Serialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::recent_caller;
use crate::sessions::end::end_all;

/// How many sessions ended.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct SessionsEnded {
    /// The number of sessions.
    pub sessions_ended: usize,
}

pub async fn delete(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = recent_caller(context, request).await?.caller;
    let keep_own = match request.query.as_deref() {
        None | Some("") => false,
        Some("except=current") => true,
        // Not ignored: a typo would end the current session too.
        Some(_) => return Err(ApiError::InvalidRequest("The only query is except=current.".to_owned())),
    };
    let sessions_ended = end_all(context, request, caller, keep_own).await?;
    Reply::json(200, &SessionsEnded { sessions_ended })
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::Account,
            "endSessions",
            "End your sessions",
            "Ends every session of the caller, or every one except the current one.",
        )
        .with_access_token()
        .query(
            "except",
            "`current` keeps the session of the access token.",
            &serde_json::json!({"type": "string", "enum": ["current"]}),
            &"current".into(),
        )
        .succeeds(Success::json(200, "The sessions have ended.", &SessionsEnded { sessions_ended: 2 }))
        .fails(ApiError::StepUpRequired)
        .fails(ApiError::InvalidRequest("The only query is except=current.".to_owned()))
}
