//! Hashing and verifying, with Argon2id version 0x13 at today's cost.

use std::fmt;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Params, Version};
use argon2_simd128::Memory;
use subtle::ConstantTimeEq as _;

use super::cost::argon2_micros;
use super::memory::Kept;
use super::{HashCost, Password, StoredHash};
use crate::auth::foreign_hash::ForeignHashError;

/// Of the salt, in bytes; RFC 9106 §3.1.
pub const SALT_LEN: usize = 16;
/// Of the hash, in bytes; RFC 9106 §4.
const HASH_LEN: usize = 32;

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
                let typed = password.typed();
                let verify = || foreign.verify(typed);
                let matches = if foreign.takes_memory() { self.kept().without(verify) } else { verify() };
                if !matches {
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

    /// The CPU time of one hash at today's cost, in microseconds.
    #[must_use]
    pub fn cpu_micros(&self) -> u64 {
        argon2_micros(&self.0)
    }

    /// The CPU time that verifying that password against that stored hash may take at most, in microseconds: of every spelling
    /// that is tried, and of a new hash where a match is replaced. A text that is no hash costs nothing.
    #[must_use]
    pub fn price(&self, password: &Password, stored: &str) -> u64 {
        let Ok(stored) = StoredHash::parse(stored) else { return 0 };
        let (tries, is_replaced) = match &stored {
            // As typed it is made elsewhere, and replaced.
            StoredHash::Argon2(hash) => {
                (password.spellings().count(), password.typed.is_some() || self.is_outdated(hash))
            }
            StoredHash::Foreign(hash) => (1, hash.reads_all_of(password.typed())),
        };
        let verification = stored.cpu_micros().saturating_mul(tries as u64);
        verification.saturating_add(if is_replaced { self.cpu_micros() } else { 0 })
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
        let hash = |memory: &mut Memory| argon2_simd128::hash(&params_of_hash, &input, memory, tag);
        self.kept().hash_in(params.m_cost(), hash).map_err(refused)
    }

    fn kept(&self) -> Kept {
        Kept::for_today(self.0.m_cost())
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

pub(super) fn refused(error: impl fmt::Display) -> HashError {
    HashError(format!("argon2: {error}"))
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordHasher as _;
    use argon2::{Algorithm, Argon2, ParamsBuilder, Version};

    use super::{HashCost, Hasher, Password, StoredHash, Verification};

    const CHEAP: HashCost = HashCost { memory_kib: 64, iterations: 1, parallelism: 1 };

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

    #[test]
    fn a_dearer_argon2_has_a_higher_price() {
        let price = |m: u32, t: u32| {
            let hasher = Hasher::new(HashCost { memory_kib: m, iterations: t, parallelism: 1 }).unwrap();
            let stored =
                format!("$argon2id$v=19$m={m},t={t},p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
            let stored = StoredHash::parse(&stored).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(stored.cpu_micros(), hasher.cpu_micros());
            hasher.cpu_micros()
        };
        assert!(price(64, 1) > 0);
        for (cheaper, dearer) in [
            ((64, 1), (64, 2)),
            ((64, 1), (65, 1)),
            ((32_767, 1), (32_768, 1)),
            ((19_456, 2), (19_456, 3)),
            ((65_536, 1), (65_536, 16)),
        ] {
            assert!(price(cheaper.0, cheaper.1) < price(dearer.0, dearer.1), "{cheaper:?} {dearer:?}");
        }
    }

    #[test]
    fn a_price_is_of_all_that_is_hashed() {
        let hasher = Hasher::new(CHEAP).unwrap();
        let [composed, decomposed] = ["caf\u{e9}", "cafe\u{301}"].map(|text| Password::presented(text).unwrap());
        let today = hasher.cpu_micros();
        let of = |text: &str| StoredHash::parse(text).unwrap_or_else(|error| panic!("{error}")).cpu_micros();
        let ours = hasher.hash(&composed, [7; 16]).unwrap();
        assert_eq!(hasher.price(&composed, &ours), today);
        let dearer = Hasher::new(HashCost { iterations: 3, ..CHEAP }).unwrap();
        let outdated = dearer.hash(&composed, [7; 16]).unwrap();
        assert_eq!(hasher.price(&composed, &outdated), dearer.cpu_micros() + today);
        let bcrypt = "$2b$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        assert_eq!(hasher.price(&composed, bcrypt), of(bcrypt) + today);
        // What bcrypt does not read whole is not replaced.
        let long = Password::presented(&"a".repeat(72)).unwrap();
        assert_eq!(hasher.price(&long, bcrypt), of(bcrypt));
        for none in
            ["", "password", "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "$argon2id$v=19$m=64"]
        {
            assert_eq!(hasher.price(&decomposed, none), 0, "{none}");
        }
    }
}
