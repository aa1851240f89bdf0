//! Ceremonies with the authenticator of the crate `passkey-authenticator`.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use passkey_authenticator::{Authenticator, UiHint, UserCheck, UserValidationMethod};
use passkey_crypto::AvailableBackend;
use passkey_crypto::iana::Algorithm;
use passkey_types::Passkey;
use passkey_types::ctap2::{Aaguid, Ctap2Error, get_assertion, make_credential};
use passkey_types::webauthn::{PublicKeyCredentialParameters, PublicKeyCredentialType, PublicKeyCredentialUserEntity};
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::support::{NOW, ORIGIN, RP_ID, SESSION, Service, authentication, registration, verify};
use crate::id::Id;
use crate::webauthn::authentication::{self, CounterPolicy, StoredCredential};
use crate::webauthn::challenge::PasskeyPurpose;
use crate::webauthn::cose_key::{ALGORITHMS, CredentialKey};
use crate::webauthn::refusal::PasskeyRefusal;
use crate::webauthn::registration;
use crate::webauthn::unverified::SignatureOutcome;

/// A user who is present, and verified if asked.
struct Consents;

impl UserValidationMethod for Consents {
    type PasskeyItem = Passkey;

    fn check_user<'hint, 'this, 'check>(
        &'this self,
        _: UiHint<'hint, Passkey>,
        presence: bool,
        verification: bool,
    ) -> Pin<Box<dyn Future<Output = Result<UserCheck, Ctap2Error>> + Send + 'check>>
    where
        'hint: 'check,
        'this: 'check,
        Self: 'check,
    {
        Box::pin(async move { Ok(UserCheck { presence, verification }) })
    }

    fn is_presence_enabled(&self) -> bool {
        true
    }

    fn is_verification_enabled(&self) -> Option<bool> {
        Some(true)
    }
}

/// Runs a future that never waits.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the authenticator waits"),
    }
}

fn client_data(kind: &str, challenge: &str) -> Vec<u8> {
    json!({"type": kind, "challenge": challenge, "origin": ORIGIN, "crossOrigin": false}).to_string().into_bytes()
}

fn hash(client_data: &[u8]) -> passkey_types::Bytes {
    Sha256::digest(client_data).to_vec().into()
}

fn creation(client_data: &[u8], user_id: Id, algorithms: &[Algorithm], uv: bool) -> make_credential::Request {
    let parameters =
        |alg: &Algorithm| PublicKeyCredentialParameters { ty: PublicKeyCredentialType::PublicKey, alg: *alg };
    make_credential::Request {
        client_data_hash: hash(client_data),
        rp: make_credential::PublicKeyCredentialRpEntity { id: RP_ID.to_owned(), name: None },
        user: PublicKeyCredentialUserEntity {
            id: user_id.as_bytes().to_vec().into(),
            name: String::new(),
            display_name: String::new(),
        },
        pub_key_cred_params: algorithms.iter().map(parameters).collect(),
        exclude_list: None,
        extensions: None,
        options: make_credential::Options { rk: true, up: true, uv },
        pin_auth: None,
        pin_protocol: None,
    }
}

fn request(client_data: &[u8], uv: bool) -> get_assertion::Request {
    get_assertion::Request {
        rp_id: RP_ID.to_owned(),
        client_data_hash: hash(client_data),
        allow_list: None,
        extensions: None,
        options: get_assertion::Options { up: true, uv },
        pin_auth: None,
        pin_protocol: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_registered_passkey_signs_in(
        user_id in any::<[u8; 16]>(),
        random in any::<[u8; 16]>(),
        aaguid in any::<[u8; 16]>(),
        id_len in 16..=64_u8,
        is_ed25519 in any::<bool>(),
        has_counter in any::<bool>(),
        damaged in any::<usize>(),
    ) {
        let (service, user_id) = (Service::new(), Id::new(user_id));
        let mut authenticator = Authenticator::new(Aaguid(aaguid), None::<Passkey>, Consents, AvailableBackend);
        authenticator.set_make_credential_id_length(id_len.into());
        authenticator.set_make_credentials_with_signature_counter(has_counter);
        let algorithms = if is_ed25519 { &[Algorithm::EdDSA, Algorithm::ES256][..] } else { &[Algorithm::ES256] };

        let purpose = PasskeyPurpose::Register { user_id, session_id: SESSION };
        let create = client_data("webauthn.create", &service.challenges.seal(purpose, NOW, random));
        let created = now(authenticator.make_credential(creation(&create, user_id, algorithms, true))).unwrap();
        let id = created.auth_data.attested_credential_data.as_ref().unwrap().credential_id().to_vec();
        let response = registration(&id, &create, &created.as_webauthn_bytes());
        let registered = registration::check(&response, &service.at(NOW), user_id, SESSION).unwrap();
        prop_assert_eq!(verify(&registered), SignatureOutcome::Valid);
        let credential = registered.conclude(SignatureOutcome::Valid).unwrap().credential;
        prop_assert_eq!(&credential.id, &id);
        prop_assert_eq!(credential.aaguid, aaguid);
        let public_key = CredentialKey::parse(&credential.public_key).unwrap();
        prop_assert_eq!(public_key.cose_algorithm(), if is_ed25519 { ALGORITHMS[0] } else { ALGORITHMS[1] });
        let mut stored = StoredCredential {
            id,
            user_id,
            public_key,
            counter: credential.counter,
            backup_eligible: credential.backup_eligible,
        };

        for _ in 0..3 {
            let get = client_data("webauthn.get", &service.challenges.seal(PasskeyPurpose::Login, NOW, random));
            let answer = now(authenticator.get_assertion(request(&get, true))).unwrap();
            let user = answer.user.unwrap().id;
            let bytes = answer.auth_data.to_vec();
            let response = authentication(&stored.id, &get, &bytes, &answer.signature, Some(&user));
            let check = |response| {
                let stored = Some(stored.clone());
                authentication::check(response, &service.at(NOW), PasskeyPurpose::Login, stored, CounterPolicy::Refuse)
            };
            let unverified = check(&response).unwrap();
            prop_assert_eq!(verify(&unverified), SignatureOutcome::Valid);
            let used = unverified.conclude(SignatureOutcome::Valid).unwrap();
            prop_assert_eq!(used.counter > stored.counter, has_counter);

            // One changed bit of the signature or of the counter.
            let mut signature = answer.signature.to_vec();
            let length = signature.len();
            signature[damaged % length] ^= 1;
            let response = authentication(&stored.id, &get, &bytes, &signature, Some(&user));
            prop_assert!(check(&response).map_or(true, |other| verify(&other) == SignatureOutcome::InvalidSignature));
            let mut bytes = bytes;
            bytes[33] ^= 0x40;
            let response = authentication(&stored.id, &get, &bytes, &answer.signature, Some(&user));
            prop_assert_eq!(verify(&check(&response).unwrap()), SignatureOutcome::InvalidSignature);
            stored.counter = used.counter;
        }
    }
}

#[test]
fn a_user_who_is_not_verified_is_refused() {
    let (service, user_id) = (Service::new(), Id::new([1; 16]));
    let mut authenticator = Authenticator::new(Aaguid::new_empty(), None::<Passkey>, Consents, AvailableBackend);
    let purpose = PasskeyPurpose::NewAccount { user_id };
    let create = client_data("webauthn.create", &service.challenges.seal(purpose, NOW, [7; 16]));
    let created = now(authenticator.make_credential(creation(&create, user_id, &[Algorithm::ES256], false))).unwrap();
    let id = created.auth_data.attested_credential_data.as_ref().unwrap().credential_id().to_vec();
    let response = registration(&id, &create, &created.as_webauthn_bytes());
    let refusal = registration::check_new_account(&response, &service.at(NOW)).err();
    assert_eq!(refusal, Some(PasskeyRefusal::UserVerification));
}
