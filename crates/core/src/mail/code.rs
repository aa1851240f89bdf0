//! Codes that a user reads in a mail and types.

use std::fmt;

/// The alphabet of Crockford's base 32, which has no I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Number of characters.
const LEN: usize = 8;

/// A code of 40 bits. Its text is `XXXX-XXXX`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Code([u8; Code::BYTES]);

impl Code {
    /// Length in bytes.
    pub const BYTES: usize = 5;

    /// A code of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads what a user types: case, spaces and hyphens do not matter, `O` is `0`, and `I` and `L` are `1`. `None` for anything that is
    /// no code.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (mut bits, mut count) = (0_u64, 0_usize);
        for character in text.chars().filter(|character| !matches!(character, '-' | ' ')) {
            let character = match character.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let digit = ALPHABET.iter().position(|other| char::from(*other) == character)?;
            count = count.checked_add(1).filter(|count| *count <= LEN)?;
            bits = bits << 5 | u64::try_from(digit).ok()?;
        }
        let [_, _, _, bytes @ ..] = bits.to_be_bytes();
        (count == LEN).then_some(Self(bytes))
    }

    /// The bytes of the code.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let digits = [35, 30, 25, 20, 15, 10, 5, 0].map(|shift| {
            let digit = usize::try_from((bits >> shift) & 31).ok().and_then(|digit| ALPHABET.get(digit));
            digit.map_or('0', |digit| char::from(*digit))
        });
        let (first, second) = digits.split_at(digits.len() / 2);
        write!(formatter, "{}-{}", String::from_iter(first), String::from_iter(second))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::Code;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = Code::parse("7K01-QZ1M").unwrap();
        assert_eq!(code.to_string(), "7K01-QZ1M");
        for same in ["7k01qz1m", " 7K01 QZ1M ", "7-K-0-1-Q-Z-1-M", "7koi-qzlm", "7KOL-QZIM"] {
            assert_eq!(Code::parse(same), Some(code), "{same}");
        }
    }

    #[test]
    fn anything_else_is_no_code() {
        for text in ["", "7K01-QZ1", "7K01-QZ1MX", "7K01-QZ1U", "7K01_QZ1M", "7K01-QZ1\u{e4}", "-", &"0".repeat(9_000)]
        {
            assert_eq!(Code::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_code_is_read_back(bytes in any::<[u8; 5]>()) {
            let text = Code::new(bytes).to_string();
            prop_assert_eq!(text.len(), 9);
            prop_assert_eq!(Code::parse(&text), Some(Code::new(bytes)));
        }

        #[test]
        fn no_text_is_a_fault(text in any::<String>()) {
            let _ = Code::parse(&text);
        }
    }
}
