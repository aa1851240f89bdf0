//! Checks whether a new password is in a data breach (NIST SP 800-63B-4 §3.1.1.2), by the range API of Have I Been Pwned or a
//! copy. The API learns the first five of 40 digits of the SHA-1, which about a thousand listed passwords share, and nothing
//! about the user.

use portcullis_core::password::breached::BreachHash;
use portcullis_core::password::{Password, PasswordError};

use super::FactorError;
use crate::context::Context;
use crate::log::{self, Event};
use crate::platform::cache;
use crate::platform::fetch::{FetchError, OutgoingRequest, fetch};

/// The API requires a User-Agent. With padding, the size of a response does not tell an eavesdropper the prefix.
const HEADERS: [(&str, &str); 2] = [("User-Agent", "Portcullis"), ("Add-Padding", "true")];
/// Maximum time of a request, in milliseconds.
const MAX_MILLIS: u64 = 1_500;
/// Maximum size of a response, in bytes. A padded one has about 40 KB.
const MAX_BYTES: usize = 256 * 1024;
/// The name of the cache.
const CACHE: &str = "portcullis-breaches";
/// Time for which a response is cached, in seconds.
const CACHE_TTL: u64 = 86_400;

/// Whether a new password is in a data breach, or an error if such passwords are refused. If the API does not answer, the
/// password is accepted, because otherwise nobody could register or change a password until it answers again.
pub async fn is_breached(context: &Context<'_>, password: &Password) -> Result<bool, FactorError> {
    let Some(check) = &context.config.breach_check else { return Ok(false) };
    match is_listed(&check.url, &BreachHash::of(password)).await {
        Ok(true) if check.refuses => Err(FactorError::NewPassword(PasswordError::Breached)),
        Ok(is_listed) => Ok(is_listed),
        Err(reason) => {
            if let Some(count) = context.tallies.breach_check_unavailable.add(context.now) {
                log::write(context.request_id, &Event::BreachCheckUnavailable { reason, count });
            }
            Ok(false)
        }
    }
}

/// Looks a hash up in the cached or requested range. The error is the reason in the log.
async fn is_listed(api: &str, hash: &BreachHash) -> Result<bool, &'static str> {
    let url = format!("{api}/range/{}", hash.prefix());
    if let Some(range) = cache::get(CACHE, &url, MAX_BYTES).await {
        return hash.is_in(&range).map_err(|_| "malformed");
    }
    let request = OutgoingRequest {
        method: "GET",
        url: &url,
        headers: &HEADERS,
        body: None,
        max_millis: MAX_MILLIS,
        max_bytes: MAX_BYTES,
    };
    let answer = fetch(&request).await.map_err(FetchError::as_str)?;
    if answer.status != 200 {
        return Err("status");
    }
    let is_listed = hash.is_in(&answer.body).map_err(|_| "malformed")?;
    // Without a cache, the next request asks again.
    let _ = cache::put(CACHE, &url, &answer.body, CACHE_TTL).await;
    Ok(is_listed)
}
