//! Passwords: what may be chosen (NIST SP 800-63B-4 §3.1.1.2), and how they are hashed and verified (RFC 9106).
//!
//! The one place that hashes. Everything cheap is checked before it is called. Hashes are Argon2id in PHC strings; those that
//! came from elsewhere, of any Argon2 and of [`super::foreign_hash`], verify as well and are `outdated`, so that the next
//! log-in replaces them.
//!
//! Parameters and strings are the `argon2` crate's, the hashes those of `argon2_simd128`, in one memory an isolate.

use std::cell::Cell;
use std::fmt;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Params, Version};
use argon2_simd128::Memory;
use subtle::ConstantTimeEq as _;
use unicode_normalization::UnicodeNormalization as _;

use super::foreign_hash::{ForeignHash, ForeignHashError};
use super::guessable::is_guessable;

/// In bytes after NFC: longer ones are refused, never truncated.
const MAX_BYTES: usize = 1024;
/// Of the salt, in bytes; RFC 9106 §3.1.
pub const SALT_LEN: usize = 16;
/// Of the hash, in bytes; RFC 9106 §4.
const HASH_LEN: usize = 32;

/// Of a stored Argon2 hash, passes and lanes: what they cost beside m·t.
const MOST_STORED_ITERATIONS: u32 = 64;
/// See [`MOST_STORED_ITERATIONS`].
const MOST_STORED_PARALLELISM: u32 = 64;

/// A password in NFC and of bearable length. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    nfc: String,
    /// As it came, if that is not NFC: what other systems have hashed.
    typed: Option<String>,
}

/// Why a password cannot be chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PasswordError {
    /// Fewer code points than the configured minimum, which is carried along.
    TooShort(usize),
    /// More than 1024 bytes after NFC.
    TooLong,
    /// Common, or made of nothing but a few common parts; see [`super::guessable`].
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
        let typed = if nfc == input { None } else { Some(input.to_owned()) };
        Ok(Self { nfc, typed })
    }

    /// A password that is being chosen. `min_chars` counts code points after NFC; `about` is what the person told of
    /// themselves, and the service's own name.
    ///
    /// # Errors
    /// [`PasswordError`] names the first rule that does not hold.
    pub fn chosen(input: &str, min_chars: usize, about: &[&str]) -> Result<Self, PasswordError> {
        let password = Self::presented(input)?;
        if password.nfc.chars().count() < min_chars {
            return Err(PasswordError::TooShort(min_chars));
        }
        if is_guessable(&password.nfc, about) {
            return Err(PasswordError::Guessable);
        }
        Ok(password)
    }

    /// In NFC, and then as it was typed if that differs.
    fn spellings(&self) -> impl Iterator<Item = &[u8]> {
        [Some(&self.nfc), self.typed.as_ref()].into_iter().flatten().map(String::as_bytes)
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
                "The password is too easy to guess: it is made of common passwords or words, repetitions, runs of \
                 characters or keys, or your own name or address, and little else. Add more words, or choose another.",
            ),
        }
    }
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
    pub const MOST_MEMORY_KIB: u32 = 65_536;
    /// What these cost is bounded by `cpu_ms` in `wrangler.toml` as well.
    pub const MOST_ITERATIONS: u32 = 16;
    /// m*t of a stored hash, in KiB; none that is made here has more.
    const MOST_WORK: u64 = Self::MOST_MEMORY_KIB as u64 * Self::MOST_ITERATIONS as u64;
    /// Lanes are filled one after another here, so more of them bring nothing.
    pub const MOST_PARALLELISM: u32 = 4;

    /// Whether this is not weaker than OWASP's equivalents.
    #[must_use]
    pub fn is_strong_enough(&self) -> bool {
        Self::LEAST.iter().any(|(m, t)| self.memory_kib >= *m && self.iterations >= *t)
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

/// Hashing failed: a stored string that is no hash, or one that costs too much, or parameters the library refuses. Says
/// which, and shows nothing of the hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HashError(String);

impl fmt::Display for HashError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<ForeignHashError> for HashError {
    fn from(error: ForeignHashError) -> Self {
        Self(error.to_string())
    }
}

/// A hash as `users.password_hash` holds it, which its `Display` gives. No `Debug`: it is as good as a password.
pub enum StoredHash {
    /// Ours, or any other Argon2.
    Argon2(Box<PasswordHash>),
    /// Of another kind.
    Foreign(ForeignHash),
}

impl StoredHash {
    /// Reads a hash, also in the forms in which other systems store theirs, and bounds what verifying it costs.
    ///
    /// # Errors
    /// [`HashError`] says what does not fit.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        // Django puts one more "argon2" in front.
        if let Some(phc) = text.strip_prefix("argon2").filter(|phc| phc.starts_with("$argon2")) {
            return argon2_hash(phc);
        }
        if text.starts_with("$argon2") { argon2_hash(text) } else { Ok(Self::Foreign(ForeignHash::parse(text)?)) }
    }
}

impl fmt::Display for StoredHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argon2(phc) => phc.fmt(formatter),
            Self::Foreign(hash) => hash.fmt(formatter),
        }
    }
}

thread_local! {
    /// What the isolate hashes in, of the size that today's cost takes.
    static MEMORY: Cell<Memory> = const { Cell::new(Memory::new()) };
}

/// From here on the memory that is kept is the largest there can be, in KiB: it and a dearer one would be too much together.
const MOST_KEPT_BESIDE: u32 = 49_152;

/// Hashes with Argon2id version 0x13 at today's cost.
pub struct Hasher(Params);

impl Hasher {
    /// A hasher at that cost.
    ///
    /// # Errors
    /// [`HashError`] for parameters outside RFC 9106 §3.1.
    pub fn new(cost: HashCost) -> Result<Self, HashError> {
        Params::new(cost.memory_kib, cost.iterations, cost.parallelism, Some(HASH_LEN)).map(Self).map_err(refused)
    }

    /// The PHC string of a password, with a fresh salt.
    ///
    /// # Errors
    /// [`HashError`] when the library refuses.
    pub fn hash(&self, password: &Password, salt: [u8; SALT_LEN]) -> Result<String, HashError> {
        let tag = self.tag(password.nfc.as_bytes(), salt)?;
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&self.0).map_err(refused)?,
            salt: Some(Salt::new(&salt).map_err(refused)?),
            hash: Some(Output::new(&tag).map_err(refused)?),
        };
        Ok(hash.to_string())
    }

    /// Verifies a password against a stored hash, at the cost that was made with.
    ///
    /// # Errors
    /// [`HashError`] when the text is none, or one beyond the bounds.
    pub fn verify(&self, password: &Password, stored: &str) -> Result<Verification, HashError> {
        let stored = match StoredHash::parse(stored)? {
            StoredHash::Argon2(stored) => stored,
            StoredHash::Foreign(foreign) => {
                let typed = password.typed.as_ref().unwrap_or(&password.nfc);
                if !self.without_memory(|| foreign.verify(typed)) {
                    return Ok(Verification::Differs);
                }
                // Of several texts that fit, the one that was typed may be a slip: it must not become the only one.
                return Ok(Verification::Matches { outdated: foreign.reads_all_of(typed) });
            }
        };
        // Ours are of the NFC. Others' may look just like them, and are of what was typed.
        for (spelling, is_ours) in password.spellings().zip([true, false]) {
            if self.is_of(spelling, &stored)? {
                return Ok(Verification::Matches { outdated: !is_ours || self.is_outdated(&stored) });
            }
        }
        Ok(Verification::Differs)
    }

    /// The work of one verification at today's cost, for an account that does not exist.
    ///
    /// # Errors
    /// [`HashError`] when the library refuses.
    pub fn verify_absent(&self, password: &Password) -> Result<(), HashError> {
        for spelling in password.spellings() {
            // The result is used, so that no optimiser finds the work idle.
            std::hint::black_box(self.tag(spelling, [0; SALT_LEN])?);
        }
        Ok(())
    }

    /// Of a password, at today's cost.
    fn tag(&self, password: &[u8], salt: [u8; SALT_LEN]) -> Result<[u8; HASH_LEN], HashError> {
        let mut tag = [0; HASH_LEN];
        self.argon2(Algorithm::Argon2id, Version::V0x13, &self.0, password, &salt, &mut tag)?;
        Ok(tag)
    }

    /// Whether a stored hash is that of a password, found in constant time.
    fn is_of(&self, password: &[u8], stored: &PasswordHash) -> Result<bool, HashError> {
        let (Some(salt), Some(expected), Some(version)) = (&stored.salt, &stored.hash, stored.version) else {
            return Err(refused("without a salt, without a hash or without a version"));
        };
        let algorithm = Algorithm::try_from(stored.algorithm.as_str()).map_err(refused)?;
        let version = Version::try_from(version).map_err(refused)?;
        let params = Params::try_from(stored).map_err(refused)?;
        let mut room = [0; Output::MAX_LENGTH];
        let tag = room.get_mut(..expected.len()).ok_or_else(|| refused("too long a hash"))?;
        self.argon2(algorithm, version, &params, password, salt, tag)?;
        Ok(tag.ct_eq(expected.as_ref()).into())
    }

    /// Fills `tag` with what Argon2 gives.
    fn argon2(
        &self,
        algorithm: Algorithm,
        version: Version,
        params: &Params,
        password: &[u8],
        salt: &[u8],
        tag: &mut [u8],
    ) -> Result<(), HashError> {
        let params_of_hash = argon2_simd128::Params {
            variant: match algorithm {
                Algorithm::Argon2d => argon2_simd128::Variant::D,
                Algorithm::Argon2i => argon2_simd128::Variant::I,
                Algorithm::Argon2id => argon2_simd128::Variant::Id,
            },
            version: match version {
                Version::V0x10 => argon2_simd128::Version::V0x10,
                Version::V0x13 => argon2_simd128::Version::V0x13,
            },
            memory_kib: params.m_cost(),
            passes: params.t_cost(),
            lanes: params.p_cost(),
        };
        let input = argon2_simd128::Input { password, salt, secret: &[], associated_data: params.data() };
        let mut hash = |memory: &mut Memory| argon2_simd128::hash(&params_of_hash, &input, memory, tag);
        let hashed = if params.m_cost() > self.kept_kib() {
            self.without_memory(|| hash(&mut Memory::new()))
        } else {
            let mut memory = self.take_memory();
            let hashed = hash(&mut memory);
            MEMORY.set(memory);
            hashed
        };
        hashed.map_err(refused)
    }

    /// Of the memory that is kept.
    fn kept_kib(&self) -> u32 {
        let today = self.0.m_cost();
        if today > MOST_KEPT_BESIDE { HashCost::MOST_MEMORY_KIB } else { today }
    }

    /// To be put back. Nothing is ever awaited in between, so nobody finds it missing.
    fn take_memory(&self) -> Memory {
        let mut memory = MEMORY.take();
        // If there is not as much, the hash says so.
        let _ = memory.reserve(self.kept_kib() as usize);
        memory
    }

    /// Does what takes memory of its own, in place of the one that is kept, which is there again before anything else is:
    /// WebAssembly's memory never shrinks, and what is large for a moment must find its place at the end, with nothing that
    /// stays behind it. So an isolate holds one memory of each of the two sizes, whatever it is asked to verify.
    fn without_memory<T>(&self, act: impl FnOnce() -> T) -> T {
        drop(MEMORY.take());
        let result = act();
        MEMORY.set(self.take_memory());
        result
    }

    fn is_outdated(&self, stored: &PasswordHash) -> bool {
        let today = &self.0;
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

/// Reads the PHC string of an Argon2 hash that can be verified within bounds.
fn argon2_hash(phc: &str) -> Result<StoredHash, HashError> {
    let mut stored = PasswordHash::new(phc).map_err(refused)?;
    Algorithm::try_from(stored.algorithm.as_str()).map_err(refused)?;
    // Without a version it was made with the first: those strings are older than the field.
    let version = *stored.version.get_or_insert(Version::V0x10.into());
    Version::try_from(version).map_err(refused)?;
    let params = Params::try_from(&stored).map_err(refused)?;
    let work = u64::from(params.m_cost()).saturating_mul(params.t_cost().into());
    let is_wide = params.t_cost() > MOST_STORED_ITERATIONS || params.p_cost() > MOST_STORED_PARALLELISM;
    if params.m_cost() > HashCost::MOST_MEMORY_KIB || work > HashCost::MOST_WORK || is_wide {
        return Err(refused(
            "too costly to verify: it is taken with m up to 65536 (64 MiB), m*t up to 1048576, t and p up to 64",
        ));
    }
    if !params.keyid().is_empty() {
        return Err(refused("made with a secret key, which is not known here"));
    }
    if stored.salt.is_none() || stored.hash.is_none() {
        return Err(refused("without a salt or without a hash"));
    }
    Ok(StoredHash::Argon2(Box::new(stored)))
}

fn refused(error: impl fmt::Display) -> HashError {
    HashError(format!("argon2: {error}"))
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordHasher as _;
    use argon2::{Algorithm, Argon2, ParamsBuilder, Version};

    use super::{HashCost, Hasher, Password, PasswordError, StoredHash, Verification};

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
    fn guessable_passwords_are_refused() {
        assert_eq!(chosen("Password12345678"), Err(PasswordError::Guessable));
        assert_eq!(chosen("Ada.Lovelace@example.org"), Err(PasswordError::Guessable));
        assert_eq!(Password::chosen("password", 8, &[]), Err(PasswordError::Guessable));
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
        assert!(hasher.verify(&password, "").is_err());
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
    fn other_systems_hashed_what_was_typed() {
        let hasher = Hasher::new(CHEAP).unwrap();
        let [composed, decomposed] =
            ["caf\u{e9} au lait", "cafe\u{301} au lait"].map(|text| Password::presented(text).unwrap());
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, hasher.0.clone());
        let hash = |bytes: &[u8]| argon2.hash_password_with_salt(bytes, &[7; 16]).unwrap().to_string();
        let ours = hash("caf\u{e9} au lait".as_bytes());
        let theirs = hash("cafe\u{301} au lait".as_bytes());
        for (password, stored, found) in [
            (&composed, &ours, Verification::Matches { outdated: false }),
            (&decomposed, &ours, Verification::Matches { outdated: false }),
            (&decomposed, &theirs, Verification::Matches { outdated: true }),
            (&composed, &theirs, Verification::Differs),
        ] {
            assert_eq!(hasher.verify(password, stored), Ok(found));
        }
        // Made with libxcrypt, of the composed and of the decomposed one.
        for (password, stored) in [
            (&composed, "$2b$05$abcdefghijklmnopqrstuusTJFCVMZBlQP1dwbtUrCxhcr59UYFQO"),
            (&decomposed, "$2b$05$abcdefghijklmnopqrstuusKeFw3RaP1O7CX4UsL1Zvha7joCwYZ."),
        ] {
            assert_eq!(hasher.verify(password, stored), Ok(Verification::Matches { outdated: true }));
        }
        assert_eq!(
            hasher.verify(&composed, "$2b$05$abcdefghijklmnopqrstuusKeFw3RaP1O7CX4UsL1Zvha7joCwYZ."),
            Ok(Verification::Differs)
        );
    }

    /// Those of phc-winner-argon2's test.c, of version 0x10, which its strings do not name.
    #[test]
    fn the_first_version_of_argon2_verifies() {
        let hasher = Hasher::new(CHEAP).unwrap();
        let stored = "$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY";
        let verify = |text| hasher.verify(&Password::presented(text).unwrap(), stored);
        assert_eq!(verify("password"), Ok(Verification::Matches { outdated: true }));
        assert_eq!(verify("Password"), Ok(Verification::Differs));
    }

    #[test]
    fn every_argon2_within_bounds_is_read_and_no_other() {
        let tail = "c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for good in [
            format!("$argon2id$v=19$m=65536,t=16,p=4${tail}"),
            format!("$argon2i$v=16$m=8,t=64,p=1${tail}"),
            format!("$argon2d$v=19$m=64,t=1,p=8${tail}"),
            format!("$argon2id$v=19$m=64,t=1,p=1,data=AAAA${tail}"),
        ] {
            assert_eq!(StoredHash::parse(&good).unwrap_or_else(|error| panic!("{good} {error}")).to_string(), good);
            assert_eq!(
                StoredHash::parse(&format!("argon2{good}")).unwrap_or_else(|error| panic!("{error}")).to_string(),
                good
            );
        }
        let old = StoredHash::parse(&format!("$argon2i$m=64,t=1,p=1${tail}")).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(old.to_string(), format!("$argon2i$v=16$m=64,t=1,p=1${tail}"));
        let password = Password::presented("x").unwrap();
        for (bad, why) in [
            (format!("$argon2id$v=19$m=65537,t=1,p=1${tail}"), "costly"),
            (format!("$argon2id$v=19$m=65536,t=17,p=1${tail}"), "costly"),
            (format!("$argon2id$v=19$m=64,t=65,p=1${tail}"), "costly"),
            (format!("$argon2id$v=19$m=65536,t=1,p=65${tail}"), "costly"),
            (format!("$argon2id$v=19$m=64,t=4294967295,p=1${tail}"), "costly"),
            (format!("$argon2id$v=19$m=4294967295,t=1,p=1${tail}"), "costly"),
            (format!("$argon2id$v=19$m=64,t=1,p=1,keyid=AAAA${tail}"), "secret key"),
            (format!("$argon2ix$v=19$m=64,t=1,p=1${tail}"), "argon2"),
            (format!("$argon2id$v=18$m=64,t=1,p=1${tail}"), "argon2"),
            (format!("$argon2id$v=19$m=64,t=0,p=1${tail}"), "argon2"),
            (format!("$argon2id$v=19$m=1,t=1,p=1${tail}"), "argon2"),
            ("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ".to_owned(), "argon2"),
            ("$argon2id$v=19$m=64,t=1,p=1".to_owned(), "argon2"),
            (format!("argon2id$v=19$m=64,t=1,p=1${tail}"), "known form"),
        ] {
            let error = StoredHash::parse(&bad).err().unwrap_or_else(|| panic!("{bad}")).to_string();
            assert!(error.contains(why), "{bad}: {error}");
            assert!(Hasher::new(CHEAP).unwrap().verify(&password, &bad).is_err());
        }
    }

    #[test]
    fn costs_below_owasps_equivalents_are_too_weak() {
        let cost = |memory_kib, iterations| HashCost { memory_kib, iterations, parallelism: 1 };
        for (m, t) in [(19_456, 2), (47_104, 1), (12_288, 3), (9_216, 4), (7_168, 5), (65_536, 16)] {
            assert!(cost(m, t).is_strong_enough(), "{m} {t}");
        }
        for (m, t) in [(19_455, 2), (19_456, 1), (7_167, 16), (47_103, 1), (0, 0)] {
            assert!(!cost(m, t).is_strong_enough(), "{m} {t}");
        }
    }

    #[test]
    fn debug_shows_nothing_of_a_password() {
        assert_eq!(format!("{:?}", Password::presented("hunter2").unwrap()), "Password(..)");
    }

    #[test]
    fn strings_are_those_of_the_argon2_crate_and_every_one_of_its_verifies() {
        let password = Password::presented("correct horse battery staple").unwrap();
        let hash_as = |algorithm, version, params| {
            let argon2 = Argon2::new(algorithm, version, params);
            argon2.hash_password_with_salt(password.nfc.as_bytes(), &[7; 16]).unwrap().to_string()
        };
        let hasher = Hasher::new(HashCost { memory_kib: 200, iterations: 3, parallelism: 4 }).unwrap();
        let ours = hasher.hash(&password, [7; 16]).unwrap();
        assert_eq!(ours, hash_as(Algorithm::Argon2id, Version::V0x13, hasher.0.clone()));
        for algorithm in [Algorithm::Argon2d, Algorithm::Argon2i, Algorithm::Argon2id] {
            for version in [Version::V0x10, Version::V0x13] {
                let mut params = ParamsBuilder::new();
                params.m_cost(96).t_cost(2).p_cost(3).output_len(40);
                params.data(argon2::AssociatedData::new(b"data").unwrap());
                let stored = hash_as(algorithm, version, params.build().unwrap());
                assert_eq!(hasher.verify(&password, &stored), Ok(Verification::Matches { outdated: true }), "{stored}");
                let other = Password::presented("another horse").unwrap();
                assert_eq!(hasher.verify(&other, &stored), Ok(Verification::Differs), "{stored}");
            }
        }
    }
}
