//! The endpoints that send codes by mail and redeem them.

pub mod disown;
pub mod forgot_password;
pub mod link;
pub mod reset_password;
pub mod send_verification;
pub mod verify;

use portcullis_core::identity::email::Email;
use portcullis_core::mail::challenge::Purpose;
use portcullis_core::mail::kind::Kind;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::factors::device::Devices;
use crate::http::{Reply, Request};
use crate::limits;
use crate::mail::{CodeRequest, Recipient, Requester, send_code, send_code_again};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::store::credentials::LoginName;

/// A challenge in the examples of the documentation.
#[cfg(feature = "openapi")]
pub const EXAMPLE_CHALLENGE: &str = "pcch_toDuD-8Qo8zotz4wV7lJOV6L5xgKtoDuD-8Qo8zotz4";
/// A link token in the examples of the documentation.
#[cfg(feature = "openapi")]
pub const EXAMPLE_LINK: &str = "pcml_toDuD-8Qo8zotz4wV7lJOV6L5xgKtoDuD-8Qo8zotz5Xq2b7RyF_T6SkF0MBqEyo";

/// A request for a mail by somebody who is not signed in.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MailRequest {
    /// The e-mail address. Send either this or `challenge`.
    pub email: Option<String>,
    /// A challenge of this endpoint, whose mail is sent again with the same code.
    pub challenge: Option<String>,
    /// The `device_token` of an earlier sign-in of this user. The mails that others cause then do not count. An invalid one is ignored.
    pub device_token: Option<String>,
}

/// What such a request answers.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ChallengeResponse {
    /// Send it with the code from the mail.
    challenge: String,
}

/// Sends a code to the account with an address, if there is one, or sends the mail of a challenge again. Answers every address alike.
pub async fn challenge_of(
    context: &Context<'_>,
    request: &Request,
    body: &MailRequest,
    purpose: Purpose,
    kind: Kind,
) -> Result<Reply, ApiError> {
    let devices = Devices::presented(context, request, body.device_token.as_deref());
    limits::credentials(context, request, &devices.user_ids()).await?;
    let requester = Requester::Anybody(&devices);
    let email = match (&body.email, &body.challenge) {
        (Some(email), None) => Email::parse(email)?,
        (None, Some(challenge)) => {
            return accepted(send_code_again(context, request, challenge, purpose, kind, requester).await?);
        }
        _ => return Err(ApiError::InvalidRequest("Send either email or challenge.".to_owned())),
    };
    if context.config.mail.is_none() {
        return Err(ApiError::MailOff);
    }
    let found = context.store.find_credentials(Some(&LoginName::Email(&email)), &[], context.now).await?.credentials;
    // A disabled account gets no mail, and the response does not tell.
    let found = found.filter(|found| !found.disabled);
    let recipient = found.as_ref().map(|found| Recipient {
        user_id: found.user.id,
        credentials_version: found.version,
        email: &found.user.email,
        is_proved: found.user.email_verified,
    });
    let code = CodeRequest { purpose, kind, email: &email, recipient, requester };
    accepted(send_code(context, request, &code).await?)
}

/// The response to a request for a mail.
pub fn accepted(challenge: String) -> Result<Reply, ApiError> {
    Reply::json(202, &ChallengeResponse { challenge })
}

/// Describes a request for a mail.
#[cfg(feature = "openapi")]
pub fn describe_mail_request(
    operation: Operation,
    id: &'static str,
    summary: &'static str,
    description: &'static str,
) -> Operation {
    use portcullis_core::identity::email::EmailError;
    operation
        .named(Tag::SignIn, id, summary, description)
        .json::<MailRequest>(&serde_json::json!({"email": "ada@example.org"}))
        .succeeds(accepted_example("If an account has the address, a mail is on its way."))
        .fails(ApiError::InvalidRequest("Send either email or challenge.".to_owned()))
        .fails(ApiError::MailOff)
        .fails(ApiError::UnusableEmail(EmailError::Domain))
        .uses_storage()
}

/// The documentation of [`accepted`].
#[cfg(feature = "openapi")]
pub fn accepted_example(description: &'static str) -> Success {
    let example = ChallengeResponse { challenge: EXAMPLE_CHALLENGE.to_owned() };
    Success::json(202, description, &example)
}
