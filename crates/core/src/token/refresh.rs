//! Refresh tokens: their format, and the rule that judges them.
//!
//! The tokens of a session, its *family*, differ only in their generation. They are sealed texts ([`super::sealed`]):
//!
//! ```text
//! pcrt_ || base64url( session_id(16) || generation(u32, big endian) || session_secret(32) || tag(16) )
//! ```
//!
//! A forged token has an invalid tag, so it is refused without reading the database. The database stores only a hash of the session
//! secret, so a stolen database reveals no token. The successor of a token is a pure function of it, so two tabs that refresh at the
//! same time get the same one.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::sealed::{Kind, SealingKeys};
use crate::id::Id;

/// The prefix of every token, by which secret scanners recognise it.
pub const PREFIX: &str = "pcrt_";
/// Length of a session secret, in bytes.
pub const SECRET_LEN: usize = 32;
/// The kind of sealed text of refresh tokens.
pub const REFRESH_TOKEN: Kind =
    Kind { label: "portcullis refresh token v1", prefix: PREFIX, field_lens: &[Id::LEN, size_of::<u32>(), SECRET_LEN] };

/// SHA-256 of a session secret, in base64url, for storage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecretHash(String);

impl SecretHash {
    /// Wraps a stored hash.
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

/// A refresh token with a valid tag. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    session_id: Id,
    generation: u32,
    secret: [u8; SECRET_LEN],
}

impl RefreshToken {
    /// The first token of a new session.
    #[must_use]
    pub const fn first(session_id: Id, secret: [u8; SECRET_LEN]) -> Self {
        Self { session_id, generation: 0, secret }
    }

    /// Parses a token; `None` if the text is not canonical or its tag is not valid under any key.
    #[must_use]
    pub fn parse(text: &str, keys: &SealingKeys) -> Option<Self> {
        let fields = keys.open(text)?;
        let (session_id, rest) = fields.split_first_chunk()?;
        let (generation, secret) = rest.split_first_chunk()?;
        let generation = u32::from_be_bytes(*generation);
        Some(Self { session_id: Id::new(*session_id), generation, secret: secret.try_into().ok()? })
    }

    /// The next token of the session; `None` after 2^32 generations.
    #[must_use]
    pub fn successor(&self) -> Option<Self> {
        Some(Self { generation: self.generation.checked_add(1)?, ..*self })
    }

    /// The text for the client.
    #[must_use]
    pub fn encode(&self, keys: &SealingKeys) -> String {
        keys.seal(&[self.session_id.as_bytes(), &self.generation.to_be_bytes(), &self.secret])
    }

    /// The session id: the `sid` claim of its access tokens.
    #[must_use]
    pub const fn session_id(&self) -> Id {
        self.session_id
    }

    /// Number of refreshes since the login.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The hash of the secret, for storage.
    #[must_use]
    pub fn secret_hash(&self) -> SecretHash {
        SecretHash(BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(self.secret)))
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RefreshToken({}, {})", self.session_id, self.generation)
    }
}

/// The stored state of a session and its user that [`judge`] needs. Times in unix seconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionState {
    /// Hash of the session secret.
    pub secret_hash: SecretHash,
    /// The live generation. Tokens of earlier generations are rotated out.
    pub generation: u32,
    /// Time of the last rotation.
    pub rotated_at: u64,
    /// The idle end, which is never past the absolute end.
    pub expires_at: u64,
    /// Whether the session was ended.
    pub revoked: bool,
    /// Whether the session began before `SESSIONS_NOT_BEFORE`.
    pub too_early: bool,
    /// Whether the user is disabled.
    pub user_disabled: bool,
}

impl SessionState {
    /// Whether the session is in force, so that its access tokens are accepted.
    #[must_use]
    pub const fn is_in_force(&self, now: u64) -> bool {
        !self.revoked && !self.too_early && !self.user_disabled && self.expires_at > now
    }
}

/// The judgement of a refresh token with a valid tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// The live token. It is rotated out and its successor is issued.
    Rotate,
    /// The immediate predecessor within the grace window, from a client that lost the response or from a second tab. The live token is
    /// issued again.
    GraceRetry,
    /// A rotated-out token outside the grace window, which may have been stolen. The session ends.
    Reuse(Reuse),
    /// No token is issued, and the session does not change.
    Refused(RefusalReason),
}

/// Which rotated-out token was presented.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reuse {
    /// The immediate predecessor of the live token.
    Predecessor,
    /// An earlier token.
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

/// Why a refresh token with a valid tag is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefusalReason {
    /// There is no such session, the secret differs, or the generation is in the future.
    Unknown,
    /// The session was ended.
    Revoked,
    /// The session began before `SESSIONS_NOT_BEFORE`.
    TooEarly,
    /// The user is disabled.
    UserDisabled,
    /// The session is past its idle or absolute end.
    Expired,
}

impl RefusalReason {
    /// The name in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Revoked => "revoked",
            Self::TooEarly => "sessions_not_before",
            Self::UserDisabled => "user_disabled",
            Self::Expired => "expired",
        }
    }
}

/// Judges a refresh token by the state of its session. `grace` is in seconds; 0 disables grace retries.
///
/// The statement `store/sql/sessions/rotate.sql` detects [`Judgement::Rotate`] and [`Judgement::GraceRetry`] by the same conditions
/// and applies them in one step. This function explains why that statement changed nothing.
#[must_use]
pub fn judge(token: &RefreshToken, state: &SessionState, now: u64, grace: u64) -> Judgement {
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
        // Check this before the expiry: reuse indicates theft even if the session has expired.
        return Judgement::Reuse(if is_predecessor { Reuse::Predecessor } else { Reuse::Older });
    }
    if state.too_early {
        return Judgement::Refused(RefusalReason::TooEarly);
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
    use super::{Judgement, PREFIX, REFRESH_TOKEN, RefreshToken, RefusalReason, Reuse, SessionState, judge};
    use crate::id::Id;
    use crate::token::sealed::tests::{SECRET_A, SECRET_B};
    use crate::token::sealed::{SealingKeys, SealingSecrets};
    use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

    const NOW: u64 = 1_700_000_000;
    const GRACE: u64 = 30;

    fn keys(secrets: &str) -> SealingKeys {
        SealingSecrets::parse(secrets).unwrap().keys(REFRESH_TOKEN).unwrap()
    }

    fn token(generation: u32) -> RefreshToken {
        RefreshToken { generation, ..RefreshToken::first(Id::new([9; 16]), [7; 32]) }
    }

    /// A session whose live token has generation 5 and was issued now.
    fn session() -> SessionState {
        SessionState {
            secret_hash: token(0).secret_hash(),
            generation: 5,
            rotated_at: NOW,
            expires_at: NOW + 1000,
            revoked: false,
            too_early: false,
            user_disabled: false,
        }
    }

    #[test]
    fn a_token_round_trips_and_shows_no_secret() {
        let keys = keys(SECRET_A);
        let text = token(3).encode(&keys);
        assert!(text.starts_with(PREFIX));
        assert_eq!(text.len(), PREFIX.len() + 91);
        assert_eq!(RefreshToken::parse(&text, &keys), Some(token(3)));
        assert_eq!(format!("{:?}", token(3)), "RefreshToken(CQkJCQkJCQkJCQkJCQkJCQ, 3)");
    }

    #[test]
    fn rotating_the_token_secret_logs_no_user_out() {
        let old = token(3).encode(&keys(SECRET_A));
        let both = keys(&format!("{SECRET_B}, {SECRET_A}"));
        let read = RefreshToken::parse(&old, &both).unwrap();
        let successor = read.successor().unwrap().encode(&both);
        assert!(RefreshToken::parse(&successor, &keys(SECRET_B)).is_some(), "the first secret seals");
        assert!(RefreshToken::parse(&successor, &keys(SECRET_A)).is_none());
        assert!(RefreshToken::parse(&old, &keys(SECRET_B)).is_none(), "a removed secret accepts nothing");
    }

    #[test]
    fn the_successor_is_a_pure_function_and_generations_end() {
        assert_eq!(token(3).successor(), Some(token(4)));
        assert_eq!(token(u32::MAX).successor(), None);
    }

    #[test]
    fn the_live_token_rotates_until_the_second_the_session_expires() {
        let state = SessionState { expires_at: NOW + 1, ..session() };
        assert_eq!(judge(&token(5), &state, NOW, GRACE), Judgement::Rotate);
        assert_eq!(judge(&token(5), &state, NOW + 1, GRACE), Judgement::Refused(RefusalReason::Expired));
    }

    #[test]
    fn the_predecessor_is_a_retry_within_the_window_and_reuse_after_it() {
        assert_eq!(judge(&token(4), &session(), NOW, GRACE), Judgement::GraceRetry);
        assert_eq!(judge(&token(4), &session(), NOW + GRACE - 1, GRACE), Judgement::GraceRetry);
        assert_eq!(judge(&token(4), &session(), NOW + GRACE, GRACE), Judgement::Reuse(Reuse::Predecessor));
    }

    #[test]
    fn without_a_grace_window_the_predecessor_is_reuse() {
        assert_eq!(judge(&token(4), &session(), NOW, 0), Judgement::Reuse(Reuse::Predecessor));
    }

    #[test]
    fn older_generations_are_reuse_even_within_the_window() {
        for generation in 0..4 {
            assert_eq!(judge(&token(generation), &session(), NOW, GRACE), Judgement::Reuse(Reuse::Older));
        }
    }

    #[test]
    fn a_rotated_out_token_is_reuse_even_after_expiry_and_with_a_disabled_user() {
        let state = SessionState { expires_at: NOW, user_disabled: true, ..session() };
        assert_eq!(judge(&token(3), &state, NOW, GRACE), Judgement::Reuse(Reuse::Older));
        assert_eq!(judge(&token(4), &state, NOW + GRACE, GRACE), Judgement::Reuse(Reuse::Predecessor));
    }

    #[test]
    fn a_retry_on_an_ended_session_is_refused_and_not_reuse() {
        let expired = SessionState { expires_at: NOW + 1, ..session() };
        assert_eq!(judge(&token(4), &expired, NOW + 1, GRACE), Judgement::Refused(RefusalReason::Expired));
        let disabled = SessionState { user_disabled: true, ..session() };
        for generation in [4, 5] {
            assert_eq!(
                judge(&token(generation), &disabled, NOW, GRACE),
                Judgement::Refused(RefusalReason::UserDisabled)
            );
        }
    }

    #[test]
    fn a_session_that_began_too_early_is_refused_and_its_older_tokens_are_reuse() {
        let state = SessionState { too_early: true, ..session() };
        assert!(session().is_in_force(NOW) && !state.is_in_force(NOW));
        for generation in [4, 5] {
            assert_eq!(judge(&token(generation), &state, NOW, GRACE), Judgement::Refused(RefusalReason::TooEarly));
        }
        assert_eq!(judge(&token(3), &state, NOW, GRACE), Judgement::Reuse(Reuse::Older));
        let ended = SessionState { revoked: true, ..state };
        assert_eq!(judge(&token(5), &ended, NOW, GRACE), Judgement::Refused(RefusalReason::Revoked));
    }

    #[test]
    fn a_revoked_session_refuses_every_generation() {
        let state = SessionState { revoked: true, ..session() };
        for generation in 0..=5 {
            assert_eq!(judge(&token(generation), &state, NOW, GRACE), Judgement::Refused(RefusalReason::Revoked));
        }
    }

    #[test]
    fn a_session_is_in_force_until_it_expires_is_revoked_or_its_user_is_disabled() {
        assert!(session().is_in_force(NOW + 999));
        assert!(!session().is_in_force(NOW + 1000));
        assert!(!SessionState { revoked: true, ..session() }.is_in_force(NOW));
        assert!(!SessionState { user_disabled: true, ..session() }.is_in_force(NOW));
    }

    #[test]
    fn another_secret_or_a_future_generation_is_unknown() {
        let other = RefreshToken { secret: [8; 32], ..token(5) };
        assert_eq!(judge(&other, &session(), NOW, GRACE), Judgement::Refused(RefusalReason::Unknown));
        assert_eq!(judge(&token(6), &session(), NOW, GRACE), Judgement::Refused(RefusalReason::Unknown));
    }

    /// A step of the model.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// Any client presents the n-th issued token, counted back from the newest.
        Refresh(usize),
        /// The honest client refreshes with its token. `lost`: it does not receive the response.
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

    /// The reference model of a session, without generations.
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
        fn rotation_agrees_with_the_model_under_any_interleaving(steps in proptest::collection::vec(step(), 1..60)) {
            let mut now = NOW;
            let mut state = SessionState { generation: 0, expires_at: NOW + IDLE, ..session() };
            let mut model = Model {
                issued: 0,
                rotated_at: NOW,
                expires_at: NOW + IDLE,
                absolute_expires_at: NOW + ABSOLUTE,
                alive: true,
                disabled: false,
            };
            let mut honest = token(0);
            // Whether another client has rotated the token, or the honest client has waited too long to retry.
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
                let judgement = judge(&presented, &state, now, GRACE);

                // The model derives the expected judgement from the age of the token.
                let age = model.issued - presented.generation;
                let in_window = now < model.rotated_at + GRACE;
                let issues = usable && (age == 0 || (age == 1 && in_window));
                let ends_session = model.alive && age > 0 && !(age == 1 && in_window);
                prop_assert_eq!(matches!(judgement, Judgement::Rotate | Judgement::GraceRetry), issues);
                prop_assert_eq!(matches!(judgement, Judgement::Reuse(_)), ends_session);

                match judgement {
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
                    // The issued token is always the live token.
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
                        } else if judgement == Judgement::Rotate {
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
