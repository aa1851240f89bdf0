//! Signs and verifies access tokens with the configured keys, and verifies signatures of passkeys, by WebCrypto.

use std::rc::Rc;

use js_sys::{JSON, Promise};
use portcullis_core::token::keys::{SigningKey, SigningKeys};
use portcullis_core::webauthn::unverified::{SignatureOutcome, UnverifiedPasskey};
pub use portcullis_verifier::subtle::CryptoError;
use portcullis_verifier::subtle::{Key, Usage, settle};
use wasm_bindgen::prelude::{JsCast as _, JsValue, wasm_bindgen};

#[wasm_bindgen]
extern "C" {
    /// What `generateKey` returns for a signature algorithm.
    type CryptoKeyPair;
    #[wasm_bindgen(method, getter, js_name = privateKey)]
    fn private_key(this: &CryptoKeyPair) -> JsValue;

    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = generateKey, catch)]
    fn generate_key(algorithm: &JsValue, extractable: bool, usages: Vec<String>) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = exportKey, catch)]
    fn export_key(format: &str, key: &JsValue) -> Result<Promise, JsValue>;
}

const SELF_TEST: &[u8] = b"portcullis key self-test";

/// Imported keys. They cannot be exported and are not bound to a request, so an isolate keeps them.
#[derive(Clone)]
pub struct Keys {
    keys: Vec<Rc<ImportedKey>>,
}

struct ImportedKey {
    kid: String,
    signature_len: usize,
    signing: Key,
    verifying: Key,
}

impl Keys {
    /// Imports a key set, and checks that the private and public parts of every key belong together.
    pub async fn import(keys: &SigningKeys) -> Result<Self, CryptoError> {
        let mut imported = Self { keys: Vec::new() };
        for key in keys.iter() {
            imported.add(key).await?;
        }
        Ok(imported)
    }

    /// Imports one more key, and checks it likewise.
    pub async fn add(&mut self, key: &SigningKey) -> Result<(), CryptoError> {
        self.keys.push(Rc::new(ImportedKey::import(key).await?));
        Ok(())
    }

    /// Takes a key over from another set.
    pub fn take_over(&mut self, key: &SigningKey, other: &Self) -> Result<(), CryptoError> {
        self.keys.push(Rc::clone(other.find(key)?));
        Ok(())
    }

    /// Signs a message with a key of the set.
    pub async fn sign(&self, key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.find(key)?.sign(message).await
    }

    /// Verifies a signature with a key of the set.
    pub async fn verify(&self, key: &SigningKey, signature: &[u8], message: &[u8]) -> Result<bool, CryptoError> {
        self.find(key)?.verifying.verify(signature, message).await
    }

    fn find(&self, key: &SigningKey) -> Result<&Rc<ImportedKey>, CryptoError> {
        let imported = self.keys.iter().find(|imported| imported.kid == key.kid());
        imported.ok_or_else(|| failed("find", "the key was not imported".to_owned()))
    }
}

impl ImportedKey {
    async fn import(key: &SigningKey) -> Result<Self, CryptoError> {
        let imported = Self {
            kid: key.kid().to_owned(),
            signature_len: key.signature_len(),
            signing: Key::import(key.private_jwk(), key.algorithm(), Usage::Sign).await?,
            verifying: Key::import(key.verifying_key().jwk(), key.algorithm(), Usage::Verify).await?,
        };
        let mismatch =
            |cause: String| failed("self-test", format!("the private and public parts of a key do not match{cause}"));
        let signature = imported.sign(SELF_TEST).await.map_err(|error| mismatch(format!(": {error}")))?;
        if imported.verifying.verify(&signature, SELF_TEST).await? {
            return Ok(imported);
        }
        Err(mismatch(String::new()))
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let signature = self.signing.sign(message).await?;
        if signature.len() == self.signature_len {
            return Ok(signature);
        }
        Err(failed("sign", format!("the signature has {} bytes instead of {}", signature.len(), self.signature_len)))
    }
}

/// Generates an ES256 key, and returns its private JWK.
pub async fn generate_es256() -> Result<String, CryptoError> {
    let unexpected = |_| failed("generateKey", "an unexpected answer".to_owned());
    let algorithm = JSON::parse(r#"{"name":"ECDSA","namedCurve":"P-256"}"#).map_err(unexpected)?;
    let usages = vec!["sign".to_owned(), "verify".to_owned()];
    let pair = settle("generateKey", generate_key(&algorithm, true, usages)).await?;
    let key = pair.unchecked_ref::<CryptoKeyPair>().private_key();
    let jwk = settle("exportKey", export_key("jwk", &key)).await?;
    JSON::stringify(&jwk).map(String::from).map_err(unexpected)
}

/// Imports the key of a credential, and verifies the signature of the ceremony if it has one.
pub async fn verify_passkey<T>(ceremony: &UnverifiedPasskey<T>) -> Result<SignatureOutcome, CryptoError> {
    let (jwk, algorithm) = (ceremony.key().jwk(), ceremony.key().algorithm());
    // Its parts have the right lengths, so the import fails only if the key is invalid, such as a point that is not on the curve.
    let Ok(key) = Key::import(&jwk, algorithm, Usage::Verify).await else { return Ok(SignatureOutcome::InvalidKey) };
    let Some(signed) = ceremony.signed() else { return Ok(SignatureOutcome::Valid) };
    let is_valid = key.verify(&signed.signature, &signed.message).await?;
    Ok(if is_valid { SignatureOutcome::Valid } else { SignatureOutcome::InvalidSignature })
}

fn failed(operation: &'static str, cause: String) -> CryptoError {
    CryptoError::new(operation, cause)
}
