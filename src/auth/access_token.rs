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
        if !genuine {
            return Err(Rejection::Signature);
        }
        let verdict = Verdict { signing_input: self.signing_input, genuine };
        let token =
            Es256Elsewhere::default().validator::<Claims>(&verdict).validate(&self.token).map_err(
                |error| match error {
                    ValidationError::MalformedClaims(_) => Rejection::Claims,
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

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use jwt_compact::alg::Es256;
    use jwt_compact::jwk::JsonWebKey;
    use jwt_compact::{Algorithm, AlgorithmExt as _, AlgorithmSignature as _, UntrustedToken};
    use serde_json::{Value, json};

    use super::{AccessToken, Parties, Rejection, Unverified, complete, signing_input};
    use crate::auth::id::Id;
    use crate::auth::signing_key::tests::rfc_7515_a3_key;

    const NOW: u64 = 1_700_000_000;
    const KID: &str = "the-kid";

    fn parties() -> Parties {
        Parties {
            issuer: "https://auth.example.org".to_owned(),
            audience: "https://api.example.org".to_owned(),
            client_id: "first-party".to_owned(),
        }
    }

    fn token() -> AccessToken {
        AccessToken {
            sub: Id::new([1; 16]),
            sid: Id::new([2; 16]),
            jti: Id::new([3; 16]),
            roles: vec!["user".to_owned()],
            iat: NOW,
            exp: NOW + 900,
        }
    }

    fn header() -> Value {
        json!({"alg": "ES256", "kid": KID, "typ": "at+jwt"})
    }

    fn claims() -> Value {
        json!({
            "iss": "https://auth.example.org", "aud": "https://api.example.org", "client_id": "first-party",
            "sub": token().sub, "sid": token().sid, "jti": token().jti, "roles": ["user"], "iat": NOW, "exp": NOW + 900,
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

    /// A compact token of any header and claims, with a signature that nobody made.
    fn compact(header: &str, claims: &str) -> String {
        let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", encode(header), encode(claims), BASE64_URL_SAFE_NO_PAD.encode([5; 64]))
    }

    /// Verifies such a token as if its signature were genuine.
    fn read(header: &str, claims: &str) -> Result<AccessToken, Rejection> {
        read_at(&compact(header, claims), NOW, 0)
    }

    fn read_at(compact: &str, now: u64, leeway: u64) -> Result<AccessToken, Rejection> {
        Unverified::parse(compact)?.validate(true, &parties(), now, leeway)
    }

    fn read_claims(claims: &Value) -> Result<AccessToken, Rejection> {
        read(&header().to_string(), &claims.to_string())
    }

    type Key<A> = (<A as Algorithm>::SigningKey, <A as Algorithm>::VerifyingKey);

    fn rfc_7515_key() -> Key<Es256> {
        let jwk: JsonWebKey<'_> = serde_json::from_value(rfc_7515_a3_key()).unwrap();
        ((&jwk).try_into().unwrap(), (&jwk).try_into().unwrap())
    }

    /// RFC 7515 A.3: the independent ES256 of these tests is the RFC's (RFC 7518 §3.4: r and s, 64 bytes).
    #[test]
    fn rfc_7515_a3_vector() {
        let jws = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        let (message, signature) = jws.rsplit_once('.').unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert_eq!(signature.len(), super::SIGNATURE_LEN);
        let signature = <Es256 as Algorithm>::Signature::try_from_slice(&signature).unwrap();
        let (_, verifying) = rfc_7515_key();
        assert!(Es256.verify_signature(&signature, &verifying, message.as_bytes()));
        assert!(!Es256.verify_signature(&signature, &verifying, b"another message"));
    }

    #[test]
    fn a_token_of_ours_is_one_to_an_independent_implementation() {
        let (signing, verifying) = rfc_7515_key();
        let input = signing_input(&token(), &parties(), KID).unwrap();
        let signature = Es256.sign(&signing, input.as_bytes());
        let compact = complete(input, signature.as_bytes().as_ref().try_into().unwrap());

        let untrusted = UntrustedToken::new(&compact).unwrap();
        assert_eq!(untrusted.algorithm(), "ES256");
        assert_eq!(untrusted.header().key_id.as_deref(), Some(KID));
        assert_eq!(untrusted.header().token_type.as_deref(), Some("at+jwt"));
        let read: jwt_compact::Token<Value> = Es256.validator(&verifying).validate(&untrusted).unwrap();
        assert_eq!(serde_json::to_value(read.claims()).unwrap(), claims());

        let unverified = Unverified::parse(&compact).unwrap();
        assert_eq!(unverified.kid(), KID);
        assert_eq!(unverified.signature().as_slice(), signature.as_bytes().as_ref());
        assert_eq!(unverified.validate(true, &parties(), NOW, 0), Ok(token()));
    }

    #[test]
    fn without_a_genuine_signature_nothing_is_told_of_the_claims() {
        for claims in [claims(), with(claims(), "exp", json!(1)), json!({}), json!({"exp": "x"})] {
            let compact = compact(&header().to_string(), &claims.to_string());
            let unverified = Unverified::parse(&compact).unwrap();
            assert_eq!(unverified.validate(false, &parties(), NOW, 0), Err(Rejection::Signature), "{claims}");
        }
    }

    #[test]
    fn the_algorithm_is_the_keys_own() {
        for alg in ["none", "None", "NONE", "nOnE", "HS256", "RS256", "ES384", "es256", ""] {
            let header = with(header(), "alg", json!(alg));
            assert_eq!(read(&header.to_string(), &claims().to_string()), Err(Rejection::Signature), "{alg}");
        }
        let header = without(header(), "alg");
        assert_eq!(read(&header.to_string(), &claims().to_string()), Err(Rejection::Malformed));
    }

    #[test]
    fn only_the_header_of_an_access_token_is_read() {
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
    fn duplicate_members_are_refused_in_either_order() {
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
    fn claims_of_the_wrong_type_are_a_rejection_and_never_absent() {
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
    fn expiry_is_the_second_of_exp_itself_and_leeway_moves_it() {
        let compact = compact(&header().to_string(), &claims().to_string());
        assert!(read_at(&compact, NOW + 899, 0).is_ok());
        assert_eq!(read_at(&compact, NOW + 900, 0), Err(Rejection::Expired));
        assert!(read_at(&compact, NOW + 909, 10).is_ok());
        assert_eq!(read_at(&compact, NOW + 910, 10), Err(Rejection::Expired));
        assert_eq!(read_at(&compact, u64::MAX, 0), Err(Rejection::Claims));
    }

    #[test]
    fn tokens_of_the_future_are_not_valid_yet_beyond_the_leeway() {
        for claim in ["iat", "nbf"] {
            let ahead = compact(&header().to_string(), &with(claims(), claim, json!(NOW + 5)).to_string());
            assert_eq!(read_at(&ahead, NOW + 4, 0), Err(Rejection::NotYetValid));
            assert!(read_at(&ahead, NOW + 5, 0).is_ok());
            assert!(read_at(&ahead, NOW, 5).is_ok());
            assert_eq!(read_at(&ahead, NOW, 4), Err(Rejection::NotYetValid));
        }
    }

    #[test]
    fn the_compact_form_is_canonical_and_of_three_parts() {
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
            let rejection = Unverified::parse(&compact).err();
            assert!(matches!(rejection, Some(Rejection::Malformed | Rejection::Signature)), "{compact}");
        }
    }
}
