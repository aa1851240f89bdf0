//! Passwords: what may be chosen (NIST SP 800-63B-4 §3.1.1.2), and how they are hashed and verified (RFC 9106).
//!
//! The one place that hashes. Everything cheap is checked before it is called.

use std::fmt;

use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use unicode_normalization::UnicodeNormalization as _;

/// In bytes after NFC: longer ones are refused, never truncated.
const MAX_BYTES: usize = 1024;
/// Of the salt, in bytes; RFC 9106 §3.1.
pub const SALT_LEN: usize = 16;
/// Of the hash, in bytes; RFC 9106 §4.
const HASH_LEN: usize = 32;
/// Units up to this many characters make a password guessable however often they are repeated.
const SHORT_UNIT: usize = 5;
/// The longest repeated unit that is looked for.
const MAX_UNIT: usize = 32;

/// Lower case, one a line; from the frequency list of zxcvbn-ts (see `common_passwords.LICENSE`): its first 3000 of at
/// least 8 characters, and all of at least 12.
const COMMON: &str = include_str!("common_passwords.txt");

/// A password in NFC and of bearable length. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// Why a password cannot be chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PasswordError {
    /// Fewer code points than the configured minimum, which is carried along.
    TooShort(usize),
    /// More than 1024 bytes after NFC.
    TooLong,
    /// On the list of common passwords, a repetition, a run, or the person's own name, username or address.
    Guessable,
}

impl Password {
    /// A password that is presented for verification: normalised, and bounded so that hashing it costs no more than
    /// hashing any other.
    ///
    /// # Errors
    /// [`PasswordError::TooLong`].
    pub fn presented(input: &str) -> Result<Self, PasswordError> {
        let nfc: String = input.nfc().collect();
        if nfc.len() > MAX_BYTES {
            return Err(PasswordError::TooLong);
        }
        Ok(Self(nfc))
    }

    /// A password that is being chosen. `min_chars` counts code points after NFC; `about` is what the person told of
    /// themselves, none of which may be the whole password.
    ///
    /// # Errors
    /// [`PasswordError`] names the first rule that does not hold.
    pub fn chosen(input: &str, min_chars: usize, about: &[&str]) -> Result<Self, PasswordError> {
        let password = Self::presented(input)?;
        // Per character: `str::to_lowercase` treats a final sigma by its neighbours.
        let fold = |text: &str| text.nfc().flat_map(char::to_lowercase).collect::<Vec<char>>();
        let lower = fold(&password.0);
        let about: Vec<_> = about.iter().map(|word| fold(word)).collect();
        if password.0.chars().count() < min_chars {
            return Err(PasswordError::TooShort(min_chars));
        }
        let known = |word: &[char]| {
            about.iter().any(|own| own == word) || COMMON.lines().any(|common| common.chars().eq(word.iter().copied()))
        };
        if known(&lower)
            || is_run(&lower)
            || repeated_unit(&lower).is_some_and(|unit| unit.len() <= SHORT_UNIT || known(unit))
        {
            return Err(PasswordError::Guessable);
        }
        Ok(password)
    }

    fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(..)")
    }
}

impl fmt::Display for PasswordError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort(min) => write!(formatter, "The password must have at least {min} characters."),
            Self::TooLong => write!(formatter, "The password must be at most {MAX_BYTES} bytes long."),
            Self::Guessable => formatter.write_str(
                "The password is too easy to guess: it is a common one, a repetition, a run of characters, or your own \
                 name or address. Choose another.",
            ),
        }
    }
}

/// Whether every character follows from the one before by the same step of -1, 0 or 1, digits going round from 9 to 0.
fn is_run(chars: &[char]) -> bool {
    let step = |a: char, b: char| match (a.to_digit(10), b.to_digit(10)) {
        (Some(9), Some(0)) => 1,
        (Some(0), Some(9)) => -1,
        _ => i64::from(u32::from(b)).saturating_sub(i64::from(u32::from(a))),
    };
    let mut steps = chars.iter().zip(chars.iter().skip(1)).map(|(a, b)| step(*a, *b));
    steps.next().is_some_and(|first| (-1..=1).contains(&first) && steps.all(|next| next == first))
}

/// The shortest unit that the whole text is a repetition of (the last one may be cut off), if it fits twice.
fn repeated_unit(chars: &[char]) -> Option<&[char]> {
    (1..=MAX_UNIT.min(chars.len() / 2))
        .filter_map(|length| chars.get(..length))
        .find(|unit| chars.iter().zip(unit.iter().cycle()).all(|(a, b)| a == b))
}

/// The cost of one hash. At least one of the equivalents that OWASP lists must be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashCost {
    /// Memory, m, in KiB.
    pub memory_kib: u32,
    /// Passes over it, t.
    pub iterations: u32,
    /// Lanes, p. They are filled one after another here: an isolate has one thread.
    pub parallelism: u32,
}

impl HashCost {
    /// `m`, `t` pairs of equal strength, from the OWASP Password Storage Cheat Sheet.
    const LEAST: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];
    /// An isolate has 128 MiB for everything, shared by its requests.
    const MOST_MEMORY_KIB: u32 = 65_536;
    const MOST_ITERATIONS: u32 = 16;
    const MOST_PARALLELISM: u32 = 4;

    /// Whether this is neither weaker than OWASP's equivalents nor more than an isolate can bear.
    #[must_use]
    pub fn is_acceptable(&self) -> bool {
        Self::LEAST.iter().any(|(m, t)| self.memory_kib >= *m && self.iterations >= *t)
            && self.memory_kib <= Self::MOST_MEMORY_KIB
            && self.iterations <= Self::MOST_ITERATIONS
            && (1..=Self::MOST_PARALLELISM).contains(&self.parallelism)
    }
}

/// What verifying a password against a stored hash found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verification {
    /// It is the password. `outdated`: the stored hash was made with other parameters than today's.
    Matches {
        /// Whether the password should be hashed anew.
        outdated: bool,
    },
    /// It is not.
    Differs,
}

/// Hashing failed: a stored string that is no Argon2 PHC string, or parameters the library refuses. Says which.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HashError(String);

impl fmt::Display for HashError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "argon2: {}", self.0)
    }
}

/// Hashes with Argon2id version 0x13 at today's cost.
pub struct Hasher(Argon2<'static>);

impl Hasher {
    /// A hasher at that cost.
    ///
    /// # Errors
    /// [`HashError`] for parameters outside RFC 9106 §3.1.
    pub fn new(cost: HashCost) -> Result<Self, HashError> {
        let params =
            Params::new(cost.memory_kib, cost.iterations, cost.parallelism, Some(HASH_LEN)).map_err(refused)?;
        Ok(Self(Argon2::new(Algorithm::Argon2id, Version::V0x13, params)))
    }

    /// The PHC string of a password, with a fresh salt.
    ///
    /// # Errors
    /// [`HashError`] when the library refuses.
    pub fn hash(&self, password: &Password, salt: [u8; SALT_LEN]) -> Result<String, HashError> {
        let hash = self.0.hash_password_with_salt(password.as_bytes(), &salt).map_err(refused)?;
        Ok(hash.to_string())
    }

    /// Verifies a password against a stored PHC string, at the cost that string was made with.
    ///
    /// # Errors
    /// [`HashError`] when the string is none.
    pub fn verify(&self, password: &Password, phc: &str) -> Result<Verification, HashError> {
        let stored = PasswordHash::new(phc).map_err(refused)?;
        match self.0.verify_password(password.as_bytes(), &stored) {
            Ok(()) => Ok(Verification::Matches { outdated: self.is_outdated(&stored) }),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(Verification::Differs),
            Err(error) => Err(refused(error)),
        }
    }

    /// The work of one verification at today's cost, for an account that does not exist.
    ///
    /// # Errors
    /// [`HashError`] when the library refuses.
    pub fn verify_absent(&self, password: &Password) -> Result<(), HashError> {
        let mut hash = [0; HASH_LEN];
        self.0.hash_password_into(password.as_bytes(), &[0; SALT_LEN], &mut hash).map_err(refused)?;
        // The result is used, so that no optimiser finds the work idle.
        std::hint::black_box(hash);
        Ok(())
    }

    fn is_outdated(&self, stored: &PasswordHash) -> bool {
        let today = self.0.params();
        let same_cost = Params::try_from(stored).is_ok_and(|made| {
            (made.m_cost(), made.t_cost(), made.p_cost()) == (today.m_cost(), today.t_cost(), today.p_cost())
        });
        !same_cost
            || stored.algorithm != Algorithm::Argon2id.ident()
            || stored.version != Some(Version::V0x13.into())
            || stored.salt.as_ref().is_none_or(|salt| salt.len() < SALT_LEN)
            || stored.hash.as_ref().map(Output::len) != Some(HASH_LEN)
    }
}

fn refused(error: impl fmt::Display) -> HashError {
    HashError(error.to_string())
}

#[cfg(test)]
mod tests {
    use argon2::{Algorithm, Argon2, ParamsBuilder, Version};

    use super::{COMMON, HashCost, Hasher, Password, PasswordError, Verification};

    const CHEAP: HashCost = HashCost { memory_kib: 64, iterations: 1, parallelism: 1 };

    fn chosen(input: &str) -> Result<Password, PasswordError> {
        Password::chosen(input, 15, &["ada.lovelace@example.org", "Ada.Lovelace.the.first"])
    }

    #[test]
    fn length_counts_code_points_after_nfc() {
        assert_eq!(chosen("fourteen chars"), Err(PasswordError::TooShort(15)));
        assert!(chosen("fifteen chars !").is_ok());
        // Fifteen code points as typed, fourteen once "e" and its accent are composed.
        assert_eq!(chosen("fourteen chare\u{301}"), Err(PasswordError::TooShort(15)));
        let emoji: String = ('\u{1f600}'..).take(64).step_by(3).collect();
        assert!(chosen(&emoji).is_ok());
    }

    #[test]
    fn nothing_is_truncated_and_beyond_1024_bytes_is_refused() {
        let longest: String = "correct horse battery staple ".chars().cycle().take(1023).chain(['x']).collect();
        assert!(chosen(&longest).is_ok());
        assert_eq!(chosen(&format!("{longest}x")), Err(PasswordError::TooLong));
        assert_eq!(Password::presented(&format!("{longest}x")), Err(PasswordError::TooLong));
    }

    #[test]
    fn any_character_may_be_used() {
        for good in
            ["with\0nul inside it", "  spaces at both  ", "\u{5d0}\u{5d1}\u{5d2} right to left", "tab\tand\nnewline ok"]
        {
            assert!(chosen(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn common_passwords_are_refused_whatever_their_case() {
        assert!(COMMON.lines().count() >= 3000);
        for bad in [
            "qwertyuiop12345",
            "QwertyUIOP12345",
            "aaaaaaaaaaaaaaa",
            "               ",
            "abcabcabcabcabca",
            "passwordpassword",
            "PASSWORDpassword",
            "123456789012345",
            "987654321098765",
            "abcdefghijklmno",
            "Ada.Lovelace@example.org",
            "ada.lovelace.the.first",
            "ada.lovelace@example.orgada.lovelace@example.org",
        ] {
            assert_eq!(chosen(bad), Err(PasswordError::Guessable), "{bad:?}");
        }
        assert_eq!(Password::chosen("password", 8, &[]), Err(PasswordError::Guessable));
        assert!(chosen("ada.lovelace@example.org is me").is_ok());
        assert!(chosen("correct horse battery staple").is_ok());
    }

    #[test]
    fn nfc_spellings_are_one_password_and_nfkc_ones_are_not() {
        let hasher = Hasher::new(CHEAP).unwrap();
        let hash = |text: &str| hasher.hash(&Password::presented(text).unwrap(), [1; 16]).unwrap();
        assert_eq!(hash("caf\u{e9}"), hash("cafe\u{301}"));
        assert_ne!(hash("\u{fb01}re"), hash("fire"));
        assert_ne!(hash("\u{ff46}ire"), hash("fire"));
        assert_ne!(hash("Fire"), hash("fire"));
        assert_ne!(hash("fire "), hash("fire"));
    }

    #[test]
    fn a_hash_verifies_its_own_password_only() {
        let hasher = Hasher::new(CHEAP).unwrap();
        let password = Password::presented("correct horse battery staple").unwrap();
        let phc = hasher.hash(&password, [7; 16]).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$"));
        assert_eq!(hasher.verify(&password, &phc), Ok(Verification::Matches { outdated: false }));
        for other in ["correct horse battery stapl", "Correct horse battery staple", ""] {
            assert_eq!(hasher.verify(&Password::presented(other).unwrap(), &phc), Ok(Verification::Differs));
        }
        assert!(hasher.verify(&password, "$2b$12$abcdefghijklmnopqrstuv").is_err());
        assert!(hasher.verify_absent(&password).is_ok());
    }

    #[test]
    fn other_parameters_still_verify_and_are_outdated() {
        let password = Password::presented("correct horse battery staple").unwrap();
        let old = Hasher::new(CHEAP).unwrap().hash(&password, [7; 16]).unwrap();
        for cost in [
            HashCost { memory_kib: 128, ..CHEAP },
            HashCost { iterations: 2, ..CHEAP },
            HashCost { parallelism: 2, ..CHEAP },
        ] {
            let verification = Hasher::new(cost).unwrap().verify(&password, &old);
            assert_eq!(verification, Ok(Verification::Matches { outdated: true }));
        }
    }

    #[test]
    fn costs_below_owasps_equivalents_or_beyond_an_isolate_are_refused() {
        let cost = |memory_kib, iterations, parallelism| HashCost { memory_kib, iterations, parallelism };
        for good in [(19_456, 2, 1), (47_104, 1, 1), (12_288, 3, 1), (9_216, 4, 1), (7_168, 5, 1), (65_536, 16, 4)] {
            assert!(cost(good.0, good.1, good.2).is_acceptable(), "{good:?}");
        }
        for bad in [
            (19_455, 2, 1),
            (19_456, 1, 1),
            (7_167, 16, 1),
            (65_537, 2, 1),
            (19_456, 17, 1),
            (19_456, 2, 0),
            (19_456, 2, 5),
        ] {
            assert!(!cost(bad.0, bad.1, bad.2).is_acceptable(), "{bad:?}");
        }
    }

    #[test]
    fn debug_shows_nothing_of_a_password() {
        assert_eq!(format!("{:?}", Password::presented("hunter2").unwrap()), "Password(..)");
    }

    /// RFC 9106 §5.3: the library computes Argon2id.
    #[test]
    fn rfc_9106_argon2id_vector() {
        let params = ParamsBuilder::new()
            .m_cost(32)
            .t_cost(3)
            .p_cost(4)
            .data(argon2::AssociatedData::new(&[4; 12]).unwrap())
            .build()
            .unwrap();
        let argon2 = Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
        let mut tag = [0; 32];
        argon2.hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
        let expected = "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659";
        assert_eq!(tag.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), expected);
    }
}
