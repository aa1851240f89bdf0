//! Signs and verifies access tokens with the configured keys, and verifies signatures of passkeys, by WebCrypto.

use portcullis_core::token::keys::{SigningKey, SigningKeys};
use portcullis_core::webauthn::unverified::{SignatureOutcome, UnverifiedPasskey};
pub use portcullis_verifier::subtle::CryptoError;
use portcullis_verifier::subtle::{Key, Usage};

const SELF_TEST: &[u8] = b"portcullis key self-test";

/// The imported key set, created once per isolate. Imported keys cannot be exported and are not bound to a request.
pub struct Keys {
    keys: Vec<ImportedKey>,
}

struct ImportedKey {
    kid: String,
    signature_len: usize,
    signing: Key,
    verifying: Key,
}

impl Keys {
    /// Imports a key set, and checks that the private and public parts of every key belong together.
    pub async fn import(keys: &SigningKeys) -> Result<Self, CryptoError> {
        let mut imported = Self { keys: Vec::new() };
        for key in keys.iter() {
            imported.keys.push(ImportedKey::import(key).await?);
        }
        Ok(imported)
    }

    /// Signs a message with a key of the set.
    pub async fn sign(&self, key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.find(key)?.sign(message).await
    }

    /// Verifies a signature with a key of the set.
    pub async fn verify(&self, key: &SigningKey, signature: &[u8], message: &[u8]) -> Result<bool, CryptoError> {
        self.find(key)?.verifying.verify(signature, message).await
    }

    fn find(&self, key: &SigningKey) -> Result<&ImportedKey, CryptoError> {
        let imported = self.keys.iter().find(|imported| imported.kid == key.kid());
        imported.ok_or_else(|| failed("find", "the key was not imported".to_owned()))
    }
}

impl ImportedKey {
    async fn import(key: &SigningKey) -> Result<Self, CryptoError> {
        let imported = Self {
            kid: key.kid().to_owned(),
            signature_len: key.signature_len(),
            signing: Key::import(key.private_jwk(), key.algorithm(), Usage::Sign).await?,
            verifying: Key::import(key.verifying_key().jwk(), key.algorithm(), Usage::Verify).await?,
        };
        let mismatch =
            |cause: String| failed("self-test", format!("the private and public parts of a key do not match{cause}"));
        let signature = imported.sign(SELF_TEST).await.map_err(|error| mismatch(format!(": {error}")))?;
        if imported.verifying.verify(&signature, SELF_TEST).await? {
            return Ok(imported);
        }
        Err(mismatch(String::new()))
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let signature = self.signing.sign(message).await?;
        if signature.len() == self.signature_len {
            return Ok(signature);
        }
        Err(failed("sign", format!("the signature has {} bytes instead of {}", signature.len(), self.signature_len)))
    }
}

/// Imports the key of a credential, and verifies the signature of the ceremony if it has one.
pub async fn verify_passkey<T>(ceremony: &UnverifiedPasskey<T>) -> Result<SignatureOutcome, CryptoError> {
    let (jwk, algorithm) = (ceremony.key().jwk(), ceremony.key().algorithm());
    // Its parts have the right lengths, so the import fails only if the key is invalid, such as a point that is not on the curve.
    let Ok(key) = Key::import(&jwk, algorithm, Usage::Verify).await else { return Ok(SignatureOutcome::InvalidKey) };
    let Some(signed) = ceremony.signed() else { return Ok(SignatureOutcome::Valid) };
    let is_valid = key.verify(&signed.signature, &signed.message).await?;
    Ok(if is_valid { SignatureOutcome::Valid } else { SignatureOutcome::InvalidSignature })
}

fn failed(operation: &'static str, cause: String) -> CryptoError {
    CryptoError::new(operation, cause)
}
