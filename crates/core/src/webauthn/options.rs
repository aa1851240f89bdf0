//! What browsers get: the options of `navigator.credentials.create()` and `get()`, in the form that
//! `PublicKeyCredential.parseCreationOptionsFromJSON()` and `parseRequestOptionsFromJSON()` read (WebAuthn §5.1.9, §5.1.10).

use serde::Serialize;

use super::base64url::Base64Url;
use super::ceremony::RelyingParty;
use super::challenge::PasskeyChallenge;
use super::cose_key::ALGORITHMS;
use crate::id::Id;

const PUBLIC_KEY: &str = "public-key";
const REQUIRED: &str = "required";
/// How long the browser waits, in milliseconds: as long as the challenge is valid.
const TIMEOUT: u64 = PasskeyChallenge::TTL.saturating_mul(1000);

/// `PublicKeyCredentialCreationOptionsJSON`.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreationOptions {
    /// The service.
    rp: PartyEntity,
    /// The user.
    user: UserEntity,
    /// The challenge, in base64url.
    challenge: String,
    /// The algorithms, the preferred one first.
    pub_key_cred_params: [Parameters; ALGORITHMS.len()],
    /// Milliseconds.
    timeout: u64,
    /// The passkeys that the account has.
    exclude_credentials: Vec<CredentialDescriptor>,
    /// What the authenticator must be able to do.
    authenticator_selection: Selection,
    /// Always `none`: the authenticator proves nothing about itself.
    attestation: &'static str,
}

/// `PublicKeyCredentialRequestOptionsJSON`.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RequestOptions {
    /// The challenge, in base64url.
    challenge: String,
    /// Milliseconds.
    timeout: u64,
    /// The domain of passkeys.
    rp_id: String,
    /// Empty: the user chooses among all passkeys that the authenticator has for this relying party.
    allow_credentials: Vec<CredentialDescriptor>,
    /// Always `required`.
    user_verification: &'static str,
}

/// The user, as authenticators show it.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UserEntity {
    /// The user handle: the id of the account.
    pub id: Id,
    /// The name by which the user tells accounts apart, such as the e-mail address.
    pub name: String,
    /// The name of the user. May be empty.
    pub display_name: String,
}

/// A credential that exists.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct CredentialDescriptor {
    /// Always `public-key`.
    r#type: &'static str,
    /// The credential id.
    id: Base64Url,
    /// How browsers reach the authenticator.
    transports: Vec<String>,
}

#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "RelyingParty"))]
struct PartyEntity {
    /// The domain of passkeys.
    id: String,
    /// The name of the service.
    name: String,
}

#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "KeyAlgorithm"))]
struct Parameters {
    /// Always `public-key`.
    r#type: &'static str,
    /// The COSE identifier of the algorithm.
    alg: i64,
}

#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "AuthenticatorSelection"))]
#[serde(rename_all = "camelCase")]
struct Selection {
    /// Always `required`: the device finds the passkey by itself.
    resident_key: &'static str,
    /// For browsers that do not know `residentKey`.
    require_resident_key: bool,
    /// Always `required`.
    user_verification: &'static str,
}

impl CreationOptions {
    /// The options to register a passkey. `name` is that of the service; `exclude` are the passkeys of the account.
    #[must_use]
    pub fn new(
        party: &RelyingParty,
        name: String,
        user: UserEntity,
        challenge: String,
        exclude: Vec<CredentialDescriptor>,
    ) -> Self {
        Self {
            rp: PartyEntity { id: party.id().to_owned(), name },
            user,
            challenge,
            pub_key_cred_params: ALGORITHMS.map(|alg| Parameters { r#type: PUBLIC_KEY, alg }),
            timeout: TIMEOUT,
            exclude_credentials: exclude,
            authenticator_selection: Selection {
                resident_key: REQUIRED,
                require_resident_key: true,
                user_verification: REQUIRED,
            },
            attestation: "none",
        }
    }
}

impl RequestOptions {
    /// The options to use a passkey.
    #[must_use]
    pub fn new(party: &RelyingParty, challenge: String) -> Self {
        Self {
            challenge,
            timeout: TIMEOUT,
            rp_id: party.id().to_owned(),
            allow_credentials: Vec::new(),
            user_verification: REQUIRED,
        }
    }
}

impl CredentialDescriptor {
    /// The descriptor of a stored credential.
    #[must_use]
    pub fn new(id: Vec<u8>, transports: Vec<String>) -> Self {
        Self { r#type: PUBLIC_KEY, id: id.into(), transports }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{CreationOptions, CredentialDescriptor, RequestOptions, UserEntity};
    use crate::id::Id;
    use crate::webauthn::ceremony::RelyingParty;

    #[test]
    fn creation_options_are_as_browsers_parse_them() {
        let party = RelyingParty::new("example.org".to_owned(), vec![]);
        let user =
            UserEntity { id: Id::new([1; 16]), name: "ada@example.org".to_owned(), display_name: "Ada".to_owned() };
        let exclude = vec![CredentialDescriptor::new(vec![0xfb, 0xff], vec!["usb".to_owned()])];
        let options = CreationOptions::new(&party, "Example".to_owned(), user, "AAAA".to_owned(), exclude);
        let expected = json!({
            "rp": {"id": "example.org", "name": "Example"},
            "user": {"id": "AQEBAQEBAQEBAQEBAQEBAQ", "name": "ada@example.org", "displayName": "Ada"},
            "challenge": "AAAA",
            "pubKeyCredParams": [
                {"type": "public-key", "alg": -8},
                {"type": "public-key", "alg": -7},
                {"type": "public-key", "alg": -257},
            ],
            "timeout": 300_000,
            "excludeCredentials": [{"type": "public-key", "id": "-_8", "transports": ["usb"]}],
            "authenticatorSelection": {
                "residentKey": "required",
                "requireResidentKey": true,
                "userVerification": "required",
            },
            "attestation": "none",
        });
        assert_eq!(serde_json::to_value(options).unwrap(), expected);
    }

    #[test]
    fn request_options_are_as_browsers_parse_them() {
        let party = RelyingParty::new("example.org".to_owned(), vec![]);
        let expected = json!({
            "challenge": "AAAA",
            "timeout": 300_000,
            "rpId": "example.org",
            "allowCredentials": [],
            "userVerification": "required",
        });
        assert_eq!(serde_json::to_value(RequestOptions::new(&party, "AAAA".to_owned())).unwrap(), expected);
    }
}
