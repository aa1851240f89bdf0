//! Access tokens: JWTs (RFC 9068).
//!
//! `jwt-compact` handles the header, the claims, the compact form and the expiry; WebCrypto handles the signatures. WebCrypto is
//! asynchronous, unlike the `Algorithm` of `jwt-compact`, so the caller connects the two:
//!
//! - To issue a token: [`signing_input`], `crypto.subtle.sign`, [`complete`].
//! - To verify one: [`Unverified::parse`], [`Unverified::is_for`] for the key, `crypto.subtle.verify` over
//!   [`Unverified::signing_input`], [`Unverified::verify`] with the result.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, Duration};
use jwt_compact::{AlgorithmExt as _, Empty, Header, TimeOptions, UntrustedToken, ValidationError};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::Id;
use crate::sign_in::{Assurance, Method};
use crate::strict_json;
use crate::token::external_signature::{ExternalSignature, SignatureCheck};
use crate::token::keys::SigningKey;
use crate::token::profile::Profile;
use crate::token::verifying_key::VerifyingKey;

/// The header parameter `typ` (RFC 9068 §2.1).
const TOKEN_TYPE: &str = "at+jwt";
/// The same media type with its prefix (RFC 7515 §4.1.9).
const TOKEN_TYPE_LONG: &str = "application/at+jwt";
/// The permitted header parameters. Others, such as `crit`, `jwk`, `jku`, `x5c` and `x5u`, request unsupported processing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenHeader {
    #[serde(rename = "alg")]
    _algorithm: IgnoredAny,
    kid: String,
    #[serde(rename = "typ")]
    token_type: String,
}

/// The claims of an access token. Times in unix seconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessToken {
    /// The user id.
    pub sub: Id,
    /// The session id.
    pub sid: Id,
    /// The token id.
    pub jti: Id,
    /// The roles of the user at the time of issue.
    pub roles: Vec<String>,
    /// When the user authenticated. `None` in tokens of releases without this claim.
    pub auth_time: Option<u64>,
    /// How the user authenticated: values of RFC 8176. Empty in tokens of releases without this claim.
    pub amr: Vec<String>,
    /// The time of issue.
    pub iat: u64,
    /// The expiry time. From this second on the token is expired.
    pub exp: u64,
}

impl AccessToken {
    /// How certain it is that the user signed in.
    #[must_use]
    pub fn assurance(&self) -> Option<Assurance> {
        Assurance::of_amr(self.amr.iter().map(String::as_str))
    }

    /// Whether the user authenticated at this time or later, in unix seconds. Without the claim, only 0 is certain.
    #[must_use]
    pub fn is_since(&self, time: u64) -> bool {
        self.auth_time.unwrap_or_default() >= time
    }

    /// How the user authenticated.
    #[must_use]
    pub fn methods(&self) -> Vec<Method> {
        Method::parse_amr(&self.amr.join(" "))
    }
}

/// The parties of a token, the same for all tokens of a deployment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parties {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// `client_id`.
    pub client_id: String,
}

/// The purpose for which a token is accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// To grant access: all claims are checked.
    Access,
    /// To end its session: all claims except the expiry are checked. The caller limits the age.
    Logout,
    /// To identify its session: only the signature is checked. Times and parties may have changed since the token was issued.
    Session,
}

/// Why a token is rejected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejection {
    /// It is not three canonical base64url parts, of which the first is the header of an access token and the second a
    /// JSON object, both without duplicate members.
    Malformed,
    /// The signature is invalid, or was made with an algorithm other than that of the key.
    Signature,
    /// A claim is missing or of the wrong type.
    Claims,
    /// The issuer is another one.
    Issuer,
    /// The audience is another one.
    Audience,
    /// `nbf` is in the future.
    NotYetValid,
    /// `exp` has been reached.
    Expired,
    /// Its session began before `SESSIONS_NOT_BEFORE`.
    SessionTooEarly,
}

/// A token cannot be encoded, because one of its times is outside the supported range.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenEncodingError(String);

impl std::fmt::Display for TokenEncodingError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "access token: {}", self.0)
    }
}

/// The bytes to sign: the encoded header and claims (RFC 7515 §5.1).
///
/// # Errors
/// [`TokenEncodingError`] for a time outside the supported range.
pub fn signing_input(
    token: &AccessToken,
    profile: Profile<'_>,
    parties: &Parties,
    key: &SigningKey,
) -> Result<String, TokenEncodingError> {
    let time = |seconds| calendar_time(seconds).ok_or_else(|| TokenEncodingError("a time is out of range".to_owned()));
    let mut claims = jwt_compact::Claims::new(Claims {
        iss: Cow::Borrowed(&parties.issuer),
        sub: token.sub,
        aud: Audience::One(Cow::Borrowed(&parties.audience)),
        jti: token.jti,
        client_id: Cow::Borrowed(&parties.client_id),
        sid: token.sid,
        roles: Cow::Borrowed(&token.roles),
        auth_time: token.auth_time,
        acr: token.assurance().map(Assurance::as_str),
        amr: Cow::Borrowed(&token.amr),
        profile,
    });
    claims.issued_at = Some(time(token.iat)?);
    claims.expiration = Some(time(token.exp)?);
    let header = Header::empty().with_key_id(key.kid()).with_token_type(TOKEN_TYPE);
    let algorithm = ExternalSignature::new(key.algorithm());
    let mut unsigned = algorithm.token(&header, &claims, &()).map_err(|error| TokenEncodingError(error.to_string()))?;
    // The signature is empty, so without the last dot this is the signing input.
    unsigned.pop();
    Ok(unsigned)
}

/// Appends the signature to its signing input, which gives the compact token.
#[must_use]
pub fn complete(mut signing_input: String, signature: &[u8]) -> String {
    signing_input.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut signing_input);
    signing_input
}

/// A well-formed token whose signature has not been verified. Only the `kid` may be used, to find the key.
pub struct Unverified<'a> {
    token: UntrustedToken<'a>,
    kid: String,
    signing_input: &'a str,
    claims: &'a str,
}

impl<'a> Unverified<'a> {
    /// Parses a compact token.
    ///
    /// # Errors
    /// [`Rejection::Malformed`] if it is not a well-formed access token.
    pub fn parse(compact: &'a str) -> Result<Self, Rejection> {
        let (signing_input, _) = compact.rsplit_once('.').ok_or(Rejection::Malformed)?;
        let (header, claims) = signing_input.split_once('.').ok_or(Rejection::Malformed)?;
        let header = BASE64_URL_SAFE_NO_PAD.decode(header).map_err(|_| Rejection::Malformed)?;
        let TokenHeader { kid, token_type, .. } = serde_json::from_slice(&header).map_err(|_| Rejection::Malformed)?;
        // Media types are case-insensitive (RFC 2045 §5.1).
        if ![TOKEN_TYPE, TOKEN_TYPE_LONG].iter().any(|ours| token_type.eq_ignore_ascii_case(ours)) {
            return Err(Rejection::Malformed);
        }
        let token = UntrustedToken::new(compact).map_err(|_| Rejection::Malformed)?;
        Ok(Self { token, kid, signing_input, claims })
    }

    /// The `kid` of the header. Compare it only with those of the key set.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The bytes that the signature covers.
    #[must_use]
    pub fn signing_input(&self) -> &'a str {
        self.signing_input
    }

    /// The signature, of any length.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        self.token.signature_bytes()
    }

    /// Whether that key may have signed the token: the header names the key and its only algorithm (RFC 8725 §3.1), and the
    /// signature has the right length.
    #[must_use]
    pub fn is_for(&self, key: &VerifyingKey) -> bool {
        self.kid == key.kid()
            && self.token.algorithm() == key.algorithm().name()
            && self.signature().len() == key.signature_len()
    }

    /// Parses the claims after the signature has been checked. `is_valid` says whether [`Self::signature`] is a valid signature
    /// of [`Self::signing_input`] by that key.
    ///
    /// # Errors
    /// [`Rejection::Signature`] before any other [`Rejection`].
    pub fn verify(self, (key, is_valid): (&VerifyingKey, bool), parties: &Parties) -> Result<VerifiedToken, Rejection> {
        if !is_valid || !self.is_for(key) {
            return Err(Rejection::Signature);
        }
        let check = SignatureCheck::new(self.signing_input, is_valid);
        let algorithm = ExternalSignature::new(key.algorithm());
        let token = algorithm.validator::<Claims>(&check).validate(&self.token).map_err(|error| match error {
            ValidationError::MalformedClaims(_) => Rejection::Claims,
            _ => Rejection::Signature,
        })?;
        let (iat, exp, nbf) = self.times().ok_or(Rejection::Claims)?;
        let claims = &token.claims().custom;
        let mut lifetime = jwt_compact::Claims::empty();
        lifetime.expiration = token.claims().expiration;
        Ok(VerifiedToken {
            party_rejection: if claims.iss != parties.issuer {
                Some(Rejection::Issuer)
            } else if !claims.aud.contains(&parties.audience) {
                Some(Rejection::Audience)
            } else {
                None
            },
            not_before: nbf.unwrap_or(0),
            lifetime,
            token: AccessToken {
                sub: claims.sub,
                sid: claims.sid,
                jti: claims.jti,
                roles: claims.roles.to_vec(),
                auth_time: claims.auth_time,
                amr: claims.amr.to_vec(),
                iat,
                exp,
            },
            kid: self.kid,
        })
    }

    /// `iat`, `exp` and `nbf` if present. They must be whole seconds; jwt-compact would truncate fractions.
    fn times(&self) -> Option<(u64, u64, Option<u64>)> {
        let claims = json_part(self.claims)?;
        let nbf = match claims.get("nbf") {
            None => None,
            Some(value) => Some(value.as_u64()?),
        };
        Some((claims.get("iat")?.as_u64()?, claims.get("exp")?.as_u64()?, nbf))
    }
}

/// A token whose signature has been verified, reduced to what does not change with time.
pub struct VerifiedToken {
    token: AccessToken,
    kid: String,
    /// The rejection for another issuer or audience.
    party_rejection: Option<Rejection>,
    /// `nbf`, or 0. `iat` is not a limit (RFC 7519 §4.1.6), since the clock of the issuer may be ahead.
    not_before: u64,
    /// `exp` only, for jwt-compact to check.
    lifetime: jwt_compact::Claims<Empty>,
}

impl VerifiedToken {
    /// The `kid` of the key that signed it.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The claims, if the token is valid for this purpose at this time. There is no leeway, since this service issued it.
    ///
    /// # Errors
    /// [`Rejection`] says which claim is not valid.
    pub fn accept(&self, purpose: Purpose, now: u64) -> Result<AccessToken, Rejection> {
        if purpose != Purpose::Session {
            if let Some(rejection) = self.party_rejection {
                return Err(rejection);
            }
            if self.not_before > now {
                return Err(Rejection::NotYetValid);
            }
        }
        if purpose == Purpose::Access {
            // One second less, since jwt-compact accepts the second of `exp` itself, contrary to RFC 7519 §4.1.4.
            let clock = calendar_time(now).ok_or(Rejection::Claims)?;
            let options = TimeOptions::new(Duration::seconds(-1), || clock);
            self.lifetime.validate_expiration(&options).map_err(|_| Rejection::Expired)?;
        }
        Ok(self.token.clone())
    }
}

fn json_part(part: &str) -> Option<serde_json::Map<String, Value>> {
    strict_json::parse_object(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?)
}

fn calendar_time(seconds: u64) -> Option<DateTime<chrono::Utc>> {
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)
}

#[derive(Clone, Serialize, Deserialize)]
struct Claims<'a> {
    iss: Cow<'a, str>,
    sub: Id,
    aud: Audience<'a>,
    jti: Id,
    client_id: Cow<'a, str>,
    sid: Id,
    roles: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth_time: Option<u64>,
    /// Computed from `amr`, so it is not parsed back.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    acr: Option<&'static str>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    amr: Cow<'a, [String]>,
    #[serde(flatten, skip_deserializing)]
    profile: Profile<'a>,
}

/// One audience or several (RFC 7519 §4.1.3).
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Audience<'a> {
    One(Cow<'a, str>),
    Several(Vec<String>),
}

impl Audience<'_> {
    fn contains(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::{AccessToken, Parties, Purpose, Rejection, Unverified, signing_input};
    use crate::id::Id;
    use crate::token::keys::SigningKeys;
    use crate::token::keys::tests::{parse, rfc_7515_a3_key};
    use crate::token::profile::{EmailClaims, Profile, ProfileClaim};

    pub(crate) const NOW: u64 = 1_700_000_000;
    /// The `kid` of the key of RFC 7515 A.3.
    const KID: &str = "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U";

    fn keys() -> SigningKeys {
        parse(&[rfc_7515_a3_key()]).unwrap()
    }

    pub(crate) fn parties() -> Parties {
        Parties {
            issuer: "https://auth.example.org".to_owned(),
            audience: "https://api.example.org".to_owned(),
            client_id: "first-party".to_owned(),
        }
    }

    pub(crate) fn token() -> AccessToken {
        AccessToken {
            sub: Id::new([1; 16]),
            sid: Id::new([2; 16]),
            jti: Id::new([3; 16]),
            roles: vec!["user".to_owned()],
            auth_time: Some(NOW - 60),
            amr: ["pwd", "otp", "mfa"].map(ToOwned::to_owned).to_vec(),
            iat: NOW,
            exp: NOW + 900,
        }
    }

    fn header() -> Value {
        json!({"alg": "ES256", "kid": KID, "typ": "at+jwt"})
    }

    pub(crate) fn claims() -> Value {
        json!({
            "iss": "https://auth.example.org", "aud": "https://api.example.org", "client_id": "first-party",
            "sub": token().sub, "sid": token().sid, "jti": token().jti, "roles": ["user"], "auth_time": NOW - 60,
            "acr": "aal2", "amr": ["pwd", "otp", "mfa"], "iat": NOW, "exp": NOW + 900,
        })
    }

    fn with(mut object: Value, member: &str, value: Value) -> Value {
        object[member] = value;
        object
    }

    fn without(mut object: Value, member: &str) -> Value {
        object.as_object_mut().unwrap().remove(member);
        object
    }

    /// A compact token with any header and claims, and an arbitrary signature.
    fn compact(header: &str, claims: &str) -> String {
        let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", encode(header), encode(claims), BASE64_URL_SAFE_NO_PAD.encode([5; 64]))
    }

    /// Verifies such a token as if its signature were valid.
    fn read(header: &str, claims: &str) -> Result<AccessToken, Rejection> {
        read_at(&compact(header, claims), NOW)
    }

    fn read_at(compact: &str, now: u64) -> Result<AccessToken, Rejection> {
        let keys = keys();
        Unverified::parse(compact)?
            .verify((keys.active(0).unwrap().verifying_key(), true), &parties())?
            .accept(Purpose::Access, now)
    }

    fn read_claims(claims: &Value) -> Result<AccessToken, Rejection> {
        read(&header().to_string(), &claims.to_string())
    }

    #[test]
    fn a_token_with_an_invalid_signature_is_rejected_whatever_its_claims() {
        for claims in [claims(), with(claims(), "exp", json!(1)), json!({}), json!({"exp": "x"})] {
            let compact = compact(&header().to_string(), &claims.to_string());
            for purpose in [Purpose::Access, Purpose::Session] {
                let (unverified, keys) = (Unverified::parse(&compact).unwrap(), keys());
                let check = (keys.active(0).unwrap().verifying_key(), false);
                assert_eq!(
                    unverified.verify(check, &parties()).and_then(|verified| verified.accept(purpose, NOW)),
                    Err(Rejection::Signature),
                    "{claims}"
                );
            }
        }
    }

    #[test]
    fn a_token_is_since_its_auth_time_and_one_without_is_since_no_time() {
        assert!(token().is_since(NOW - 60) && token().is_since(0));
        assert!(!token().is_since(NOW - 59));
        let old = AccessToken { auth_time: None, ..token() };
        assert!(old.is_since(0) && !old.is_since(1));
    }

    #[test]
    fn only_the_purpose_session_ignores_times_and_parties() {
        let read = |claims: &Value, now| {
            let compact = compact(&header().to_string(), &claims.to_string());
            let unverified = Unverified::parse(&compact).unwrap();
            unverified
                .verify((keys().active(0).unwrap().verifying_key(), true), &parties())?
                .accept(Purpose::Session, now)
        };
        assert_eq!(read(&claims(), NOW + 900), Ok(token()));
        assert_eq!(read(&claims(), NOW + 900_000_000), Ok(token()));
        assert_eq!(read(&with(claims(), "exp", json!("x")), NOW), Err(Rejection::Claims));
        assert_eq!(read(&without(claims(), "exp"), NOW), Err(Rejection::Claims));
        // Issued by another clock, or under another configuration.
        assert_eq!(read(&claims(), NOW - 1), Ok(token()));
        assert_eq!(read(&with(claims(), "iss", json!("https://other.example")), NOW), Ok(token()));
        assert_eq!(read(&with(claims(), "aud", json!("https://other.example")), NOW), Ok(token()));
    }

    #[test]
    fn a_token_contains_the_configured_and_known_claims_of_the_profile() {
        const ALL: [ProfileClaim; 3] = [ProfileClaim::Email, ProfileClaim::Name, ProfileClaim::PreferredUsername];
        let profile_claims = |profile: Profile<'_>| {
            let input = signing_input(&token(), profile, &parties(), keys().active(0).unwrap()).unwrap();
            let payload = BASE64_URL_SAFE_NO_PAD.decode(input.split_once('.').unwrap().1).unwrap();
            assert_eq!(read(&header().to_string(), std::str::from_utf8(&payload).unwrap()), Ok(token()));
            let payload: Value = serde_json::from_slice(&payload).unwrap();
            let required = claims();
            let extra = payload.as_object().unwrap().iter().filter(|(name, _)| required.get(name.as_str()).is_none());
            extra.map(|(name, value)| (name.clone(), value.clone())).collect::<Value>()
        };
        let email = EmailClaims { email: "ada@example.org", email_verified: false };
        let full =
            Profile { email: Some(email), name: Some("Ada"), preferred_username: Some("ada"), ..Profile::default() };
        let everything = json!({
            "email": "ada@example.org", "email_verified": false, "name": "Ada", "preferred_username": "ada",
        });
        assert_eq!(profile_claims(full.only(&[])), json!({}));
        assert_eq!(profile_claims(full.only(&ALL)), everything);
        for claim in ["name", "preferred_username"] {
            let claims = [ProfileClaim::parse(claim).unwrap()];
            assert_eq!(profile_claims(full.only(&claims)), json!({claim: everything[claim]}));
        }
        // A token with an address always says whether the address is verified.
        for email_verified in [false, true] {
            let profile = Profile { email: Some(EmailClaims { email_verified, ..email }), ..full };
            let claims = json!({"email": "ada@example.org", "email_verified": email_verified});
            assert_eq!(profile_claims(profile.only(&[ProfileClaim::Email])), claims);
        }
        assert_eq!(profile_claims(Profile { name: None, ..full }.only(&ALL)), without(everything, "name"));
        for unknown in ["", "Email", "roles", "email_verified", "username"] {
            assert_eq!(ProfileClaim::parse(unknown), None);
        }
        // These claims are not parsed back.
        assert!(read_claims(&with(claims(), "email", json!(7))).is_ok());
    }

    #[test]
    fn only_the_header_of_an_access_token_is_accepted() {
        for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
            assert!(read(&with(header(), "typ", json!(typ)).to_string(), &claims().to_string()).is_ok(), "{typ}");
        }
        let bad = [
            without(header(), "typ"),
            without(header(), "kid"),
            with(header(), "typ", json!("JWT")),
            with(header(), "typ", json!("dpop+jwt")),
            with(header(), "typ", json!(1)),
            with(header(), "kid", json!(1)),
            with(header(), "kid", Value::Null),
            with(header(), "kid", json!({})),
            with(header(), "crit", json!(["exp"])),
            with(header(), "crit", json!([])),
            with(header(), "b64", json!(false)),
            with(header(), "jwk", rfc_7515_a3_key()),
            with(header(), "jku", json!("https://evil.example")),
            with(header(), "x5u", json!("https://evil.example")),
            with(header(), "x5c", json!(["MII"])),
            with(header(), "cty", json!("JWT")),
            with(header(), "zip", json!("DEF")),
        ];
        for header in bad {
            assert_eq!(read(&header.to_string(), &claims().to_string()), Err(Rejection::Malformed), "{header}");
        }
    }

    #[test]
    fn duplicate_members_are_rejected_in_either_order() {
        let header_text = header().to_string();
        let claims_text = claims().to_string();
        for (member, value) in [("alg", "\"none\""), ("kid", "\"x\""), ("typ", "\"JWT\"")] {
            let last = header_text.replacen('{', &format!("{{\"{member}\":{value},"), 1);
            let first = header_text.replacen('}', &format!(",\"{member}\":{value}}}"), 1);
            for header in [last, first] {
                assert_eq!(read(&header, &claims_text), Err(Rejection::Malformed), "{header}");
            }
        }
        for (member, value) in [("sub", "\"x\""), ("exp", "9999999999"), ("sid", "\"x\""), ("other", "1,\"other\":2")] {
            let twice = claims_text.replacen('{', &format!("{{\"{member}\":{value},"), 1);
            assert!(read(&header_text, &twice).is_err(), "{twice}");
        }
    }

    #[test]
    fn a_missing_or_mistyped_claim_is_rejected() {
        let exp =
            [json!("9999999999"), json!(-1), json!(1.5), json!(1e300), Value::Null, json!([]), json!(true), json!({})];
        for value in &exp {
            for claim in ["exp", "iat", "nbf"] {
                assert_eq!(
                    read_claims(&with(claims(), claim, value.clone())),
                    Err(Rejection::Claims),
                    "{claim} {value}"
                );
            }
        }
        for claim in ["iss", "sub", "aud", "jti", "client_id", "sid", "roles", "exp", "iat"] {
            assert_eq!(read_claims(&without(claims(), claim)), Err(Rejection::Claims), "{claim}");
            assert_eq!(read_claims(&with(claims(), claim, Value::Null)), Err(Rejection::Claims), "{claim}");
        }
        for (claim, value) in [("sub", json!("")), ("sub", json!("ada")), ("sid", json!(1)), ("roles", json!("admin"))]
        {
            assert_eq!(read_claims(&with(claims(), claim, value.clone())), Err(Rejection::Claims), "{claim} {value}");
        }
        let too_late = claims().to_string().replace(&(NOW + 900).to_string(), "9223372036854775808");
        assert_eq!(read(&header().to_string(), &too_late), Err(Rejection::Claims));
    }

    #[test]
    fn issuer_and_audience_are_compared_exactly() {
        for issuer in ["https://auth.example.org/", "http://auth.example.org", "https://AUTH.example.org", ""] {
            assert_eq!(read_claims(&with(claims(), "iss", json!(issuer))), Err(Rejection::Issuer), "{issuer}");
        }
        let api = "https://api.example.org";
        assert!(read_claims(&with(claims(), "aud", json!(["other", api]))).is_ok());
        for audience in
            [json!([]), json!(""), json!(["other"]), json!("https://api.example.org/"), json!("https://api")]
        {
            assert_eq!(read_claims(&with(claims(), "aud", audience)), Err(Rejection::Audience));
        }
    }

    #[test]
    fn a_token_expires_at_the_second_of_exp() {
        let compact = compact(&header().to_string(), &claims().to_string());
        assert!(read_at(&compact, NOW + 899).is_ok());
        assert_eq!(read_at(&compact, NOW + 900), Err(Rejection::Expired));
        assert_eq!(read_at(&compact, u64::MAX), Err(Rejection::Claims));
    }

    #[test]
    fn a_token_is_not_valid_before_nbf() {
        let ahead = compact(&header().to_string(), &with(claims(), "nbf", json!(NOW + 5)).to_string());
        assert_eq!(read_at(&ahead, NOW + 4), Err(Rejection::NotYetValid));
        assert!(read_at(&ahead, NOW + 5).is_ok());
    }

    #[test]
    fn an_iat_in_the_future_is_accepted() {
        for iat in [NOW + 1, NOW + 900, NOW + 100_000_000] {
            assert_eq!(read_claims(&with(claims(), "iat", json!(iat))), Ok(AccessToken { iat, ..token() }));
        }
    }

    #[test]
    fn the_compact_form_has_three_canonical_parts() {
        let good = compact(&header().to_string(), &claims().to_string());
        let parts: Vec<_> = good.split('.').collect();
        let [header, claims, signature] = parts[..] else { panic!("three parts") };
        let spare_bits = signature.strip_suffix('Q').map(|rest| format!("{header}.{claims}.{rest}R")).unwrap();
        let bad = [
            String::new(),
            "..".to_owned(),
            format!("{header}.{claims}"),
            format!("{header}.{claims}."),
            format!("{good}.{signature}"),
            format!("{good}.a.b"),
            format!("{good}="),
            format!("{header}=.{claims}.{signature}"),
            format!("{header}. {claims}.{signature}"),
            format!("{good}\n"),
            good.replace('.', "+"),
            format!("{header}.{claims}.{}", &signature[1..]),
            format!("{header}.{claims}.{signature}AA"),
            spare_bits,
            ".".repeat(100_000),
        ];
        for compact in bad {
            let rejection = read_at(&compact, NOW).err();
            assert!(matches!(rejection, Some(Rejection::Malformed | Rejection::Signature)), "{compact}");
        }
    }
}
