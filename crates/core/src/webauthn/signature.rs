//! Signatures of authenticators, in the form that WebCrypto verifies (WebAuthn §6.5.5).

use super::cose_key::CredentialKey;

/// Length of a number of an ES256 signature, and half the length of an Ed25519 signature.
const NUMBER_LEN: usize = 32;
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// Converts a signature; `None` if it does not have the form of its algorithm.
#[must_use]
pub fn to_webcrypto(key: &CredentialKey, signature: &[u8]) -> Option<Vec<u8>> {
    match key {
        CredentialKey::Es256 { .. } => from_der(signature),
        CredentialKey::EdDsa { .. } => (signature.len() == 2 * NUMBER_LEN).then(|| signature.to_vec()),
        CredentialKey::Rs256 { modulus } => (signature.len() == modulus.len()).then(|| signature.to_vec()),
    }
}

/// `SEQUENCE { r INTEGER, s INTEGER }` in DER (RFC 3279 §2.2.3) as r || s. Other encodings of the same numbers are refused.
fn from_der(der: &[u8]) -> Option<Vec<u8>> {
    let ([tag, length], numbers) = der.split_first_chunk()?;
    if *tag != SEQUENCE || usize::from(*length) != numbers.len() {
        return None;
    }
    let (r, rest) = integer(numbers)?;
    let (s, rest) = integer(rest)?;
    rest.is_empty().then(|| [r, s].concat())
}

/// A positive number of at most 32 bytes, in 32 bytes, and what follows.
fn integer(der: &[u8]) -> Option<([u8; NUMBER_LEN], &[u8])> {
    let ([tag, length], rest) = der.split_first_chunk()?;
    let (content, rest) = rest.split_at_checked(usize::from(*length))?;
    // A zero in front is required if the number would be negative without it, and forbidden otherwise.
    let digits = match content {
        [0, digits @ ..] if digits.first().is_some_and(|first| *first >= 0x80) => digits,
        [0x01..=0x7f, ..] => content,
        _ => return None,
    };
    let mut number = [0; NUMBER_LEN];
    let padding = NUMBER_LEN.checked_sub(digits.len())?;
    number.get_mut(padding..)?.copy_from_slice(digits);
    (*tag == INTEGER).then_some((number, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::{from_der, to_webcrypto};
    use crate::webauthn::cose_key::CredentialKey;

    fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
        let integer = |content: &[u8]| [&[2, u8::try_from(content.len()).unwrap()], content].concat();
        let numbers = [integer(r), integer(s)].concat();
        [&[0x30, u8::try_from(numbers.len()).unwrap()], &numbers[..]].concat()
    }

    #[test]
    fn numbers_of_any_length_are_padded_to_32_bytes() {
        let long = [&[0][..], &[0xff; 32]].concat();
        let padded = |digits: &[u8]| [&vec![0; 32 - digits.len()][..], digits].concat();
        for (r, s, expected) in [
            (&[1][..], &[2][..], [padded(&[1]), padded(&[2])]),
            (&[0, 0x80], &[0x7f], [padded(&[0x80]), padded(&[0x7f])]),
            (&long, &[0x7f; 32], [vec![0xff; 32], vec![0x7f; 32]]),
        ] {
            assert_eq!(from_der(&der(r, s)), Some(expected.concat()));
        }
    }

    #[test]
    fn other_encodings_are_refused() {
        let good = der(&[1], &[2]);
        assert!(from_der(&good).is_some());
        for (bad, why) in [
            (der(&[], &[2]), "no digits"),
            (der(&[0], &[2]), "zero"),
            (der(&[1], &[0]), "zero"),
            (der(&[0, 1], &[2]), "a needless zero"),
            (der(&[0, 0, 0x80], &[2]), "two zeros"),
            (der(&[0x80], &[2]), "a negative number"),
            (der(&[1; 33], &[2]), "a number of 33 bytes"),
            (der(&[&[0][..], &[0x80; 33]].concat(), &[2]), "a number of 33 bytes"),
            (vec![0x31, 6, 2, 1, 1, 2, 1, 2], "a set"),
            (vec![0x30, 6, 3, 1, 1, 2, 1, 2], "another type of r"),
            (vec![0x30, 6, 2, 1, 1, 3, 1, 2], "another type of s"),
            (vec![0x30, 0x81, 6, 2, 1, 1, 2, 1, 2], "a long length"),
            (vec![0x30, 0x80, 2, 1, 1, 2, 1, 2, 0, 0], "an indefinite length"),
            (vec![0x30, 5, 2, 1, 1, 2, 1, 2], "a length that is too small"),
            (vec![0x30, 7, 2, 1, 1, 2, 1, 2], "a length that is too large"),
            (vec![0x30, 7, 2, 1, 1, 2, 1, 2, 0], "a byte in the sequence after s"),
            ([&good[..], &[0]].concat(), "a trailing byte"),
            (vec![0x30, 3, 2, 1, 1], "no s"),
            (vec![], "nothing"),
        ] {
            assert_eq!(from_der(&bad), None, "{why}: {bad:02x?}");
        }
    }

    #[test]
    fn other_algorithms_have_signatures_of_one_length() {
        let ed25519 = CredentialKey::EdDsa { x: [0; 32] };
        let rsa = CredentialKey::Rs256 { modulus: vec![0xff; 256] };
        for (key, length) in [(ed25519, 64), (rsa, 256)] {
            assert_eq!(to_webcrypto(&key, &vec![7; length]), Some(vec![7; length]));
            for other in [0, length - 1, length + 1] {
                assert_eq!(to_webcrypto(&key, &vec![7; other]), None);
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_has_one_encoding(
            numbers in any::<[[u8; 32]; 2]>(),
            bytes in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let content = |number: &[u8; 32]| {
                let digits: Vec<u8> = number.iter().copied().skip_while(|digit| *digit == 0).collect();
                if digits.first().is_some_and(|digit| *digit >= 0x80) { [&[0][..], &digits].concat() } else { digits }
            };
            let encoded = der(&content(&numbers[0]), &content(&numbers[1]));
            prop_assert_eq!(from_der(&encoded), Some(numbers.concat()));
            for bytes in [bytes.clone(), der(&bytes[..bytes.len().min(40)], &[1])] {
                if let Some(numbers) = from_der(&bytes) {
                    let (r, s) = numbers.split_at(32);
                    prop_assert_eq!(der(&content(r.try_into().unwrap()), &content(s.try_into().unwrap())), bytes);
                }
            }
        }
    }
}
