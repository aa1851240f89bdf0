//! What browsers send: `PublicKeyCredential.toJSON()` (WebAuthn §5.1.8).
//!
//! Unknown members are ignored, unlike in the other bodies of the API: browsers write this object, and a new version may add
//! members. Members that repeat others, such as `publicKey`, are ignored too: only what the authenticator data says is checked.

use serde::Deserialize;

use super::MAX_CREDENTIAL_ID_LEN;
use super::base64url::Base64Url;

/// Maximum length of the name of a transport.
const MAX_TRANSPORT_LEN: usize = 20;
/// Maximum number of transports.
const MAX_TRANSPORTS: usize = 8;

/// `RegistrationResponseJSON`.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(transparent))]
pub struct RegistrationResponse(
    #[cfg_attr(feature = "openapi", schemars(with = "RawCredential<AttestationResponse>"))]
    Credential<AttestationResponse>,
);

/// `AuthenticationResponseJSON`.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(transparent))]
pub struct AuthenticationResponse(
    #[cfg_attr(feature = "openapi", schemars(with = "RawCredential<AssertionResponse>"))] Credential<AssertionResponse>,
);

#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(try_from = "RawCredential<R>", bound(deserialize = "R: Deserialize<'de>"))]
struct Credential<R> {
    id: Base64Url,
    response: R,
}

/// A credential, as it is sent.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "Credential_for_{R}", extend("additionalProperties" = true)))]
#[serde(rename_all = "camelCase")]
struct RawCredential<R> {
    /// The credential id.
    id: Base64Url,
    /// The credential id again.
    raw_id: Base64Url,
    /// What the authenticator answered.
    response: R,
    /// Always `public-key`.
    r#type: CredentialType,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
enum CredentialType {
    #[serde(rename = "public-key")]
    PublicKey,
}

#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(extend("additionalProperties" = true)))]
#[serde(rename_all = "camelCase")]
struct AttestationResponse {
    /// What the browser says of the ceremony: a JSON object.
    #[serde(rename = "clientDataJSON")]
    client_data_json: Base64Url,
    /// The passkey, in CBOR.
    attestation_object: Base64Url,
    /// How the browser reaches the authenticator.
    #[serde(default)]
    transports: Vec<String>,
}

#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(extend("additionalProperties" = true)))]
#[serde(rename_all = "camelCase")]
struct AssertionResponse {
    /// What the browser says of the ceremony: a JSON object.
    #[serde(rename = "clientDataJSON")]
    client_data_json: Base64Url,
    /// What the authenticator says of the use.
    authenticator_data: Base64Url,
    /// The signature over both.
    signature: Base64Url,
    /// The user of the credential.
    user_handle: Option<Base64Url>,
}

impl RegistrationResponse {
    /// The credential id.
    #[must_use]
    pub fn id(&self) -> &[u8] {
        self.0.id.as_bytes()
    }

    pub(super) fn client_data(&self) -> &[u8] {
        self.0.response.client_data_json.as_bytes()
    }

    pub(super) fn attestation_object(&self) -> &[u8] {
        self.0.response.attestation_object.as_bytes()
    }

    /// The transports. Browsers know best which exist (WebAuthn §5.8.4), so any that can be a name is kept, within limits.
    pub(super) fn transports(&self) -> Vec<String> {
        let is_name = |name: &&String| {
            (1..=MAX_TRANSPORT_LEN).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        let mut names: Vec<_> = self.0.response.transports.iter().filter(is_name).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names.truncate(MAX_TRANSPORTS);
        names
    }
}

impl AuthenticationResponse {
    /// The credential id, by which the caller finds the credential.
    #[must_use]
    pub fn id(&self) -> &[u8] {
        self.0.id.as_bytes()
    }

    pub(super) fn client_data(&self) -> &[u8] {
        self.0.response.client_data_json.as_bytes()
    }

    pub(super) fn authenticator_data(&self) -> &[u8] {
        self.0.response.authenticator_data.as_bytes()
    }

    pub(super) fn signature(&self) -> &[u8] {
        self.0.response.signature.as_bytes()
    }

    pub(super) fn user_handle(&self) -> Option<&[u8]> {
        self.0.response.user_handle.as_ref().map(Base64Url::as_bytes)
    }
}

impl<R> TryFrom<RawCredential<R>> for Credential<R> {
    type Error = &'static str;

    /// `id` is the text of `rawId`. Both are canonical, so their bytes are compared.
    fn try_from(raw: RawCredential<R>) -> Result<Self, Self::Error> {
        let RawCredential { id, raw_id, response, r#type: CredentialType::PublicKey } = raw;
        if id != raw_id {
            return Err("id and rawId differ");
        }
        if id.as_bytes().len() > MAX_CREDENTIAL_ID_LEN {
            return Err("the credential id is too long");
        }
        Ok(Self { id, response })
    }
}
