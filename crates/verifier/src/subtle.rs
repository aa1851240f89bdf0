//! Keys of WebCrypto.
//!
//! `crypto.subtle` is about twenty times as fast at ES256 as an implementation in WebAssembly. It also supports every algorithm needed
//! here, and runs in constant time, which WebAssembly cannot guarantee.

use std::fmt;

use js_sys::{JSON, Promise, Uint8Array};
use portcullis_core::token::algorithm::Algorithm;
use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = importKey, catch)]
    fn import_key(
        format: &str,
        key: JsValue,
        parameters: &JsValue,
        extractable: bool,
        usages: &JsValue,
    ) -> Result<Promise, JsValue>;

    // Both functions copy their input before they return (Web Cryptography API §14.3), so slices are safe.
    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = sign, catch)]
    fn sign(parameters: &JsValue, key: &JsValue, data: &[u8]) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = verify, catch)]
    fn verify(parameters: &JsValue, key: &JsValue, signature: &[u8], data: &[u8]) -> Result<Promise, JsValue>;
}

/// A WebCrypto operation failed.
#[derive(Debug)]
pub struct CryptoError {
    operation: &'static str,
    cause: String,
}

impl CryptoError {
    /// Creates the error of an operation, with the reason.
    #[must_use]
    pub fn new(operation: &'static str, cause: String) -> Self {
        Self { operation, cause }
    }
}

impl fmt::Display for CryptoError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.operation, self.cause)
    }
}

impl std::error::Error for CryptoError {}

/// The purpose of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Usage {
    /// A private key.
    Sign,
    /// A public key.
    Verify,
}

/// An imported key. It cannot be exported, and is not bound to a request, so an isolate may keep it.
pub struct Key {
    key: JsValue,
    parameters: JsValue,
}

impl Key {
    /// Imports a JWK, such as that of a `VerifyingKey`.
    ///
    /// # Errors
    /// [`CryptoError`] if WebCrypto refuses it.
    pub async fn import(jwk: &impl serde::Serialize, algorithm: Algorithm, usage: Usage) -> Result<Self, CryptoError> {
        let (import_parameters, signature_parameters) = parameters(algorithm);
        let usages = match usage {
            Usage::Sign => "[\"sign\"]",
            Usage::Verify => "[\"verify\"]",
        };
        let json = serde_json::to_string(jwk).map_err(|error| CryptoError::new("importKey", error.to_string()))?;
        let promise = import_key("jwk", parse(&json)?, &parse(import_parameters)?, false, &parse(usages)?);
        let key = settle("importKey", promise).await?;
        Ok(Self { key, parameters: parse(signature_parameters)? })
    }

    /// Signs a message.
    ///
    /// # Errors
    /// [`CryptoError`] if the key does not sign.
    pub async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let signature = settle("sign", sign(&self.parameters, &self.key, message)).await?;
        Ok(Uint8Array::new(&signature).to_vec())
    }

    /// Returns whether this is the signature of the message.
    ///
    /// # Errors
    /// [`CryptoError`] if the key does not verify.
    pub async fn verify(&self, signature: &[u8], message: &[u8]) -> Result<bool, CryptoError> {
        let is_valid = verify(&self.parameters, &self.key, signature, message);
        Ok(settle("verify", is_valid).await?.is_truthy())
    }
}

/// The WebCrypto parameters of an algorithm: for importing a key, and for signing and verifying.
const fn parameters(algorithm: Algorithm) -> (&'static str, &'static str) {
    match algorithm {
        Algorithm::Es256 => (r#"{"name":"ECDSA","namedCurve":"P-256"}"#, r#"{"name":"ECDSA","hash":"SHA-256"}"#),
        Algorithm::EdDsa => (r#"{"name":"Ed25519"}"#, r#"{"name":"Ed25519"}"#),
        Algorithm::Rs256 => (r#"{"name":"RSASSA-PKCS1-v1_5","hash":"SHA-256"}"#, r#"{"name":"RSASSA-PKCS1-v1_5"}"#),
        Algorithm::Hs256 => (r#"{"name":"HMAC","hash":"SHA-256"}"#, r#"{"name":"HMAC"}"#),
    }
}

fn parse(json: &str) -> Result<JsValue, CryptoError> {
    JSON::parse(json).map_err(|error| rejected("parse", &error))
}

/// Waits for the result of an operation.
///
/// # Errors
/// [`CryptoError`] if WebCrypto refuses or fails it.
pub async fn settle(operation: &'static str, promise: Result<Promise, JsValue>) -> Result<JsValue, CryptoError> {
    let promise = promise.map_err(|error| rejected(operation, &error))?;
    JsFuture::from(promise).await.map_err(|error| rejected(operation, &error))
}

fn rejected(operation: &'static str, error: &JsValue) -> CryptoError {
    let message = error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
    CryptoError::new(operation, message.unwrap_or_else(|| "rejected".to_owned()))
}
