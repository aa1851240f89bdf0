//! `DELETE /users/{id}/throttle`: forgets the failed logins that delay further ones, for admins.

use super::throttle::subjects;
use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::recent_admin;
use crate::sessions::changes::act_as_admin;
use crate::store::admin::AdminAction;

/// 1. Read the account, because the failures are found by its names.
/// 2. Forget the failures and record that, in one transaction.
pub async fn delete(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = recent_admin(context, request).await?;
    // 1.
    let subjects = subjects(context, request, caller).await?;
    // 2.
    let lift = AdminAction::LiftThrottle(subjects.into_iter().map(|(_, subject)| subject).collect());
    act_as_admin(context, request, caller, request.path_id(), &lift).await?;
    Ok(Reply::new(204))
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::Administration,
            "liftUserThrottle",
            "Lift the throttle of a user",
            "Forgets the failed logins of an account, so that the next login is not delayed.",
        )
        .with_admin_token()
        .path_id("The id of the user.")
        .succeeds(Success::empty(204, "The failures are forgotten."))
}
