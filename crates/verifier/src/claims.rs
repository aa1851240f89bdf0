//! The claims of a verified token.

use portcullis_core::id::Id;
use serde_json::{Map, Value};

use crate::error::VerifyError;

/// The claims of a verified access token. Times in unix seconds.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Claims {
    /// The user id.
    pub sub: Id,
    /// The session id.
    pub sid: Id,
    /// The token id.
    pub jti: Id,
    /// The roles of the user at the time of issue.
    pub roles: Vec<String>,
    /// The time of issue.
    pub iat: u64,
    /// The expiry time.
    pub exp: u64,
    /// All claims, such as `email`, if `ACCESS_TOKEN_CLAIMS` of the issuer lists them.
    pub all: Map<String, Value>,
}

impl Claims {
    /// Whether the user has the role.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }

    /// Requires that the user has the role.
    ///
    /// # Errors
    /// [`VerifyError::Forbidden`] if the user does not have it.
    pub fn require_role(&self, role: &str) -> Result<(), VerifyError> {
        if self.has_role(role) { Ok(()) } else { Err(VerifyError::Forbidden) }
    }
}
