//! `POST /email/disown`: deletes a registration that somebody else sent with the user's address.

use portcullis_core::mail::challenge::Purpose;
use serde::Deserialize;

use crate::context::Context;
use crate::factors::device::Devices;
use crate::factors::email_code::{check_code, check_link};
use crate::http::{Reply, Request};
use crate::limits;
use crate::log::{self, Event};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::changes::redemption;

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "DisownRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The `challenge` that `POST /register` returned. Send either this or `token`.
    challenge: Option<String>,
    /// The token in the link of the mail.
    token: Option<String>,
    /// The code from the mail. Case, spaces and hyphens do not matter.
    code: String,
}

const PURPOSES: [Purpose; 1] = [Purpose::Register];

/// 1. Compare the code, after the attempt is counted. A link token alone is not enough, because programs that scan mails open links.
/// 2. Delete the registration and make its other codes void, in one transaction. Nobody has signed in to it.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    let devices = Devices::presented(context, request, None);
    limits::credentials(context, request, &devices.user_ids()).await?;
    // 1.
    let challenge = match (body.challenge, body.token) {
        (Some(challenge), None) => challenge,
        (None, Some(token)) => {
            let proved = check_link(context, &token, &PURPOSES).await?;
            context.config.challenge_keys.seal(proved.challenge().id)
        }
        _ => return Err(ApiError::InvalidRequest("Send either challenge or token.".to_owned())),
    };
    let proved = check_code(context, &challenge, &body.code, &PURPOSES).await?;
    let registration_id = proved.challenge().user_id.ok_or(ApiError::InvalidCode)?;
    // 2.
    let redemption = redemption(context, request, proved.challenge().id, registration_id);
    if !context.store.disown_registration(&redemption).await? {
        return Err(ApiError::InvalidCode);
    }
    log::write(context.request_id, &Event::RegistrationDisowned { registration_id });
    Ok(Reply::new(204))
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::SignIn,
            "disownRegistration",
            "Delete a registration that is not yours",
            "Deletes a registration that waits for its code, with the code that was sent to the address. Accounts are not deleted.",
        )
        .json::<Body>(&serde_json::json!({"challenge": super::EXAMPLE_CHALLENGE, "code": "7K01-QZ1M"}))
        .succeeds(Success::empty(204, "The registration is deleted."))
        .fails(ApiError::InvalidRequest("Send either challenge or token.".to_owned()))
        .fails(ApiError::InvalidCode)
        .uses_storage()
}
