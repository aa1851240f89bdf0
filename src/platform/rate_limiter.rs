//! The rate limiters of the platform. They count per location, without a round trip.

use worker::Env;

/// Counts a request with this key. `false`: the key has reached the limit of the binding.
pub async fn limit(env: &Env, binding: &str, key: String) -> worker::Result<bool> {
    Ok(env.rate_limiter(binding)?.limit(key).await?.success)
}
