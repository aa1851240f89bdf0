//! A resource server in Rust that verifies access tokens with `jsonwebtoken` and the published keys.
//!
//! Reads `{"token", "jwks", "issuer", "audience"}` as JSON and writes `{"claims"}` or `{"refused"}`. `jsonwebtoken` does not
//! check `typ` or choose the key by `kid`, so the server does.

#![expect(clippy::print_stdout, reason = "a program that writes its result to stdout")]

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
struct Input {
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
    PROVIDER.install_default().map_err(|_| "a provider is already installed")?;
    let mut text = String::new();
    stdin().read_to_string(&mut text)?;
    let input: Input = serde_json::from_str(&text)?;
    println!("{}", verify(&input).map_or_else(|reason| json!({"refused": reason}), |claims| json!({"claims": claims})));
    Ok(())
}

fn verify(input: &Input) -> Result<Value, String> {
    let header = decode_header(&input.token).map_err(|error| error.to_string())?;
    if header.typ.as_deref() != Some("at+jwt") {
        return Err("not an access token".to_owned());
    }
    let kid = header.kid.ok_or("no kid")?;
    let key = DecodingKey::from_jwk(input.jwks.find(&kid).ok_or("no such key")?).map_err(|error| error.to_string())?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.leeway = 0;
    validation.validate_nbf = true;
    validation.set_issuer(&[&input.issuer]);
    validation.set_audience(&[&input.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let token = decode::<Value>(&input.token, &key, &validation).map_err(|error| error.to_string())?;
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "required by the type of `verifier_factory`")]
fn es256(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if *algorithm != Algorithm::ES256 {
        return Err(ErrorKind::UnsupportedAlgorithm.into());
    }
    let key = VerifyingKey::from_sec1_bytes(key.try_get_as_bytes()?).map_err(|_| ErrorKind::InvalidEcdsaKey)?;
    Ok(Box::new(Es256(key)))
}
