//! The verifier: fetches keys, and applies the rules.

mod keys;
mod signature;

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keys::KeyCache;
use portcullis_core::token::access::{AccessToken, Parties, Purpose, Rejection, Unverified};
use portcullis_core::token::verifying_key::VerifyingKey;
use url::Url;

use crate::claims::{Claims, Requirement};
use crate::error::{BoxError, ConfigError, VerifyError};

/// Maximum size of a token in bytes, as in Portcullis.
const MAX_BYTES: usize = 8 * 1024;

/// `Send` in a server. In a Worker, which has one thread, no bound.
#[cfg(not(target_arch = "wasm32"))]
pub trait MaybeSend: Send {}
#[cfg(not(target_arch = "wasm32"))]
impl<T: Send> MaybeSend for T {}
/// `Send` and `Sync` in a server. In a Worker, which has one thread, no bound.
#[cfg(not(target_arch = "wasm32"))]
pub trait MaybeSync: Send + Sync {}
#[cfg(not(target_arch = "wasm32"))]
impl<T: Send + Sync> MaybeSync for T {}

/// `Send` in a server. In a Worker, which has one thread, no bound.
#[cfg(target_arch = "wasm32")]
pub trait MaybeSend {}
#[cfg(target_arch = "wasm32")]
impl<T> MaybeSend for T {}
/// `Send` and `Sync` in a server. In a Worker, which has one thread, no bound.
#[cfg(target_arch = "wasm32")]
pub trait MaybeSync {}
#[cfg(target_arch = "wasm32")]
impl<T> MaybeSync for T {}

#[cfg(not(target_arch = "wasm32"))]
type Fetching = Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send>>;
#[cfg(not(target_arch = "wasm32"))]
type Fetch = Box<dyn Fn(String) -> Fetching + Send + Sync>;
#[cfg(target_arch = "wasm32")]
type Fetching = Pin<Box<dyn Future<Output = Result<String, BoxError>>>>;
#[cfg(target_arch = "wasm32")]
type Fetch = Box<dyn Fn(String) -> Fetching>;

/// Verifies the access tokens of one issuer for one audience. It caches the keys, so share one in the whole program.
pub struct Verifier {
    parties: Parties,
    fetch: Fetch,
    /// Never locked during a fetch, so concurrent requests may each fetch the keys. A Worker would cancel requests that wait for the
    /// fetch of another one.
    cache: Mutex<KeyCache>,
}

impl Verifier {
    /// Creates a verifier. `issuer` and `audience` are `ISSUER` and `AUDIENCE` of Portcullis.
    ///
    /// `fetch` gets a URL of the issuer and returns the body of the response. It must return an error for every status but 200, and for
    /// a response that takes longer than a few seconds. It must not follow redirects.
    ///
    /// # Errors
    /// [`ConfigError`] if `issuer` is not an https URL in the form of `ISSUER`, or `audience` is empty.
    pub fn new<F, R, E>(issuer: &str, audience: &str, fetch: F) -> Result<Self, ConfigError>
    where
        F: Fn(String) -> R + MaybeSync + 'static,
        R: Future<Output = Result<String, E>> + MaybeSend + 'static,
        E: Into<BoxError>,
    {
        if !is_issuer(issuer) {
            return Err(ConfigError::Issuer);
        }
        if audience.is_empty() {
            return Err(ConfigError::Audience);
        }
        // The rules do not check the client.
        let parties = Parties { issuer: issuer.to_owned(), audience: audience.to_owned(), client_id: String::new() };
        let fetch: Fetch = Box::new(move |url| {
            let response = fetch(url);
            Box::pin(async move { response.await.map_err(Into::into) })
        });
        Ok(Self { parties, fetch, cache: Mutex::default() })
    }

    /// Verifies an access token.
    ///
    /// # Errors
    /// [`VerifyError`] says why the request must be refused.
    pub async fn verify(&self, compact: &str) -> Result<Claims, VerifyError> {
        self.verify_at(compact, clock).await
    }

    pub(crate) async fn verify_at(&self, compact: &str, clock: fn() -> u64) -> Result<Claims, VerifyError> {
        if compact.len() > MAX_BYTES {
            return Err(Rejection::Malformed.into());
        }
        let unverified = Unverified::parse(compact)?;
        let key = self.key(unverified.kid(), clock).await?;
        let key = key.filter(|key| unverified.is_for(key)).ok_or(Rejection::Signature)?;
        let is_valid = signature::verify(&key, &unverified).await.map_err(VerifyError::KeysUnavailable)?;
        let verified = unverified.verify((&key, is_valid), &self.parties)?;
        let token = verified.accept(Purpose::Access, clock())?;
        read_claims(token, compact).ok_or_else(|| Rejection::Claims.into())
    }

    async fn key(&self, kid: &str, clock: fn() -> u64) -> Result<Option<Arc<VerifyingKey>>, VerifyError> {
        let is_due = self.cache(|cache| cache.is_due(clock()));
        let mut fetched = if is_due { self.fetch(clock).await } else { Ok(()) };
        if self.cache(|cache| cache.is_stale(clock())) {
            return Err(unavailable(fetched));
        }
        if let Some(key) = self.cache(|cache| cache.find(kid)) {
            return Ok(Some(key));
        }
        // The key may be new.
        if self.cache(|cache| cache.may_look_again(clock())) {
            fetched = self.fetch(clock).await;
        }
        match self.cache(|cache| (cache.find(kid), cache.is_certain())) {
            // The fetch of another request may still be in progress, or have been cancelled.
            (None, false) => Err(unavailable(fetched)),
            (key, _) => Ok(key),
        }
    }

    async fn fetch(&self, clock: fn() -> u64) -> Result<(), BoxError> {
        self.cache(|cache| cache.begin(clock()));
        let response = (self.fetch)(format!("{}/.well-known/jwks.json", self.parties.issuer)).await;
        self.cache(|cache| {
            let fetched = response.and_then(|json| {
                if cache.replace(&json, clock()) { Ok(()) } else { Err("the response has no keys".into()) }
            });
            if fetched.is_err() {
                cache.fail(clock());
            }
            fetched
        })
    }

    fn cache<T>(&self, work: impl FnOnce(&mut KeyCache) -> T) -> T {
        work(&mut self.cache.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether that may be the `ISSUER` of a Portcullis. Over plain http, an attacker on the network could replace the keys. It must be in
/// canonical form, because `iss` is compared byte by byte.
fn is_issuer(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let is_loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let is_secure = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
    let is_canonical = url.as_str().strip_suffix('/').unwrap_or(url.as_str()) == text;
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    is_secure && is_canonical && !has_credentials && url.query().is_none() && url.fragment().is_none()
}

/// The error of a request that needs the keys, with the cause if it fetched them itself.
fn unavailable(fetched: Result<(), BoxError>) -> VerifyError {
    VerifyError::KeysUnavailable(fetched.err().unwrap_or_else(|| "the last fetch has not succeeded".into()))
}

/// Reads the claims of a verified compact token.
fn read_claims(token: AccessToken, compact: &str) -> Option<Claims> {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(compact.split('.').nth(1)?).ok()?;
    let acr = token.assurance();
    let AccessToken { sub, sid, jti, roles, auth_time, amr, iat, exp } = token;
    Some(Claims { sub, sid, jti, roles, acr, auth_time, amr, iat, exp, all: serde_json::from_slice(&payload).ok()? })
}

impl Claims {
    /// Requires that the user authenticated well and recently enough (RFC 9470).
    ///
    /// # Errors
    /// [`VerifyError::InsufficientAuthentication`] if the user must authenticate again.
    pub fn require(&self, requirement: &Requirement) -> Result<(), VerifyError> {
        self.require_at(requirement, clock())
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[expect(clippy::disallowed_methods, reason = "the clock of a resource server, not of the Worker")]
fn clock() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}

#[cfg(target_arch = "wasm32")]
#[expect(
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the clock of a resource server; milliseconds since 1970 are a positive whole number"
)]
fn clock() -> u64 {
    (js_sys::Date::now() / 1000.0) as u64
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::sync::Mutex;
    use std::task::{Context, Waker};

    use jwt_compact::alg::{Ed25519, Es256};
    use jwt_compact::jwk::{JsonWebKey, JwkError};
    use jwt_compact::{Algorithm, AlgorithmSignature as _};
    use portcullis_core::id::Id;
    use portcullis_core::sign_in::Assurance;
    use portcullis_core::token::access::{AccessToken, Parties, Rejection, complete, signing_input};
    use portcullis_core::token::keys::{SigningKey, SigningKeys};
    use portcullis_core::token::profile::{EmailClaims, Profile};
    use serde_json::{Value, json};

    use super::{Requirement, Verifier};
    use crate::error::{ConfigError, VerifyError};

    const ISSUER: &str = "https://auth.example.org";
    const AUDIENCE: &str = "https://api.example.org";
    const START: u64 = 1_700_000_000;

    thread_local! {
        static NOW: Cell<u64> = const { Cell::new(START) };
    }

    fn clock() -> u64 {
        NOW.get()
    }

    fn advance(seconds: u64) {
        NOW.set(NOW.get() + seconds);
    }

    /// An ES256 key (RFC 7515 A.3.1) and an `EdDSA` key (RFC 8037 A.1).
    fn es256() -> Value {
        json!({
            "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
        })
    }

    fn eddsa() -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519",
            "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        })
    }

    fn keys(keys: &[Value]) -> SigningKeys {
        SigningKeys::parse(&json!({"keys": keys}).to_string()).unwrap()
    }

    fn published(keys: &SigningKeys) -> String {
        serde_json::to_string(&keys.public_set(START, 0)).unwrap()
    }

    fn sign<A: Algorithm>(algorithm: &A, key: &SigningKey, issuer: &str) -> String
    where
        A::SigningKey: for<'k> TryFrom<&'k JsonWebKey<'static>, Error = JwkError>,
    {
        signed(algorithm, key, issuer, "user")
    }

    fn signed<A: Algorithm>(algorithm: &A, key: &SigningKey, issuer: &str, role: &str) -> String
    where
        A::SigningKey: for<'k> TryFrom<&'k JsonWebKey<'static>, Error = JwkError>,
    {
        let token = AccessToken {
            sub: Id::new([1; 16]),
            sid: Id::new([2; 16]),
            jti: Id::new([3; 16]),
            roles: vec![role.to_owned()],
            auth_time: Some(START),
            amr: vec!["pwd".to_owned()],
            iat: START,
            exp: START + 100_000,
        };
        let parties =
            Parties { issuer: issuer.to_owned(), audience: AUDIENCE.to_owned(), client_id: "first-party".to_owned() };
        let email = EmailClaims { email: "ada@example.org", email_verified: false };
        let profile = Profile { email: Some(email), ..Profile::default() };
        let input = signing_input(&token, profile, &parties, key).unwrap();
        let signature = algorithm.sign(&key.private_jwk().try_into().unwrap(), input.as_bytes());
        complete(input, &signature.as_bytes())
    }

    fn es256_token(keys: &SigningKeys) -> String {
        sign(&Es256, keys.iter().next().unwrap(), ISSUER)
    }

    /// An issuer whose responses the test sets, and the number of requests that it got. Without a response, it does not answer.
    #[derive(Clone)]
    struct Issuer(Arc<Mutex<(Option<Answer>, usize)>>);

    type Answer = Result<String, String>;

    impl Issuer {
        fn publishing(keys: &SigningKeys) -> Self {
            Self(Arc::new(Mutex::new((Some(Ok(published(keys))), 0))))
        }

        fn answer(&self, answer: Result<String, &str>) {
            self.0.lock().unwrap().0 = Some(answer.map_err(str::to_owned));
        }

        fn keep_silent(&self) {
            self.0.lock().unwrap().0 = None;
        }

        fn requests(&self) -> usize {
            self.0.lock().unwrap().1
        }

        fn verifier(&self) -> Verifier {
            let issuer = self.clone();
            Verifier::new(ISSUER, AUDIENCE, move |url| {
                assert_eq!(url, "https://auth.example.org/.well-known/jwks.json");
                let mut state = issuer.0.lock().unwrap();
                state.1 += 1;
                let answer = state.0.clone();
                async move {
                    match answer {
                        Some(answer) => answer,
                        None => std::future::pending().await,
                    }
                }
            })
            .unwrap()
        }
    }

    async fn code(verifier: &Verifier, token: &str) -> &'static str {
        match verifier.verify_at(token, clock).await {
            Ok(_) => "accepted",
            Err(error) => error.code(),
        }
    }

    #[test]
    fn an_issuer_or_audience_that_cannot_be_right_is_refused() {
        let new = |issuer, audience| {
            Verifier::new(issuer, audience, |_| std::future::ready(Ok::<_, std::fmt::Error>(String::new()))).err()
        };
        for issuer in ["https://auth.example.org/auth", "http://localhost:8787", "http://127.0.0.1", "http://[::1]:1"] {
            assert_eq!(new(issuer, AUDIENCE), None, "{issuer}");
            assert_eq!(new(issuer, ""), Some(ConfigError::Audience), "{issuer}");
        }
        for issuer in [
            "",
            "auth.example.org",
            "http://auth.example.org",
            "http://localhost.evil.org",
            "ftp://localhost",
            "https://auth.example.org/",
            "https://auth.example.org/auth/",
            "https://Auth.example.org",
            "https://auth.example.org:443",
            "https://auth.example.org?x=1",
            "https://auth.example.org/a?",
            "https://auth.example.org#x",
            "https://auth.example.org/a#",
            "https://u@auth.example.org",
            "https://:p@auth.example.org",
            " https://auth.example.org",
        ] {
            assert_eq!(new(issuer, AUDIENCE), Some(ConfigError::Issuer), "{issuer}");
        }
    }

    #[tokio::test]
    async fn tokens_of_both_algorithms_are_verified() {
        let keys = keys(&[es256(), eddsa()]);
        let verifier = Issuer::publishing(&keys).verifier();
        let [first, second] = [0, 1].map(|n| keys.iter().nth(n).unwrap());
        for token in [sign(&Es256, first, ISSUER), sign(&Ed25519, second, ISSUER)] {
            let claims = verifier.verify_at(&token, clock).await.unwrap();
            assert_eq!((claims.sub, claims.sid, claims.jti), (Id::new([1; 16]), Id::new([2; 16]), Id::new([3; 16])));
            assert_eq!((claims.iat, claims.exp), (START, START + 100_000));
            assert_eq!((claims.acr, claims.auth_time), (Some(Assurance::Aal1), Some(START)));
            let recent = Requirement { acr: None, max_age: Some(300) };
            assert!(claims.require_at(&recent, START).is_ok());
            assert!(matches!(claims.require(&recent), Err(VerifyError::InsufficientAuthentication(_))));
            assert_eq!(claims.all["email"], "ada@example.org");
            assert!(claims.has_role("user") && claims.require_role("user").is_ok());
            assert!(matches!(claims.require_role("admin"), Err(VerifyError::Forbidden)));
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let other = if signature.starts_with('A') { "B" } else { "A" };
            let forged = format!("{signed}.{other}{}", signature.get(1..).unwrap());
            assert!(matches!(
                verifier.verify_at(&forged, clock).await,
                Err(VerifyError::InvalidToken(Rejection::Signature))
            ));
        }
        let foreign = sign(&Es256, first, "https://other.example");
        assert!(matches!(verifier.verify_at(&foreign, clock).await, Err(VerifyError::InvalidToken(Rejection::Issuer))));
        for (length, expected) in [(5000, "accepted"), (8000, "invalid_token")] {
            assert_eq!(code(&verifier, &signed(&Es256, first, ISSUER, &"x".repeat(length))).await, expected);
        }
    }

    #[tokio::test]
    async fn a_token_is_expired_from_the_second_of_its_exp_on() {
        let keys = keys(&[es256()]);
        let (verifier, token) = (Issuer::publishing(&keys).verifier(), es256_token(&keys));
        advance(99_999);
        assert_eq!(code(&verifier, &token).await, "accepted");
        advance(1);
        assert_eq!(code(&verifier, &token).await, "token_expired");
    }

    #[tokio::test]
    async fn keys_are_fetched_once_in_five_minutes() {
        let keys = keys(&[es256()]);
        let (issuer, token) = (Issuer::publishing(&keys), es256_token(&keys));
        let verifier = issuer.verifier();
        for (seconds, requests) in [(0, 1), (299, 1), (1, 2), (299, 2), (1, 3)] {
            advance(seconds);
            assert_eq!(code(&verifier, &token).await, "accepted");
            assert_eq!(issuer.requests(), requests);
        }
        // A key that is no longer published is refused.
        issuer.answer(Ok(published(&self::keys(&[eddsa()]))));
        advance(300);
        assert_eq!(code(&verifier, &token).await, "invalid_token");
    }

    #[tokio::test]
    async fn after_the_clock_is_set_back_keys_are_fetched_at_once() {
        let set_back = || NOW.set(NOW.get() - 7200);
        let keys = keys(&[es256()]);
        let (issuer, token) = (Issuer::publishing(&keys), es256_token(&keys));
        let verifier = issuer.verifier();
        assert_eq!(code(&verifier, &token).await, "accepted");
        set_back();
        assert_eq!(code(&verifier, &token).await, "accepted");
        assert_eq!(issuer.requests(), 2);
        // Otherwise a removed key would be accepted until the clock is again where it was.
        issuer.answer(Ok(published(&self::keys(&[eddsa()]))));
        set_back();
        assert_eq!(code(&verifier, &token).await, "invalid_token");
        // Nor does a pause become longer.
        issuer.answer(Err("connection refused"));
        set_back();
        assert_eq!(code(&verifier, &token).await, "keys_unavailable");
        issuer.answer(Ok(published(&keys)));
        set_back();
        assert_eq!(code(&verifier, &token).await, "accepted");
    }

    #[tokio::test]
    async fn while_the_issuer_does_not_answer_known_keys_are_used_for_an_hour() {
        let keys = keys(&[es256()]);
        let token = es256_token(&keys);
        let faults =
            ["<html>", r#"{"keys":1}"#, r#"{"keys":[]}"#, r#"{"keys":[null,{"kty":"EC","crv":"P-384","kid":"a"}]}"#];
        for fault in faults.map(|text| Ok(text.to_owned())).into_iter().chain([Err("connection refused")]) {
            NOW.set(START);
            let issuer = Issuer::publishing(&keys);
            let verifier = issuer.verifier();
            assert_eq!(code(&verifier, &token).await, "accepted");
            issuer.answer(fault);
            // A failed fetch is tried again after 30 seconds.
            for (seconds, requests) in [(300, 2), (0, 2), (29, 2), (1, 3), (3269, 4)] {
                advance(seconds);
                assert_eq!(code(&verifier, &token).await, "accepted");
                assert_eq!(issuer.requests(), requests);
            }
            advance(1);
            assert_eq!(code(&verifier, &token).await, "keys_unavailable");
            // Then it is tried again after two seconds, so that the outage ends soon.
            for (seconds, requests) in [(0, 4), (1, 5), (1, 5), (1, 6)] {
                advance(seconds);
                assert_eq!(code(&verifier, &token).await, "keys_unavailable");
                assert_eq!(issuer.requests(), requests);
            }
            issuer.answer(Ok(published(&keys)));
            advance(2);
            assert_eq!(code(&verifier, &token).await, "accepted");
        }
    }

    #[tokio::test]
    async fn an_unknown_key_is_looked_for_once_in_30_seconds() {
        let (old, new) = (keys(&[es256()]), keys(&[es256(), eddsa()]));
        let issuer = Issuer::publishing(&old);
        let verifier = issuer.verifier();
        let unknown = sign(&Ed25519, new.iter().nth(1).unwrap(), ISSUER);
        for (seconds, requests) in [(0, 1), (0, 1), (29, 1), (1, 2), (0, 2)] {
            advance(seconds);
            assert_eq!(code(&verifier, &unknown).await, "invalid_token");
            assert_eq!(issuer.requests(), requests);
        }
        issuer.answer(Err("connection refused"));
        advance(30);
        assert_eq!(code(&verifier, &unknown).await, "keys_unavailable");
        // Not known to be invalid, either.
        assert_eq!(code(&verifier, &unknown).await, "keys_unavailable");
        assert_eq!(code(&verifier, &es256_token(&old)).await, "accepted");
        assert_eq!(issuer.requests(), 3);
        issuer.answer(Ok(published(&new)));
        advance(30);
        assert_eq!(code(&verifier, &unknown).await, "accepted");
    }

    #[tokio::test]
    async fn an_unknown_key_is_not_invalid_while_it_is_looked_for() {
        let (old, new) = (keys(&[es256()]), keys(&[es256(), eddsa()]));
        let issuer = Issuer::publishing(&old);
        let verifier = issuer.verifier();
        let (known, unknown) = (es256_token(&old), sign(&Ed25519, new.iter().nth(1).unwrap(), ISSUER));
        assert_eq!(code(&verifier, &known).await, "accepted");
        advance(30);
        issuer.keep_silent();
        let mut looking = Box::pin(verifier.verify_at(&unknown, clock));
        assert!(looking.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        issuer.answer(Ok(published(&new)));
        assert_eq!(code(&verifier, &unknown).await, "keys_unavailable");
        assert_eq!(code(&verifier, &known).await, "accepted");
        // The client disconnects, which cancels the fetch.
        drop(looking);
        advance(1);
        assert_eq!(code(&verifier, &unknown).await, "keys_unavailable");
        assert_eq!(issuer.requests(), 2);
        advance(1);
        assert_eq!(code(&verifier, &unknown).await, "accepted");
        assert_eq!(issuer.requests(), 3);
    }

    #[tokio::test]
    async fn a_key_that_cannot_be_used_is_an_error_of_the_issuer() {
        let keys = keys(&[es256()]);
        let issuer = Issuer::publishing(&keys);
        // Another point, which is not on the curve.
        let broken = published(&keys).replace("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", &"A".repeat(43));
        issuer.answer(Ok(broken));
        assert_eq!(code(&issuer.verifier(), &es256_token(&keys)).await, "keys_unavailable");
    }
}
