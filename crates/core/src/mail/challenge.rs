//! Challenges: requests for a code by mail, each a row of its own.
//!
//! The response has the *challenge*, the mail has the *code* and a *link token*. The challenge only names the row. Code and link token are
//! HMACs over the row's columns, of which `salt` is never shown:
//!
//! ```text
//! mac = HMAC-SHA-256(key, each preceded by its length as u32: use, purpose, id, salt, user_id, credentials_version, email_key)
//! code       = first 5 bytes of mac("code")
//! challenge  = pcch_ || base64url( id(16) || tag(16) )
//! link token = pcml_ || base64url( id(16) || first 16 bytes of mac("link") || tag(16) )
//! command line's token = pcrl_ || base64url( id(16) || random(32) ), of which the row has the SHA-256
//! ```
//!
//! So the token secret without D1 yields no code, and D1 without the secret yields none either.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::code::Code;
use crate::id::Id;
use crate::token::sealed::{Kind, SealingKeys, SealingSecrets, with_field};

const CHALLENGE: Kind = Kind { label: "portcullis challenge v1", prefix: "pcch_", field_lens: &[Id::LEN] };
const LINK: Kind = Kind { label: "portcullis mail link v1", prefix: "pcml_", field_lens: &[Id::LEN, MAC_LEN] };
/// The prefix of a token that the command line makes.
const COMMAND_LINE: &str = "pcrl_";
/// Length of the proof in a link token, in bytes.
const MAC_LEN: usize = 16;

/// What a challenge is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// To prove that the user has the mailbox of the account.
    Verify,
    /// To turn a registration into an account.
    Register,
    /// To set a new password.
    Reset,
    /// To sign in.
    Login,
    /// To change the address.
    Change,
    /// To accept an invitation, which sets the first password.
    Invite,
}

/// What is computed from the columns of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// The code.
    Code,
    /// The code for the old mailbox, when the address changes.
    OldCode,
    /// The link token.
    Link,
    /// The link token with which the owner of the old mailbox cancels a change.
    Cancel,
}

/// The columns of a row from which codes and links are computed.
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a> {
    /// The row.
    pub id: Id,
    /// Its purpose.
    pub purpose: Purpose,
    /// Random, and never shown.
    pub salt: Id,
    /// The account or registration.
    pub user_id: Id,
    /// The version of its credentials.
    pub credentials_version: u64,
    /// The key of the address of the mailbox.
    pub email_key: &'a str,
}

/// The keys of challenges, codes and links.
pub struct ChallengeKeys {
    challenges: SealingKeys,
    links: SealingKeys,
    codes: Vec<Hmac<Sha256>>,
    hash: Hmac<Sha256>,
}

/// A link token of a valid form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkToken {
    /// Of a mail.
    Mail {
        /// The row.
        id: Id,
        /// The proof, to be compared.
        mac: [u8; MAC_LEN],
    },
    /// Of the command line.
    CommandLine {
        /// The row.
        id: Id,
        /// The SHA-256 of its random bytes, as stored.
        hash: String,
    },
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 6] = [Self::Verify, Self::Register, Self::Reset, Self::Login, Self::Change, Self::Invite];
    /// Maximum lifetime of a code, in seconds.
    pub const MAX_TTL: u64 = Self::Invite.ttl();

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Register => "register",
            Self::Reset => "reset",
            Self::Login => "login",
            Self::Change => "change",
            Self::Invite => "invite",
        }
    }

    /// The purpose with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == name)
    }

    /// Lifetime of its code, in seconds.
    #[must_use]
    pub const fn ttl(self) -> u64 {
        match self {
            Self::Verify | Self::Register | Self::Login | Self::Change => 600,
            Self::Reset => 1_800,
            Self::Invite => 604_800,
        }
    }
}

impl Use {
    const fn label(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::OldCode => "old code",
            Self::Link => "link",
            Self::Cancel => "cancel",
        }
    }
}

impl ChallengeKeys {
    /// Derives the keys. Never `None`.
    #[must_use]
    pub fn derive(secrets: &SealingSecrets) -> Option<Self> {
        Some(Self {
            challenges: secrets.keys(CHALLENGE)?,
            links: secrets.keys(LINK)?,
            codes: secrets.hmacs("portcullis mail code v1")?,
            hash: secrets.hmac("portcullis mail hash v1")?,
        })
    }

    /// The challenge of a row, for the client.
    #[must_use]
    pub fn seal(&self, id: Id) -> String {
        self.challenges.seal(&[id.as_bytes()])
    }

    /// The row of a challenge; `None` if it is not one of ours.
    #[must_use]
    pub fn open(&self, challenge: &str) -> Option<Id> {
        Some(Id::new(self.challenges.open(challenge)?.try_into().ok()?))
    }

    /// The code of a row. `purpose`: [`Use::Code`] or [`Use::OldCode`].
    #[must_use]
    pub fn code(&self, challenge: &Challenge<'_>, purpose: Use) -> Option<Code> {
        let mac = mac(self.codes.first()?, challenge, purpose).finalize().into_bytes();
        mac.first_chunk().copied().map(Code::new)
    }

    /// Whether a code is that of a row, under any secret.
    #[must_use]
    pub fn is_code(&self, challenge: &Challenge<'_>, purpose: Use, code: Code) -> bool {
        self.matches(challenge, purpose, code.as_bytes())
    }

    /// The link token of a row. `purpose`: [`Use::Link`] or [`Use::Cancel`].
    #[must_use]
    pub fn link(&self, challenge: &Challenge<'_>, purpose: Use) -> Option<String> {
        let mac = mac(self.codes.first()?, challenge, purpose).finalize().into_bytes();
        let mac: &[u8; MAC_LEN] = mac.first_chunk()?;
        Some(self.links.seal(&[challenge.id.as_bytes(), mac]))
    }

    /// Parses a link token; `None` if it is not one of ours.
    #[must_use]
    pub fn parse_link(&self, token: &str) -> Option<LinkToken> {
        if let Some(text) = token.strip_prefix(COMMAND_LINE) {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
            let (id, random) = bytes.split_first_chunk()?;
            let random: &[u8; 32] = random.try_into().ok()?;
            let hash = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(random));
            return Some(LinkToken::CommandLine { id: Id::new(*id), hash });
        }
        let fields = self.links.open(token)?;
        let (id, mac) = fields.split_first_chunk()?;
        Some(LinkToken::Mail { id: Id::new(*id), mac: mac.try_into().ok()? })
    }

    /// Whether a link token is that of a row. `token_hash`: the one in the row.
    #[must_use]
    pub fn is_link(
        &self,
        challenge: &Challenge<'_>,
        purpose: Use,
        token: &LinkToken,
        token_hash: Option<&str>,
    ) -> bool {
        match token {
            LinkToken::Mail { mac, .. } => self.matches(challenge, purpose, mac),
            LinkToken::CommandLine { hash, .. } => {
                token_hash.is_some_and(|stored| bool::from(stored.as_bytes().ct_eq(hash.as_bytes())))
            }
        }
    }

    /// A hash of an address or a source, which tells neither.
    #[must_use]
    pub fn hash(&self, text: &str) -> String {
        let tag = self.hash.clone().chain_update(text).finalize().into_bytes();
        tag.first_chunk().map_or_else(String::new, |first: &[u8; 16]| BASE64_URL_SAFE_NO_PAD.encode(first))
    }

    fn matches(&self, challenge: &Challenge<'_>, purpose: Use, bytes: &[u8]) -> bool {
        self.codes.iter().any(|key| mac(key, challenge, purpose).verify_truncated_left(bytes).is_ok())
    }
}

impl LinkToken {
    /// The row.
    #[must_use]
    pub const fn id(&self) -> Id {
        match self {
            Self::Mail { id, .. } | Self::CommandLine { id, .. } => *id,
        }
    }
}

fn mac(key: &Hmac<Sha256>, challenge: &Challenge<'_>, purpose: Use) -> Hmac<Sha256> {
    [
        purpose.label().as_bytes(),
        challenge.purpose.as_str().as_bytes(),
        challenge.id.as_bytes(),
        challenge.salt.as_bytes(),
        challenge.user_id.as_bytes(),
        &challenge.credentials_version.to_be_bytes(),
        challenge.email_key.as_bytes(),
    ]
    .into_iter()
    .fold(key.clone(), with_field)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use sha2::{Digest as _, Sha256};

    use super::{Challenge, ChallengeKeys, Purpose, Use};
    use crate::id::Id;
    use crate::token::sealed::SealingSecrets;
    use crate::token::sealed::tests::{SECRET_A, SECRET_B};

    const ROW: Challenge<'_> = Challenge {
        id: Id::new([1; 16]),
        purpose: Purpose::Reset,
        salt: Id::new([2; 16]),
        user_id: Id::new([3; 16]),
        credentials_version: 4,
        email_key: "ada@example.org",
    };

    fn keys(secrets: &str) -> ChallengeKeys {
        ChallengeKeys::derive(&SealingSecrets::parse(secrets).unwrap()).unwrap()
    }

    #[test]
    fn a_code_depends_on_every_column_the_use_and_the_secret() {
        let own = keys(SECRET_A);
        let code = own.code(&ROW, Use::Code).unwrap();
        assert!(own.is_code(&ROW, Use::Code, code));
        for other in [
            Challenge { id: Id::new([9; 16]), ..ROW },
            Challenge { purpose: Purpose::Invite, ..ROW },
            Challenge { salt: Id::new([9; 16]), ..ROW },
            Challenge { user_id: Id::new([9; 16]), ..ROW },
            Challenge { credentials_version: 5, ..ROW },
            Challenge { email_key: "adb@example.org", ..ROW },
        ] {
            assert!(!own.is_code(&other, Use::Code, code), "{other:?}");
        }
        assert!(!own.is_code(&ROW, Use::OldCode, code));
        assert!(!keys(SECRET_B).is_code(&ROW, Use::Code, code));
    }

    #[test]
    fn codes_and_links_of_an_older_secret_are_valid() {
        let (old, new) = (keys(SECRET_A), keys(&format!("{SECRET_B},{SECRET_A}")));
        assert!(new.is_code(&ROW, Use::Code, old.code(&ROW, Use::Code).unwrap()));
        let link = new.parse_link(&old.link(&ROW, Use::Link).unwrap()).unwrap();
        assert!(new.is_link(&ROW, Use::Link, &link, None));
        assert_eq!(new.open(&old.seal(ROW.id)), Some(ROW.id));
    }

    #[test]
    fn a_link_token_is_of_one_row_and_one_use() {
        let own = keys(SECRET_A);
        let text = own.link(&ROW, Use::Link).unwrap();
        let link = own.parse_link(&text).unwrap();
        assert_eq!(link.id(), ROW.id);
        assert!(own.is_link(&ROW, Use::Link, &link, None));
        assert!(!own.is_link(&ROW, Use::Cancel, &link, None));
        assert!(!own.is_link(&Challenge { salt: Id::new([9; 16]), ..ROW }, Use::Link, &link, None));
        assert!(keys(SECRET_B).parse_link(&text).is_none());
        assert!(own.open(&text).is_none() && own.parse_link(&own.seal(ROW.id)).is_none());
    }

    #[test]
    fn a_token_of_the_command_line_matches_the_stored_hash_only() {
        let own = keys(SECRET_A);
        let random = [7; 32];
        let text = format!("pcrl_{}", BASE64_URL_SAFE_NO_PAD.encode([&[1; 16][..], &random].concat()));
        let hash = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(random));
        let link = own.parse_link(&text).unwrap();
        assert_eq!(link.id(), ROW.id);
        assert!(own.is_link(&ROW, Use::Link, &link, Some(&hash)));
        for stored in [None, Some(""), Some("x")] {
            assert!(!own.is_link(&ROW, Use::Link, &link, stored), "{stored:?}");
        }
        let mail = own.parse_link(&own.link(&ROW, Use::Link).unwrap()).unwrap();
        assert!(!own.is_link(&Challenge { salt: Id::NIL, ..ROW }, Use::Link, &mail, Some(&hash)));
        for bad in ["pcrl_", "pcrl_AAAA", &text.replace("pcrl", "pcrx"), &format!("{text}AA")] {
            assert!(own.parse_link(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_purpose_has_a_name_and_a_lifetime() {
        for purpose in Purpose::ALL {
            assert_eq!(Purpose::parse(purpose.as_str()), Some(purpose));
            assert!(purpose.ttl() <= Purpose::MAX_TTL);
        }
        assert_eq!(Purpose::parse("Reset"), None);
    }

    #[test]
    fn a_hash_tells_texts_apart() {
        let own = keys(SECRET_A);
        assert_eq!(own.hash("a").len(), 22);
        assert_ne!(own.hash("a"), own.hash("b"));
        assert_ne!(own.hash("a"), keys(SECRET_B).hash("a"));
    }

    proptest! {
        #[test]
        fn only_a_sealed_text_is_a_challenge_or_a_link(text in any::<String>()) {
            let own = keys(SECRET_A);
            prop_assert_eq!(own.open(&text), None);
            prop_assert_eq!(own.parse_link(&text), None);
        }
    }
}
