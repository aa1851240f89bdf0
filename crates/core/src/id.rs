//! Identifiers of users, sessions and tokens: 16 random bytes, which cannot be guessed and reveal no order. Imported users may keep
//! the identifiers of their old system. The identifier of a session begins with the slot of its owner.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;

/// An identifier of 128 bits. Its text is base64url without padding, 22 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Id([u8; Id::LEN]);

impl Id {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// The identifier that names nothing. A random identifier equals it with a probability of 2^-128.
    pub const NIL: Self = Self([0; Self::LEN]);

    /// An identifier of these bytes, which must be random for a new one.
    #[must_use]
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// An identifier of the 12 bits of a slot and 116 random bits.
    #[must_use]
    pub const fn in_slot(slot: Slot, random: [u8; Self::LEN]) -> Self {
        let mut bytes = random;
        let [first, second, ..] = &mut bytes;
        let [high, low] = (slot.0 << 4).to_be_bytes();
        *first = high;
        *second = low | (*second & 0x0f);
        Self(bytes)
    }

    /// Reads the canonical text; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// The bytes of the identifier.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// The slot of a user, by which users can be distributed to several databases. All session ids of a user begin with it, so every token
/// shows which database has its session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(u16);

/// The key that derives slots from addresses. Session ids contain the slot, and without the key it reveals nothing about the address.
pub struct SlotKey(Hmac<Sha256>);

const SLOT_LABEL: &[u8] = b"portcullis slot v1";
/// Length of a slot key as text: 32 bytes in hexadecimal.
const SLOT_KEY_LEN: usize = 64;

impl Slot {
    /// The number of slots, which never changes.
    pub const COUNT: u16 = 1 << 12;

    /// The slot of a user, derived from the key of the address.
    #[must_use]
    pub fn of(email_key: &str, key: &SlotKey) -> Self {
        let tag = key.0.clone().chain_update(email_key).finalize().into_bytes();
        let number = tag.first_chunk().map_or(0, |first| u16::from_be_bytes(*first));
        Self(number >> 4)
    }

    /// Reads a stored slot; `None` if it is out of range.
    #[must_use]
    pub const fn from_stored(number: u16) -> Option<Self> {
        if number < Self::COUNT { Some(Self(number)) } else { None }
    }

    /// The number to store.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl SlotKey {
    /// Reads a stored key: 64 hexadecimal digits. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != SLOT_KEY_LEN || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let key = Hmac::<Sha256>::new_from_slice(text.as_bytes()).ok()?;
        Some(Self(key.chain_update(SLOT_LABEL)))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an identifier"))
    }
}

#[cfg(feature = "openapi")]
impl Id {
    /// The id in the examples of the documentation.
    #[must_use]
    pub const fn example() -> Self {
        Self([0x3b, 0x1f, 0x9a, 0x07, 0xc4, 0x52, 0x8e, 0xd1, 0x66, 0xf0, 0x2d, 0x9b, 0x74, 0xa8, 0x13, 0xe5])
    }
}

#[cfg(feature = "openapi")]
impl schemars::JsonSchema for Id {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Id".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[A-Za-z0-9_-]{21}[AQgw]$"})
    }
}

#[cfg(test)]
mod tests {
    use super::{Id, Slot, SlotKey};

    #[test]
    fn text_and_bytes_are_one_to_one() {
        let id = Id::new([0xfb; 16]);
        assert_eq!(id.to_string().len(), 22);
        assert_eq!(Id::parse(&id.to_string()), Some(id));
    }

    #[test]
    fn only_the_canonical_text_is_read() {
        let text = Id::new([0xff; 16]).to_string();
        assert!(text.ends_with('w'));
        // The last character has four unused bits, so "x" decodes to the same bytes.
        let twin = format!("{}x", text.strip_suffix('w').unwrap());
        for bad in [twin.as_str(), "", "AAAA", &format!("{text}="), &format!(" {text}")] {
            assert_eq!(Id::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_slot_is_the_first_12_bits_of_a_session_id_and_the_rest_stays_random() {
        for (number, random, bytes) in
            [(0, 0xff, [0x00, 0x0f, 0xff]), (4095, 0x00, [0xff, 0xf0, 0x00]), (0xabc, 0x5a, [0xab, 0xca, 0x5a])]
        {
            let id = Id::in_slot(Slot::from_stored(number).unwrap(), [random; 16]);
            assert_eq!(id.as_bytes().first_chunk(), Some(&bytes));
            assert!(id.as_bytes().iter().skip(2).all(|byte| *byte == random));
        }
        assert_eq!(Slot::from_stored(4096), None);
    }

    #[test]
    fn a_slot_depends_on_the_address_and_the_key_alone() {
        let (key, other) = (SlotKey::parse(&"ab".repeat(32)).unwrap(), SlotKey::parse(&"cd".repeat(32)).unwrap());
        let slots =
            |key: &SlotKey| (0..64).map(|n| Slot::of(&format!("{n}@example.org"), key).number()).collect::<Vec<_>>();
        assert_eq!(slots(&key), slots(&key));
        assert_ne!(slots(&key), slots(&other));
        let distinct: std::collections::BTreeSet<_> = slots(&key).into_iter().collect();
        assert!(distinct.len() > 48 && distinct.iter().all(|slot| *slot < Slot::COUNT));
    }

    /// The number was computed with another implementation.
    #[test]
    fn the_slot_of_an_address_never_changes() {
        let key = SlotKey::parse(&"00".repeat(32)).unwrap();
        assert_eq!(Slot::of("ada@example.org", &key).number(), 646);
        for bad in ["", "00", &"0g".repeat(32), &"00".repeat(33)] {
            assert!(SlotKey::parse(bad).is_none(), "{bad}");
        }
    }
}
