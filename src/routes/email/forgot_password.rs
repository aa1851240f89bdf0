//! `POST /password/forgot`: sends a code with which the user sets a new password.

use portcullis_core::mail::challenge::Purpose;
use portcullis_core::mail::kind::Kind;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::email::{MailRequest, challenge_of};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::Operation;

/// Answers every address alike, whether an account has it or not.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: MailRequest = request.json()?;
    challenge_of(context, request, &body, Purpose::Reset, Kind::Reset).await
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    super::describe_mail_request(
        operation,
        "forgotPassword",
        "Ask for a new password",
        "Sends a code and a link to the address, with which `POST /password/reset` sets a new password within 30 minutes. Every address is \
         answered alike, also if no account has it and if no mail is sent because there were too many.",
    )
}
