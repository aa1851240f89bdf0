//! `POST /email/link`: what the link of a mail is for. It spends nothing.

use portcullis_core::mail::challenge::Purpose;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::factors::FactorError;
use crate::factors::email_code::{check_link, find_pending_change};
use crate::http::{Reply, Request};
use crate::limits;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "MailLinkRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The token in the link of a mail.
    token: String,
}

/// The purpose of a link, and the request that caused the mail.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "MailLinkResponse"))]
struct Response<'a> {
    /// `verify`, `register`, `reset`, `login`, `change` or `invite`. The link of a change cancels it.
    purpose: &'static str,
    /// The address of the account or the registration.
    email: &'a str,
    /// The code of the mail, of a login.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// When the mail was asked for, in unix seconds.
    requested_at: u64,
    /// When the link expires, in unix seconds.
    expires_at: u64,
    /// IP address of the client that asked for it.
    ip: Option<&'a str>,
    /// User agent of that client.
    user_agent: Option<&'a str>,
}

/// Describes a live link. A login must be completed in the browser that asked for it, so the page shows the code to type there.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    limits::credentials(context, request, &[]).await?;
    let proved = match check_link(context, &body.token, &Purpose::ALL).await {
        Err(FactorError::InvalidCode) => {
            // A link that cancels a pending change.
            let pending = find_pending_change(context, &body.token).await?;
            let response = Response {
                purpose: Purpose::Change.as_str(),
                email: &pending.email,
                code: None,
                requested_at: pending.requested_at,
                expires_at: pending.takes_effect_at,
                ip: None,
                user_agent: None,
            };
            return Reply::json(200, &response);
        }
        proved => proved?,
    };
    let challenge = proved.challenge();
    let response = Response {
        purpose: challenge.purpose.as_str(),
        email: proved.email()?,
        code: (challenge.purpose == Purpose::Login).then(|| proved.code(context)).flatten(),
        requested_at: challenge.created_at,
        expires_at: challenge.expires_at,
        ip: challenge.client.ip.as_deref(),
        user_agent: challenge.client.user_agent.as_deref(),
    };
    Reply::json(200, &response)
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::SignIn,
            "readMailLink",
            "See what a link is for",
            "Tells what the link of a mail is for, and which request caused the mail. It spends nothing.",
        )
        .json::<Body>(&serde_json::json!({"token": super::EXAMPLE_LINK}))
        .succeeds(Success::json(
            200,
            "The link is live.",
            &Response {
                purpose: "login",
                email: "ada@example.org",
                code: Some("7K01-QZ1M".to_owned()),
                requested_at: 1_796_083_200,
                expires_at: 1_796_083_800,
                ip: Some("192.0.2.1"),
                user_agent: Some("Mozilla/5.0"),
            },
        ))
        .fails(ApiError::InvalidCode)
        .uses_storage()
}
