//! Device tokens, with which a device proves that it has completed a sign-in. They are sealed texts ([`super::sealed`]):
//!
//! ```text
//! pcdt_ || base64url( user_id(16) || credentials_version(u64) || device_id(16) || day(u32, big endian) || tag(16) )
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

const SECONDS_PER_DAY: u64 = 86_400;

/// A device token with a valid tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceToken {
    user_id: Id,
    credentials_version: u64,
    device_id: Id,
    day: u32,
}

impl DeviceToken {
    /// Lifetime of a token, in days.
    const TTL_DAYS: u32 = 180;
    /// Lifetime of a token, in seconds.
    pub const TTL: u64 = Self::TTL_DAYS as u64 * SECONDS_PER_DAY;

    /// A token issued now, in unix seconds.
    #[must_use]
    pub fn new(user_id: Id, credentials_version: u64, device_id: Id, now: u64) -> Self {
        Self { user_id, credentials_version, device_id, day: day(now) }
    }

    /// Parses a token; `None` if its tag is not valid under any key, or if it has expired.
    #[must_use]
    pub fn parse(text: &str, keys: &SealingKeys, now: u64) -> Option<Self> {
        let fields = keys.open(text)?;
        let (user_id, rest) = fields.split_first_chunk()?;
        let (credentials_version, rest) = rest.split_first_chunk()?;
        let (device_id, issued) = rest.split_first_chunk()?;
        let token = Self {
            user_id: Id::new(*user_id),
            credentials_version: u64::from_be_bytes(*credentials_version),
            device_id: Id::new(*device_id),
            day: u32::from_be_bytes(issued.try_into().ok()?),
        };
        (day(now).saturating_sub(token.day) < Self::TTL_DAYS).then_some(token)
    }

    /// The text for the client.
    #[must_use]
    pub fn encode(&self, keys: &SealingKeys) -> String {
        keys.seal(&[
            self.user_id.as_bytes(),
            &self.credentials_version.to_be_bytes(),
            self.device_id.as_bytes(),
            &self.day.to_be_bytes(),
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

fn day(now: u64) -> u32 {
    u32::try_from(now / SECONDS_PER_DAY).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{DEVICE_TOKEN, DeviceToken, SECONDS_PER_DAY};
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
        let last = (NOW / SECONDS_PER_DAY + 180) * SECONDS_PER_DAY - 1;
        for (now, found) in [(NOW, Some(token)), (last, Some(token)), (last + 1, None), (NOW - 86_400, Some(token))] {
            assert_eq!(DeviceToken::parse(&text, &keys, now), found, "{now}");
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
            prop_assert_eq!(DeviceToken::parse(&text, &keys, NOW), None);
            let token = DeviceToken::new(USER, version, USER, NOW);
            prop_assert_eq!(DeviceToken::parse(&token.encode(&keys), &keys, NOW), Some(token));
            let other = secrets.keys(REFRESH_TOKEN).unwrap();
            prop_assert_eq!(DeviceToken::parse(&token.encode(&keys), &other, NOW), None);
        }
    }
}
