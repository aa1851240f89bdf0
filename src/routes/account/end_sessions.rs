//! `DELETE /sessions`: ends every session of the caller; with `?except=current`, all except the current one.

use serde::Serialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
use crate::sessions::bearer::caller;
use crate::sessions::end::end_all;

#[derive(Serialize)]
pub struct SessionsEnded {
    pub sessions_ended: usize,
}

pub async fn delete(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = caller(context, request).await?;
    let keep_own = match request.query.as_deref() {
        None | Some("") => false,
        Some("except=current") => true,
        // Not ignored: a typo would end the current session too.
        Some(_) => return Err(ApiError::InvalidRequest("The only query is except=current.".to_owned())),
    };
    let sessions_ended = end_all(context, request, caller, keep_own).await?;
    Reply::json(200, &SessionsEnded { sessions_ended })
}
