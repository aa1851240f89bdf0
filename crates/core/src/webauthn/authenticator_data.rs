//! Authenticator data: what the authenticator says of the ceremony, and signs (WebAuthn §6.1).
//!
//! ```text
//! rpIdHash(32) || flags(1) || signCount(u32) || [ aaguid(16) || length(u16) || credential id || COSE_Key ] || [ extensions ]
//! ```

use super::cbor::Reader;

/// Parsed authenticator data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuthenticatorData<'a> {
    /// SHA-256 of the id of the relying party.
    pub rp_id_hash: &'a [u8; 32],
    /// The flags.
    pub flags: Flags,
    /// The signature counter. Zero if the authenticator has none.
    pub counter: u32,
    /// The credential, which is present when one is registered.
    pub credential: Option<AttestedCredential<'a>>,
}

/// A new credential.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AttestedCredential<'a> {
    /// The model of the authenticator. Zero if it does not tell.
    pub aaguid: &'a [u8; 16],
    /// The credential id, of any length.
    pub id: &'a [u8],
    /// The public key: a canonical CBOR map, not parsed.
    pub public_key: &'a [u8],
}

/// The flags. Reserved bits are ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flags(u8);

impl Flags {
    const USER_PRESENT: u8 = 0x01;
    const USER_VERIFIED: u8 = 0x04;
    const BACKUP_ELIGIBLE: u8 = 0x08;
    const BACKED_UP: u8 = 0x10;
    const HAS_CREDENTIAL: u8 = 0x40;
    const HAS_EXTENSIONS: u8 = 0x80;

    /// UP: the user was present.
    #[must_use]
    pub const fn user_present(self) -> bool {
        self.has(Self::USER_PRESENT)
    }

    /// UV: the authenticator verified the user.
    #[must_use]
    pub const fn user_verified(self) -> bool {
        self.has(Self::USER_VERIFIED)
    }

    /// BE: the credential may be backed up.
    #[must_use]
    pub const fn backup_eligible(self) -> bool {
        self.has(Self::BACKUP_ELIGIBLE)
    }

    /// BS: the credential is backed up.
    #[must_use]
    pub const fn backed_up(self) -> bool {
        self.has(Self::BACKED_UP)
    }

    const fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }
}

impl<'a> AuthenticatorData<'a> {
    /// Parses authenticator data; `None` if it does not have the form that its flags claim, or bytes follow. The outputs of
    /// extensions must be canonical CBOR and are ignored, as no extension is requested.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (rp_id_hash, rest) = bytes.split_first_chunk()?;
        let ([flags], rest) = rest.split_first_chunk()?;
        let (counter, rest) = rest.split_first_chunk()?;
        let flags = Flags(*flags);
        let (credential, mut cbor) = if flags.has(Flags::HAS_CREDENTIAL) {
            let (aaguid, rest) = rest.split_first_chunk()?;
            let (length, rest) = rest.split_first_chunk()?;
            let (id, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            let mut cbor = Reader::new(rest);
            let public_key = cbor.raw_map()?;
            (Some(AttestedCredential { aaguid, id, public_key }), cbor)
        } else {
            (None, Reader::new(rest))
        };
        if flags.has(Flags::HAS_EXTENSIONS) {
            cbor.raw_map()?;
        }
        cbor.end()?;
        Some(Self { rp_id_hash, flags, counter: u32::from_be_bytes(*counter), credential })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::{AttestedCredential, AuthenticatorData, Flags};

    const KEY: &[u8] = b"\xa1\x01\x02";

    fn data(flags: u8, rest: &[&[u8]]) -> Vec<u8> {
        [&[7; 32][..], &[flags], &[0, 0, 1, 2], &rest.concat()].concat()
    }

    #[test]
    fn every_combination_of_parts_is_parsed() {
        let credential = [&[9; 16][..], &[0, 2], b"id", KEY].concat();
        let parsed = AttestedCredential { aaguid: &[9; 16], id: b"id", public_key: KEY };
        let extensions = b"\xa1\x6bcredProtect\x03";
        for (flags, rest, credential) in [
            (0x05, &[][..], None),
            (0x45, &[&credential[..]], Some(parsed)),
            (0x85, &[&extensions[..]], None),
            (0xdd, &[&credential[..], extensions], Some(parsed)),
        ] {
            let bytes = data(flags, rest);
            let expected = AuthenticatorData { rp_id_hash: &[7; 32], flags: Flags(flags), counter: 258, credential };
            assert_eq!(AuthenticatorData::parse(&bytes), Some(expected));
            for end in 0..bytes.len() {
                assert_eq!(AuthenticatorData::parse(&bytes[..end]), None, "{flags:x}: the first {end} bytes");
            }
            assert_eq!(AuthenticatorData::parse(&[&bytes[..], &[0]].concat()), None, "{flags:x}: a trailing byte");
        }
    }

    #[test]
    fn flags_that_claim_other_parts_and_invalid_parts_are_refused() {
        let credential = [&[9; 16][..], &[0, 2], b"id", KEY].concat();
        for (flags, rest) in [
            (0x05, &credential[..]),
            (0x85, &credential[..]),
            (0xc5, &credential[..]),
            (0x45, b"\xa0"),
            (0x85, b"\x80"),
            (0x85, b"\xa1\x61b\x00\x61a\x00"),
            (0x85, b"\xa2\x6bhmac-secret\xf5\x6bcredProtect\x01"),
            (0x05, b"\xa0"),
        ] {
            assert_eq!(AuthenticatorData::parse(&data(flags, &[rest])), None, "{flags:x} {rest:x?}");
        }
    }

    #[test]
    fn a_flag_is_one_bit() {
        let all = |byte| {
            let flags = Flags(byte);
            [flags.user_present(), flags.user_verified(), flags.backup_eligible(), flags.backed_up()]
        };
        assert_eq!(all(0x01), [true, false, false, false]);
        assert_eq!(all(0x04), [false, true, false, false]);
        assert_eq!(all(0x08), [false, false, true, false]);
        assert_eq!(all(0x10), [false, false, false, true]);
        assert_eq!(all(0xe2), [false; 4]);
    }

    proptest! {
        #[test]
        fn any_credential_is_parsed_and_no_bytes_panic(
            id in prop::collection::vec(any::<u8>(), 0..1100),
            aaguid in any::<[u8; 16]>(),
            bytes in any::<Vec<u8>>(),
            flags in any::<u8>(),
        ) {
            let length = u16::try_from(id.len()).unwrap().to_be_bytes();
            let known = data(0x45, &[&aaguid, &length, &id, KEY]);
            let expected = AttestedCredential { aaguid: &aaguid, id: &id, public_key: KEY };
            prop_assert_eq!(AuthenticatorData::parse(&known).unwrap().credential, Some(expected));
            let _ = AuthenticatorData::parse(&bytes);
            let _ = AuthenticatorData::parse(&data(flags, &[&bytes]));
            let _ = AuthenticatorData::parse(&data(flags, &[&aaguid, &length, &id, &bytes]));
        }
    }
}
