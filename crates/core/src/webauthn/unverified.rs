//! The result of a ceremony before its signature is verified.

use super::cose_key::CredentialKey;
use super::refusal::PasskeyRefusal;

/// A ceremony that passed every check but that of the signature, which needs WebCrypto.
///
/// The result is inside, so it cannot be used without the verification: pass [`Self::key`] and [`Self::signed`] to WebCrypto, and
/// its outcome to [`Self::conclude`].
#[derive(Debug)]
#[must_use]
pub struct UnverifiedPasskey<T> {
    key: CredentialKey,
    signed: Option<SignedMessage>,
    result: Result<T, PasskeyRefusal>,
}

/// A message and its signature.
#[derive(PartialEq, Eq, Debug)]
pub struct SignedMessage {
    /// The message.
    pub message: Vec<u8>,
    /// The signature, in the form that WebCrypto verifies.
    pub signature: Vec<u8>,
}

/// What WebCrypto says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignatureOutcome {
    /// The key is valid, and so is the signature if there is one.
    Valid,
    /// The key cannot be imported.
    InvalidKey,
    /// The signature is not valid.
    InvalidSignature,
}

impl<T> UnverifiedPasskey<T> {
    /// `result`: a refusal in it comes after the verification, so that only the owner of the credential causes it.
    pub(super) fn new(key: CredentialKey, signed: Option<SignedMessage>, result: Result<T, PasskeyRefusal>) -> Self {
        Self { key, signed, result }
    }

    /// The key, to be imported even if nothing is signed: a new key that cannot be imported must not be stored.
    #[must_use]
    pub fn key(&self) -> &CredentialKey {
        &self.key
    }

    /// What to verify with the key. `None` for a registration without attestation.
    #[must_use]
    pub fn signed(&self) -> Option<&SignedMessage> {
        self.signed.as_ref()
    }

    /// The result.
    ///
    /// # Errors
    /// The [`PasskeyRefusal`] for an outcome other than [`SignatureOutcome::Valid`], or of a check that follows the verification.
    pub fn conclude(self, outcome: SignatureOutcome) -> Result<T, PasskeyRefusal> {
        match outcome {
            SignatureOutcome::Valid => self.result,
            SignatureOutcome::InvalidKey => Err(PasskeyRefusal::PublicKeyImport),
            SignatureOutcome::InvalidSignature => Err(PasskeyRefusal::Signature),
        }
    }
}

impl SignedMessage {
    /// Authenticator data and the hash of the client data, with the signature over both. `None` if the signature does not have
    /// the form of the key's algorithm.
    pub(super) fn new(
        key: &CredentialKey,
        authenticator_data: &[u8],
        client_data_hash: &[u8],
        signature: &[u8],
    ) -> Option<Self> {
        let signature = super::signature::to_webcrypto(key, signature)?;
        Some(Self { message: [authenticator_data, client_data_hash].concat(), signature })
    }
}
