//! `DELETE /users/{id}/mfa`: removes the second factors of a user, for admins.

use portcullis_core::mail::kind::Kind;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::mail::{notice, outbox};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::recent_admin_aal2;
use crate::sessions::changes::act_as_admin;
use crate::store::admin::AdminAction;

const OWN: &str = "An admin cannot remove their own factors here. Another admin can, or DELETE /me/mfa/totp.";

/// The admin needs two factors, because whoever knows only the password of an admin must not remove those of the others.
pub async fn delete(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = recent_admin_aal2(context, request).await?;
    let id = request.path_id();
    if id == caller.user_id {
        return Err(ApiError::InvalidRequest(OWN.to_owned()));
    }
    // The language of the admin is not that of the user.
    let notice = context.config.mail.as_ref().map(|mail| notice::new(mail, None, Kind::FactorsReset)).transpose()?;
    let ids = notice.iter().map(|notice| notice.id).collect();
    act_as_admin(context, request, caller, id, &AdminAction::ResetFactors(notice)).await?;
    outbox::send_after_reply(context, ids);
    Ok(Reply::new(204))
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::Administration,
            "resetUserMfa",
            "Remove the second factors of a user",
            "Removes the authenticator app, the passkeys and the recovery codes of an account, ends all its sessions and tells the user. If \
             this service sends mails, the next sign-in needs a code to the address too. First make sure who is asking.",
        )
        .with_admin_token()
        .path_id("The id of the user.")
        .succeeds(Success::empty(204, "The account has no second factor."))
        .fails(ApiError::InvalidRequest(OWN.to_owned()))
}
