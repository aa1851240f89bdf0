//! `DELETE /sessions`: ends every session of the caller; with `?except=current`, all but its own.

use crate::http::{Reply, Request};
use crate::routes::context::Context;
use crate::routes::error::ApiError;
use crate::sessions::end;

pub async fn delete(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = context.caller(request).await?;
    let keep_own = match request.query.as_deref() {
        None | Some("") => false,
        Some("except=current") => true,
        // Not ignored: a slip of the pen would end the caller's own session too.
        Some(_) => return Err(ApiError::InvalidRequest("The only query is except=current.".to_owned())),
    };
    end::end_all(context, request, caller, keep_own).await
}
