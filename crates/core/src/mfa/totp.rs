//! TOTP: codes of authenticator apps (RFC 6238), with SHA-1, 6 digits and 30 seconds, which every app supports.

use hmac::{Hmac, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use subtle::ConstantTimeEq as _;

/// Length of a step, in seconds.
const STEP_SECONDS: u64 = 30;
/// Number of digits of a code.
const DIGITS: usize = 6;
/// One more than the greatest code.
const CODES: u32 = 1_000_000;

/// The characters to encode in a URI: all but the unreserved ones of RFC 3986 §2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The secret that an authenticator app shares with this service.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TotpSecret([u8; TotpSecret::LEN]);

/// A code as a user types it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TotpCode(u32);

impl TotpSecret {
    /// Length in bytes: that of a SHA-1 hash, as RFC 4226 §4 recommends.
    pub const LEN: usize = 20;

    /// A secret of these bytes, which must be random for a new one.
    #[must_use]
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes of the secret.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The secret as text, for apps without a camera: base 32 (RFC 4648 §6) without padding, 32 characters.
    #[must_use]
    pub fn to_base32(&self) -> String {
        base32::encode(base32::Alphabet::Rfc4648 { padding: false }, &self.0)
    }

    /// The address by which an app takes over the secret, usually from a QR code. `issuer` and `account` are what the app shows.
    #[must_use]
    pub fn otpauth_uri(&self, issuer: &str, account: &str) -> String {
        // Apps decode the label and separate it at the first colon.
        let issuer = issuer.replace(':', " ");
        let (issuer, account) = (utf8_percent_encode(&issuer, RESERVED), utf8_percent_encode(account, RESERVED));
        let secret = self.to_base32();
        format!(
            "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}"
        )
    }

    /// Judges a code: returns the step that accepts it, which must then be stored as the last one. The step of now and the one before
    /// are tried, for users who type slowly (RFC 6238 §5.2). A step is greater than the last one, so that a code works once.
    #[must_use]
    pub fn accept(&self, code: TotpCode, now: u64, last_step: Option<u64>) -> Option<u64> {
        let current = now / STEP_SECONDS;
        // Both are compared in any case, so that the time does not show which one matches. If both match, the later one counts, because
        // the code would otherwise work again.
        let matches = [Some(current), current.checked_sub(1)].map(|step| {
            let step = step?;
            bool::from(self.code_at(step)?.0.ct_eq(&code.0)).then_some(step)
        });
        matches.into_iter().flatten().find(|step| last_step.is_none_or(|last| *step > last))
    }

    /// The code of a step (RFC 4226 §5.3). Never `None`, because HMAC accepts keys of any length.
    fn code_at(&self, step: u64) -> Option<TotpCode> {
        let mac = Hmac::<Sha1>::new_from_slice(&self.0).ok()?;
        let hash: [u8; 20] = mac.chain_update(step.to_be_bytes()).finalize().into_bytes().into();
        let offset = usize::from(hash.last()? & 0xf);
        let number = u32::from_be_bytes(*hash.get(offset..)?.first_chunk()?) & 0x7fff_ffff;
        Some(TotpCode(number % CODES))
    }
}

impl TotpCode {
    /// Reads what a user types: six digits, with spaces anywhere, as apps show them. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|character| !character.is_whitespace()).collect();
        let is_code = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_code { digits.parse().ok().map(Self) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use totp_rs::{Algorithm, TOTP};

    use super::{TotpCode, TotpSecret};

    /// The secret of RFC 6238, appendix B.
    const RFC_SECRET: TotpSecret = TotpSecret::new(*b"12345678901234567890");
    const NOW: u64 = 1_790_000_010;
    const STEP: u64 = NOW / 30;

    fn code_at(step: u64) -> TotpCode {
        RFC_SECRET.code_at(step).unwrap()
    }

    /// The last six of the eight digits of each vector: both are remainders of the same number.
    #[test]
    fn codes_match_the_vectors_of_rfc_6238() {
        for (now, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(RFC_SECRET.accept(TotpCode::parse(code).unwrap(), now, None), Some(now / 30), "{now}");
        }
    }

    /// RFC 4226, appendix D.
    #[test]
    fn codes_match_the_vectors_of_rfc_4226() {
        let codes = [755_224, 287_082, 359_152, 969_429, 338_314, 254_676, 287_922, 162_583, 399_871, 520_489];
        for (step, code) in (0..).zip(codes) {
            assert_eq!(code_at(step), TotpCode(code));
        }
    }

    #[test]
    fn this_step_and_the_one_before_are_accepted() {
        let judge = |step| RFC_SECRET.accept(code_at(step), NOW, None);
        assert_eq!(judge(STEP), Some(STEP));
        assert_eq!(judge(STEP - 1), Some(STEP - 1));
        assert_eq!((judge(STEP + 1), judge(STEP - 2)), (None, None));
        let last_second = STEP * 30 + 29;
        assert_eq!(RFC_SECRET.accept(code_at(STEP - 1), last_second, None), Some(STEP - 1));
        assert_eq!(RFC_SECRET.accept(code_at(STEP - 1), last_second + 1, None), None);
        assert_eq!(RFC_SECRET.accept(code_at(0), 0, None), Some(0), "there is no step before the first");
    }

    #[test]
    fn a_code_works_once_and_no_older_one_works_after_it() {
        let judge = |step, last| RFC_SECRET.accept(code_at(step), NOW, Some(last));
        assert_eq!(judge(STEP, STEP), None);
        assert_eq!(judge(STEP - 1, STEP), None);
        assert_eq!(judge(STEP - 1, STEP - 1), None);
        assert_eq!(judge(STEP, STEP - 1), Some(STEP));
        assert_eq!(judge(STEP - 1, STEP - 2), Some(STEP - 1));
        assert_eq!(judge(STEP, STEP + 1), None, "the clock of another server is ahead");
    }

    /// Otherwise, the code would be accepted again for the later step.
    #[test]
    fn if_a_code_is_that_of_both_steps_the_later_one_is_used_up() {
        let step = 910_738;
        assert_eq!(code_at(step), code_at(step - 1));
        let judge = |last| RFC_SECRET.accept(code_at(step), step * 30, last);
        assert_eq!(judge(None), Some(step));
        assert_eq!(judge(Some(step - 1)), Some(step));
        assert_eq!(judge(Some(step)), None);
    }

    #[test]
    fn a_code_is_six_digits_with_spaces_anywhere() {
        for text in ["005924", "005 924", " 005\u{a0}924 ", "00 59 24", "0 0 5 9 2 4\n"] {
            assert_eq!(TotpCode::parse(text), Some(TotpCode(5924)), "{text:?}");
        }
        for text in ["", "00592", "0059240", "+05924", "-05924", "005-924", "00592a", "\u{660}05924", "\u{ff10}05924"] {
            assert_eq!(TotpCode::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_uri_has_what_an_app_needs() {
        assert_eq!(
            RFC_SECRET.otpauth_uri("Acme & Söhne", "a+b@example.org"),
            "otpauth://totp/Acme%20%26%20S%C3%B6hne:a%2Bb%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Acme%20%26%20S%C3%B6hne&algorithm=SHA1&digits=6&period=30"
        );
        // A colon in the issuer would move the border between issuer and account.
        let uri = RFC_SECRET.otpauth_uri("a:b/?#", "c:d");
        assert!(
            uri.starts_with("otpauth://totp/a%20b%2F%3F%23:c%3Ad?") && uri.contains("&issuer=a%20b%2F%3F%23&"),
            "{uri}"
        );
    }

    #[test]
    fn base32_matches_the_vectors_of_rfc_4648() {
        let alphabet = base32::Alphabet::Rfc4648 { padding: false };
        for (text, encoded) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32::encode(alphabet, text.as_bytes()), encoded);
            assert_eq!(base32::decode(alphabet, encoded).as_deref(), Some(text.as_bytes()));
        }
    }

    proptest! {
        #[test]
        fn another_implementation_makes_the_same_codes(secret in any::<[u8; 20]>(), now in 0_u64..1 << 40) {
            let other = TOTP::new(Algorithm::SHA1, 6, 0, 30, secret.to_vec()).unwrap();
            let secret = TotpSecret::new(secret);
            let code = TotpCode::parse(&other.generate(now)).unwrap();
            prop_assert_eq!(secret.accept(code, now, None), Some(now / 30));
            prop_assert_eq!(secret.to_base32(), other.get_secret_base32());
        }

        #[test]
        fn no_text_is_a_fault(text in any::<String>()) {
            let _ = TotpCode::parse(&text);
        }
    }
}
