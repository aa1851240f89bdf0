//! An adapter for `jwt-compact`: an algorithm whose signatures WebCrypto makes and verifies.

use std::borrow::Cow;
use std::marker::PhantomData;

use crate::token::algorithm::Algorithm;

/// Signing returns an empty signature. Verifying returns the result of a [`SignatureCheck`].
pub(crate) struct ExternalSignature<'a> {
    algorithm: Algorithm,
    check: PhantomData<&'a ()>,
}

impl ExternalSignature<'_> {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, check: PhantomData }
    }
}

/// Whether the signature over this input is valid. It says nothing about other inputs.
pub(crate) struct SignatureCheck<'a> {
    signing_input: &'a str,
    is_valid: bool,
}

impl<'a> SignatureCheck<'a> {
    pub(crate) fn new(signing_input: &'a str, is_valid: bool) -> Self {
        Self { signing_input, is_valid }
    }
}

pub(crate) struct RawSignature(Vec<u8>);

impl jwt_compact::AlgorithmSignature for RawSignature {
    fn try_from_slice(slice: &[u8]) -> anyhow::Result<Self> {
        Ok(Self(slice.to_vec()))
    }

    fn as_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }
}

impl<'a> jwt_compact::Algorithm for ExternalSignature<'a> {
    type SigningKey = ();
    type VerifyingKey = SignatureCheck<'a>;
    type Signature = RawSignature;

    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.algorithm.name())
    }

    fn sign(&self, (): &(), _message: &[u8]) -> RawSignature {
        RawSignature(Vec::new())
    }

    fn verify_signature(&self, _signature: &RawSignature, check: &SignatureCheck<'a>, message: &[u8]) -> bool {
        check.is_valid && check.signing_input.as_bytes() == message
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use jwt_compact::alg::{Ed25519, Es256, Hs256, Hs256Key};
    use jwt_compact::jwk::{JsonWebKey, JwkError};
    use jwt_compact::{Algorithm, AlgorithmExt as _, AlgorithmSignature as _, UntrustedToken};
    use serde_json::{Value, json};

    use crate::token::access::tests::{NOW, claims, parties, token};
    use crate::token::access::{Purpose, Rejection, Unverified, complete, signing_input};
    use crate::token::keys::SigningKey;
    use crate::token::keys::tests::{one_of_each, rfc_7515_a1_key, rfc_7515_a3_key, rfc_8037_a1_key};
    use crate::token::profile::Profile;

    /// Reads both keys for another implementation.
    fn read_keys<A>(jwk: Value) -> (A::SigningKey, A::VerifyingKey)
    where
        A: Algorithm,
        A::SigningKey: for<'k> TryFrom<&'k JsonWebKey<'static>, Error = JwkError>,
        A::VerifyingKey: for<'k> TryFrom<&'k JsonWebKey<'static>, Error = JwkError>,
    {
        let jwk: JsonWebKey<'static> = serde_json::from_value(jwk).unwrap();
        ((&jwk).try_into().unwrap(), (&jwk).try_into().unwrap())
    }

    /// Asserts that the other implementation verifies a published token.
    fn assert_vector<A: Algorithm>(algorithm: &A, verifying: &A::VerifyingKey, jws: &str) {
        let (message, signature) = jws.rsplit_once('.').unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        let signature = A::Signature::try_from_slice(&signature).unwrap();
        assert!(algorithm.verify_signature(&signature, verifying, message.as_bytes()));
        assert!(!algorithm.verify_signature(&signature, verifying, b"another message"));
    }

    /// Asserts that the other implementation accepts the tokens made here, and that its signatures are accepted here.
    fn assert_agree<A: Algorithm>(algorithm: &A, keys: &(A::SigningKey, A::VerifyingKey), key: &SigningKey) {
        let input = signing_input(&token(), Profile::default(), &parties(), key).unwrap();
        let signature = algorithm.sign(&keys.0, input.as_bytes());
        let compact = complete(input, &signature.as_bytes());

        let untrusted = UntrustedToken::new(&compact).unwrap();
        assert_eq!(untrusted.algorithm(), algorithm.name());
        assert_eq!(untrusted.header().key_id.as_deref(), Some(key.kid()));
        assert_eq!(untrusted.header().token_type.as_deref(), Some("at+jwt"));
        let read: jwt_compact::Token<Value> = algorithm.validator(&keys.1).validate(&untrusted).unwrap();
        assert_eq!(serde_json::to_value(read.claims()).unwrap(), claims());

        let unverified = Unverified::parse(&compact).unwrap();
        assert_eq!(unverified.kid(), key.kid());
        assert_eq!(unverified.signature(), signature.as_bytes().as_ref());
        assert_eq!(
            unverified
                .verify((key.verifying_key(), true), &parties())
                .and_then(|verified| verified.accept(Purpose::Access, NOW)),
            Ok(token())
        );
    }

    #[test]
    fn es256_agrees_with_rfc_7515_a3() {
        let keys = read_keys::<Es256>(rfc_7515_a3_key());
        assert_vector(
            &Es256,
            &keys.1,
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        );
        assert_agree(&Es256, &keys, one_of_each().iter().next().unwrap());
    }

    #[test]
    fn eddsa_agrees_with_rfc_8037_a4() {
        let keys = read_keys::<Ed25519>(rfc_8037_a1_key());
        assert_vector(
            &Ed25519,
            &keys.1,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        );
        assert_agree(&Ed25519, &keys, one_of_each().iter().nth(1).unwrap());
    }

    #[test]
    fn hs256_agrees_with_rfc_7515_a1() {
        let keys = read_keys::<Hs256>(rfc_7515_a1_key());
        assert_vector(
            &Hs256,
            &keys.1,
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        );
        assert_agree(&Hs256, &keys, one_of_each().iter().nth(3).unwrap());
    }

    #[test]
    fn a_header_must_name_the_algorithm_of_its_key() {
        let names = [
            "ES256", "EdDSA", "RS256", "HS256", "none", "None", "NONE", "nOnE", "es256", "ES384", "PS256", "HS512",
            "Ed25519", "",
        ];
        let keys = one_of_each();
        for key in keys.iter() {
            for alg in names {
                // Among others, the signature lengths of all these algorithms.
                for length in [0, 32, 63, 64, 65, 70, 256, 383, 384, 385] {
                    let compact = compact(&json!({"alg": alg, "kid": key.kid(), "typ": "at+jwt"}), &vec![5; length]);
                    let fits = alg == key.algorithm().name() && length == key.signature_len();
                    match Unverified::parse(&compact) {
                        Err(rejection) => assert!(!fits && rejection == Rejection::Malformed),
                        Ok(unverified) => {
                            assert_eq!(
                                unverified.is_for(key.verifying_key()),
                                fits,
                                "{alg} {length} {key:?}",
                                key = key.kid()
                            );
                            let token = unverified
                                .verify((key.verifying_key(), true), &parties())
                                .and_then(|verified| verified.accept(Purpose::Access, NOW));
                            assert_eq!(token.is_ok(), fits);
                            assert!(fits || token == Err(Rejection::Signature));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_token_is_only_for_the_key_that_it_names() {
        let keys = one_of_each();
        for named in keys.iter() {
            for other in keys.iter().filter(|other| other.kid() != named.kid()) {
                let header = json!({"alg": other.algorithm().name(), "kid": named.kid(), "typ": "at+jwt"});
                let compact = compact(&header, &vec![5; other.signature_len()]);
                assert!(!Unverified::parse(&compact).unwrap().is_for(other.verifying_key()));
            }
        }
    }

    /// The attack of RFC 8725 §2.1: a valid MAC whose secret is the public part of an asymmetric key.
    #[test]
    fn a_public_key_is_not_accepted_as_an_hmac_secret() {
        for key in one_of_each().iter().filter(|key| !key.algorithm().is_symmetric()) {
            let public = serde_json::to_string(key.verifying_key().jwk()).unwrap();
            let secret = Hs256Key::new(public);
            let input = compact(&json!({"alg": "HS256", "kid": key.kid(), "typ": "at+jwt"}), &[]);
            let input = input.trim_end_matches('.').to_owned();
            let tag = Hs256.sign(&secret, input.as_bytes());
            let forged = complete(input, &tag.as_bytes());
            assert!(Hs256.validator::<Value>(&secret).validate(&UntrustedToken::new(&forged).unwrap()).is_ok());
            let unverified = Unverified::parse(&forged).unwrap();
            assert!(!unverified.is_for(key.verifying_key()));
            let result = unverified
                .verify((key.verifying_key(), true), &parties())
                .and_then(|verified| verified.accept(Purpose::Access, NOW));
            assert_eq!(result, Err(Rejection::Signature));
        }
    }

    fn compact(header: &Value, signature: &[u8]) -> String {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let (header, claims) = (header.to_string(), claims().to_string());
        format!("{}.{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()), encode(signature))
    }
}
