//! The signature of the webhook that sends mails, as Standard Webhooks defines it.
//!
//! ```text
//! webhook-signature = v1,base64( HMAC-SHA-256(secret, id.timestamp.body) )
//! ```

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::token::secret::may_be_random;

/// Minimum length of a secret, in bytes.
const MIN_SECRET_LEN: usize = 32;

/// The secret that the service shares with the receiver of its webhook.
pub struct WebhookSecret(Hmac<Sha256>);

impl WebhookSecret {
    /// Parses a secret: base64url of at least 32 random bytes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
        if bytes.len() < MIN_SECRET_LEN || !may_be_random(&bytes) {
            return None;
        }
        Self::new(&bytes)
    }

    fn new(bytes: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(bytes).ok().map(Self)
    }

    /// The header `webhook-signature` of an event. `timestamp` is in unix seconds.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: u64, body: &str) -> String {
        let mac = self.0.clone().chain_update(format!("{id}.{timestamp}.")).chain_update(body);
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use super::WebhookSecret;

    #[test]
    fn an_event_is_signed_as_standard_webhooks_signs_its_example() {
        let secret = WebhookSecret::new(&BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()).unwrap();
        assert_eq!(
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_secret_is_32_random_bytes() {
        for good in ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="] {
            assert!(WebhookSecret::parse(good).is_some(), "{good}");
        }
        let repeated = "A".repeat(43);
        for bad in [
            "",
            "short",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg",
            &repeated,
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            assert!(WebhookSecret::parse(bad).is_none(), "{bad}");
        }
    }
}
