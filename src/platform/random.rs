//! Randomness: the one place that draws it.

use super::webcrypto::CryptoError;

/// Random bytes: the only source of them in the crate.
///
/// # Errors
/// [`CryptoError`] when the runtime has none.
#[expect(clippy::disallowed_methods, reason = "this is the one place that draws randomness")]
pub fn random<const N: usize>() -> Result<[u8; N], CryptoError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| CryptoError::new("random", error.to_string()))?;
    Ok(bytes)
}
