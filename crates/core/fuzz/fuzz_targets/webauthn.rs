//! Runs every parser of passkeys on the same bytes. What they accept, the `ciborium` crate reads as the same values, and writes in the
//! same bytes.
//!
//! `cargo install cargo-fuzz`, then, in crates/core:
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run webauthn -- -max_total_time=300` (the sanitizer needs an unstable flag).

#![no_main]

use ciborium::Value;
use libfuzzer_sys::fuzz_target;
use portcullis_core::webauthn::attestation_object::{Attestation, AttestationObject};
use portcullis_core::webauthn::authenticator_data::AuthenticatorData;
use portcullis_core::webauthn::client_data::ClientData;
use portcullis_core::webauthn::cose_key::CredentialKey;
use portcullis_core::webauthn::signature;

fuzz_target!(|bytes: &[u8]| {
    let _ = ClientData::parse(bytes);
    authenticator_data(bytes);
    public_key(bytes);
    if let Some(object) = AttestationObject::parse(bytes) {
        let members = decode(bytes).into_map().unwrap();
        let [(_, _), (_, statement), (_, data)] = &members[..] else { panic!("{members:?}") };
        assert_eq!(data.as_bytes().map(Vec::as_slice), Some(object.authenticator_data));
        match object.attestation() {
            Ok(Attestation::None) => assert_eq!(statement, &Value::Map(vec![])),
            Ok(Attestation::Own { signature, .. }) => {
                let members = statement.as_map().unwrap();
                assert_eq!(members[1].1.as_bytes().map(Vec::as_slice), Some(signature));
            }
            Err(_) => {}
        }
        authenticator_data(object.authenticator_data);
    }
});

fn authenticator_data(bytes: &[u8]) {
    if let Some(credential) = AuthenticatorData::parse(bytes).and_then(|data| data.credential) {
        assert!(decode(credential.public_key).is_map());
        public_key(credential.public_key);
    }
}

fn public_key(bytes: &[u8]) {
    for key in [CredentialKey::Es256 { x: [0; 32], y: [0; 32] }, CredentialKey::EdDsa { x: [0; 32] }] {
        if let Some(signature) = signature::to_webcrypto(&key, bytes) {
            assert_eq!(signature.len(), 64);
        }
    }
    if CredentialKey::parse(bytes).is_ok() {
        decode(bytes);
    }
}

/// The value of canonical CBOR without floating-point numbers, which `ciborium` shortens.
fn decode(bytes: &[u8]) -> Value {
    let value: Value = ciborium::from_reader(bytes).unwrap();
    let mut encoded = Vec::new();
    ciborium::into_writer(&value, &mut encoded).unwrap();
    assert!(encoded == bytes || bytes.iter().any(|byte| matches!(byte, 0xf7 | 0xf9..=0xfb)), "{value:?}");
    value
}
