//! Access tokens: JWTs by RFC 9068, signed with ES256.
//!
//! Header, claims, compact form and expiry are `jwt-compact`'s. The signature is made and checked by the runtime's
//! WebCrypto, which is asynchronous where `jwt-compact`'s [`Algorithm`] is not, so the bridge is explicit:
//! [`signing_input`], then `crypto.subtle.sign`, then [`complete`]; and [`Unverified::parse`], then
//! `crypto.subtle.verify` over [`Unverified::signing_input`], then [`Unverified::validate`] with its verdict.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::num::NonZeroUsize;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, Duration};
use jwt_compact::{
    Algorithm, AlgorithmExt as _, AlgorithmSignature, Header, TimeOptions, UntrustedToken, ValidationError,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::Id;
use super::signing_key::ALGORITHM;
use super::strict_json;

/// Of an ES256 signature, in bytes: r and s (RFC 7518 §3.4).
pub const SIGNATURE_LEN: usize = 64;
/// RFC 9068 §2.1.
const TOKEN_TYPE: &str = "at+jwt";
/// The same, spelt out (RFC 7515 §4.1.9).
const TOKEN_TYPE_LONG: &str = "application/at+jwt";
/// The only header parameters a token of ours has. Others, `crit`, `jwk`, `jku`, `x5c` and `x5u` among them, could only
/// ask for something that is never done here.
const HEADER_MEMBERS: [&str; 3] = ["alg", "kid", "typ"];

/// What an access token says. Times in unix seconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessToken {
    /// The user.
    pub sub: Id,
    /// The session: the family of the refresh token.
    pub sid: Id,
    /// This token.
    pub jti: Id,
    /// The user's roles when it was issued.
    pub roles: Vec<String>,
    /// When it was issued.
    pub iat: u64,
    /// When it ends; from that second on it is not accepted.
    pub exp: u64,
}

/// Who issues tokens, and for whom: the same in every token of a deployment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parties {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// `client_id`.
    pub client_id: String,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejection {
    /// Not three canonical base64url parts holding JSON objects without duplicates, with the header of an access token.
    Malformed,
    /// The signature is not genuine, or made with another algorithm than its key's.
    Signature,
    /// A claim is missing or of the wrong type.
    Claims,
    /// Issued by another.
    Issuer,
    /// Issued for another.
    Audience,
    /// `nbf` or `iat` lies ahead.
    NotYetValid,
    /// `exp` has come.
    Expired,
}

/// A value that JSON cannot carry; no value of [`AccessToken`] is one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotRepresentable(String);

impl std::fmt::Display for NotRepresentable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "access token: {}", self.0)
    }
}

/// The bytes to sign for a token: header and claims, encoded (RFC 7515 §5.1).
///
/// # Errors
/// [`NotRepresentable`] for a time beyond the calendar.
pub fn signing_input(token: &AccessToken, parties: &Parties, kid: &str) -> Result<String, NotRepresentable> {
    let time = |seconds| calendar_time(seconds).ok_or_else(|| NotRepresentable("time".to_owned()));
    let mut claims = jwt_compact::Claims::new(Claims {
        iss: Cow::Borrowed(&parties.issuer),
        sub: token.sub,
        aud: Audience::One(Cow::Borrowed(&parties.audience)),
        jti: token.jti,
        client_id: Cow::Borrowed(&parties.client_id),
        sid: token.sid,
        roles: Cow::Borrowed(&token.roles),
    });
    claims.issued_at = Some(time(token.iat)?);
    claims.expiration = Some(time(token.exp)?);
    let header = Header::empty().with_key_id(kid).with_token_type(TOKEN_TYPE);
    let mut unsigned =
        Es256Elsewhere::default().token(&header, &claims, &()).map_err(|error| NotRepresentable(error.to_string()))?;
    // The signature is empty: what remains before its dot is the signing input.
    unsigned.pop();
    Ok(unsigned)
}

/// Puts a signature behind its signing input.
#[must_use]
pub fn complete(mut signing_input: String, signature: &[u8; SIGNATURE_LEN]) -> String {
    signing_input.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut signing_input);
    signing_input
}

/// A token that is well-formed. Nothing it says may be used yet, but for the name of the key to check it with.
#[derive(Debug)]
pub struct Unverified<'a> {
    token: UntrustedToken<'a>,
    kid: String,
    signing_input: &'a str,
    signature: [u8; SIGNATURE_LEN],
    claims: &'a str,
}

impl<'a> Unverified<'a> {
    /// Takes a compact token apart.
    ///
    /// # Errors
    /// [`Rejection::Malformed`], or [`Rejection::Signature`] if that has not 64 bytes.
    pub fn parse(compact: &'a str) -> Result<Self, Rejection> {
        let (signing_input, _) = compact.rsplit_once('.').ok_or(Rejection::Malformed)?;
        let (header, claims) = signing_input.split_once('.').ok_or(Rejection::Malformed)?;
        let header = json_part(header).ok_or(Rejection::Malformed)?;
        if !header.keys().all(|name| HEADER_MEMBERS.contains(&name.as_str())) {
            return Err(Rejection::Malformed);
        }
        // Media types are case-insensitive (RFC 2045 §5.1).
        let token_type = header.get("typ").and_then(Value::as_str).ok_or(Rejection::Malformed)?;
        if ![TOKEN_TYPE, TOKEN_TYPE_LONG].iter().any(|ours| token_type.eq_ignore_ascii_case(ours)) {
            return Err(Rejection::Malformed);
        }
        let kid = header.get("kid").and_then(Value::as_str).ok_or(Rejection::Malformed)?.to_owned();
        let token = UntrustedToken::new(compact).map_err(|_| Rejection::Malformed)?;
        let signature = token.signature_bytes().try_into().map_err(|_| Rejection::Signature)?;
        Ok(Self { token, kid, signing_input, signature, claims })
    }

    /// The `kid` of the header: only ever compared with the key set's own.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The bytes the signature covers.
    #[must_use]
    pub fn signing_input(&self) -> &'a str {
        self.signing_input
    }

    /// r and s.
    #[must_use]
    pub fn signature(&self) -> &[u8; SIGNATURE_LEN] {
        &self.signature
    }

    /// Reads the claims of a token whose signature has been checked: `genuine` is the verdict over
    /// [`Self::signing_input`] and [`Self::signature`] by the key named [`Self::kid`]. `leeway` in seconds.
    ///
    /// # Errors
    /// [`Rejection`]; of the signature before any of a claim.
    pub fn validate(self, genuine: bool, parties: &Parties, now: u64, leeway: u64) -> Result<AccessToken, Rejection> {
        let verdict = Verdict { signing_input: self.signing_input, genuine };
        let token =
            Es256Elsewhere::default().validator::<Claims>(&verdict).validate(&self.token).map_err(
                |error| match error {
                    ValidationError::MalformedClaims(_) if genuine => Rejection::Claims,
                    _ => Rejection::Signature,
                },
            )?;
        let (iat, exp, nbf) = self.times().ok_or(Rejection::Claims)?;
        let claims = token.claims();
        let said = &claims.custom;
        if said.iss != parties.issuer {
            return Err(Rejection::Issuer);
        }
        if !said.aud.contains(&parties.audience) {
            return Err(Rejection::Audience);
        }
        if iat.max(nbf.unwrap_or(0)) > now.saturating_add(leeway) {
            return Err(Rejection::NotYetValid);
        }
        // jwt-compact still accepts the second of `exp` itself, which RFC 7519 §4.1.4 does not: hence one second less.
        let clock = calendar_time(now).ok_or(Rejection::Claims)?;
        let leeway = Duration::seconds(i64::try_from(leeway).unwrap_or(0).saturating_sub(1));
        claims.validate_expiration(&TimeOptions::new(leeway, || clock)).map_err(|_| Rejection::Expired)?;
        Ok(AccessToken { sub: said.sub, sid: said.sid, jti: said.jti, roles: said.roles.to_vec(), iat, exp })
    }

    /// `iat`, `exp` and, if there, `nbf`: whole seconds. jwt-compact would cut the fraction off a number.
    fn times(&self) -> Option<(u64, u64, Option<u64>)> {
        let claims = json_part(self.claims)?;
        let nbf = match claims.get("nbf") {
            None => None,
            Some(value) => Some(value.as_u64()?),
        };
        Some((claims.get("iat")?.as_u64()?, claims.get("exp")?.as_u64()?, nbf))
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
}

/// RFC 7519 §4.1.3: one, or several.
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

/// ES256 whose signatures are made and checked elsewhere: signing yields none, verifying repeats a verdict.
#[derive(Default)]
struct Es256Elsewhere<'a>(PhantomData<&'a ()>);

struct Verdict<'a> {
    signing_input: &'a str,
    genuine: bool,
}

struct RawSignature(Vec<u8>);

impl AlgorithmSignature for RawSignature {
    const LENGTH: Option<NonZeroUsize> = NonZeroUsize::new(SIGNATURE_LEN);

    fn try_from_slice(slice: &[u8]) -> anyhow::Result<Self> {
        Ok(Self(slice.to_vec()))
    }

    fn as_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }
}

impl<'a> Algorithm for Es256Elsewhere<'a> {
    type SigningKey = ();
    type VerifyingKey = Verdict<'a>;
    type Signature = RawSignature;

    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(ALGORITHM)
    }

    fn sign(&self, (): &(), _message: &[u8]) -> RawSignature {
        RawSignature(Vec::new())
    }

    fn verify_signature(&self, _signature: &RawSignature, verdict: &Verdict<'a>, message: &[u8]) -> bool {
        verdict.genuine && verdict.signing_input.as_bytes() == message
    }
}
