//! `POST /login/email`: sends a code with which the user signs in.

use portcullis_core::identity::email::Email;
use portcullis_core::mail::challenge::Purpose;
use portcullis_core::mail::kind::Kind;
use serde::Deserialize;

use crate::context::Context;
use crate::factors::device::Devices;
use crate::factors::pending;
use crate::http::{Reply, Request};
use crate::limits;
use crate::mail::{CodeRequest, Recipient, Requester, send_code};
#[cfg(feature = "openapi")]
use crate::routes::email::accepted_example;
use crate::routes::email::{MailRequest, accepted, challenge_of};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Tag};

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "EmailLoginRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The e-mail address. Send this, `challenge` or `mfa_token`.
    email: Option<String>,
    /// A challenge of this endpoint, whose mail is sent again with the same code.
    challenge: Option<String>,
    /// The `mfa_token` of a sign-in that needs a code to the address of its account.
    mfa_token: Option<String>,
    /// The `device_token` of an earlier sign-in of this user. The mails that others cause then do not count. An invalid one is ignored.
    device_token: Option<String>,
}

const ONE_OF: &str = "Send one of email, challenge and mfa_token.";

/// Answers every address alike, whether an account has it or not.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let Body { email, challenge, mfa_token, device_token } = request.json()?;
    match mfa_token {
        None => {
            let body = MailRequest { email, challenge, device_token };
            challenge_of(context, request, &body, Purpose::Login, Kind::Login).await
        }
        Some(mfa_token) if email.is_none() && challenge.is_none() => {
            let devices = Devices::presented(context, request, device_token.as_deref());
            limits::credentials(context, request, &devices.user_ids()).await?;
            of_sign_in(context, request, &mfa_token).await
        }
        Some(_) => Err(ApiError::InvalidRequest(ONE_OF.to_owned())),
    }
}

/// Sends a code to the address of the account that a sign-in is for.
async fn of_sign_in(context: &Context<'_>, request: &Request, mfa_token: &str) -> Result<Reply, ApiError> {
    let pending = pending::find(context, mfa_token).await?;
    // The account may have an imported address that today's rules refuse.
    let email = Email::parse(&pending.user.email)?;
    let recipient = Recipient {
        user_id: pending.user.id,
        credentials_version: pending.credentials_version,
        email: &pending.user.email,
        is_proved: pending.user.email_verified,
    };
    let code = CodeRequest {
        purpose: Purpose::Login,
        kind: Kind::Login,
        email: &email,
        recipient: Some(recipient),
        // Strangers cannot use up the budget of a user who gave another proof.
        requester: Requester::User(pending.user.id),
    };
    accepted(send_code(context, request, &code).await?)
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    use portcullis_core::identity::email::EmailError;
    operation
        .named(
            Tag::SignIn,
            "startEmailLogin",
            "Ask for a code to log in",
            "Sends a code to the address, with which `POST /login/email/verify` logs in within 10 minutes, if `EMAIL_LOGIN` is `on`. \
             `POST /login` needs it, too, after `mail_code_required`, and `POST /login/mfa` after `email_code_required`. Every address is \
             answered alike, also if no account has it and if no mail is sent because there were too many.",
        )
        .json::<Body>(&serde_json::json!({"email": "ada@example.org"}))
        .succeeds(accepted_example("If an account has the address, a mail is on its way."))
        .fails(ApiError::InvalidRequest(ONE_OF.to_owned()))
        .fails(ApiError::InvalidMfaToken)
        .fails(ApiError::MailOff)
        .fails(ApiError::UnusableEmail(EmailError::Domain))
        .uses_storage()
}
