//! What the tests of ceremonies share.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use crypto_bigint::modular::runtime_mod::{DynResidue, DynResidueParams};
use crypto_bigint::{Encoding as _, U64, U4096};
use jwt_compact::alg::{Ed25519, Es256};
use jwt_compact::jwk::JsonWebKey;
use jwt_compact::{Algorithm, AlgorithmSignature as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::id::Id;
use crate::token::sealed::SealingSecrets;
use crate::token::sealed::tests::SECRET_A;
use crate::webauthn::ceremony::{Ceremony, RelyingParty};
use crate::webauthn::challenge::PasskeyChallengeKeys;
use crate::webauthn::cose_key::CredentialKey;
use crate::webauthn::credential::{AuthenticationResponse, RegistrationResponse};
use crate::webauthn::unverified::{SignatureOutcome, SignedMessage, UnverifiedPasskey};

pub(super) const NOW: u64 = 1_700_000_000;
pub(super) const USER: Id = Id::new([1; 16]);
pub(super) const SESSION: Id = Id::new([2; 16]);
pub(super) const OTHER: Id = Id::new([3; 16]);
pub(super) const RP_ID: &str = "example.org";
pub(super) const ORIGIN: &str = "https://example.org";

/// A relying party with its keys.
pub(super) struct Service {
    pub party: RelyingParty,
    pub challenges: PasskeyChallengeKeys,
}

impl Service {
    pub(super) fn new() -> Self {
        Self {
            party: RelyingParty::new(RP_ID.to_owned(), vec!["https://other.example.org".to_owned(), ORIGIN.to_owned()]),
            challenges: PasskeyChallengeKeys::derive(&SealingSecrets::parse(SECRET_A).unwrap()).unwrap(),
        }
    }

    pub(super) fn at(&self, now: u64) -> Ceremony<'_> {
        Ceremony { relying_party: &self.party, challenges: &self.challenges, now, not_before: 0 }
    }
}

pub(super) fn text(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn registration(id: &[u8], client_data: &[u8], attestation_object: &[u8]) -> RegistrationResponse {
    let body = json!({
        "id": text(id),
        "rawId": text(id),
        "response": {
            "clientDataJSON": text(client_data),
            "attestationObject": text(attestation_object),
            "transports": ["usb", "internal", "a", "usb", "UPPER", "", "a-name-that-is-too-long"],
            "publicKey": null,
            "publicKeyAlgorithm": -7,
            "authenticatorData": "AAAA",
        },
        "authenticatorAttachment": "platform",
        "clientExtensionResults": {"credProps": {"rk": true}},
        "type": "public-key",
    });
    serde_json::from_value(body).unwrap()
}

pub(super) fn authentication(
    id: &[u8],
    client_data: &[u8],
    authenticator_data: &[u8],
    signature: &[u8],
    user_handle: Option<&[u8]>,
) -> AuthenticationResponse {
    let mut body = json!({
        "id": text(id),
        "rawId": text(id),
        "response": {
            "clientDataJSON": text(client_data),
            "authenticatorData": text(authenticator_data),
            "signature": text(signature),
        },
        "authenticatorAttachment": null,
        "clientExtensionResults": {},
        "type": "public-key",
    });
    if let Some(user_handle) = user_handle {
        body["response"]["userHandle"] = Value::from(text(user_handle));
    }
    serde_json::from_value(body).unwrap()
}

/// Does what WebCrypto does in the Worker.
pub(super) fn verify<T>(ceremony: &UnverifiedPasskey<T>) -> SignatureOutcome {
    let is_valid = match ceremony.key() {
        CredentialKey::Es256 { .. } => is_signed::<Es256>(ceremony.key(), ceremony.signed()),
        CredentialKey::EdDsa { .. } => is_signed::<Ed25519>(ceremony.key(), ceremony.signed()),
        CredentialKey::Rs256 { modulus } => Some(ceremony.signed().is_none_or(|signed| is_signed_rsa(modulus, signed))),
    };
    match is_valid {
        None => SignatureOutcome::InvalidKey,
        Some(true) => SignatureOutcome::Valid,
        Some(false) => SignatureOutcome::InvalidSignature,
    }
}

/// `None` if the key is invalid.
fn is_signed<A>(key: &CredentialKey, signed: Option<&SignedMessage>) -> Option<bool>
where
    A: Algorithm + Default,
    A::VerifyingKey: for<'a> TryFrom<&'a JsonWebKey<'a>>,
{
    let key = A::VerifyingKey::try_from(&key.jwk()).ok()?;
    let Some(SignedMessage { message, signature }) = signed else { return Some(true) };
    let signature = A::Signature::try_from_slice(signature).ok();
    Some(signature.is_some_and(|signature| A::default().verify_signature(&signature, &key, message)))
}

/// RFC 8017 §8.2.2, for the exponent 65537.
fn is_signed_rsa(modulus: &[u8], signed: &SignedMessage) -> bool {
    const DIGEST_INFO: &[u8] = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
    let number = |bytes: &[u8]| U4096::from_be_slice(&[&vec![0; 512 - bytes.len()][..], bytes].concat());
    let power = DynResidue::new(&number(&signed.signature), DynResidueParams::new(&number(modulus)))
        .pow(&U64::from_u64(65537))
        .retrieve();
    let tail = [&[0][..], DIGEST_INFO, &Sha256::digest(&signed.message)].concat();
    let padding = vec![0xff; modulus.len() - 2 - tail.len()];
    let expected = [&[0, 1][..], &padding, &tail].concat();
    power.to_be_bytes() == number(&expected).to_be_bytes()
}
