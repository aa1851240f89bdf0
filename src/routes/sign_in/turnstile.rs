//! Turnstile, by which Cloudflare checks the browser of a registration. It is optional; if it is configured, a token is required
//! only from a source that registers often.

use portcullis_core::turnstile::{REGISTER, Verdict, judge};
use serde_json::json;

use crate::config::Turnstile;
use crate::context::Context;
use crate::http::Request;
use crate::limits;
use crate::log::{self, Event};
use crate::platform::fetch::{FetchError, OutgoingRequest, fetch};
use crate::routes::error::ApiError;

const MAX_MILLIS: u64 = 3_000;
/// Cloudflare documents this maximum.
const MAX_TOKEN_BYTES: usize = 2048;
/// An answer has less than 1 KiB.
const MAX_BYTES: usize = 16 * 1024;

/// Checks the token of a registration, if it has one or needs one. A token can be checked only once, so this comes after the
/// other checks of the input.
pub async fn check(context: &Context<'_>, request: &Request, token: Option<&str>) -> Result<(), ApiError> {
    let Some(turnstile) = &context.config.turnstile else { return Ok(()) };
    let error = match token {
        None if limits::challenge(context, request).await => ApiError::TurnstileRequired,
        None => return Ok(()),
        Some(token) if token.is_empty() || token.len() > MAX_TOKEN_BYTES => ApiError::TurnstileFailed,
        Some(token) => match verify(turnstile, token).await {
            Ok(true) => return Ok(()),
            Ok(false) => ApiError::TurnstileFailed,
            Err(cause) => {
                if let Some(count) = context.tallies.turnstile_unavailable.add(context.now) {
                    log::write(context.request_id, &Event::TurnstileUnavailable { cause, count });
                }
                return Err(ApiError::TurnstileUnavailable);
            }
        },
    };
    let reason = if matches!(error, ApiError::TurnstileRequired) { "turnstile_required" } else { "turnstile_failed" };
    log::write(context.request_id, &Event::RegistrationRefused { reason });
    Err(error)
}

/// Whether a token is valid, or why that is unknown.
async fn verify(turnstile: &Turnstile, token: &str) -> Result<bool, &'static str> {
    let body = json!({"secret": turnstile.secret, "response": token}).to_string();
    let request = OutgoingRequest {
        method: "POST",
        url: &turnstile.url,
        headers: &[("Content-Type", "application/json")],
        body: Some(&body),
        max_millis: MAX_MILLIS,
        max_bytes: MAX_BYTES,
    };
    let answer = fetch(&request).await.map_err(FetchError::as_str)?;
    if answer.status >= 500 {
        return Err("status");
    }
    match judge(&answer.body, &turnstile.hostnames, REGISTER) {
        Verdict::Passed => Ok(true),
        Verdict::Failed => Ok(false),
        Verdict::Unusable => Err("answer"),
    }
}
