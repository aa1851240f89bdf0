//! A server in Rust that checks access tokens as its users would write one: `jsonwebtoken`, and the published keys.
//!
//! Reads `{"token", "jwks", "issuer", "audience"}` as JSON and writes `{"claims"}` or `{"refused"}`. To look at `typ` and to
//! find the key of a `kid`, `jsonwebtoken` leaves to its user.

#![expect(clippy::print_stdout, reason = "it is a program")]

use std::io::{Read as _, stdin};

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey, signature};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Question {
    token: String,
    jwks: JwkSet,
    issuer: String,
    audience: String,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
        verifier_factory: es256,
        key_utils: KeyUtils::new_unimplemented(),
    };
    PROVIDER.install_default().map_err(|_| "there is a provider already")?;
    let mut input = String::new();
    stdin().read_to_string(&mut input)?;
    let question: Question = serde_json::from_str(&input)?;
    println!("{}", verify(&question).map_or_else(|why| json!({"refused": why}), |claims| json!({"claims": claims})));
    Ok(())
}

fn verify(question: &Question) -> Result<Value, String> {
    let header = decode_header(&question.token).map_err(|error| error.to_string())?;
    if header.typ.as_deref() != Some("at+jwt") {
        return Err("not an access token".to_owned());
    }
    let kid = header.kid.ok_or("no kid")?;
    let key =
        DecodingKey::from_jwk(question.jwks.find(&kid).ok_or("no such key")?).map_err(|error| error.to_string())?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.leeway = 0;
    validation.validate_nbf = true;
    validation.set_issuer(&[&question.issuer]);
    validation.set_audience(&[&question.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let token = decode::<Value>(&question.token, &key, &validation).map_err(|error| error.to_string())?;
    Ok(token.claims)
}

struct Es256(VerifyingKey);

impl Verifier<Vec<u8>> for Es256 {
    fn verify(&self, message: &[u8], bytes: &Vec<u8>) -> Result<(), signature::Error> {
        self.0.verify(message, &Signature::from_slice(bytes)?)
    }
}

impl JwtVerifier for Es256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the type of `verifier_factory`")]
fn es256(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if *algorithm != Algorithm::ES256 {
        return Err(ErrorKind::UnsupportedAlgorithm.into());
    }
    let key = VerifyingKey::from_sec1_bytes(key.try_get_as_bytes()?).map_err(|_| ErrorKind::InvalidEcdsaKey)?;
    Ok(Box::new(Es256(key)))
}
