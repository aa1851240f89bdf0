//! The use of a passkey (WebAuthn §7.2).

use sha2::{Digest as _, Sha256};

use super::authenticator_data::AuthenticatorData;
use super::ceremony::{Ceremony, require};
use super::challenge::{PasskeyChallenge, PasskeyPurpose};
use super::cose_key::CredentialKey;
use super::credential::AuthenticationResponse;
use super::refusal::PasskeyRefusal;
use super::unverified::{SignedMessage, UnverifiedPasskey};
use crate::id::Id;

/// A stored credential.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredCredential {
    /// The credential id.
    pub id: Vec<u8>,
    /// The owner.
    pub user_id: Id,
    /// The public key.
    pub public_key: CredentialKey,
    /// The signature counter.
    pub counter: u32,
    /// Whether the credential may be backed up.
    pub backup_eligible: bool,
}

/// What to do if the signature counter does not increase, which is a sign of a copied authenticator (WebAuthn §6.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CounterPolicy {
    /// Refuse the passkey.
    Refuse,
    /// Accept it, and have it logged.
    Log,
}

/// A use that passed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PasskeyAuthentication {
    /// The owner of the credential.
    pub user_id: Id,
    /// The challenge, which is now used.
    pub challenge: PasskeyChallenge,
    /// The signature counter to store.
    pub counter: u32,
    /// Whether the credential is backed up, to store.
    pub backed_up: bool,
    /// Whether the counter did not increase, to log.
    pub counter_went_back: bool,
}

/// Checks the use of a passkey. `purpose` is the one that the challenge must have; `credential` is the stored one with the id of
/// the response, if there is one.
///
/// # Errors
/// The [`PasskeyRefusal`] of the first check that fails.
pub fn check(
    response: &AuthenticationResponse,
    ceremony: &Ceremony<'_>,
    purpose: PasskeyPurpose,
    credential: Option<StoredCredential>,
    counter_policy: CounterPolicy,
) -> Result<UnverifiedPasskey<PasskeyAuthentication>, PasskeyRefusal> {
    // 1 to 4 are the options and what the browser answers; reading the body has checked its form.
    // 5. The options allow every credential.
    // 6. The user has the credential, and is the one who began the ceremony, if it was known who. As the options name no
    //    credential, the authenticator names the user.
    let credential =
        credential.filter(|credential| credential.id == response.id()).ok_or(PasskeyRefusal::UnknownCredential)?;
    let user_id = credential.user_id;
    require(purpose.user_id().is_none_or(|expected| expected == user_id), PasskeyRefusal::OtherUser)?;
    let user_handle = response.user_handle().ok_or(PasskeyRefusal::NoUserHandle)?;
    require(user_handle == user_id.as_bytes(), PasskeyRefusal::UserHandle)?;
    // 7. The parts of the response.
    let bytes = response.authenticator_data();
    let data = AuthenticatorData::parse(bytes).ok_or(PasskeyRefusal::AuthenticatorData)?;
    // 8 to 14. The client data.
    let challenge =
        ceremony.check_client_data(response.client_data(), "webauthn.get", |issued_for| issued_for == purpose)?;
    // 15 to 18. The relying party, the user, and the backup.
    ceremony.check_authenticator_data(&data)?;
    // 19. Whether the credential may be backed up never changes.
    require(data.flags.backup_eligible() == credential.backup_eligible, PasskeyRefusal::BackupEligibility)?;
    // 20. The hash of the client data.
    let client_data_hash = Sha256::digest(response.client_data());
    // 21. The signature, which is verified by the caller.
    let key = credential.public_key;
    let signed = SignedMessage::new(&key, bytes, &client_data_hash, response.signature())
        .ok_or(PasskeyRefusal::SignatureForm)?;
    // 22. The counter, unless the authenticator has none. It counts only after the verification.
    let has_counter = data.counter != 0 || credential.counter != 0;
    let counter_went_back = has_counter && data.counter <= credential.counter;
    // The steps that follow: what to store. No extension is requested, so the outputs of extensions are ignored.
    let result = if counter_went_back && counter_policy == CounterPolicy::Refuse {
        Err(PasskeyRefusal::Counter)
    } else {
        let (counter, backed_up) = (data.counter, data.flags.backed_up());
        Ok(PasskeyAuthentication { user_id, challenge, counter, backed_up, counter_went_back })
    };
    Ok(UnverifiedPasskey::new(key, Some(signed), result))
}
