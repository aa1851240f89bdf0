//! Device tokens, with which a device proves that it has completed a sign-in. They are sealed texts ([`super::sealed`]):
//!
//! ```text
//! pcdt_ || base64url( user_id(16) || credentials_version(u64) || device_id(16) || issued_at(u32) || tag(16) )
//! ```
//!
//! A token is no credential: nobody can sign in with it alone. D1 has a row for a device only if logins with its token have
//! failed.

use super::sealed::{Kind, SealingKeys};
use crate::id::Id;

/// The kind of sealed text of device tokens.
pub const DEVICE_TOKEN: Kind = Kind {
    label: "portcullis device token v1",
    prefix: "pcdt_",
    field_lens: &[Id::LEN, size_of::<u64>(), Id::LEN, size_of::<u32>()],
};

/// A device token with a valid tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceToken {
    user_id: Id,
    credentials_version: u64,
    device_id: Id,
    issued_at: u32,
}

impl DeviceToken {
    /// Lifetime of a token, in seconds: 180 days.
    pub const TTL: u64 = 15_552_000;

    /// A token issued now, in unix seconds.
    #[must_use]
    pub fn new(user_id: Id, credentials_version: u64, device_id: Id, now: u64) -> Self {
        let issued_at = u32::try_from(now).unwrap_or(u32::MAX);
        Self { user_id, credentials_version, device_id, issued_at }
    }

    /// Parses a token; `None` if its tag is not valid under any key, if it has expired, or if it was issued before
    /// `not_before`.
    #[must_use]
    pub fn parse(text: &str, keys: &SealingKeys, now: u64, not_before: u64) -> Option<Self> {
        let fields = keys.open(text)?;
        let (user_id, rest) = fields.split_first_chunk()?;
        let (credentials_version, rest) = rest.split_first_chunk()?;
        let (device_id, issued) = rest.split_first_chunk()?;
        let token = Self {
            user_id: Id::new(*user_id),
            credentials_version: u64::from_be_bytes(*credentials_version),
            device_id: Id::new(*device_id),
            issued_at: seconds(u32::from_be_bytes(issued.try_into().ok()?)),
        };
        let issued_at = u64::from(token.issued_at);
        (issued_at >= not_before && now.saturating_sub(issued_at) < Self::TTL).then_some(token)
    }

    /// The text for the client.
    #[must_use]
    pub fn encode(&self, keys: &SealingKeys) -> String {
        keys.seal(&[
            self.user_id.as_bytes(),
            &self.credentials_version.to_be_bytes(),
            self.device_id.as_bytes(),
            &self.issued_at.to_be_bytes(),
        ])
    }

    /// The user who signed in.
    #[must_use]
    pub const fn user_id(&self) -> Id {
        self.user_id
    }

    /// The device.
    #[must_use]
    pub const fn device_id(&self) -> Id {
        self.device_id
    }

    /// Whether the token was issued to this user, for this version of the credentials.
    #[must_use]
    pub fn is_of(&self, user_id: Id, credentials_version: u64) -> bool {
        self.user_id == user_id && self.credentials_version == credentials_version
    }
}

/// The time in a token, in unix seconds. Release 0.1.0 writes the number of the day instead, and takes any larger number for today.
const fn seconds(time: u32) -> u32 {
    const SECONDS_PER_DAY: u32 = 86_400;
    // Days reach this number in the year 29348.
    const MIN_SECONDS: u32 = 10_000_000;
    if time < MIN_SECONDS { time.saturating_mul(SECONDS_PER_DAY) } else { time }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{DEVICE_TOKEN, DeviceToken};
    use crate::id::Id;
    use crate::token::refresh::REFRESH_TOKEN;
    use crate::token::sealed::SealingSecrets;
    use crate::token::sealed::tests::SECRET_A;

    const NOW: u64 = 1_790_000_000;
    const USER: Id = Id::new([1; 16]);

    #[test]
    fn a_token_is_valid_for_180_days() {
        let keys = SealingSecrets::parse(SECRET_A).unwrap().keys(DEVICE_TOKEN).unwrap();
        let token = DeviceToken::new(USER, 3, Id::new([2; 16]), NOW);
        let text = token.encode(&keys);
        assert!(text.starts_with("pcdt_") && text.len() == 85, "{text}");
        let last = NOW + 180 * 86_400 - 1;
        for (now, found) in [(NOW, Some(token)), (last, Some(token)), (last + 1, None), (NOW - 86_400, Some(token))] {
            assert_eq!(DeviceToken::parse(&text, &keys, now, 0), found, "{now}");
        }
    }

    #[test]
    fn a_token_of_release_0_1_0_has_the_day_of_its_issue() {
        let keys = SealingSecrets::parse(SECRET_A).unwrap().keys(DEVICE_TOKEN).unwrap();
        let day = u32::try_from(NOW / 86_400).unwrap();
        let of_day = DeviceToken { user_id: USER, credentials_version: 3, device_id: USER, issued_at: day };
        let issued_at = day * 86_400;
        let last = u64::from(issued_at) + 180 * 86_400 - 1;
        for (now, not_before, issued_at) in [
            (NOW, 0, Some(issued_at)),
            (last, u64::from(issued_at), Some(issued_at)),
            (last + 1, 0, None),
            (NOW, u64::from(issued_at) + 1, None),
        ] {
            let found = DeviceToken::parse(&of_day.encode(&keys), &keys, now, not_before);
            assert_eq!(found.map(|token| token.issued_at), issued_at, "{now}");
        }
    }

    #[test]
    fn a_token_of_before_a_time_is_refused() {
        let keys = SealingSecrets::parse(SECRET_A).unwrap().keys(DEVICE_TOKEN).unwrap();
        let token = DeviceToken::new(USER, 3, Id::new([2; 16]), NOW);
        for (not_before, found) in [(NOW - 1, Some(token)), (NOW, Some(token)), (NOW + 1, None)] {
            assert_eq!(DeviceToken::parse(&token.encode(&keys), &keys, NOW + 5, not_before), found, "{not_before}");
        }
    }

    #[test]
    fn it_is_of_one_user_and_one_version_of_the_credentials() {
        let token = DeviceToken::new(USER, 3, Id::new([2; 16]), NOW);
        assert!(token.is_of(USER, 3));
        assert!(!token.is_of(USER, 4) && !token.is_of(Id::new([2; 16]), 3));
    }

    proptest! {
        #[test]
        fn only_a_sealed_text_is_a_token(text in any::<String>(), version in any::<u64>()) {
            let secrets = SealingSecrets::parse(SECRET_A).unwrap();
            let keys = secrets.keys(DEVICE_TOKEN).unwrap();
            prop_assert_eq!(DeviceToken::parse(&text, &keys, NOW, 0), None);
            let token = DeviceToken::new(USER, version, USER, NOW);
            prop_assert_eq!(DeviceToken::parse(&token.encode(&keys), &keys, NOW, 0), Some(token));
            let other = secrets.keys(REFRESH_TOKEN).unwrap();
            prop_assert_eq!(DeviceToken::parse(&token.encode(&keys), &other, NOW, 0), None);
        }
    }
}
