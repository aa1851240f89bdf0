//! The registration of a passkey (WebAuthn §7.1).

use sha2::{Digest as _, Sha256};

use super::MAX_CREDENTIAL_ID_LEN;
use super::attestation_object::{Attestation, AttestationObject};
use super::authenticator_data::AuthenticatorData;
use super::ceremony::{Ceremony, require};
use super::challenge::{PasskeyChallenge, PasskeyPurpose};
use super::cose_key::CredentialKey;
use super::credential::RegistrationResponse;
use super::refusal::PasskeyRefusal;
use super::unverified::{SignedMessage, UnverifiedPasskey};
use crate::id::Id;
use crate::token::algorithm::Algorithm;

/// A registration that passed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PasskeyRegistration {
    /// The user to whom the credential belongs. For a new account the id that it gets.
    pub user_id: Id,
    /// The challenge, which is now used.
    pub challenge: PasskeyChallenge,
    /// What to store.
    pub credential: NewCredential,
}

/// A new credential. Step 26 is for the store: no account may have a credential with this id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewCredential {
    /// The credential id, of at most 1023 bytes.
    pub id: Vec<u8>,
    /// The public key as a `COSE_Key`, which [`CredentialKey::parse`] reads.
    pub public_key: Vec<u8>,
    /// The algorithm of the key.
    pub algorithm: Algorithm,
    /// The signature counter.
    pub counter: u32,
    /// How browsers reach the authenticator: at most 8 names.
    pub transports: Vec<String>,
    /// Whether the credential may be backed up. Never changes.
    pub backup_eligible: bool,
    /// Whether it is backed up.
    pub backed_up: bool,
    /// The model of the authenticator. Zero if it does not tell.
    pub aaguid: [u8; 16],
}

/// Checks the registration of another passkey of a user, by a challenge for this session.
///
/// # Errors
/// The [`PasskeyRefusal`] of the first check that fails.
pub fn check(
    response: &RegistrationResponse,
    ceremony: &Ceremony<'_>,
    user_id: Id,
    session_id: Id,
) -> Result<UnverifiedPasskey<PasskeyRegistration>, PasskeyRefusal> {
    check_for(response, ceremony, |purpose| purpose == PasskeyPurpose::Register { user_id, session_id })
}

/// Checks the registration of a passkey for a new account, whose id is in the challenge.
///
/// # Errors
/// The [`PasskeyRefusal`] of the first check that fails.
pub fn check_new_account(
    response: &RegistrationResponse,
    ceremony: &Ceremony<'_>,
) -> Result<UnverifiedPasskey<PasskeyRegistration>, PasskeyRefusal> {
    check_for(response, ceremony, |purpose| matches!(purpose, PasskeyPurpose::NewAccount { .. }))
}

fn check_for(
    response: &RegistrationResponse,
    ceremony: &Ceremony<'_>,
    is_expected: impl FnOnce(PasskeyPurpose) -> bool,
) -> Result<UnverifiedPasskey<PasskeyRegistration>, PasskeyRefusal> {
    // 1 to 4 are the options and what the browser answers; reading the body has checked its form.
    // 5 to 11. The client data.
    let challenge = ceremony.check_client_data(response.client_data(), "webauthn.create", is_expected)?;
    let user_id = challenge.purpose.user_id().ok_or(PasskeyRefusal::ChallengePurpose)?;
    // 12. The hash of the client data.
    let client_data_hash = Sha256::digest(response.client_data());
    // 13. Decode the attestation object and the authenticator data.
    let object = AttestationObject::parse(response.attestation_object()).ok_or(PasskeyRefusal::AttestationObject)?;
    let data = AuthenticatorData::parse(object.authenticator_data).ok_or(PasskeyRefusal::AuthenticatorData)?;
    let attested = data.credential.ok_or(PasskeyRefusal::NoCredential)?;
    // 14 to 17. The relying party, the user, and the backup.
    ceremony.check_authenticator_data(&data)?;
    // 18 and 19. Both backup flags are stored; no policy depends on them.
    // 20. The algorithm is one of those offered.
    let key = CredentialKey::parse(attested.public_key)?;
    // 21. The format of the attestation.
    let signed = match object.attestation()? {
        // 22. The statement is correct. Its signature, if any, is verified by the caller.
        Attestation::None => None,
        Attestation::Own { algorithm, signature } => {
            require(algorithm == key.cose_algorithm(), PasskeyRefusal::AttestationStatement)?;
            let signed = SignedMessage::new(&key, object.authenticator_data, &client_data_hash, signature);
            Some(signed.ok_or(PasskeyRefusal::SignatureForm)?)
        }
    };
    // 23 and 24. Both kinds of attestation are acceptable, as they claim nothing of the authenticator.
    // 25. The credential id is not too long, and the one that the browser names.
    require((1..=MAX_CREDENTIAL_ID_LEN).contains(&attested.id.len()), PasskeyRefusal::CredentialIdLength)?;
    require(attested.id == response.id(), PasskeyRefusal::CredentialId)?;
    // 26. For the store: the credential id is not registered.
    // 27. What to store. No extension is requested, so the outputs of extensions are ignored.
    let credential = NewCredential {
        id: attested.id.to_vec(),
        public_key: attested.public_key.to_vec(),
        algorithm: key.algorithm(),
        counter: data.counter,
        transports: response.transports(),
        backup_eligible: data.flags.backup_eligible(),
        backed_up: data.flags.backed_up(),
        aaguid: *attested.aaguid,
    };
    Ok(UnverifiedPasskey::new(key, signed, Ok(PasskeyRegistration { user_id, challenge, credential })))
}
