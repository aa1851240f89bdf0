//! The test vectors of WebAuthn Level 3 §16, for those forms and algorithms that are accepted.
//!
//! Their challenges are not ours and some have no user verification, so the checks run on what surrounds them, and the signatures on
//! the vectors as they are.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::support::{ORIGIN, Service, USER, authentication, registration, verify};
use crate::webauthn::attestation_object::{Attestation, AttestationObject};
use crate::webauthn::authentication::{self, CounterPolicy, StoredCredential};
use crate::webauthn::authenticator_data::AuthenticatorData;
use crate::webauthn::challenge::PasskeyPurpose;
use crate::webauthn::client_data::ClientData;
use crate::webauthn::cose_key::CredentialKey;
use crate::webauthn::refusal::PasskeyRefusal;
use crate::webauthn::unverified::{SignatureOutcome, SignedMessage, UnverifiedPasskey};

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

fn hex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len()).step_by(2).map(|start| u8::from_str_radix(&text[start..start + 2], 16).unwrap()).collect()
}

/// The authenticator data of a registration, and the signature in its attestation.
fn attested(registration: &Value) -> (Vec<u8>, Option<Vec<u8>>) {
    if registration["attestationObject"].is_null() {
        return (hex(&registration["authenticatorData"]), None);
    }
    let bytes = hex(&registration["attestationObject"]);
    let object = AttestationObject::parse(&bytes).unwrap();
    let signature = match object.attestation() {
        Ok(Attestation::Own { algorithm: -7, signature }) => Some(signature.to_vec()),
        _ => None,
    };
    (object.authenticator_data.to_vec(), signature)
}

#[test]
fn parts_are_as_the_vectors_say() {
    for vector in vectors() {
        let (section, registered) = (&vector["section"], &vector["registration"]);
        let client_data = ClientData::parse(&hex(&registered["clientDataJSON"])).unwrap();
        assert_eq!((client_data.kind.as_str(), client_data.origin.as_str()), ("webauthn.create", ORIGIN), "{section}");
        assert_eq!(client_data.challenge, super::support::text(&hex(&registered["challenge"])), "{section}");
        let (bytes, _) = attested(registered);
        let data = AuthenticatorData::parse(&bytes).unwrap();
        let credential = data.credential.unwrap();
        assert_eq!(data.rp_id_hash[..], Sha256::digest("example.org")[..], "{section}");
        assert_eq!(credential.id, hex(&registered["credential_id"]), "{section}");
        assert_eq!(credential.aaguid[..], hex(&registered["aaguid"])[..], "{section}");
        assert!(CredentialKey::parse(credential.public_key).is_ok(), "{section}");
    }
    assert_eq!(vectors().len(), 7);
}

#[test]
fn their_signatures_are_valid_and_changed_ones_are_not() {
    let mut algorithms = Vec::new();
    for vector in vectors() {
        let (section, registered, used) = (&vector["section"], &vector["registration"], &vector["authentication"]);
        let (registration_data, own_signature) = attested(registered);
        let data = AuthenticatorData::parse(&registration_data).unwrap();
        let key = CredentialKey::parse(data.credential.unwrap().public_key).unwrap();
        algorithms.push(key.cose_algorithm());
        let mut cases = vec![(hex(&used["authenticatorData"]), &used["clientDataJSON"], hex(&used["signature"]))];
        if let Some(signature) = own_signature {
            cases.push((registration_data.clone(), &registered["clientDataJSON"], signature));
        }
        assert_eq!(cases.len(), if section == "16.3" { 2 } else { 1 });
        for (authenticator_data, client_data, signature) in cases {
            let hash = Sha256::digest(hex(client_data));
            let signed = SignedMessage::new(&key, &authenticator_data, &hash, &signature).unwrap();
            let mut other = SignedMessage { message: signed.message.clone(), signature: signed.signature.clone() };
            let unverified = UnverifiedPasskey::new(key.clone(), Some(signed), Ok(()));
            assert_eq!(verify(&unverified), SignatureOutcome::Valid, "{section}");
            other.message[0] ^= 1;
            let unverified = UnverifiedPasskey::new(key.clone(), Some(other), Ok(()));
            assert_eq!(verify(&unverified), SignatureOutcome::InvalidSignature, "{section}");
        }
    }
    algorithms.dedup();
    assert_eq!(algorithms, [-7, -257, -8]);
}

/// The refusal of the first check after those of the challenge, or none.
fn refusals(registered: &Value, used: &Value) -> (Option<PasskeyRefusal>, Option<PasskeyRefusal>) {
    use crate::webauthn::registration;
    let service = Service::new();
    // The challenge of the vector is replaced, which changes the client data and nothing that is checked before the signature.
    let client_data = |client_data: &Value, purpose| {
        let mut parsed: Value = serde_json::from_slice(&hex(client_data)).unwrap();
        parsed["challenge"] = service.challenges.seal(purpose, 0, [7; 16]).into();
        parsed.to_string().into_bytes()
    };
    let id = hex(&registered["credential_id"]);
    let purpose = PasskeyPurpose::Register { user_id: USER, session_id: USER };
    let object = hex(&registered["attestationObject"]);
    let response = registration(&id, &client_data(&registered["clientDataJSON"], purpose), &object);
    let checked = registration::check(&response, &service.at(0), USER, USER);

    let (bytes, _) = attested(registered);
    let data = AuthenticatorData::parse(&bytes).unwrap();
    let stored = StoredCredential {
        id: id.clone(),
        user_id: USER,
        public_key: CredentialKey::parse(data.credential.unwrap().public_key).unwrap(),
        counter: data.counter,
        backup_eligible: data.flags.backup_eligible(),
    };
    let response = authentication(
        &id,
        &client_data(&used["clientDataJSON"], PasskeyPurpose::Login),
        &hex(&used["authenticatorData"]),
        &hex(&used["signature"]),
        Some(USER.as_bytes()),
    );
    let authenticated =
        authentication::check(&response, &service.at(0), PasskeyPurpose::Login, Some(stored), CounterPolicy::Refuse);
    (checked.err(), authenticated.err())
}

#[test]
fn the_checks_refuse_what_the_policy_does_not_accept_and_nothing_else() {
    let unverified = Some(PasskeyRefusal::UserVerification);
    for (section, expected) in [
        ("16.2", (unverified, unverified)),
        ("16.3", (None, unverified)),
        ("16.4", (Some(PasskeyRefusal::CrossOrigin), Some(PasskeyRefusal::CrossOrigin))),
        ("16.5", (Some(PasskeyRefusal::CrossOrigin), Some(PasskeyRefusal::CrossOrigin))),
        ("16.6", (unverified, None)),
        ("16.11", (unverified, unverified)),
    ] {
        let vector = vectors().into_iter().find(|vector| vector["section"] == section).unwrap();
        assert_eq!(refusals(&vector["registration"], &vector["authentication"]), expected, "{section}");
    }
}

#[test]
fn an_attestation_with_certificates_is_of_a_format_that_was_not_asked_for() {
    let vector = vectors().into_iter().find(|vector| vector["section"] == "16.11").unwrap();
    let bytes = hex(&vector["registration"]["attestationObject"]);
    let object = AttestationObject::parse(&bytes).unwrap();
    assert_eq!(object.attestation(), Err(PasskeyRefusal::AttestationFormat));
}
