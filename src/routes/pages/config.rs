//! `GET /account/config.json`: the part of the configuration that the account pages need. All of it is public.

use serde::Serialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};

/// The part of the configuration that the account pages need.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "AccountConfig"))]
struct Body<'a> {
    /// The issuer, which is the `iss` claim of access tokens.
    issuer: &'a str,
    /// The value of `COOKIE_MODE`.
    #[cfg_attr(feature = "openapi", schemars(extend("enum" = ["off", "refresh"])))]
    cookie_mode: &'static str,
    /// The value of `REGISTRATION`.
    #[cfg_attr(feature = "openapi", schemars(extend("enum" = ["open", "closed"])))]
    registration: &'static str,
    /// Whether this service sends mails.
    mail: bool,
    /// Whether users can log in with a code from a mail (`EMAIL_LOGIN`).
    email_login: bool,
    /// The value of `EMAIL_VERIFICATION`.
    #[cfg_attr(feature = "openapi", schemars(extend("enum" = ["off", "optional", "required"])))]
    email_verification: &'static str,
    /// The value of `PASSWORD_MIN_LENGTH`.
    password_min_length: usize,
    /// The origins to which the pages may return after a login.
    return_origins: &'a [String],
    /// The value of `TURNSTILE_SITE_KEY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    turnstile_site_key: Option<&'a str>,
}

#[expect(clippy::unused_async, reason = "the table awaits every handler")]
pub async fn get(context: &Context<'_>, _: &Request) -> Result<Reply, ApiError> {
    let config = context.config;
    Reply::json(
        200,
        &Body {
            issuer: &config.parties.issuer,
            cookie_mode: if config.cookie_mode { "refresh" } else { "off" },
            registration: if config.registration_open { "open" } else { "closed" },
            mail: config.mail.is_some(),
            email_login: config.email_login,
            email_verification: config.email_verification.as_str(),
            password_min_length: config.password_min_length,
            return_origins: &config.pages.return_origins,
            turnstile_site_key: config.turnstile.as_ref().and_then(|turnstile| turnstile.site_key.as_deref()),
        },
    )
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    let example = Body {
        issuer: "https://auth.example.org",
        cookie_mode: "refresh",
        registration: "open",
        mail: true,
        email_login: true,
        email_verification: "optional",
        password_min_length: 15,
        return_origins: &["https://app.example.org".to_owned()],
        turnstile_site_key: Some("0x4AAAAAAADnPIDROrmt1Wwj"),
    };
    operation
        .named(
            Tag::Pages,
            "getAccountConfig",
            "Get the configuration of the account pages",
            "The part of the configuration that the account pages need. All of it is public.",
        )
        .succeeds(Success::json(200, "The configuration.", &example))
        .fails(ApiError::NotFound)
}
