//! Encrypts and decrypts columns with the keys of the data secrets, by WebCrypto.

use std::fmt;

use js_sys::{Object, Promise, Reflect, Uint8Array};
use portcullis_core::at_rest::{Ciphertext, DataSecret, DataSecretId, DataSecrets, Place};
use portcullis_verifier::subtle::{CryptoError, settle};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use super::random::random;

const ALGORITHM: &str = "AES-GCM";

#[wasm_bindgen]
extern "C" {
    // The functions copy their input before they return (Web Cryptography API §14.3), so slices are safe.
    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = importKey, catch)]
    fn import_key(
        format: &str,
        key: &[u8],
        algorithm: &str,
        extractable: bool,
        usages: Vec<String>,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = encrypt, catch)]
    fn encrypt(parameters: &JsValue, key: &JsValue, data: &[u8]) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = decrypt, catch)]
    fn decrypt(parameters: &JsValue, key: &JsValue, data: &[u8]) -> Result<Promise, JsValue>;
}

/// The imported keys, created once per isolate. They cannot be exported and are not bound to a request.
pub struct DataKeys {
    first: DataKey,
    rest: Vec<DataKey>,
}

struct DataKey {
    id: DataSecretId,
    key: JsValue,
}

/// Why a stored text cannot be decrypted.
#[derive(Debug)]
pub enum DecryptError {
    /// The text is malformed.
    Malformed,
    /// The text is stored under a secret that is not configured.
    UnknownSecret(DataSecretId),
    /// WebCrypto refuses the text: it was changed, or is that of another place.
    Refused(CryptoError),
}

impl DataKeys {
    /// Imports the keys of all secrets.
    pub async fn import(secrets: &DataSecrets) -> Result<Self, CryptoError> {
        let mut keys = Self { first: DataKey::import(secrets.first()).await?, rest: Vec::new() };
        for secret in secrets.iter().skip(1) {
            keys.rest.push(DataKey::import(secret).await?);
        }
        Ok(keys)
    }

    /// Encrypts a value under the first secret, and returns the text to store.
    pub async fn encrypt(&self, place: &Place<'_>, value: &[u8]) -> Result<String, CryptoError> {
        let DataKey { id, key } = &self.first;
        let nonce = random()?;
        let encrypted = encrypt(&parameters(place, &nonce)?, key, value);
        let encrypted = bytes(&settle("encrypt", encrypted).await?);
        Ok(Ciphertext { secret: *id, nonce, encrypted }.to_string())
    }

    /// Decrypts a stored text.
    pub async fn decrypt(&self, place: &Place<'_>, stored: &str) -> Result<Vec<u8>, DecryptError> {
        let Ciphertext { secret, nonce, encrypted } = Ciphertext::parse(stored).ok_or(DecryptError::Malformed)?;
        let mut keys = std::iter::once(&self.first).chain(&self.rest);
        let key = keys.find(|key| key.id == secret).ok_or(DecryptError::UnknownSecret(secret))?;
        let parameters = parameters(place, &nonce).map_err(DecryptError::Refused)?;
        let value = settle("decrypt", decrypt(&parameters, &key.key, &encrypted)).await;
        value.map(|value| bytes(&value)).map_err(DecryptError::Refused)
    }
}

impl DataKey {
    async fn import(secret: &DataSecret) -> Result<Self, CryptoError> {
        let usages = vec!["encrypt".to_owned(), "decrypt".to_owned()];
        let key = import_key("raw", secret.encryption_key(), ALGORITHM, false, usages);
        Ok(Self { id: secret.id(), key: settle("importKey", key).await? })
    }
}

fn parameters(place: &Place<'_>, nonce: &[u8]) -> Result<JsValue, CryptoError> {
    let parameters = Object::new();
    let associated_data = place.associated_data();
    for (name, value) in [
        ("name", JsValue::from_str(ALGORITHM)),
        ("iv", Uint8Array::from(nonce).into()),
        ("additionalData", Uint8Array::from(associated_data.as_slice()).into()),
    ] {
        let set = Reflect::set(&parameters, &JsValue::from_str(name), &value);
        set.map_err(|_| CryptoError::new("parameters", "refused".to_owned()))?;
    }
    Ok(parameters.into())
}

fn bytes(buffer: &JsValue) -> Vec<u8> {
    Uint8Array::new(buffer).to_vec()
}

impl fmt::Display for DecryptError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => formatter.write_str("a stored text is malformed"),
            Self::UnknownSecret(id) => {
                write!(formatter, "DATA_SECRETS lacks the secret {id}, under which a text is stored")
            }
            Self::Refused(error) => error.fmt(formatter),
        }
    }
}
