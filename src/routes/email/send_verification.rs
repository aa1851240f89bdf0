//! `POST /email/verify/send`: sends a code to the address of the signed-in user, or sends the mail of a challenge again.

use portcullis_core::identity::email::Email;
use portcullis_core::mail::challenge::Purpose;
use portcullis_core::mail::kind::Kind;
use serde::Deserialize;

use crate::context::Context;
use crate::factors::device::Devices;
use crate::http::{Reply, Request};
use crate::limits;
use crate::mail::{CodeRequest, Recipient, Requester, registration, send_code, send_code_again};
use crate::routes::email::accepted;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Tag};
use crate::sessions::bearer::caller;

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "SendVerificationRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// A challenge, whose mail is sent again with the same code. That of a registration whose code has expired gets a new code and another
    /// challenge. Without it, the request needs an access token.
    challenge: Option<String>,
}

/// With a challenge, sends its mail again; otherwise sends a code to the address of the caller.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    if let Some(challenge) = &body.challenge {
        let devices = Devices::presented(context, request, None);
        limits::credentials(context, request, &devices.user_ids()).await?;
        if let Some(challenge) = registration::send_again(context, request, challenge, &devices).await? {
            return accepted(challenge);
        }
        let requester = Requester::Anybody(&devices);
        let challenge = send_code_again(context, request, challenge, Purpose::Verify, Kind::Verify, requester).await?;
        return accepted(challenge);
    }
    let caller = caller(context, request).await?;
    let own = context.store.find_own_credentials(caller, context.now).await?.credentials;
    // The account may have an imported address that today's rules refuse.
    let email = Email::parse(&own.user.email)?;
    let recipient = Recipient {
        user_id: own.user.id,
        credentials_version: own.version,
        email: &own.user.email,
        is_proved: own.user.email_verified,
    };
    let code = CodeRequest {
        purpose: Purpose::Verify,
        kind: Kind::Verify,
        email: &email,
        recipient: Some(recipient),
        requester: Requester::User(caller.user_id),
    };
    accepted(send_code(context, request, &code).await?)
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    use portcullis_core::identity::email::EmailError;
    operation
        .named(
            Tag::Account,
            "sendVerification",
            "Ask for a code to verify your address",
            "Sends a code and a link to the address of the account, with which `POST /email/verify` verifies it within 10 minutes. With a \
             `challenge` it needs no access token, and sends the mail of that challenge again, with the same code. If it is that of a \
             registration and the code has expired, it sends a new code; use the challenge of the response from then on.",
        )
        .with_optional_access_token()
        .json::<Body>(&serde_json::json!({}))
        .succeeds(super::accepted_example("If an account has the address, a mail is on its way."))
        .fails(ApiError::MailOff)
        .fails(ApiError::UnusableEmail(EmailError::Domain))
        .uses_storage()
}
