//! The claims of a verified token.

use portcullis_core::id::Id;
use portcullis_core::sign_in::Assurance;
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
    /// How certain it is that the user signed in. `None` if a mail was needed, and in tokens of older releases.
    pub acr: Option<Assurance>,
    /// When the user authenticated, in unix seconds. `None` in tokens of older releases.
    pub auth_time: Option<u64>,
    /// How the user authenticated: values of RFC 8176, for example `pwd`, `otp` and `mfa`. Empty in tokens of older releases.
    pub amr: Vec<String>,
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

    /// Requires at a time, in unix seconds, that the user authenticated well and recently enough (RFC 9470).
    ///
    /// # Errors
    /// [`VerifyError::InsufficientAuthentication`] if the user must authenticate again.
    pub fn require_at(&self, requirement: &Requirement, now: u64) -> Result<(), VerifyError> {
        let is_strong = requirement.acr.is_none_or(|least| self.acr.is_some_and(|own| own >= least));
        let age = self.auth_time.map(|time| now.saturating_sub(time));
        let is_recent = requirement.max_age.is_none_or(|most| age.is_some_and(|age| age <= most));
        if is_strong && is_recent { Ok(()) } else { Err(VerifyError::InsufficientAuthentication(*requirement)) }
    }
}

/// What the authentication of the user must be (RFC 9470). `Requirement::default()` requires nothing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Requirement {
    /// The least assurance.
    pub acr: Option<Assurance>,
    /// The maximum time since the user authenticated, in seconds.
    pub max_age: Option<u64>,
}

impl Requirement {
    /// The parameters of the challenge.
    pub(crate) fn parameters(self) -> String {
        let acr = self.acr.map(|least| {
            let accepted = [Assurance::Aal1, Assurance::Aal2].into_iter().filter(|acr| *acr >= least);
            format!(", acr_values=\"{}\"", accepted.map(Assurance::as_str).collect::<Vec<_>>().join(" "))
        });
        let max_age = self.max_age.map(|seconds| format!(", max_age=\"{seconds}\""));
        [acr, max_age].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use portcullis_core::id::Id;
    use serde_json::Map;

    use super::{Claims, Requirement};
    use crate::Assurance::{self, Aal1, Aal2};

    const AUTHENTICATED: u64 = 1_700_000_000;

    fn claims(acr: Option<Assurance>, auth_time: Option<u64>) -> Claims {
        let (sub, sid, jti) = (Id::NIL, Id::NIL, Id::NIL);
        let (roles, amr) = (Vec::new(), Vec::new());
        Claims { sub, sid, jti, roles, acr, auth_time, amr, iat: 0, exp: u64::MAX, all: Map::new() }
    }

    fn is_met(claims: &Claims, acr: Option<Assurance>, max_age: Option<u64>, age: u64) -> bool {
        claims.require_at(&Requirement { acr, max_age }, AUTHENTICATED + age).is_ok()
    }

    #[test]
    fn a_stronger_authentication_is_sufficient_and_a_weaker_one_is_not() {
        for (own, least, expected) in [
            (Some(Aal2), Some(Aal2), true),
            (Some(Aal2), Some(Aal1), true),
            (Some(Aal1), Some(Aal1), true),
            (Some(Aal1), Some(Aal2), false),
            (None, Some(Aal1), false),
            (None, None, true),
        ] {
            assert_eq!(is_met(&claims(own, None), least, None, 0), expected, "{own:?} {least:?}");
        }
    }

    #[test]
    fn an_authentication_is_recent_to_the_second() {
        let own = claims(Some(Aal1), Some(AUTHENTICATED));
        for (max_age, age, expected) in
            [(300, 0, true), (300, 300, true), (300, 301, false), (0, 0, true), (0, 1, false)]
        {
            assert_eq!(is_met(&own, None, Some(max_age), age), expected, "{max_age} {age}");
        }
        assert!(
            !is_met(&claims(Some(Aal2), None), None, Some(u64::MAX), 0),
            "a token without the claim is never recent"
        );
        assert!(!is_met(&own, Some(Aal2), Some(300), 0) && !is_met(&own, Some(Aal1), Some(300), 301));
    }

    #[test]
    fn the_challenge_names_the_requirement() {
        let challenge = |acr, max_age| {
            let refused = claims(None, None).require_at(&Requirement { acr, max_age }, 0).unwrap_err();
            assert_eq!((refused.status(), refused.code()), (401, "insufficient_user_authentication"));
            refused.challenge().unwrap()
        };
        let error = "Bearer error=\"insufficient_user_authentication\", \
                     error_description=\"This requires a more recent or a stronger authentication.\"";
        assert_eq!(challenge(Some(Aal2), None), format!("{error}, acr_values=\"aal2\""));
        assert_eq!(challenge(Some(Aal1), None), format!("{error}, acr_values=\"aal1 aal2\""));
        assert_eq!(challenge(None, Some(300)), format!("{error}, max_age=\"300\""));
        assert_eq!(challenge(Some(Aal2), Some(0)), format!("{error}, acr_values=\"aal2\", max_age=\"0\""));
    }
}
