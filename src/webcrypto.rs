//! The runtime's WebCrypto: signing and verifying access tokens, and randomness.
//!
//! `crypto.subtle` is some twenty times as fast at ES256 as the same in WebAssembly, which promises no constant time
//! either. No other file handles JavaScript values, but for `config.rs` where it reads the variables.

use std::fmt;

use js_sys::{JSON, Promise, Uint8Array};
use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};

use crate::auth::access_token::SIGNATURE_LEN;
use crate::auth::signing_key::{SigningKey, SigningKeys};

const IMPORT_PARAMETERS: &str = r#"{"name":"ECDSA","namedCurve":"P-256"}"#;
const SIGNATURE_PARAMETERS: &str = r#"{"name":"ECDSA","hash":"SHA-256"}"#;
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

    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = sign, catch)]
    fn sign(parameters: &JsValue, key: &JsValue, data: &Uint8Array) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = verify, catch)]
    fn verify(
        parameters: &JsValue,
        key: &JsValue,
        signature: &Uint8Array,
        data: &Uint8Array,
    ) -> Result<Promise, JsValue>;
}

/// WebCrypto refused: what it was asked to do, and what it said.
#[derive(Debug)]
pub struct CryptoError {
    operation: &'static str,
    cause: String,
}

impl fmt::Display for CryptoError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.operation, self.cause)
    }
}

/// The imported key set. Made once an isolate: a key cannot be taken out again, nor is it bound to a request.
pub struct Keys {
    signing: JsValue,
    verifying: Vec<(String, JsValue)>,
    signature_parameters: JsValue,
}

impl Keys {
    /// Imports a key set, and proves of every key that its private and public parts belong together.
    ///
    /// # Errors
    /// [`CryptoError`] when a key is none, such as a point that is not on the curve.
    pub async fn import(keys: &SigningKeys) -> Result<Self, CryptoError> {
        let mut imported = Self {
            signing: import(&keys.active().private_jwk(), "sign").await?,
            verifying: Vec::new(),
            signature_parameters: parse(SIGNATURE_PARAMETERS)?,
        };
        for key in keys.iter() {
            imported.verifying.push((key.kid().to_owned(), import(&key.public_jwk(), "verify").await?));
            imported.prove(key).await?;
        }
        Ok(imported)
    }

    /// Signs with the active key.
    ///
    /// # Errors
    /// [`CryptoError`] when the runtime refuses.
    pub async fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], CryptoError> {
        self.sign_with(&self.signing, message).await
    }

    /// Whether the key of that `kid` made the signature over the message; `false` if there is no such key.
    ///
    /// # Errors
    /// [`CryptoError`] when the runtime refuses to tell.
    pub async fn verify(
        &self,
        kid: &str,
        signature: &[u8; SIGNATURE_LEN],
        message: &[u8],
    ) -> Result<bool, CryptoError> {
        let Some((_, key)) = self.verifying.iter().find(|(own, _)| own == kid) else {
            return Ok(false);
        };
        let signature = Uint8Array::from(signature.as_slice());
        let verdict = verify(&self.signature_parameters, key, &signature, &Uint8Array::from(message));
        Ok(settle("verify", verdict).await?.is_truthy())
    }

    async fn prove(&self, key: &SigningKey) -> Result<(), CryptoError> {
        let private = import(&key.private_jwk(), "sign").await?;
        let signature = self.sign_with(&private, SELF_TEST).await?;
        if self.verify(key.kid(), &signature, SELF_TEST).await? {
            return Ok(());
        }
        Err(failed("self-test", "a key's private and public parts do not match".to_owned()))
    }

    async fn sign_with(&self, key: &JsValue, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], CryptoError> {
        let signature = settle("sign", sign(&self.signature_parameters, key, &Uint8Array::from(message))).await?;
        Uint8Array::new(&signature).to_vec().try_into().map_err(|_| failed("sign", "not 64 bytes".to_owned()))
    }
}

/// Random bytes: the only source of them in the crate.
///
/// # Errors
/// [`CryptoError`] when the runtime has none.
#[expect(clippy::disallowed_methods, reason = "this is the one place that draws randomness")]
pub fn random<const N: usize>() -> Result<[u8; N], CryptoError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| failed("random", error.to_string()))?;
    Ok(bytes)
}

async fn import(jwk: &impl serde::Serialize, usage: &str) -> Result<JsValue, CryptoError> {
    let json = serde_json::to_string(jwk).map_err(|error| failed("importKey", error.to_string()))?;
    let promise =
        import_key("jwk", parse(&json)?, &parse(IMPORT_PARAMETERS)?, false, &parse(&format!("[\"{usage}\"]"))?);
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
    CryptoError { operation, cause }
}
