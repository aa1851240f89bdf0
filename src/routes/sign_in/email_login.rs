//! `POST /login/email`: sends a code with which the user signs in.

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
    challenge_of(context, request, &body, Purpose::Login, Kind::Login).await
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    crate::routes::email::describe_mail_request(
        operation,
        "startEmailLogin",
        "Ask for a code to log in",
        "Sends a code to the address, with which `POST /login/email/verify` logs in within 10 minutes, if `EMAIL_LOGIN` is `on`. `POST /login` needs it, too, after \
         `mail_code_required`. Every address is answered alike, also \
         if no account has it and if no mail is sent because there were too many.",
    )
}
