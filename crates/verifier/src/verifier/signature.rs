//! The signature of a token, natively or by `crypto.subtle`.

use portcullis_core::token::access::Unverified;
use portcullis_core::token::verifying_key::VerifyingKey;

use crate::error::BoxError;

/// Returns whether the key made the signature. The token must [name](Unverified::is_for) the key.
///
/// # Errors
/// The issuer published a key that cannot be used.
#[cfg(not(target_arch = "wasm32"))]
#[expect(clippy::unused_async, reason = "asynchronous in a Worker")]
pub(crate) async fn verify(key: &VerifyingKey, token: &Unverified<'_>) -> Result<bool, BoxError> {
    use jwt_compact::alg::{Ed25519, Es256};
    use portcullis_core::token::algorithm::Algorithm;

    match key.algorithm() {
        Algorithm::Es256 => verify_natively(&Es256, key, token),
        Algorithm::EdDsa => verify_natively(&Ed25519, key, token),
        algorithm @ (Algorithm::Rs256 | Algorithm::Hs256) => {
            Err(format!("{} is not supported", algorithm.name()).into())
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn verify_natively<A>(algorithm: &A, key: &VerifyingKey, token: &Unverified<'_>) -> Result<bool, BoxError>
where
    A: jwt_compact::Algorithm,
    A::VerifyingKey: for<'k> TryFrom<&'k jwt_compact::jwk::JsonWebKey<'static>, Error = jwt_compact::jwk::JwkError>,
{
    use jwt_compact::AlgorithmSignature as _;

    let imported = A::VerifyingKey::try_from(key.jwk())?;
    // A signature with parts out of range is invalid. It is not an error.
    let Ok(signature) = A::Signature::try_from_slice(token.signature()) else { return Ok(false) };
    Ok(algorithm.verify_signature(&signature, &imported, token.signing_input().as_bytes()))
}

/// Returns whether the key made the signature. The token must [name](Unverified::is_for) the key.
///
/// # Errors
/// The issuer published a key that cannot be used.
#[cfg(target_arch = "wasm32")]
pub(crate) async fn verify(key: &VerifyingKey, token: &Unverified<'_>) -> Result<bool, BoxError> {
    let imported = crate::subtle::Key::import(key.jwk(), key.algorithm(), crate::subtle::Usage::Verify).await?;
    Ok(imported.verify(token.signature(), token.signing_input().as_bytes()).await?)
}
