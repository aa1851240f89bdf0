//! Passkeys, as the API returns them to their user.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;

/// A passkey. Times in unix seconds.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Passkey {
    /// The credential id, in base64url.
    pub id: String,
    /// How the user calls it. At first the name of the authenticator or of the browser.
    pub name: String,
    /// When it was added.
    pub created_at: u64,
    /// The last sign-in or step-up with it.
    pub last_used_at: Option<u64>,
    /// Whether the authenticator copies it to other devices.
    pub backed_up: bool,
    /// How browsers reach the authenticator.
    pub transports: Vec<String>,
    /// The model of the authenticator, as a UUID. Zeros if it does not tell.
    pub aaguid: String,
}

impl Passkey {
    /// The bytes of the id.
    #[must_use]
    pub fn credential_id(&self) -> Option<Vec<u8>> {
        BASE64_URL_SAFE_NO_PAD.decode(&self.id).ok()
    }
}

#[cfg(feature = "openapi")]
impl Passkey {
    /// The passkey in the examples of the documentation.
    #[must_use]
    pub fn example() -> Self {
        Self {
            id: "dGhlIGlkIG9mIGEgcGFzc2tleQ".to_owned(),
            name: "Apple Passwords".to_owned(),
            created_at: 1_796_083_200,
            last_used_at: None,
            backed_up: true,
            transports: vec!["hybrid".to_owned(), "internal".to_owned()],
            aaguid: "fbfc3007-154e-4ecc-8c0b-6e020557d7bd".to_owned(),
        }
    }
}
