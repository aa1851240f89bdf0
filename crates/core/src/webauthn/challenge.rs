//! Challenges of passkeys. They are sealed texts ([`crate::token::sealed`]), so issuing one writes nothing:
//!
//! ```text
//! base64url( issued_at(u64) || random(16) || ids(0, 16 or 32) || tag(16) )
//! ```
//!
//! The text has no prefix, and browsers write the bytes of a challenge in the same canonical base64url, so the text in the
//! options is the text in the client data. A challenge can be used once: the caller keeps [`PasskeyChallenge::hash`] until
//! [`PasskeyChallenge::expires_at`].

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::id::Id;
use crate::token::sealed::{Kind, SealingKeys, SealingSecrets};

/// Length of the random part, in bytes (WebAuthn §13.4.3).
const RANDOM_LEN: usize = 16;
const TIME_LEN: usize = size_of::<u64>();

const LOGIN: Kind = Kind { label: "portcullis passkey login v1", prefix: "", field_lens: &[TIME_LEN, RANDOM_LEN] };
const STEP_UP: Kind = with_two_ids("portcullis passkey step-up v1");
const MFA: Kind = with_two_ids("portcullis passkey mfa v1");
const REGISTER: Kind = with_two_ids("portcullis passkey register v1");
const NEW_ACCOUNT: Kind =
    Kind { label: "portcullis passkey new account v1", prefix: "", field_lens: &[TIME_LEN, RANDOM_LEN, Id::LEN] };

const fn with_two_ids(label: &'static str) -> Kind {
    Kind { label, prefix: "", field_lens: &[TIME_LEN, RANDOM_LEN, Id::LEN, Id::LEN] }
}

/// What a challenge is issued for. It is valid for nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PasskeyPurpose {
    /// To sign in, by a user who is not known yet.
    Login,
    /// To confirm a session.
    StepUp {
        /// The user.
        user_id: Id,
        /// The session.
        session_id: Id,
    },
    /// To complete a sign-in.
    Mfa {
        /// The user.
        user_id: Id,
        /// The row of the sign-in.
        mfa_id: Id,
    },
    /// To add a passkey.
    Register {
        /// The user.
        user_id: Id,
        /// The session.
        session_id: Id,
    },
    /// To create an account with a passkey.
    NewAccount {
        /// The id that the account gets.
        user_id: Id,
    },
}

/// A challenge with a valid tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PasskeyChallenge {
    /// What it was issued for.
    pub purpose: PasskeyPurpose,
    /// A hash by which to recognise a second use: 22 characters.
    pub hash: String,
    /// When it expires, in unix seconds. From then on no hash needs to be kept.
    pub expires_at: u64,
}

/// The keys of challenges.
pub struct PasskeyChallengeKeys {
    login: SealingKeys,
    step_up: SealingKeys,
    mfa: SealingKeys,
    register: SealingKeys,
    new_account: SealingKeys,
}

impl PasskeyPurpose {
    /// The user, if the purpose has one.
    #[must_use]
    pub const fn user_id(&self) -> Option<Id> {
        match self {
            Self::Login => None,
            Self::StepUp { user_id, .. }
            | Self::Mfa { user_id, .. }
            | Self::Register { user_id, .. }
            | Self::NewAccount { user_id } => Some(*user_id),
        }
    }
}

impl PasskeyChallenge {
    /// Lifetime, in seconds (WebAuthn §15.1 recommends five minutes).
    pub const TTL: u64 = 300;

    fn new(text: &str, issued_at: [u8; TIME_LEN], purpose: PasskeyPurpose) -> Self {
        let hash = Sha256::digest(text);
        let hash = hash.first_chunk::<16>().map_or_else(String::new, |first| BASE64_URL_SAFE_NO_PAD.encode(first));
        Self { purpose, hash, expires_at: u64::from_be_bytes(issued_at).saturating_add(Self::TTL) }
    }

    /// Whether it was issued before this time, in unix seconds.
    #[must_use]
    pub const fn was_issued_before(&self, time: u64) -> bool {
        self.expires_at < time.saturating_add(Self::TTL)
    }

    /// Whether it has expired.
    #[must_use]
    pub const fn has_expired(&self, now: u64) -> bool {
        now >= self.expires_at
    }
}

impl PasskeyChallengeKeys {
    /// Derives the keys. Never `None`.
    #[must_use]
    pub fn derive(secrets: &SealingSecrets) -> Option<Self> {
        Some(Self {
            login: secrets.keys(LOGIN)?,
            step_up: secrets.keys(STEP_UP)?,
            mfa: secrets.keys(MFA)?,
            register: secrets.keys(REGISTER)?,
            new_account: secrets.keys(NEW_ACCOUNT)?,
        })
    }

    /// A new challenge for the options.
    #[must_use]
    pub fn seal(&self, purpose: PasskeyPurpose, now: u64, random: [u8; RANDOM_LEN]) -> String {
        let issued_at = now.to_be_bytes();
        let two = |keys: &SealingKeys, user_id: Id, other: Id| {
            keys.seal(&[&issued_at, &random, user_id.as_bytes(), other.as_bytes()])
        };
        match purpose {
            PasskeyPurpose::Login => self.login.seal(&[&issued_at, &random]),
            PasskeyPurpose::StepUp { user_id, session_id } => two(&self.step_up, user_id, session_id),
            PasskeyPurpose::Mfa { user_id, mfa_id } => two(&self.mfa, user_id, mfa_id),
            PasskeyPurpose::Register { user_id, session_id } => two(&self.register, user_id, session_id),
            PasskeyPurpose::NewAccount { user_id } => self.new_account.seal(&[&issued_at, &random, user_id.as_bytes()]),
        }
    }

    /// Opens the challenge of client data; `None` if it is not one of ours.
    #[must_use]
    pub fn open(&self, text: &str) -> Option<PasskeyChallenge> {
        let two = |keys: &SealingKeys, purpose: fn(Id, Id) -> PasskeyPurpose| {
            let fields = keys.open(text)?;
            let (issued_at, ids) = split(&fields)?;
            let (user_id, other) = ids.split_first_chunk()?;
            Some((issued_at, purpose(Id::new(*user_id), Id::new(other.try_into().ok()?))))
        };
        let login = || split(&self.login.open(text)?).map(|(issued_at, _)| (issued_at, PasskeyPurpose::Login));
        let new_account = || {
            let fields = self.new_account.open(text)?;
            let (issued_at, user_id) = split(&fields)?;
            Some((issued_at, PasskeyPurpose::NewAccount { user_id: Id::new(user_id.try_into().ok()?) }))
        };
        let (issued_at, purpose) = login()
            .or_else(|| two(&self.step_up, |user_id, session_id| PasskeyPurpose::StepUp { user_id, session_id }))
            .or_else(|| two(&self.mfa, |user_id, mfa_id| PasskeyPurpose::Mfa { user_id, mfa_id }))
            .or_else(|| two(&self.register, |user_id, session_id| PasskeyPurpose::Register { user_id, session_id }))
            .or_else(new_account)?;
        Some(PasskeyChallenge::new(text, issued_at, purpose))
    }
}

/// The time and the ids of opened fields.
fn split(fields: &[u8]) -> Option<([u8; TIME_LEN], &[u8])> {
    let (issued_at, rest) = fields.split_first_chunk()?;
    let (_random, ids) = rest.split_at_checked(RANDOM_LEN)?;
    Some((*issued_at, ids))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use sha2::{Digest as _, Sha256};

    use super::{PasskeyChallenge, PasskeyChallengeKeys, PasskeyPurpose};
    use crate::id::Id;
    use crate::token::sealed::SealingSecrets;
    use crate::token::sealed::tests::{SECRET_A, SECRET_B};

    const NOW: u64 = 1_700_000_000;
    const USER: Id = Id::new([1; 16]);
    const OTHER: Id = Id::new([2; 16]);
    const PURPOSES: [PasskeyPurpose; 5] = [
        PasskeyPurpose::Login,
        PasskeyPurpose::StepUp { user_id: USER, session_id: OTHER },
        PasskeyPurpose::Mfa { user_id: USER, mfa_id: OTHER },
        PasskeyPurpose::Register { user_id: USER, session_id: OTHER },
        PasskeyPurpose::NewAccount { user_id: USER },
    ];

    fn keys(secrets: &str) -> PasskeyChallengeKeys {
        PasskeyChallengeKeys::derive(&SealingSecrets::parse(secrets).unwrap()).unwrap()
    }

    #[test]
    fn a_challenge_opens_as_what_it_was_issued_for() {
        let own = keys(SECRET_A);
        for purpose in PURPOSES {
            let text = own.seal(purpose, NOW, [7; 16]);
            let hash = BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(&text)[..16]);
            assert_eq!(own.open(&text), Some(PasskeyChallenge { purpose, hash, expires_at: NOW + 300 }));
            assert!(keys(&format!("{SECRET_B},{SECRET_A}")).open(&text).is_some());
            assert_eq!(keys(SECRET_B).open(&text), None);
            for position in 0..text.len() {
                let mut changed = text.clone().into_bytes();
                changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
                assert_eq!(own.open(&String::from_utf8(changed).unwrap()), None, "{purpose:?} {position}");
            }
        }
    }

    #[test]
    fn the_text_is_canonical_base64url_of_at_least_16_bytes() {
        for (purpose, length) in PURPOSES.into_iter().zip([40, 72, 72, 72, 56]) {
            let text = keys(SECRET_A).seal(purpose, NOW, [7; 16]);
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(&text).unwrap();
            assert_eq!((bytes.len(), BASE64_URL_SAFE_NO_PAD.encode(&bytes)), (length, text));
        }
    }

    #[test]
    fn it_lives_five_minutes() {
        let own = keys(SECRET_A);
        let challenge = own.open(&own.seal(PasskeyPurpose::Login, NOW, [7; 16])).unwrap();
        for (now, has_expired) in [(NOW - 1, false), (NOW, false), (NOW + 299, false), (NOW + 300, true)] {
            assert_eq!(challenge.has_expired(now), has_expired, "{now}");
        }
    }

    #[test]
    fn it_knows_what_it_was_issued_before() {
        let own = keys(SECRET_A);
        let challenge = own.open(&own.seal(PasskeyPurpose::Login, NOW, [7; 16])).unwrap();
        for (time, is_before) in [(0, false), (NOW, false), (NOW + 1, true)] {
            assert_eq!(challenge.was_issued_before(time), is_before, "{time}");
        }
    }

    #[test]
    fn challenges_differ_by_their_random_part() {
        let own = keys(SECRET_A);
        let [one, two] =
            [[7; 16], [8; 16]].map(|random| own.open(&own.seal(PasskeyPurpose::Login, NOW, random)).unwrap());
        assert_eq!(one.hash.len(), 22);
        assert_ne!(one.hash, two.hash);
    }

    proptest! {
        #[test]
        fn any_challenge_is_opened_and_no_other_text(text in any::<String>(), now in any::<u64>(), id in any::<[u8; 16]>()) {
            let own = keys(SECRET_A);
            prop_assert_eq!(own.open(&text), None);
            let purpose = PasskeyPurpose::Mfa { user_id: Id::new(id), mfa_id: USER };
            prop_assert_eq!(own.open(&own.seal(purpose, now, id)).unwrap().purpose, purpose);
        }
    }
}
