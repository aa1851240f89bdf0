//! Access tokens: JWTs by RFC 9068.
//!
//! Header, claims, compact form and expiry are `jwt-compact`'s. The signature is made and checked by the runtime's
//! WebCrypto, which is asynchronous where `jwt-compact`'s `Algorithm` is not, so the bridge is explicit:
//! [`signing_input`], then `crypto.subtle.sign`, then [`complete`]; and [`Unverified::parse`], then
//! `crypto.subtle.verify` over [`Unverified::signing_input`] with the key that [`Unverified::is_for`], then
//! [`Unverified::validate`] with its verdict.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, Duration};
use jwt_compact::{AlgorithmExt as _, Empty, Header, TimeOptions, UntrustedToken, ValidationError};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::Id;
use crate::token::external_signature::{ExternalSignature, SignatureCheck};
use crate::token::keys::SigningKey;
use crate::token::profile::Profile;
use crate::token::strict_json;

/// RFC 9068 §2.1.
const TOKEN_TYPE: &str = "at+jwt";
/// The same, spelt out (RFC 7515 §4.1.9).
const TOKEN_TYPE_LONG: &str = "application/at+jwt";
/// The only header parameters a token of ours has. Others, `crit`, `jwk`, `jku`, `x5c` and `x5u` among them, could only
/// ask for something that is never done here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenHeader {
    #[serde(rename = "alg")]
    _algorithm: IgnoredAny,
    kid: String,
    #[serde(rename = "typ")]
    token_type: String,
}

/// What an access token says. Times in unix seconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessToken {
    /// The user.
    pub sub: Id,
    /// The session.
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

/// What a token is read for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// To grant access: everything is checked.
    Access,
    /// To end the session it was issued in: everything but its expiry is checked, which is for the caller to bound.
    Logout,
    /// To know in which session it was issued, which its signature tells: its times, and the parties it was made for, may
    /// have changed since.
    Session,
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
    /// `nbf` lies ahead.
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
pub fn signing_input(
    token: &AccessToken,
    profile: Profile<'_>,
    parties: &Parties,
    key: &SigningKey,
) -> Result<String, NotRepresentable> {
    let time = |seconds| calendar_time(seconds).ok_or_else(|| NotRepresentable("time".to_owned()));
    let mut claims = jwt_compact::Claims::new(Claims {
        iss: Cow::Borrowed(&parties.issuer),
        sub: token.sub,
        aud: Audience::One(Cow::Borrowed(&parties.audience)),
        jti: token.jti,
        client_id: Cow::Borrowed(&parties.client_id),
        sid: token.sid,
        roles: Cow::Borrowed(&token.roles),
        profile,
    });
    claims.issued_at = Some(time(token.iat)?);
    claims.expiration = Some(time(token.exp)?);
    let header = Header::empty().with_key_id(key.kid()).with_token_type(TOKEN_TYPE);
    let algorithm = ExternalSignature::new(key.algorithm());
    let mut unsigned = algorithm.token(&header, &claims, &()).map_err(|error| NotRepresentable(error.to_string()))?;
    // The signature is empty: what remains before its dot is the signing input.
    unsigned.pop();
    Ok(unsigned)
}

/// Puts a signature behind its signing input.
#[must_use]
pub fn complete(mut signing_input: String, signature: &[u8]) -> String {
    signing_input.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut signing_input);
    signing_input
}

/// A token that is well-formed. Nothing it says may be used yet, but for the name of the key to check it with.
pub struct Unverified<'a> {
    token: UntrustedToken<'a>,
    kid: String,
    signing_input: &'a str,
    claims: &'a str,
}

impl<'a> Unverified<'a> {
    /// Takes a compact token apart.
    ///
    /// # Errors
    /// [`Rejection::Malformed`].
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

    /// As it came, of any length.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        self.token.signature_bytes()
    }

    /// Whether that key could have signed it: the header names the key and the key's one algorithm (RFC 8725 §3.1), and
    /// the signature has its length.
    #[must_use]
    pub fn is_for(&self, key: &SigningKey) -> bool {
        self.kid == key.kid()
            && self.token.algorithm() == key.algorithm().name()
            && self.signature().len() == key.signature_len()
    }

    /// Reads the claims of a token whose signature has been checked: `genuine` is the verdict over
    /// [`Self::signing_input`] and [`Self::signature`] by that key.
    ///
    /// # Errors
    /// [`Rejection`]; of the signature before any of a claim.
    pub fn verify(self, (key, genuine): (&SigningKey, bool), parties: &Parties) -> Result<VerifiedToken, Rejection> {
        if !genuine || !self.is_for(key) {
            return Err(Rejection::Signature);
        }
        let verdict = SignatureCheck::new(self.signing_input, genuine);
        let algorithm = ExternalSignature::new(key.algorithm());
        let token = algorithm.validator::<Claims>(&verdict).validate(&self.token).map_err(|error| match error {
            ValidationError::MalformedClaims(_) => Rejection::Claims,
            _ => Rejection::Signature,
        })?;
        let (iat, exp, nbf) = self.times().ok_or(Rejection::Claims)?;
        let said = &token.claims().custom;
        let mut lifetime = jwt_compact::Claims::empty();
        lifetime.expiration = token.claims().expiration;
        Ok(VerifiedToken {
            for_others: if said.iss != parties.issuer {
                Some(Rejection::Issuer)
            } else if !said.aud.contains(&parties.audience) {
                Some(Rejection::Audience)
            } else {
                None
            },
            not_before: nbf.unwrap_or(0),
            lifetime,
            token: AccessToken { sub: said.sub, sid: said.sid, jti: said.jti, roles: said.roles.to_vec(), iat, exp },
            kid: self.kid,
        })
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

/// A token that a key of ours has signed: all about it that time does not change.
pub struct VerifiedToken {
    token: AccessToken,
    kid: String,
    /// What is wrong with it if its issuer or audience is another.
    for_others: Option<Rejection>,
    /// `nbf`; 0 without it. Not `iat`, which limits nothing (RFC 7519 §4.1.6): the clock that issued a token may be ahead.
    not_before: u64,
    /// With `exp` alone, for jwt-compact to judge.
    lifetime: jwt_compact::Claims<Empty>,
}

impl VerifiedToken {
    /// The name of its key.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What it says, if it is good for that at this time, to the second: its clock is ours.
    ///
    /// # Errors
    /// [`Rejection`].
    pub fn accept(&self, purpose: Purpose, now: u64) -> Result<AccessToken, Rejection> {
        if purpose != Purpose::Session {
            if let Some(rejection) = self.for_others {
                return Err(rejection);
            }
            if self.not_before > now {
                return Err(Rejection::NotYetValid);
            }
        }
        if purpose == Purpose::Access {
            // jwt-compact still accepts the second of `exp` itself, which RFC 7519 §4.1.4 does not: hence one second less.
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
    #[serde(flatten, skip_deserializing)]
    profile: Profile<'a>,
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
    /// Of RFC 7515's key.
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
        read_at(&compact(header, claims), NOW)
    }

    fn read_at(compact: &str, now: u64) -> Result<AccessToken, Rejection> {
        let keys = keys();
        Unverified::parse(compact)?.verify((keys.active(0).unwrap(), true), &parties())?.accept(Purpose::Access, now)
    }

    fn read_claims(claims: &Value) -> Result<AccessToken, Rejection> {
        read(&header().to_string(), &claims.to_string())
    }

    #[test]
    fn without_a_genuine_signature_nothing_is_told_of_the_claims() {
        for claims in [claims(), with(claims(), "exp", json!(1)), json!({}), json!({"exp": "x"})] {
            let compact = compact(&header().to_string(), &claims.to_string());
            for purpose in [Purpose::Access, Purpose::Session] {
                let (unverified, keys) = (Unverified::parse(&compact).unwrap(), keys());
                let verdict = (keys.active(0).unwrap(), false);
                assert_eq!(
                    unverified.verify(verdict, &parties()).and_then(|genuine| genuine.accept(purpose, NOW)),
                    Err(Rejection::Signature),
                    "{claims}"
                );
            }
        }
    }

    #[test]
    fn expiry_is_ignored_only_if_asked_for_and_alone() {
        let read = |claims: &Value, now| {
            let compact = compact(&header().to_string(), &claims.to_string());
            let unverified = Unverified::parse(&compact).unwrap();
            unverified.verify((keys().active(0).unwrap(), true), &parties())?.accept(Purpose::Session, now)
        };
        assert_eq!(read(&claims(), NOW + 900), Ok(token()));
        assert_eq!(read(&claims(), NOW + 900_000_000), Ok(token()));
        assert_eq!(read(&with(claims(), "exp", json!("x")), NOW), Err(Rejection::Claims));
        assert_eq!(read(&without(claims(), "exp"), NOW), Err(Rejection::Claims));
        // Another clock, or another configuration than the one it was issued under.
        assert_eq!(read(&claims(), NOW - 1), Ok(token()));
        assert_eq!(read(&with(claims(), "iss", json!("https://other.example")), NOW), Ok(token()));
        assert_eq!(read(&with(claims(), "aud", json!("https://other.example")), NOW), Ok(token()));
    }

    #[test]
    fn the_profile_is_in_the_token_as_far_as_it_is_asked_for_and_known() {
        const ALL: [ProfileClaim; 3] = [ProfileClaim::Email, ProfileClaim::Name, ProfileClaim::PreferredUsername];
        let said = |profile: Profile<'_>| {
            let input = signing_input(&token(), profile, &parties(), keys().active(0).unwrap()).unwrap();
            let payload = BASE64_URL_SAFE_NO_PAD.decode(input.split_once('.').unwrap().1).unwrap();
            assert_eq!(read(&header().to_string(), std::str::from_utf8(&payload).unwrap()), Ok(token()));
            let said: Value = serde_json::from_slice(&payload).unwrap();
            let known = claims();
            let more = said.as_object().unwrap().iter().filter(|(name, _)| known.get(name.as_str()).is_none());
            more.map(|(name, value)| (name.clone(), value.clone())).collect::<Value>()
        };
        let email = EmailClaims::unverified("ada@example.org");
        let full =
            Profile { email: Some(email), name: Some("Ada"), preferred_username: Some("ada"), ..Profile::default() };
        let everything = json!({
            "email": "ada@example.org", "email_verified": false, "name": "Ada", "preferred_username": "ada",
        });
        assert_eq!(said(full.only(&[])), json!({}));
        assert_eq!(said(full.only(&ALL)), everything);
        for claim in ["name", "preferred_username"] {
            let claims = [ProfileClaim::parse(claim).unwrap()];
            assert_eq!(said(full.only(&claims)), json!({claim: everything[claim]}));
        }
        // Nobody has proved it, and a token that has it says so.
        let unverified = json!({"email": "ada@example.org", "email_verified": false});
        assert_eq!(said(full.only(&[ProfileClaim::Email])), unverified);
        assert_eq!(said(Profile { name: None, ..full }.only(&ALL)), without(everything, "name"));
        for unknown in ["", "Email", "roles", "email_verified", "username"] {
            assert_eq!(ProfileClaim::parse(unknown), None);
        }
        // Whatever a token says there is nothing to us.
        assert!(read_claims(&with(claims(), "email", json!(7))).is_ok());
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
    fn expiry_is_the_second_of_exp_itself() {
        let compact = compact(&header().to_string(), &claims().to_string());
        assert!(read_at(&compact, NOW + 899).is_ok());
        assert_eq!(read_at(&compact, NOW + 900), Err(Rejection::Expired));
        assert_eq!(read_at(&compact, u64::MAX), Err(Rejection::Claims));
    }

    #[test]
    fn before_nbf_a_token_is_not_valid_yet() {
        let ahead = compact(&header().to_string(), &with(claims(), "nbf", json!(NOW + 5)).to_string());
        assert_eq!(read_at(&ahead, NOW + 4), Err(Rejection::NotYetValid));
        assert!(read_at(&ahead, NOW + 5).is_ok());
    }

    #[test]
    fn an_iat_ahead_is_no_reason_to_refuse() {
        for iat in [NOW + 1, NOW + 900, NOW + 100_000_000] {
            assert_eq!(read_claims(&with(claims(), "iat", json!(iat))), Ok(AccessToken { iat, ..token() }));
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
            let rejection = read_at(&compact, NOW).err();
            assert!(matches!(rejection, Some(Rejection::Malformed | Rejection::Signature)), "{compact}");
        }
    }
}
