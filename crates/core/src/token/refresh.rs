//! Refresh tokens: their form, their keys, and the rule by which one is judged.
//!
//! A *family* is one signed-in session. Its tokens differ in their generation only:
//!
//! ```text
//! pcrt_ || base64url( family_id(16) || generation(u32, big endian) || family_secret(32) || tag(16) )
//! tag = first 16 bytes of HMAC-SHA-256(K, label || family_id || generation || family_secret)
//! ```
//!
//! `K` comes from the token secret, and only a hash of the family secret is stored. So a forged token fails its tag and
//! never reaches the database, a stolen database yields no token, and the successor of a token is a pure function of it:
//! two tabs that refresh at once get the same one.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::id::Id;
use crate::token::secret::may_be_random;

/// What every token begins with, so that secret scanners recognise it.
pub const PREFIX: &str = "pcrt_";
/// Of the family secret, in bytes.
pub const SECRET_LEN: usize = 32;
/// Of the tag, in bytes.
const TAG_LEN: usize = 16;
const GENERATION_LEN: usize = size_of::<u32>();
const TOKEN_LEN: usize = Id::LEN + GENERATION_LEN + SECRET_LEN + TAG_LEN;
/// Of a token secret, in bytes.
const MIN_TOKEN_SECRET_LEN: usize = 32;

const KEY_LABEL: &[u8] = b"portcullis refresh token key v1";
const TAG_LABEL: &[u8] = b"portcullis refresh token tag v1";

/// The keys `K` of the tags. The first makes tokens, all are accepted, so that the secret can be rotated with no one
/// logged out.
pub struct TokenKeys {
    first: Hmac<Sha256>,
    rest: Vec<Hmac<Sha256>>,
}

/// What is wrong with the configured token secrets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenSecretError {
    /// Not base64url.
    NotBase64,
    /// Decodes to fewer than 32 bytes.
    TooShort,
    /// Long enough, but of too few different bytes to be random.
    NotRandom,
}

impl TokenKeys {
    /// Reads a comma-separated list of secrets, each at least 32 random bytes in base64url, and derives their keys.
    ///
    /// # Errors
    /// [`TokenSecretError`] of the first bad secret.
    pub fn parse(secrets: &str) -> Result<Self, TokenSecretError> {
        let mut keys = Vec::new();
        for secret in secrets.split(',') {
            let secret = secret.trim().trim_end_matches('=');
            let secret = BASE64_URL_SAFE_NO_PAD.decode(secret).map_err(|_| TokenSecretError::NotBase64)?;
            if secret.len() < MIN_TOKEN_SECRET_LEN {
                return Err(TokenSecretError::TooShort);
            }
            if !may_be_random(&secret) {
                return Err(TokenSecretError::NotRandom);
            }
            // HMAC takes a key of any length, so the error never comes.
            let keyed = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).map_err(|_| TokenSecretError::TooShort);
            let derived = keyed(&secret)?.chain_update(KEY_LABEL).finalize().into_bytes();
            keys.push(keyed(&derived)?);
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or(TokenSecretError::TooShort)?;
        Ok(Self { first, rest: keys.collect() })
    }
}

impl fmt::Display for TokenSecretError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotBase64 => "must be base64url, or several of them separated by commas",
            Self::TooShort => "must be at least 32 bytes once decoded",
            Self::NotRandom => "must be random bytes",
        })
    }
}

/// SHA-256 of a family secret, base64url: what is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecretHash(String);

impl SecretHash {
    /// A hash as it was stored.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The text to store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A genuine token: one whose tag was made by one of our keys. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    family_id: Id,
    generation: u32,
    secret: [u8; SECRET_LEN],
}

impl RefreshToken {
    /// The first token of a new family.
    #[must_use]
    pub const fn first(family_id: Id, secret: [u8; SECRET_LEN]) -> Self {
        Self { family_id, generation: 0, secret }
    }

    /// Reads a token; `None` for any text that is not canonical or whose tag none of the keys made.
    #[must_use]
    pub fn parse(text: &str, keys: &TokenKeys) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let bytes: [u8; TOKEN_LEN] = bytes.try_into().ok()?;
        let (family_id, rest) = bytes.split_first_chunk()?;
        let (generation, rest) = rest.split_first_chunk()?;
        let (secret, tag) = rest.split_first_chunk()?;
        let token =
            Self { family_id: Id::new(*family_id), generation: u32::from_be_bytes(*generation), secret: *secret };
        std::iter::once(&keys.first)
            .chain(&keys.rest)
            .any(|key| token.mac(key).verify_truncated_left(tag).is_ok())
            .then_some(token)
    }

    /// The one token that follows this one; `None` at the end of the 2^32 generations.
    #[must_use]
    pub fn successor(&self) -> Option<Self> {
        Some(Self { generation: self.generation.checked_add(1)?, ..*self })
    }

    /// The text handed to the client.
    #[must_use]
    pub fn encode(&self, keys: &TokenKeys) -> String {
        let mut bytes = Vec::with_capacity(TOKEN_LEN);
        bytes.extend_from_slice(self.family_id.as_bytes());
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes.extend_from_slice(&self.secret);
        bytes.extend(self.mac(&keys.first).finalize().into_bytes().into_iter().take(TAG_LEN));
        let mut text = PREFIX.to_owned();
        BASE64_URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
        text
    }

    /// The session: the `sid` claim of its access tokens.
    #[must_use]
    pub const fn family_id(&self) -> Id {
        self.family_id
    }

    /// Counts the refreshes since the log-in.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// What is stored of the secret.
    #[must_use]
    pub fn secret_hash(&self) -> SecretHash {
        SecretHash(BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(self.secret)))
    }

    fn mac(&self, key: &Hmac<Sha256>) -> Hmac<Sha256> {
        key.clone()
            .chain_update(TAG_LABEL)
            .chain_update(self.family_id.as_bytes())
            .chain_update(self.generation.to_be_bytes())
            .chain_update(self.secret)
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RefreshToken({}, {})", self.family_id, self.generation)
    }
}

/// What is stored of a family and of its user, as far as the rule needs it. Times in unix seconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FamilyState {
    /// Of the family secret.
    pub secret_hash: SecretHash,
    /// The one live generation.
    pub generation: u32,
    /// When it became the live one.
    pub rotated_at: u64,
    /// The idle end, which is never past the absolute end.
    pub expires_at: u64,
    /// Whether the session was ended.
    pub revoked: bool,
    /// Whether the user is disabled.
    pub user_disabled: bool,
}

impl FamilyState {
    /// Whether the session is in force: what an access token of it is worth where its state is known.
    #[must_use]
    pub const fn is_in_force(&self, now: u64) -> bool {
        !self.revoked && !self.user_disabled && self.expires_at > now
    }
}

/// What a genuine token is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// The live token: it is rotated out, its successor is issued.
    Rotate,
    /// The immediate predecessor within the grace window, from a client that lost the response or from a second tab: it
    /// gets the successor that already is the live token.
    GraceRetry,
    /// A rotated-out token beyond the grace window: somebody else has had it. The family ends.
    Reuse(Reuse),
    /// Nothing is issued, nothing ends.
    Refused(RefusalReason),
}

/// Which rotated-out token came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reuse {
    /// The immediate predecessor of the live one.
    Predecessor,
    /// One before that.
    Older,
}

impl Reuse {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Predecessor => "predecessor",
            Self::Older => "older",
        }
    }
}

/// Why a genuine token is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefusalReason {
    /// No such family, or not with this secret, or of a generation that is still to come.
    Unknown,
    /// The session was ended.
    Revoked,
    /// The user is disabled.
    UserDisabled,
    /// The session's idle or absolute end has come.
    Expired,
}

/// Judges a genuine token by the state of its family. `grace` in seconds; 0 turns grace retries off.
///
/// The statement that rotates (`store/sql/rotate.sql`) decides [`Judgement::Rotate`] and [`Judgement::GraceRetry`] by the
/// same conditions in one step; this tells what it was when that statement changed nothing.
#[must_use]
pub fn judge(token: &RefreshToken, state: &FamilyState, now: u64, grace: u64) -> Judgement {
    if token.secret_hash() != state.secret_hash || token.generation > state.generation {
        return Judgement::Refused(RefusalReason::Unknown);
    }
    if state.revoked {
        return Judgement::Refused(RefusalReason::Revoked);
    }
    let is_live = token.generation == state.generation;
    let is_predecessor = token.generation.checked_add(1) == Some(state.generation);
    let in_grace = is_predecessor && state.rotated_at.saturating_add(grace) > now;
    if !is_live && !in_grace {
        // Before any look at the expiry: a replay tells of a theft even when the session has run out.
        return Judgement::Reuse(if is_predecessor { Reuse::Predecessor } else { Reuse::Older });
    }
    if state.user_disabled {
        return Judgement::Refused(RefusalReason::UserDisabled);
    }
    if state.expires_at <= now {
        return Judgement::Refused(RefusalReason::Expired);
    }
    if is_live { Judgement::Rotate } else { Judgement::GraceRetry }
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, Mac as _};
    use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
    use sha2::Sha256;

    use super::{
        FamilyState, Judgement, PREFIX, RefreshToken, RefusalReason, Reuse, TokenKeys, TokenSecretError, judge,
    };
    use crate::id::Id;

    const SECRET_A: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    const SECRET_B: &str = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA";
    const NOW: u64 = 1_700_000_000;
    const GRACE: u64 = 30;

    fn keys(secrets: &str) -> TokenKeys {
        TokenKeys::parse(secrets).unwrap()
    }

    fn token(generation: u32) -> RefreshToken {
        RefreshToken { generation, ..RefreshToken::first(Id::new([9; 16]), [7; 32]) }
    }

    /// A family whose live token is of the fifth generation, made just now.
    fn family() -> FamilyState {
        FamilyState {
            secret_hash: token(0).secret_hash(),
            generation: 5,
            rotated_at: NOW,
            expires_at: NOW + 1000,
            revoked: false,
            user_disabled: false,
        }
    }

    /// RFC 4231 §4.2 and §4.3: the library's HMAC-SHA-256 is the RFC's.
    #[test]
    fn rfc_4231_hmac_vectors() {
        let hex = |key: &[u8], data: &[u8]| {
            let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(data).finalize().into_bytes();
            mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        assert_eq!(hex(&[0x0b; 20], b"Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        assert_eq!(
            hex(b"Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_token_reads_back_and_shows_no_secret() {
        let keys = keys(SECRET_A);
        let text = token(3).encode(&keys);
        assert!(text.starts_with(PREFIX));
        assert_eq!(text.len(), PREFIX.len() + 91);
        assert_eq!(RefreshToken::parse(&text, &keys), Some(token(3)));
        assert_eq!(format!("{:?}", token(3)), "RefreshToken(CQkJCQkJCQkJCQkJCQkJCQ, 3)");
    }

    #[test]
    fn every_changed_character_makes_a_token_that_is_none() {
        let keys = keys(SECRET_A);
        let text = token(3).encode(&keys);
        for position in 0..text.len() {
            for replacement in ['A', 'B', 'z', '-', '=', ' '] {
                let mut chars: Vec<char> = text.chars().collect();
                if chars[position] != replacement {
                    chars[position] = replacement;
                    assert_eq!(RefreshToken::parse(&String::from_iter(chars), &keys), None);
                }
            }
        }
        for bad in ["", "pcrt_", &text[1..], &text[..text.len() - 1], &format!("{text}A"), &format!("{text}=")] {
            assert_eq!(RefreshToken::parse(bad, &keys), None, "{bad}");
        }
    }

    #[test]
    fn the_token_secret_can_be_rotated_with_no_one_logged_out() {
        let old = token(3).encode(&keys(SECRET_A));
        let both = keys(&format!("{SECRET_B}, {SECRET_A}"));
        let read = RefreshToken::parse(&old, &both).unwrap();
        let successor = read.successor().unwrap().encode(&both);
        assert!(RefreshToken::parse(&successor, &keys(SECRET_B)).is_some(), "the first secret makes tokens");
        assert!(RefreshToken::parse(&successor, &keys(SECRET_A)).is_none());
        assert!(RefreshToken::parse(&old, &keys(SECRET_B)).is_none(), "a removed secret accepts nothing");
    }

    #[test]
    fn weak_token_secrets_are_refused() {
        for (secret, error) in [
            ("", TokenSecretError::TooShort),
            ("not base64url!", TokenSecretError::NotBase64),
            ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg", TokenSecretError::TooShort),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", TokenSecretError::NotRandom),
            (&format!("{SECRET_A},"), TokenSecretError::TooShort),
        ] {
            assert_eq!(TokenKeys::parse(secret).err(), Some(error), "{secret}");
        }
    }

    #[test]
    fn the_successor_is_a_pure_function_and_generations_end() {
        assert_eq!(token(3).successor(), Some(token(4)));
        assert_eq!(token(u32::MAX).successor(), None);
    }

    #[test]
    fn the_live_token_rotates_until_the_second_the_session_expires() {
        let state = FamilyState { expires_at: NOW + 1, ..family() };
        assert_eq!(judge(&token(5), &state, NOW, GRACE), Judgement::Rotate);
        assert_eq!(judge(&token(5), &state, NOW + 1, GRACE), Judgement::Refused(RefusalReason::Expired));
    }

    #[test]
    fn the_predecessor_is_a_retry_within_the_window_and_reuse_from_its_last_second_on() {
        assert_eq!(judge(&token(4), &family(), NOW, GRACE), Judgement::GraceRetry);
        assert_eq!(judge(&token(4), &family(), NOW + GRACE - 1, GRACE), Judgement::GraceRetry);
        assert_eq!(judge(&token(4), &family(), NOW + GRACE, GRACE), Judgement::Reuse(Reuse::Predecessor));
    }

    #[test]
    fn without_a_window_the_predecessor_is_reuse_at_once() {
        assert_eq!(judge(&token(4), &family(), NOW, 0), Judgement::Reuse(Reuse::Predecessor));
    }

    #[test]
    fn older_generations_are_reuse_even_within_the_window() {
        for generation in 0..4 {
            assert_eq!(judge(&token(generation), &family(), NOW, GRACE), Judgement::Reuse(Reuse::Older));
        }
    }

    #[test]
    fn consumed_token_is_reuse_even_after_expiry_and_with_a_disabled_user() {
        let state = FamilyState { expires_at: NOW, user_disabled: true, ..family() };
        assert_eq!(judge(&token(3), &state, NOW, GRACE), Judgement::Reuse(Reuse::Older));
        assert_eq!(judge(&token(4), &state, NOW + GRACE, GRACE), Judgement::Reuse(Reuse::Predecessor));
    }

    #[test]
    fn a_retry_of_an_ended_session_is_refused_and_no_reuse() {
        let expired = FamilyState { expires_at: NOW + 1, ..family() };
        assert_eq!(judge(&token(4), &expired, NOW + 1, GRACE), Judgement::Refused(RefusalReason::Expired));
        let disabled = FamilyState { user_disabled: true, ..family() };
        for generation in [4, 5] {
            assert_eq!(
                judge(&token(generation), &disabled, NOW, GRACE),
                Judgement::Refused(RefusalReason::UserDisabled)
            );
        }
    }

    #[test]
    fn a_revoked_family_refuses_every_generation() {
        let state = FamilyState { revoked: true, ..family() };
        for generation in 0..=5 {
            assert_eq!(judge(&token(generation), &state, NOW, GRACE), Judgement::Refused(RefusalReason::Revoked));
        }
    }

    #[test]
    fn a_session_is_in_force_until_it_expires_or_is_ended_or_its_user_is_shut_out() {
        assert!(family().is_in_force(NOW + 999));
        assert!(!family().is_in_force(NOW + 1000));
        assert!(!FamilyState { revoked: true, ..family() }.is_in_force(NOW));
        assert!(!FamilyState { user_disabled: true, ..family() }.is_in_force(NOW));
    }

    #[test]
    fn another_secret_or_a_generation_to_come_is_unknown_and_ends_nothing() {
        let other = RefreshToken { secret: [8; 32], ..token(5) };
        assert_eq!(judge(&other, &family(), NOW, GRACE), Judgement::Refused(RefusalReason::Unknown));
        assert_eq!(judge(&token(6), &family(), NOW, GRACE), Judgement::Refused(RefusalReason::Unknown));
    }

    /// One thing that happens to a family.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// Somebody presents the n-th token ever issued (counted back from the newest).
        Refresh(usize),
        /// The honest client refreshes with the token it holds. `lost`: it never sees the response.
        HonestRefresh {
            lost: bool,
        },
        Wait(u64),
        Revoke,
        Disable(bool),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            2 => (0_usize..6).prop_map(Step::Refresh),
            4 => any::<bool>().prop_map(|lost| Step::HonestRefresh { lost }),
            3 => prop_oneof![0_u64..3, Just(GRACE - 1), Just(GRACE), Just(GRACE + 1), Just(200), Just(400)].prop_map(Step::Wait),
            1 => Just(Step::Revoke),
            1 => any::<bool>().prop_map(Step::Disable),
        ]
    }

    /// The reference: what a family is to those who use it, told without generations.
    struct Model {
        issued: u32,
        rotated_at: u64,
        expires_at: u64,
        absolute_expires_at: u64,
        alive: bool,
        disabled: bool,
    }

    const IDLE: u64 = 500;
    const ABSOLUTE: u64 = 1500;

    proptest! {
        #[test]
        fn rotation_keeps_its_promises_under_any_interleaving(steps in proptest::collection::vec(step(), 1..60)) {
            let mut now = NOW;
            let mut state = FamilyState { generation: 0, expires_at: NOW + IDLE, ..family() };
            let mut model = Model {
                issued: 0,
                rotated_at: NOW,
                expires_at: NOW + IDLE,
                absolute_expires_at: NOW + ABSOLUTE,
                alive: true,
                disabled: false,
            };
            let mut honest = token(0);
            // Whether somebody else than the honest client has ever rotated, or it has waited too long to retry.
            let mut disturbed = false;
            let mut lost_at = None;

            for step in steps {
                let presented = match step {
                    Step::Wait(seconds) => {
                        now += seconds;
                        continue;
                    }
                    Step::Revoke => {
                        state.revoked = true;
                        model.alive = false;
                        continue;
                    }
                    Step::Disable(disabled) => {
                        state.user_disabled = disabled;
                        model.disabled = disabled;
                        continue;
                    }
                    Step::Refresh(back) => token(model.issued.saturating_sub(u32::try_from(back).unwrap())),
                    Step::HonestRefresh { .. } => honest.clone(),
                };
                let usable = model.alive && !model.disabled && now < model.expires_at;
                let verdict = judge(&presented, &state, now, GRACE);

                // What the model expects of the token, told by which of the issued ones it is.
                let age = model.issued - presented.generation;
                let in_window = now < model.rotated_at + GRACE;
                let issues = usable && (age == 0 || (age == 1 && in_window));
                let kills = model.alive && age > 0 && !(age == 1 && in_window);
                prop_assert_eq!(matches!(verdict, Judgement::Rotate | Judgement::GraceRetry), issues);
                prop_assert_eq!(matches!(verdict, Judgement::Reuse(_)), kills);

                match verdict {
                    Judgement::Rotate => {
                        state.generation += 1;
                        state.rotated_at = now;
                        state.expires_at = (now + IDLE).min(NOW + ABSOLUTE);
                        model.issued += 1;
                        model.rotated_at = now;
                        model.expires_at = (now + IDLE).min(model.absolute_expires_at);
                    }
                    Judgement::Reuse(_) => {
                        state.revoked = true;
                        model.alive = false;
                    }
                    Judgement::GraceRetry | Judgement::Refused(_) => {}
                }
                if issues {
                    // Whoever asks, and however often: the token that is issued is the one live token.
                    prop_assert_eq!(presented.successor().unwrap().generation, state.generation);
                }
                match step {
                    Step::HonestRefresh { lost } => {
                        // An honest client that retries a lost response within the window is never logged out.
                        if lost_at.is_some_and(|at| now < at + GRACE) && usable && !disturbed {
                            prop_assert!(issues);
                        }
                        if issues && !lost {
                            honest = presented.successor().unwrap();
                            lost_at = None;
                        } else if verdict == Judgement::Rotate {
                            lost_at = Some(now);
                        }
                    }
                    _ if issues => disturbed = true,
                    _ => {}
                }
                let live = (0..=model.issued).filter(|generation| {
                    judge(&token(*generation), &state, now, GRACE) == Judgement::Rotate
                });
                prop_assert!(live.count() <= 1);
                prop_assert!(state.expires_at <= model.absolute_expires_at);
                if !model.alive {
                    for generation in 0..=model.issued {
                        prop_assert_eq!(judge(&token(generation), &state, now, GRACE), Judgement::Refused(RefusalReason::Revoked));
                    }
                }
            }
        }
    }
}
