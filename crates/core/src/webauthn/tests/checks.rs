//! Every check on its own: a ceremony that passes, with one change for which only that check fails.

use std::collections::BTreeSet;

use ciborium::{Value, cbor};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::support::{NOW, ORIGIN, OTHER, RP_ID, SESSION, Service, USER, authentication, registration, text};
use crate::id::Id;
use crate::token::algorithm::Algorithm;
use crate::webauthn::authentication::{self, CounterPolicy, PasskeyAuthentication, StoredCredential};
use crate::webauthn::ceremony::Ceremony;
use crate::webauthn::challenge::PasskeyPurpose;
use crate::webauthn::cose_key::CredentialKey;
use crate::webauthn::credential::{AuthenticationResponse, RegistrationResponse};
use crate::webauthn::refusal::PasskeyRefusal;
use crate::webauthn::registration::{self, NewCredential, PasskeyRegistration};
use crate::webauthn::unverified::SignatureOutcome;

const ID: &[u8] = b"a credential id of 30 bytes...";
const AAGUID: [u8; 16] = [9; 16];
/// r = s = 1.
const SIGNATURE: &[u8] = &[0x30, 6, 2, 1, 1, 2, 1, 1];
const REGISTER: PasskeyPurpose = PasskeyPurpose::Register { user_id: USER, session_id: SESSION };
/// The number of refusals, each of which needs a case.
const REFUSALS: usize = 31;

fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

fn es256_key(x: &[u8]) -> Vec<u8> {
    encode(&cbor!({1 => 2, 3 => -7, -1 => 1, -2 => bytes(x), -3 => bytes(&[6; 32])}).unwrap())
}

/// What both ceremonies have, each part to be changed.
struct Parts {
    now: u64,
    not_before: u64,
    client_data: Json,
    rp_id: &'static str,
    flags: u8,
    counter: u32,
    /// What the response says.
    id: Vec<u8>,
    /// Bytes that follow the authenticator data.
    trailing: Vec<u8>,
    outcome: SignatureOutcome,
}

impl Parts {
    fn new(kind: &str, purpose: PasskeyPurpose, flags: u8) -> Self {
        Self {
            now: NOW + 299,
            not_before: NOW,
            client_data: json!({
                "type": kind,
                "challenge": challenge(purpose),
                "origin": ORIGIN,
                "crossOrigin": false,
                "a new member": [],
            }),
            rp_id: RP_ID,
            flags,
            counter: 8,
            id: ID.to_vec(),
            trailing: vec![],
            outcome: SignatureOutcome::Valid,
        }
    }

    fn ceremony<'s>(&self, service: &'s Service) -> Ceremony<'s> {
        Ceremony { not_before: self.not_before, ..service.at(self.now) }
    }

    fn authenticator_data(&self, credential: &[u8]) -> Vec<u8> {
        let head = [&Sha256::digest(self.rp_id)[..], &[self.flags], &self.counter.to_be_bytes()].concat();
        [&head, credential, &self.trailing].concat()
    }
}

fn challenge(purpose: PasskeyPurpose) -> String {
    Service::new().challenges.seal(purpose, NOW, [7; 16])
}

struct Registering {
    parts: Parts,
    key: Vec<u8>,
    attested_id: Vec<u8>,
    format: &'static str,
    statement: Value,
    attestation_object: Option<Vec<u8>>,
}

impl Registering {
    fn new() -> Self {
        Self {
            parts: Parts::new("webauthn.create", REGISTER, 0x5d),
            key: es256_key(&[5; 32]),
            attested_id: ID.to_vec(),
            format: "none",
            statement: cbor!({}).unwrap(),
            attestation_object: None,
        }
    }

    fn response(&self) -> RegistrationResponse {
        let parts = &self.parts;
        let length = u16::try_from(self.attested_id.len()).unwrap().to_be_bytes();
        let credential = [&AAGUID[..], &length, &self.attested_id, &self.key].concat();
        let has_credential = parts.flags & 0x40 != 0;
        let data = Value::Bytes(parts.authenticator_data(if has_credential { &credential } else { &[] }));
        let object = cbor!({"fmt" => self.format, "attStmt" => self.statement.clone(), "authData" => data}).unwrap();
        let object = self.attestation_object.clone().unwrap_or_else(|| encode(&object));
        registration(&parts.id, parts.client_data.to_string().as_bytes(), &object)
    }

    fn check(&self) -> Result<PasskeyRegistration, PasskeyRefusal> {
        let service = Service::new();
        registration::check(&self.response(), &self.parts.ceremony(&service), USER, SESSION)?
            .conclude(self.parts.outcome)
    }
}

struct Authenticating {
    parts: Parts,
    purpose: PasskeyPurpose,
    user_handle: Option<Vec<u8>>,
    signature: Vec<u8>,
    stored: Option<StoredCredential>,
    policy: CounterPolicy,
}

impl Authenticating {
    fn new() -> Self {
        Self::with(PasskeyPurpose::Login)
    }

    fn with(purpose: PasskeyPurpose) -> Self {
        Self {
            parts: Parts::new("webauthn.get", purpose, 0x1d),
            purpose,
            user_handle: Some(USER.as_bytes().to_vec()),
            signature: SIGNATURE.to_vec(),
            stored: Some(StoredCredential {
                id: ID.to_vec(),
                user_id: USER,
                public_key: CredentialKey::parse(&es256_key(&[5; 32])).unwrap(),
                counter: 7,
                backup_eligible: true,
            }),
            policy: CounterPolicy::Refuse,
        }
    }

    fn stored(&mut self) -> &mut StoredCredential {
        self.stored.as_mut().unwrap()
    }

    fn response(&self) -> AuthenticationResponse {
        let parts = &self.parts;
        let client_data = parts.client_data.to_string();
        let data = parts.authenticator_data(&[]);
        authentication(&parts.id, client_data.as_bytes(), &data, &self.signature, self.user_handle.as_deref())
    }

    fn check(&self) -> Result<PasskeyAuthentication, PasskeyRefusal> {
        let service = Service::new();
        let ceremony = self.parts.ceremony(&service);
        authentication::check(&self.response(), &ceremony, self.purpose, self.stored.clone(), self.policy)?
            .conclude(self.parts.outcome)
    }
}

type Change<T> = (PasskeyRefusal, fn(&mut T));

/// The changes that both ceremonies refuse alike.
const OF_BOTH: &[Change<Parts>] = &[
    (PasskeyRefusal::ClientData, |parts| parts.client_data = json!([])),
    (PasskeyRefusal::ClientData, |parts| parts.client_data["crossOrigin"] = json!("false")),
    (PasskeyRefusal::Type, |parts| parts.client_data["type"] = json!("payment.get")),
    (PasskeyRefusal::Type, |parts| parts.client_data["type"] = json!("webauthn")),
    (PasskeyRefusal::Challenge, |parts| parts.client_data["challenge"] = json!("")),
    (PasskeyRefusal::Challenge, |parts| parts.client_data["challenge"] = json!("A".repeat(54))),
    (PasskeyRefusal::ChallengeExpired, |parts| parts.now = NOW + 300),
    (PasskeyRefusal::ChallengeTooEarly, |parts| parts.not_before = NOW + 1),
    (PasskeyRefusal::ChallengePurpose, |parts| {
        parts.client_data["challenge"] =
            challenge(PasskeyPurpose::StepUp { user_id: USER, session_id: SESSION }).into();
    }),
    (PasskeyRefusal::Origin, |parts| parts.client_data["origin"] = json!("http://example.org")),
    (PasskeyRefusal::Origin, |parts| parts.client_data["origin"] = json!("https://example.org:8443")),
    (PasskeyRefusal::Origin, |parts| parts.client_data["origin"] = json!("https://example.org/")),
    (PasskeyRefusal::Origin, |parts| parts.client_data["origin"] = json!("https://EXAMPLE.org")),
    (PasskeyRefusal::Origin, |parts| parts.client_data["origin"] = json!("https://sub.example.org")),
    (PasskeyRefusal::Origin, |parts| parts.client_data["origin"] = json!("null")),
    (PasskeyRefusal::CrossOrigin, |parts| parts.client_data["crossOrigin"] = json!(true)),
    (PasskeyRefusal::TopOrigin, |parts| parts.client_data["topOrigin"] = json!(ORIGIN)),
    (PasskeyRefusal::AuthenticatorData, |parts| parts.trailing = vec![0]),
    (PasskeyRefusal::AuthenticatorData, |parts| parts.flags |= 0x80),
    (PasskeyRefusal::RpId, |parts| parts.rp_id = "example.com"),
    (PasskeyRefusal::RpId, |parts| parts.rp_id = "sub.example.org"),
    (PasskeyRefusal::UserPresence, |parts| parts.flags &= !0x01),
    (PasskeyRefusal::UserVerification, |parts| parts.flags &= !0x04),
    (PasskeyRefusal::BackupState, |parts| parts.flags &= !0x08),
    (PasskeyRefusal::PublicKeyImport, |parts| parts.outcome = SignatureOutcome::InvalidKey),
    (PasskeyRefusal::Signature, |parts| parts.outcome = SignatureOutcome::InvalidSignature),
];

const OF_REGISTRATION: &[Change<Registering>] = &[
    (PasskeyRefusal::Type, |case| case.parts.client_data["type"] = json!("webauthn.get")),
    (PasskeyRefusal::ChallengePurpose, |case| {
        let purpose = PasskeyPurpose::Register { user_id: OTHER, session_id: SESSION };
        case.parts.client_data["challenge"] = challenge(purpose).into();
    }),
    (PasskeyRefusal::ChallengePurpose, |case| {
        let purpose = PasskeyPurpose::Register { user_id: USER, session_id: OTHER };
        case.parts.client_data["challenge"] = challenge(purpose).into();
    }),
    (PasskeyRefusal::ChallengePurpose, |case| {
        case.parts.client_data["challenge"] = challenge(PasskeyPurpose::NewAccount { user_id: USER }).into();
    }),
    (PasskeyRefusal::AttestationObject, |case| case.attestation_object = Some(vec![0xa0])),
    (PasskeyRefusal::AttestationObject, |case| case.statement = Value::Null),
    (PasskeyRefusal::AuthenticatorData, |case| case.key = vec![0x80]),
    (PasskeyRefusal::NoCredential, |case| case.parts.flags &= !0x40),
    (PasskeyRefusal::Algorithm, |case| {
        let key = cbor!({1 => 2, 3 => -35, -1 => 2, -2 => bytes(&[5; 48]), -3 => bytes(&[6; 48])});
        case.key = encode(&key.unwrap());
    }),
    (PasskeyRefusal::PublicKey, |case| case.key = es256_key(&[5; 31])),
    (PasskeyRefusal::AttestationFormat, |case| case.format = "fido-u2f"),
    (PasskeyRefusal::AttestationStatement, |case| case.statement = cbor!({"alg" => -7}).unwrap()),
    (PasskeyRefusal::AttestationStatement, |case| case.format = "packed"),
    (PasskeyRefusal::AttestationStatement, |case| {
        case.format = "packed";
        case.statement = cbor!({"alg" => -8, "sig" => bytes(SIGNATURE)}).unwrap();
    }),
    (PasskeyRefusal::SignatureForm, |case| {
        case.format = "packed";
        case.statement = cbor!({"alg" => -7, "sig" => bytes(&[0; 64])}).unwrap();
    }),
    (PasskeyRefusal::CredentialIdLength, |case| case.attested_id = vec![]),
    (PasskeyRefusal::CredentialIdLength, |case| case.attested_id = vec![1; 1024]),
    (PasskeyRefusal::CredentialId, |case| case.parts.id = b"another".to_vec()),
];

const OF_AUTHENTICATION: &[Change<Authenticating>] = &[
    (PasskeyRefusal::UnknownCredential, |case| case.stored = None),
    (PasskeyRefusal::UnknownCredential, |case| case.stored().id = b"another".to_vec()),
    (PasskeyRefusal::OtherUser, |case| {
        *case = Authenticating::with(PasskeyPurpose::StepUp { user_id: OTHER, session_id: SESSION });
    }),
    (PasskeyRefusal::OtherUser, |case| {
        *case = Authenticating::with(PasskeyPurpose::Mfa { user_id: OTHER, mfa_id: SESSION });
    }),
    (PasskeyRefusal::NoUserHandle, |case| case.user_handle = None),
    (PasskeyRefusal::UserHandle, |case| case.user_handle = Some(OTHER.as_bytes().to_vec())),
    (PasskeyRefusal::UserHandle, |case| case.user_handle = Some(vec![])),
    (PasskeyRefusal::UserHandle, |case| case.user_handle = Some(USER.as_bytes()[..15].to_vec())),
    (PasskeyRefusal::Type, |case| case.parts.client_data["type"] = json!("webauthn.create")),
    (PasskeyRefusal::ChallengePurpose, |case| case.parts.client_data["challenge"] = challenge(REGISTER).into()),
    (PasskeyRefusal::ChallengePurpose, |case| {
        case.purpose = PasskeyPurpose::StepUp { user_id: USER, session_id: SESSION };
    }),
    (PasskeyRefusal::BackupEligibility, |case| case.stored().backup_eligible = false),
    (PasskeyRefusal::BackupEligibility, |case| case.parts.flags &= !0x18),
    (PasskeyRefusal::SignatureForm, |case| case.signature = vec![0; 64]),
    (PasskeyRefusal::SignatureForm, |case| case.signature = vec![]),
    (PasskeyRefusal::Counter, |case| case.stored().counter = 8),
    (PasskeyRefusal::Counter, |case| case.stored().counter = u32::MAX),
    (PasskeyRefusal::Counter, |case| case.parts.counter = 0),
];

#[test]
fn a_registration_that_passes_says_what_to_store() {
    let credential = NewCredential {
        id: ID.to_vec(),
        public_key: es256_key(&[5; 32]),
        algorithm: Algorithm::Es256,
        counter: 8,
        transports: vec!["a".to_owned(), "internal".to_owned(), "usb".to_owned()],
        backup_eligible: true,
        backed_up: true,
        aaguid: AAGUID,
    };
    let challenge = Service::new().challenges.open(&challenge(REGISTER)).unwrap();
    let expected = PasskeyRegistration { user_id: USER, challenge, credential };
    assert_eq!(Registering::new().check(), Ok(expected));
}

#[test]
fn a_new_account_gets_the_id_of_its_challenge() {
    let mut case = Registering::new();
    case.parts.client_data["challenge"] = challenge(PasskeyPurpose::NewAccount { user_id: OTHER }).into();
    let service = Service::new();
    let check = |case: &Registering| {
        registration::check_new_account(&case.response(), &service.at(NOW))?.conclude(SignatureOutcome::Valid)
    };
    assert_eq!(check(&case).unwrap().user_id, OTHER);
    assert_eq!(check(&Registering::new()), Err(PasskeyRefusal::ChallengePurpose));
    case.parts.client_data["challenge"] = challenge(PasskeyPurpose::Login).into();
    assert_eq!(check(&case), Err(PasskeyRefusal::ChallengePurpose));
}

#[test]
fn each_check_of_a_registration_refuses() {
    for (index, (refusal, change)) in OF_BOTH.iter().enumerate() {
        let mut case = Registering::new();
        change(&mut case.parts);
        assert_eq!(case.check().map(drop), Err(*refusal), "change {index} of both");
    }
    for (index, (refusal, change)) in OF_REGISTRATION.iter().enumerate() {
        let mut case = Registering::new();
        change(&mut case);
        assert_eq!(case.check().map(drop), Err(*refusal), "change {index} of registration");
    }
}

#[test]
fn a_credential_that_signs_its_registration_is_to_be_verified() {
    let mut case = Registering::new();
    case.format = "packed";
    case.statement = cbor!({"alg" => -7, "sig" => bytes(SIGNATURE)}).unwrap();
    let service = Service::new();
    let unverified = registration::check(&case.response(), &service.at(NOW), USER, SESSION).unwrap();
    let signed = unverified.signed().unwrap();
    assert_eq!(signed.message[signed.message.len() - 32..], Sha256::digest(case.parts.client_data.to_string())[..]);
    assert_eq!(unverified.conclude(SignatureOutcome::InvalidSignature), Err(PasskeyRefusal::Signature));
    assert!(case.check().is_ok());
}

#[test]
fn a_use_that_passes_says_what_to_store() {
    for purpose in [
        PasskeyPurpose::Login,
        PasskeyPurpose::StepUp { user_id: USER, session_id: SESSION },
        PasskeyPurpose::Mfa { user_id: USER, mfa_id: OTHER },
    ] {
        let expected = PasskeyAuthentication {
            user_id: USER,
            challenge: Service::new().challenges.open(&challenge(purpose)).unwrap(),
            counter: 8,
            backed_up: true,
            counter_went_back: false,
        };
        assert_eq!(Authenticating::with(purpose).check(), Ok(expected.clone()));
        let mut case = Authenticating::with(purpose);
        case.parts.flags &= !0x10;
        assert_eq!(case.check(), Ok(PasskeyAuthentication { backed_up: false, ..expected }));
    }
}

#[test]
fn each_check_of_a_use_refuses() {
    for (index, (refusal, change)) in OF_BOTH.iter().enumerate() {
        let mut case = Authenticating::new();
        change(&mut case.parts);
        assert_eq!(case.check().map(drop), Err(*refusal), "change {index} of both");
    }
    for (index, (refusal, change)) in OF_AUTHENTICATION.iter().enumerate() {
        let mut case = Authenticating::new();
        change(&mut case);
        assert_eq!(case.check().map(drop), Err(*refusal), "change {index} of authentication");
    }
}

#[test]
fn every_refusal_has_a_case_and_a_name_of_its_own() {
    let of_both = OF_BOTH.iter().map(|(refusal, _)| refusal.as_str());
    let of_registration = OF_REGISTRATION.iter().map(|(refusal, _)| refusal.as_str());
    let of_authentication = OF_AUTHENTICATION.iter().map(|(refusal, _)| refusal.as_str());
    let names: BTreeSet<_> = of_both.chain(of_registration).chain(of_authentication).collect();
    assert_eq!(names.len(), REFUSALS);
    assert_eq!(PasskeyRefusal::Counter as usize + 1, REFUSALS, "the last refusal");
}

#[test]
fn a_counter_that_does_not_increase_is_accepted_if_it_is_only_logged() {
    for (stored, received, went_back) in
        [(0, 0, false), (0, 1, false), (7, 8, false), (7, 7, true), (7, 6, true), (7, 0, true), (u32::MAX, 0, true)]
    {
        let mut case = Authenticating::new();
        case.stored().counter = stored;
        case.parts.counter = received;
        assert_eq!(case.check().is_err(), went_back, "{stored} {received}");
        case.policy = CounterPolicy::Log;
        let passed = case.check().unwrap();
        assert_eq!((passed.counter, passed.counter_went_back), (received, went_back));
    }
}

#[test]
fn a_counter_counts_only_if_the_signature_is_valid() {
    let mut case = Authenticating::new();
    case.parts.counter = 1;
    case.parts.outcome = SignatureOutcome::InvalidSignature;
    assert_eq!(case.check().map(drop), Err(PasskeyRefusal::Signature));
}

#[test]
fn the_message_is_the_authenticator_data_and_the_hash_of_the_client_data() {
    let (case, service) = (Authenticating::new(), Service::new());
    let stored = case.stored.clone();
    let unverified =
        authentication::check(&case.response(), &service.at(NOW), case.purpose, stored, case.policy).unwrap();
    let signed = unverified.signed().unwrap();
    let hash = Sha256::digest(case.parts.client_data.to_string());
    assert_eq!(signed.message, [&case.parts.authenticator_data(&[])[..], &hash].concat());
    let mut one = [0; 32];
    one[31] = 1;
    assert_eq!(signed.signature, [one, one].concat());
}

#[test]
fn client_data_without_frames_and_with_extensions_passes() {
    let mut case = Authenticating::new();
    case.parts.client_data.as_object_mut().unwrap().remove("crossOrigin");
    case.parts.client_data["origin"] = json!("https://other.example.org");
    case.parts.flags |= 0xa2;
    case.parts.trailing = encode(&cbor!({"credProtect" => 2, "hmac-secret" => true}).unwrap());
    assert!(case.check().is_ok());
}

/// The members of a body, with one changed.
fn body(pointer: &str, value: Option<Json>) -> Json {
    let mut body = json!({
        "id": text(ID), "rawId": text(ID), "type": "public-key",
        "response": {"clientDataJSON": "AAAA", "authenticatorData": "AAAA", "signature": "AAAA", "attestationObject": "AAAA"},
    });
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(name.to_owned(), value),
        None => parent.remove(name),
    };
    body
}

#[test]
fn bodies_of_another_form_are_not_read() {
    let read = |body: &Json| {
        (
            serde_json::from_value::<RegistrationResponse>(body.clone()).is_ok(),
            serde_json::from_value::<AuthenticationResponse>(body.clone()).is_ok(),
        )
    };
    for (pointer, value) in [
        ("/unknown", Some(json!({}))),
        ("/authenticatorAttachment", Some(Json::Null)),
        ("/response/unknown", Some(json!(1))),
        ("/response/userHandle", Some(Json::Null)),
        ("/response/userHandle", Some(json!(Id::NIL))),
        ("/response/transports", Some(json!([]))),
    ] {
        assert_eq!(read(&body(pointer, value.clone())), (true, true), "{pointer} {value:?}");
    }
    let too_long = text(&[1; 4097]);
    for (pointer, value) in [
        ("/id", None),
        ("/rawId", None),
        ("/type", None),
        ("/response", None),
        ("/response/clientDataJSON", None),
        ("/id", Some(json!("AAAA"))),
        ("/rawId", Some(json!("AAAA"))),
        ("/id", Some(json!(format!("{}=", text(ID))))),
        ("/id", Some(json!(1))),
        ("/type", Some(json!("password"))),
        ("/response/clientDataJSON", Some(json!("AB"))),
        ("/response/clientDataJSON", Some(json!(too_long))),
    ] {
        assert_eq!(read(&body(pointer, value.clone())), (false, false), "{pointer} {value:?}");
    }
    for (pointer, value) in [
        ("/response/attestationObject", None),
        ("/response/attestationObject", Some(json!(too_long))),
        ("/response/transports", Some(json!("usb"))),
        ("/response/transports", Some(json!([1]))),
    ] {
        assert_eq!(read(&body(pointer, value.clone())), (false, true), "{pointer} {value:?}");
    }
    for (pointer, value) in [
        ("/response/authenticatorData", None),
        ("/response/signature", None),
        ("/response/signature", Some(json!("A"))),
        ("/response/userHandle", Some(json!("A"))),
    ] {
        assert_eq!(read(&body(pointer, value.clone())), (true, false), "{pointer} {value:?}");
    }
    let mut long = body("/id", Some(json!(text(&[1; 1024]))));
    long["rawId"] = long["id"].clone();
    assert_eq!(read(&long), (false, false));
    let repeated = r#"{"id":"AAAA","id":"AAAA","rawId":"AAAA","type":"public-key","response":{}}"#;
    assert!(serde_json::from_str::<RegistrationResponse>(repeated).is_err());
}

#[test]
fn at_most_eight_transports_are_kept() {
    let names: Vec<_> = (0..20).map(|number| format!("t{number:02}")).collect();
    let response: RegistrationResponse =
        serde_json::from_value(body("/response/transports", Some(json!(names)))).unwrap();
    assert_eq!(response.transports(), names[..8]);
}
