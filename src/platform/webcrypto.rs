//! The runtime's WebCrypto: signing and verifying access tokens, and randomness.
//!
//! `crypto.subtle` is some twenty times as fast at ES256 as the same in WebAssembly, which promises no constant time
//! either, and has every algorithm here. No other file handles JavaScript values, but for `config/` where it reads the
//! variables, the others of `platform/`, and `http/` where it takes over what the runtime has.

use std::fmt;

use js_sys::{JSON, Promise, Uint8Array};
use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};

use portcullis_core::token::algorithm::Algorithm;
use portcullis_core::token::keys::{SigningKey, SigningKeys};

const SELF_TEST: &[u8] = b"portcullis key self-test";

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

    // Both copy what they are given before they return (Web Cryptography API §14.3), so no copy is made for them.
    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = sign, catch)]
    fn sign(parameters: &JsValue, key: &JsValue, data: &[u8]) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = verify, catch)]
    fn verify(parameters: &JsValue, key: &JsValue, signature: &[u8], data: &[u8]) -> Result<Promise, JsValue>;
}

/// WebCrypto refused: what it was asked to do, and what it said.
#[derive(Debug)]
pub struct CryptoError {
    operation: &'static str,
    cause: String,
}

impl CryptoError {
    pub(super) fn new(operation: &'static str, cause: String) -> Self {
        Self { operation, cause }
    }
}

impl fmt::Display for CryptoError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.operation, self.cause)
    }
}

/// The imported key set. Made once an isolate: a key cannot be taken out again, nor is it bound to a request.
pub struct Keys {
    keys: Vec<ImportedKey>,
}

struct ImportedKey {
    kid: String,
    signature_len: usize,
    signing: JsValue,
    verifying: JsValue,
    parameters: JsValue,
}

impl Keys {
    /// Imports a key set, and proves of every key that its private and public parts belong together.
    ///
    /// # Errors
    /// [`CryptoError`] when a key is none, such as a point that is not on the curve.
    pub async fn import(keys: &SigningKeys) -> Result<Self, CryptoError> {
        let mut imported = Self { keys: Vec::new() };
        for key in keys.iter() {
            imported.keys.push(ImportedKey::import(key).await?);
        }
        Ok(imported)
    }

    /// Signs with a key of the imported set.
    ///
    /// # Errors
    /// [`CryptoError`] when the runtime refuses.
    pub async fn sign(&self, key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.find(key)?.sign(message).await
    }

    /// Whether that key of the imported set made the signature over the message.
    ///
    /// # Errors
    /// [`CryptoError`] when the runtime refuses to tell.
    pub async fn verify(&self, key: &SigningKey, signature: &[u8], message: &[u8]) -> Result<bool, CryptoError> {
        self.find(key)?.verify(signature, message).await
    }

    fn find(&self, key: &SigningKey) -> Result<&ImportedKey, CryptoError> {
        let imported = self.keys.iter().find(|imported| imported.kid == key.kid());
        imported.ok_or_else(|| failed("find", "the key was not imported".to_owned()))
    }
}

impl ImportedKey {
    async fn import(key: &SigningKey) -> Result<Self, CryptoError> {
        let (import_parameters, signature_parameters) = parameters(key.algorithm());
        let imported = Self {
            kid: key.kid().to_owned(),
            signature_len: key.signature_len(),
            signing: import(key.private_jwk(), import_parameters, "sign").await?,
            verifying: import(&key.verifying_jwk(), import_parameters, "verify").await?,
            parameters: parse(signature_parameters)?,
        };
        let mismatch = |cause: String| failed("self-test", format!("a key's parts do not belong together{cause}"));
        let signature = imported.sign(SELF_TEST).await.map_err(|error| mismatch(format!(": {error}")))?;
        if imported.verify(&signature, SELF_TEST).await? {
            return Ok(imported);
        }
        Err(mismatch(String::new()))
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let signature = settle("sign", sign(&self.parameters, &self.signing, message)).await?;
        let signature = Uint8Array::new(&signature).to_vec();
        if signature.len() == self.signature_len {
            return Ok(signature);
        }
        Err(failed("sign", format!("a signature of {} bytes, not {}", signature.len(), self.signature_len)))
    }

    async fn verify(&self, signature: &[u8], message: &[u8]) -> Result<bool, CryptoError> {
        let verdict = verify(&self.parameters, &self.verifying, signature, message);
        Ok(settle("verify", verdict).await?.is_truthy())
    }
}

/// What WebCrypto takes to import a key of an algorithm, and to sign or verify with it.
const fn parameters(algorithm: Algorithm) -> (&'static str, &'static str) {
    match algorithm {
        Algorithm::Es256 => (r#"{"name":"ECDSA","namedCurve":"P-256"}"#, r#"{"name":"ECDSA","hash":"SHA-256"}"#),
        Algorithm::EdDsa => (r#"{"name":"Ed25519"}"#, r#"{"name":"Ed25519"}"#),
        Algorithm::Rs256 => (r#"{"name":"RSASSA-PKCS1-v1_5","hash":"SHA-256"}"#, r#"{"name":"RSASSA-PKCS1-v1_5"}"#),
        Algorithm::Hs256 => (r#"{"name":"HMAC","hash":"SHA-256"}"#, r#"{"name":"HMAC"}"#),
    }
}

async fn import(jwk: &impl serde::Serialize, parameters: &str, usage: &str) -> Result<JsValue, CryptoError> {
    let json = serde_json::to_string(jwk).map_err(|error| failed("importKey", error.to_string()))?;
    let promise = import_key("jwk", parse(&json)?, &parse(parameters)?, false, &parse(&format!("[\"{usage}\"]"))?);
    settle("importKey", promise).await
}

fn parse(json: &str) -> Result<JsValue, CryptoError> {
    JSON::parse(json).map_err(|error| refused("parse", &error))
}

async fn settle(operation: &'static str, promise: Result<Promise, JsValue>) -> Result<JsValue, CryptoError> {
    let promise = promise.map_err(|error| refused(operation, &error))?;
    worker::wasm_bindgen_futures::JsFuture::from(promise).await.map_err(|error| refused(operation, &error))
}

fn refused(operation: &'static str, error: &JsValue) -> CryptoError {
    let message = error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
    failed(operation, message.unwrap_or_else(|| "refused".to_owned()))
}

fn failed(operation: &'static str, cause: String) -> CryptoError {
    CryptoError::new(operation, cause)
}
