//! The only source of randomness.

use super::webcrypto::CryptoError;

/// Generates random bytes.
#[expect(clippy::disallowed_methods, reason = "this is the only source of randomness")]
pub fn random<const N: usize>() -> Result<[u8; N], CryptoError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| CryptoError::new("random", error.to_string()))?;
    Ok(bytes)
}
