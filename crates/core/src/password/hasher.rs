//! Hashing and verifying passwords, with Argon2id version 0x13 at the configured cost.

use argon2::Params;

use super::argon2_hash::{Argon2Hash, Argon2Scheme, hash_error};
use super::cost::argon2_micros;
use super::memory::KeptMemory;
use super::{HashCost, HashError, Password, StoredHash, Verification};

/// Length of a salt, in bytes (RFC 9106 §3.1).
pub const SALT_LEN: usize = 16;
/// Length of a hash, in bytes (RFC 9106 §4).
const HASH_LEN: usize = 32;

/// Lanes, p. An isolate has one thread, so more of them have no use.
const LANES: u32 = 1;

/// Hashes passwords at the configured cost, and verifies them against any stored hash.
pub struct Hasher(Params);

impl Hasher {
    /// A hasher with that cost.
    ///
    /// # Errors
    /// [`HashError`] for parameters outside RFC 9106 §3.1.
    pub fn new(cost: HashCost) -> Result<Self, HashError> {
        Params::new(cost.memory_kib, cost.iterations, LANES, Some(HASH_LEN)).map(Self).map_err(hash_error)
    }

    /// Hashes a password with a fresh salt. Returns the PHC string.
    ///
    /// # Errors
    /// [`HashError`] if the library refuses.
    pub fn hash(&self, password: &Password, salt: [u8; SALT_LEN]) -> Result<String, HashError> {
        self.hash_bytes(password.nfc.as_bytes(), salt).map(|hash| hash.to_string())
    }

    /// Verifies a password against a stored hash, at the cost of that hash.
    ///
    /// # Errors
    /// [`HashError`] if the stored hash is invalid or too costly.
    pub fn verify(&self, password: &Password, stored: &str) -> Result<Verification, HashError> {
        let stored = StoredHash::parse(stored)?;
        for spelling in stored.spellings(password) {
            if stored.matches(spelling, self.memory())? {
                return Ok(Verification::Matches { outdated: self.is_replaced(&stored, spelling) });
            }
        }
        Ok(Verification::Differs)
    }

    /// Does the work of one verification at the configured cost, for an account that does not exist.
    ///
    /// # Errors
    /// [`HashError`] if the library refuses.
    pub fn verify_dummy(&self, password: &Password) -> Result<(), HashError> {
        // Keeps the optimiser from removing the work.
        std::hint::black_box(self.hash_bytes(password.nfc.as_bytes(), [0; SALT_LEN])?);
        Ok(())
    }

    /// The CPU time of one hash at the configured cost, in microseconds.
    #[must_use]
    pub fn cpu_micros(&self) -> u64 {
        argon2_micros(&self.0)
    }

    /// [`Self::max_verify_micros`] of an unparsed hash. 0 for an invalid one, which is never verified.
    #[must_use]
    pub fn price(&self, password: &Password, stored: &str) -> u64 {
        StoredHash::parse(stored).map_or(0, |stored| self.max_verify_micros(password, &stored))
    }

    /// The maximum CPU time of verifying a password against a stored hash, in microseconds. It includes every spelling that is
    /// tried, and the new hash if a match is outdated.
    #[must_use]
    pub fn max_verify_micros(&self, password: &Password, stored: &StoredHash) -> u64 {
        let tries = stored.spellings(password).count() as u64;
        let may_be_replaced = stored.spellings(password).any(|spelling| self.is_replaced(stored, spelling));
        let verification = stored.cpu_micros().saturating_mul(tries);
        verification.saturating_add(if may_be_replaced { self.cpu_micros() } else { 0 })
    }

    /// Wraps a weak imported hash in one at the configured cost, so that the weak one is not stored.
    ///
    /// # Errors
    /// [`HashError`] if the library refuses.
    pub fn wrap(&self, weak: StoredHash, salt: [u8; SALT_LEN]) -> Result<StoredHash, HashError> {
        weak.wrap(|hash| self.hash_bytes(hash, salt))
    }

    fn hash_bytes(&self, bytes: &[u8], salt: [u8; SALT_LEN]) -> Result<Argon2Hash, HashError> {
        Argon2Scheme::current(&self.0, &salt)?.hash(bytes, HASH_LEN, self.memory())
    }

    fn memory(&self) -> KeptMemory {
        KeptMemory::for_current_cost(self.0.m_cost())
    }

    /// Whether a new hash replaces a stored one that matches `spelling`. An imported hash is kept if other texts match it too:
    /// the typed one may contain a typo, and must not become the only password.
    fn is_replaced(&self, stored: &StoredHash, spelling: &str) -> bool {
        match stored.own() {
            Some(own) => !own.is_current(&self.0, SALT_LEN, HASH_LEN),
            None => stored.reads_whole(spelling),
        }
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordHasher as _;
    use argon2::{Algorithm, Argon2, Params, ParamsBuilder, Version};
    use base64::Engine as _;
    use base64::engine::{GeneralPurpose, general_purpose::NO_PAD};

    use super::super::memory::HASHES;
    use super::{HashCost, Hasher, Password, StoredHash, Verification};

    const CHEAP: HashCost = HashCost { memory_kib: 64, iterations: 1 };
    const BCRYPT: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::BCRYPT, NO_PAD);

    #[test]
    fn a_hash_ignores_normalisation_but_not_compatibility_variants() {
        let hasher = Hasher::new(CHEAP).unwrap();
        let hash = |text: &str| hasher.hash(&Password::for_login(text).unwrap(), [1; 16]).unwrap();
        assert_eq!(hash("caf\u{e9}"), hash("cafe\u{301}"));
        assert_ne!(hash("\u{fb01}re"), hash("fire"));
        assert_ne!(hash("\u{ff46}ire"), hash("fire"));
        assert_ne!(hash("Fire"), hash("fire"));
        assert_ne!(hash("fire "), hash("fire"));
    }

    #[test]
    fn a_hash_verifies_only_its_password() {
        let hasher = Hasher::new(CHEAP).unwrap();
        let password = Password::for_login("correct horse battery staple").unwrap();
        let phc = hasher.hash(&password, [7; 16]).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$"));
        assert_eq!(hasher.verify(&password, &phc), Ok(Verification::Matches { outdated: false }));
        for other in ["correct horse battery stapl", "Correct horse battery staple", ""] {
            assert_eq!(hasher.verify(&Password::for_login(other).unwrap(), &phc), Ok(Verification::Differs));
        }
        assert!(hasher.verify(&password, "$2b$12$abcdefghijklmnopqrstuv").is_err());
        assert!(hasher.verify(&password, "").is_err());
        assert!(hasher.verify_dummy(&password).is_ok());
    }

    #[test]
    fn a_hash_with_other_parameters_verifies_and_is_outdated() {
        let password = Password::for_login("correct horse battery staple").unwrap();
        let old = Hasher::new(CHEAP).unwrap().hash(&password, [7; 16]).unwrap();
        for cost in [HashCost { memory_kib: 128, ..CHEAP }, HashCost { iterations: 2, ..CHEAP }] {
            let verification = Hasher::new(cost).unwrap().verify(&password, &old);
            assert_eq!(verification, Ok(Verification::Matches { outdated: true }));
        }
        let two_lanes = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 2, Some(32)).unwrap());
        let old = two_lanes.hash_password_with_salt(password.nfc.as_bytes(), &[7; 16]).unwrap().to_string();
        let verification = Hasher::new(CHEAP).unwrap().verify(&password, &old);
        assert_eq!(verification, Ok(Verification::Matches { outdated: true }));
    }

    #[test]
    fn own_hashes_verify_only_the_nfc_and_imported_hashes_also_the_typed_spelling() {
        let hasher = Hasher::new(CHEAP).unwrap();
        let [composed, decomposed] =
            ["caf\u{e9} au lait", "cafe\u{301} au lait"].map(|text| Password::for_login(text).unwrap());
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, hasher.0.clone());
        let hash = |bytes: &str| argon2.hash_password_with_salt(bytes.as_bytes(), &[7; 16]).unwrap().to_string();
        let of_composed = hash("caf\u{e9} au lait");
        let of_decomposed = hash("cafe\u{301} au lait");
        let same = Ok(Verification::Matches { outdated: false });
        let replaced = Ok(Verification::Matches { outdated: true });
        let differs = Ok(Verification::Differs);
        for (stored, for_composed, for_decomposed) in [
            (of_composed.as_str(), &same, &same),
            // An own hash is never of a spelling other than the NFC.
            (&of_decomposed, &differs, &differs),
            (&format!("argon2{of_composed}"), &replaced, &replaced),
            (&format!("argon2{of_decomposed}"), &differs, &replaced),
            // Made with libxcrypt, of the composed and of the decomposed spelling.
            ("$2b$05$abcdefghijklmnopqrstuusTJFCVMZBlQP1dwbtUrCxhcr59UYFQO", &replaced, &replaced),
            ("$2b$05$abcdefghijklmnopqrstuusKeFw3RaP1O7CX4UsL1Zvha7joCwYZ.", &differs, &replaced),
        ] {
            assert_eq!(hasher.verify(&composed, stored), *for_composed, "{stored}");
            assert_eq!(hasher.verify(&decomposed, stored), *for_decomposed, "{stored}");
        }
    }

    #[test]
    fn verifying_an_own_or_a_dummy_hash_computes_one_hash_for_any_spelling() {
        let hasher = Hasher::new(CHEAP).unwrap();
        let [composed, decomposed, other] =
            ["caf\u{e9}", "cafe\u{301}", "cafe\u{300}"].map(|text| Password::for_login(text).unwrap());
        let count = |act: &dyn Fn()| {
            let before = HASHES.get();
            act();
            HASHES.get() - before
        };
        let ours = hasher.hash(&composed, [7; 16]).unwrap();
        for password in [&composed, &decomposed, &other] {
            assert_eq!(count(&|| hasher.verify_dummy(password).unwrap()), 1);
            assert_eq!(count(&|| drop(hasher.verify(password, &ours))), 1);
        }
        let imported = format!("argon2{ours}");
        assert_eq!(count(&|| drop(hasher.verify(&composed, &imported))), 1);
        assert_eq!(count(&|| drop(hasher.verify(&decomposed, &imported))), 2);
        assert_eq!(count(&|| drop(hasher.verify(&other, &imported))), 2);
    }

    #[test]
    fn a_spelling_with_a_possible_typo_does_not_become_the_password() {
        let hasher = Hasher::new(CHEAP).unwrap();
        // 71 bytes in NFC, and more than bcrypt reads as typed.
        let composed = format!("{}{}", "\u{e9}".repeat(24), "x".repeat(23));
        let decomposed = format!("{}{}", "e\u{301}".repeat(24), "x".repeat(23));
        assert_eq!((composed.len(), decomposed.len()), (71, 95));
        let bcrypt = |text: &str| {
            let key: Vec<u8> = text.bytes().chain([0]).take(72).collect();
            let hash = BCRYPT.encode(&bcrypt::bcrypt(4, [7; 16], &key)[..23]);
            format!("$2b$04${}{hash}", BCRYPT.encode([7; 16]))
        };
        let verify = |text: &str, stored: &str| hasher.verify(&Password::for_login(text).unwrap(), stored);
        assert_eq!(verify(&decomposed, &bcrypt(&composed)), Ok(Verification::Matches { outdated: true }));
        assert_eq!(verify(&decomposed, &bcrypt(&decomposed)), Ok(Verification::Matches { outdated: false }));
        assert_eq!(verify(&composed, &bcrypt(&decomposed)), Ok(Verification::Differs));
    }

    /// From phc-winner-argon2's test.c. Strings of version 0x10 do not name it.
    #[test]
    fn argon2_version_0x10_verifies() {
        let hasher = Hasher::new(CHEAP).unwrap();
        let stored = "$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY";
        let verify = |text| hasher.verify(&Password::for_login(text).unwrap(), stored);
        assert_eq!(verify("password"), Ok(Verification::Matches { outdated: true }));
        assert_eq!(verify("Password"), Ok(Verification::Differs));
    }

    #[test]
    fn hashes_are_compatible_with_the_argon2_crate() {
        let password = Password::for_login("correct horse battery staple").unwrap();
        let hash_as = |algorithm, version, params| {
            let argon2 = Argon2::new(algorithm, version, params);
            argon2.hash_password_with_salt(password.nfc.as_bytes(), &[7; 16]).unwrap().to_string()
        };
        let hasher = Hasher::new(HashCost { memory_kib: 200, iterations: 3 }).unwrap();
        let ours = hasher.hash(&password, [7; 16]).unwrap();
        assert_eq!(ours, hash_as(Algorithm::Argon2id, Version::V0x13, hasher.0.clone()));
        for algorithm in [Algorithm::Argon2d, Algorithm::Argon2i, Algorithm::Argon2id] {
            for version in [Version::V0x10, Version::V0x13] {
                let mut params = ParamsBuilder::new();
                params.m_cost(96).t_cost(2).p_cost(3).output_len(40);
                params.data(argon2::AssociatedData::new(b"data").unwrap());
                let stored = hash_as(algorithm, version, params.build().unwrap());
                assert_eq!(hasher.verify(&password, &stored), Ok(Verification::Matches { outdated: true }), "{stored}");
                let other = Password::for_login("another horse").unwrap();
                assert_eq!(hasher.verify(&other, &stored), Ok(Verification::Differs), "{stored}");
            }
        }
    }

    #[test]
    fn a_more_expensive_argon2_has_a_higher_price() {
        let price = |m: u32, t: u32| {
            let hasher = Hasher::new(HashCost { memory_kib: m, iterations: t }).unwrap();
            let stored =
                format!("$argon2id$v=19$m={m},t={t},p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
            let stored = StoredHash::parse(&stored).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(stored.cpu_micros(), hasher.cpu_micros());
            hasher.cpu_micros()
        };
        assert!(price(64, 1) > 0);
        for (cheap, expensive) in [
            ((64, 1), (64, 2)),
            ((64, 1), (65, 1)),
            ((32_767, 1), (32_768, 1)),
            ((19_456, 2), (19_456, 3)),
            ((65_536, 1), (65_536, 16)),
        ] {
            assert!(price(cheap.0, cheap.1) < price(expensive.0, expensive.1), "{cheap:?} {expensive:?}");
        }
    }

    #[test]
    fn a_price_covers_every_hash_that_may_be_computed() {
        let hasher = Hasher::new(CHEAP).unwrap();
        let [composed, decomposed] = ["caf\u{e9}", "cafe\u{301}"].map(|text| Password::for_login(text).unwrap());
        let current = hasher.cpu_micros();
        let of = |text: &str| StoredHash::parse(text).unwrap_or_else(|error| panic!("{error}")).cpu_micros();
        let ours = hasher.hash(&composed, [7; 16]).unwrap();
        assert_eq!(hasher.price(&composed, &ours), current);
        let expensive = Hasher::new(HashCost { iterations: 3, ..CHEAP }).unwrap();
        let outdated = expensive.hash(&composed, [7; 16]).unwrap();
        assert_eq!(hasher.price(&composed, &outdated), expensive.cpu_micros() + current);
        let bcrypt = "$2b$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        assert_eq!(hasher.price(&composed, bcrypt), of(bcrypt) + current);
        assert_eq!(hasher.price(&decomposed, bcrypt), 2 * of(bcrypt) + current);
        // In NFKC both spellings are equal.
        let nfkc = "$scrypt-nfkc$ln=14,r=16,p=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(hasher.price(&decomposed, nfkc), of(nfkc) + current);
        // An own hash is of the NFC only. An imported one is always replaced.
        assert_eq!(hasher.price(&decomposed, &ours), current);
        let imported = format!("argon2{ours}");
        assert_eq!(hasher.price(&composed, &imported), 2 * current);
        assert_eq!(hasher.price(&decomposed, &imported), 3 * current);
        // A hash of bcrypt is kept if the password is longer than it reads.
        let long = Password::for_login(&"a".repeat(72)).unwrap();
        assert_eq!(hasher.price(&long, bcrypt), of(bcrypt));
        for invalid in
            ["", "password", "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "$argon2id$v=19$m=64"]
        {
            assert_eq!(hasher.price(&decomposed, invalid), 0, "{invalid}");
        }
    }
}
