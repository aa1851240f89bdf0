//! `GET /account/config.json`: what the account pages must know of the configuration. All of it is public.

use serde::Serialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;

#[derive(Serialize)]
struct Body<'a> {
    issuer: &'a str,
    cookie_mode: &'static str,
    registration: &'static str,
    password_min_length: usize,
    return_origins: &'a [String],
}

pub async fn get(context: &Context<'_>, _: &Request) -> Result<Reply, ApiError> {
    let config = context.config;
    Reply::json(
        200,
        &Body {
            issuer: &config.parties.issuer,
            cookie_mode: if config.cookie_mode { "refresh" } else { "off" },
            registration: if config.registration_open { "open" } else { "closed" },
            password_min_length: config.password_min_length,
            return_origins: &config.pages.return_origins,
        },
    )
}
