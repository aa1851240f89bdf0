//! Lists of passwords from data breaches, in the format of the range API of Have I Been Pwned: a request names the first five
//! digits of a SHA-1, and the response has the other digits of every listed hash that begins with them.

use sha1::{Digest as _, Sha1};

use super::Password;

/// Number of hex digits of the prefix. Each prefix is shared by about a thousand listed passwords.
const PREFIX_DIGITS: usize = 5;
/// Number of hex digits of the rest of a SHA-1.
const SUFFIX_DIGITS: usize = 35;

/// The SHA-1 of a password, in hex. Has no `Debug`, because the password can be guessed from it.
pub struct BreachHash(String);

/// The response is not one of a range API.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MalformedRange;

impl BreachHash {
    /// The hash of a password in NFC, as it is hashed for storage.
    #[must_use]
    pub fn of(password: &Password) -> Self {
        Self(format!("{:X}", Sha1::digest(&password.nfc)))
    }

    /// The first five digits, in upper case. Only this part may leave the Worker.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.0.get(..PREFIX_DIGITS).unwrap_or_default()
    }

    /// Whether the hash is among the rows `SUFFIX:COUNT` that were returned for its prefix. A row with the count 0 is padding.
    ///
    /// # Errors
    /// [`MalformedRange`] if a row has another form, or if there is no row. Padding gives every valid response some.
    pub fn is_in(&self, range: &[u8]) -> Result<bool, MalformedRange> {
        let suffix = self.0.get(PREFIX_DIGITS..).unwrap_or_default();
        let mut is_listed = false;
        for row in str::from_utf8(range).map_err(|_| MalformedRange)?.lines() {
            let (listed, count) = row.split_once(':').ok_or(MalformedRange)?;
            if listed.len() != SUFFIX_DIGITS || !listed.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(MalformedRange);
            }
            let count: u64 = count.parse().map_err(|_| MalformedRange)?;
            is_listed |= count > 0 && listed.eq_ignore_ascii_case(suffix);
        }
        if range.is_empty() { Err(MalformedRange) } else { Ok(is_listed) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::{BreachHash, MalformedRange};
    use crate::password::Password;

    /// The SHA-1 of "password" is 5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8.
    const SUFFIX: &str = "1E4C9B93F3F0682250B6CF8331B7EE68FD8";
    const OTHER: &str = "0018A45C4D1DEF81644B54AB7F969B88D65";

    fn hash(password: &str) -> BreachHash {
        BreachHash::of(&Password::for_login(password).unwrap())
    }

    fn is_in(range: &str) -> Result<bool, MalformedRange> {
        hash("password").is_in(range.as_bytes())
    }

    #[test]
    fn the_prefix_is_five_digits_in_upper_case() {
        assert_eq!(hash("password").prefix(), "5BAA6");
        assert_eq!(hash("a\u{308}").prefix(), hash("\u{e4}").prefix(), "the hash is of the NFC");
    }

    #[test]
    fn a_hash_is_found_in_any_case_and_with_any_line_break() {
        for range in [
            format!("{SUFFIX}:3"),
            format!("{SUFFIX}:3\r\n{OTHER}:0"),
            format!("{OTHER}:1\n{SUFFIX}:52256179\n"),
            format!("{OTHER}:1\r\n{}:1\r\n", SUFFIX.to_lowercase()),
        ] {
            assert_eq!(is_in(&range), Ok(true), "{range}");
        }
    }

    #[test]
    fn other_hashes_and_padding_are_not_found() {
        for range in [format!("{OTHER}:7"), format!("{SUFFIX}:0"), format!("{SUFFIX}:00\r\n{OTHER}:1")] {
            assert_eq!(is_in(&range), Ok(false), "{range}");
        }
    }

    #[test]
    fn a_row_of_another_form_is_an_error_even_after_a_match() {
        for row in
            ["<html>", "\n", ":1", SUFFIX, &format!("{SUFFIX}:"), &format!("{SUFFIX}:x"), &format!("5BAA6{SUFFIX}:1")]
        {
            assert_eq!(is_in(&format!("{SUFFIX}:1\n{row}\n")), Err(MalformedRange), "{row}");
        }
        assert_eq!(is_in(&format!("{}:1", SUFFIX.replace('1', "G"))), Err(MalformedRange));
        assert_eq!(hash("password").is_in(&[0xff]), Err(MalformedRange));
        assert_eq!(is_in(""), Err(MalformedRange));
    }

    proptest! {
        #[test]
        fn no_response_panics(range: Vec<u8>) {
            let _ = hash("password").is_in(&range);
        }
    }
}
