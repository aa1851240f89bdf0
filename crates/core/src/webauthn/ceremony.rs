//! What both ceremonies check alike.

use sha2::{Digest as _, Sha256};

use super::authenticator_data::AuthenticatorData;
use super::challenge::{PasskeyChallenge, PasskeyChallengeKeys, PasskeyPurpose};
use super::client_data::ClientData;
use super::refusal::PasskeyRefusal;

/// The service, as authenticators know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelyingParty {
    id: String,
    id_hash: [u8; 32],
    origins: Vec<String>,
}

/// The circumstances of a ceremony.
#[derive(Clone, Copy)]
pub struct Ceremony<'a> {
    /// The service.
    pub relying_party: &'a RelyingParty,
    /// The keys that sealed its challenges.
    pub challenges: &'a PasskeyChallengeKeys,
    /// The time, in unix seconds.
    pub now: u64,
    /// `SESSIONS_NOT_BEFORE`: earlier challenges are refused.
    pub not_before: u64,
}

impl RelyingParty {
    /// A service with this id, a domain, used by the pages of these origins.
    #[must_use]
    pub fn new(id: String, origins: Vec<String>) -> Self {
        let id_hash = Sha256::digest(&id).into();
        Self { id, id_hash, origins }
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The origins.
    #[must_use]
    pub fn origins(&self) -> &[String] {
        &self.origins
    }
}

impl Ceremony<'_> {
    /// §7.1 steps 5 to 11, §7.2 steps 8 to 14.
    pub(super) fn check_client_data(
        &self,
        json: &[u8],
        kind: &str,
        is_expected: impl FnOnce(PasskeyPurpose) -> bool,
    ) -> Result<PasskeyChallenge, PasskeyRefusal> {
        // §7.1 steps 5 and 6, §7.2 steps 8 and 9: decode and parse the JSON.
        let client_data = ClientData::parse(json).ok_or(PasskeyRefusal::ClientData)?;
        // §7.1 step 7, §7.2 step 10: the type.
        require(client_data.kind == kind, PasskeyRefusal::Type)?;
        // §7.1 step 8, §7.2 step 11: the challenge. It is not compared with a stored one; its tag proves that it was issued.
        let challenge = self.challenges.open(&client_data.challenge).ok_or(PasskeyRefusal::Challenge)?;
        require(!challenge.has_expired(self.now), PasskeyRefusal::ChallengeExpired)?;
        require(!challenge.was_issued_before(self.not_before), PasskeyRefusal::ChallengeTooEarly)?;
        require(is_expected(challenge.purpose), PasskeyRefusal::ChallengePurpose)?;
        // §7.1 step 9, §7.2 step 12: the origin.
        require(self.relying_party.origins.contains(&client_data.origin), PasskeyRefusal::Origin)?;
        // §7.1 step 10, §7.2 step 13: no page in a frame of another origin.
        require(!client_data.cross_origin, PasskeyRefusal::CrossOrigin)?;
        // §7.1 step 11, §7.2 step 14: nor one that names the page around it.
        require(client_data.top_origin.is_none(), PasskeyRefusal::TopOrigin)?;
        Ok(challenge)
    }

    /// §7.1 steps 14 to 17, §7.2 steps 15 to 18.
    pub(super) fn check_authenticator_data(&self, data: &AuthenticatorData<'_>) -> Result<(), PasskeyRefusal> {
        // §7.1 step 14, §7.2 step 15: the hash of the id of the relying party.
        require(*data.rp_id_hash == self.relying_party.id_hash, PasskeyRefusal::RpId)?;
        // §7.1 step 15, §7.2 step 16: the user was present. No registration here is conditional.
        require(data.flags.user_present(), PasskeyRefusal::UserPresence)?;
        // §7.1 step 16, §7.2 step 17: the user was verified. The options require it.
        require(data.flags.user_verified(), PasskeyRefusal::UserVerification)?;
        // §7.1 step 17, §7.2 step 18: only a credential that may be backed up is backed up.
        require(data.flags.backup_eligible() || !data.flags.backed_up(), PasskeyRefusal::BackupState)
    }
}

/// The refusal unless the condition holds.
pub(super) fn require(condition: bool, refusal: PasskeyRefusal) -> Result<(), PasskeyRefusal> {
    if condition { Ok(()) } else { Err(refusal) }
}
