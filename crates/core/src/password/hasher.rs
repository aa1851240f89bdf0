//! Hashing and verifying, with Argon2id version 0x13 at today's cost.

use argon2::Params;

use super::argon2_hash::{Argon2Hash, Argon2Scheme, refused};
use super::cost::argon2_micros;
use super::memory::Kept;
use super::stored::Kind;
use super::{HashCost, HashError, Password, StoredHash, Verification};

/// Of the salt, in bytes; RFC 9106 §3.1.
pub const SALT_LEN: usize = 16;
/// Of the hash, in bytes; RFC 9106 §4.
const HASH_LEN: usize = 32;

/// Lanes, p. An isolate has one thread, so more of them have no use.
const LANES: u32 = 1;

/// Hashes with Argon2id version 0x13 at today's cost.
pub struct Hasher(Params);

impl Hasher {
    /// A hasher at that cost.
    ///
    /// # Errors
    /// [`HashError`] for parameters outside RFC 9106 §3.1.
    pub fn new(cost: HashCost) -> Result<Self, HashError> {
        Params::new(cost.memory_kib, cost.iterations, LANES, Some(HASH_LEN)).map(Self).map_err(refused)
    }

    /// The PHC string of a password, with a fresh salt.
    ///
    /// # Errors
    /// [`HashError`] when the library refuses.
    pub fn hash(&self, password: &Password, salt: [u8; SALT_LEN]) -> Result<String, HashError> {
        self.hash_of(password.in_nfc().as_bytes(), salt).map(|hash| hash.to_string())
    }

    /// Verifies a password against a stored hash, at the cost that was made with.
    ///
    /// # Errors
    /// [`HashError`] when the text is none, or one beyond the bounds.
    pub fn verify(&self, password: &Password, stored: &str) -> Result<Verification, HashError> {
        match StoredHash::parse(stored)?.0 {
            Kind::Ours(ours) => {
                let matches = ours.is_of(password.in_nfc().as_bytes(), self.kept())?;
                let outdated = self.is_outdated(&ours);
                Ok(if matches { Verification::Matches { outdated } } else { Verification::Differs })
            }
            Kind::Imported(imported) => {
                for spelling in imported.spellings(password) {
                    if imported.is_of(spelling, self.kept())? {
                        // Of several texts that fit, the one that was typed may be a slip: it must not become the only one.
                        return Ok(Verification::Matches { outdated: imported.reads_all_of(spelling) });
                    }
                }
                Ok(Verification::Differs)
            }
        }
    }

    /// The work of one verification at today's cost, for an account that does not exist.
    ///
    /// # Errors
    /// [`HashError`] when the library refuses.
    pub fn verify_dummy(&self, password: &Password) -> Result<(), HashError> {
        // The result is used, so that no optimiser finds the work idle.
        std::hint::black_box(self.hash_of(password.in_nfc().as_bytes(), [0; SALT_LEN])?);
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
        StoredHash::parse(stored).map_or(0, |stored| self.price_of(password, &stored))
    }

    /// The same of a hash that was read.
    #[must_use]
    pub fn price_of(&self, password: &Password, stored: &StoredHash) -> u64 {
        let (tries, is_replaced) = match &stored.0 {
            Kind::Ours(ours) => (1, self.is_outdated(ours)),
            Kind::Imported(imported) => {
                let is_replaced = imported.spellings(password).any(|spelling| imported.reads_all_of(spelling));
                (imported.spellings(password).count(), is_replaced)
            }
        };
        let verification = stored.cpu_micros().saturating_mul(tries as u64);
        verification.saturating_add(if is_replaced { self.cpu_micros() } else { 0 })
    }

    /// Puts a hash at today's cost around one that was imported, so that the weak one is not at rest.
    ///
    /// # Errors
    /// [`HashError`] when the library refuses.
    pub fn wrap(&self, weak: StoredHash, salt: [u8; SALT_LEN]) -> Result<StoredHash, HashError> {
        weak.wrapped(|hash| self.hash_of(hash, salt))
    }

    /// The hash of those bytes at today's cost.
    fn hash_of(&self, bytes: &[u8], salt: [u8; SALT_LEN]) -> Result<Argon2Hash, HashError> {
        Argon2Scheme::today(&self.0, &salt)?.hash(bytes, HASH_LEN, self.kept())
    }

    fn kept(&self) -> Kept {
        Kept::for_today(self.0.m_cost())
    }

    fn is_outdated(&self, ours: &Argon2Hash) -> bool {
        !ours.is_of_today(&self.0, SALT_LEN, HASH_LEN)
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
    fn nfc_spellings_are_one_password_and_nfkc_ones_are_not() {
        let hasher = Hasher::new(CHEAP).unwrap();
        let hash = |text: &str| hasher.hash(&Password::for_login(text).unwrap(), [1; 16]).unwrap();
        assert_eq!(hash("caf\u{e9}"), hash("cafe\u{301}"));
        assert_ne!(hash("\u{fb01}re"), hash("fire"));
        assert_ne!(hash("\u{ff46}ire"), hash("fire"));
        assert_ne!(hash("Fire"), hash("fire"));
        assert_ne!(hash("fire "), hash("fire"));
    }

    #[test]
    fn a_hash_verifies_its_own_password_only() {
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
    fn other_parameters_still_verify_and_are_outdated() {
        let password = Password::for_login("correct horse battery staple").unwrap();
        let old = Hasher::new(CHEAP).unwrap().hash(&password, [7; 16]).unwrap();
        for cost in [HashCost { memory_kib: 128, ..CHEAP }, HashCost { iterations: 2, ..CHEAP }] {
            let verification = Hasher::new(cost).unwrap().verify(&password, &old);
            assert_eq!(verification, Ok(Verification::Matches { outdated: true }));
        }
        let two_lanes = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 2, Some(32)).unwrap());
        let old = two_lanes.hash_password_with_salt(password.in_nfc().as_bytes(), &[7; 16]).unwrap().to_string();
        let verification = Hasher::new(CHEAP).unwrap().verify(&password, &old);
        assert_eq!(verification, Ok(Verification::Matches { outdated: true }));
    }

    #[test]
    fn ours_are_of_the_nfc_and_imported_ones_of_what_was_typed_or_of_the_nfc() {
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
            // Nobody makes this here.
            (&of_decomposed, &differs, &differs),
            (&format!("argon2{of_composed}"), &replaced, &replaced),
            (&format!("argon2{of_decomposed}"), &differs, &replaced),
            // Made with libxcrypt, of the composed and of the decomposed one.
            ("$2b$05$abcdefghijklmnopqrstuusTJFCVMZBlQP1dwbtUrCxhcr59UYFQO", &replaced, &replaced),
            ("$2b$05$abcdefghijklmnopqrstuusKeFw3RaP1O7CX4UsL1Zvha7joCwYZ.", &differs, &replaced),
        ] {
            assert_eq!(hasher.verify(&composed, stored), *for_composed, "{stored}");
            assert_eq!(hasher.verify(&decomposed, stored), *for_decomposed, "{stored}");
        }
    }

    #[test]
    fn what_is_ours_or_nobodys_is_hashed_once_in_whatever_spelling() {
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
    fn a_slip_in_either_spelling_does_not_become_the_password() {
        let hasher = Hasher::new(CHEAP).unwrap();
        // 71 bytes in NFC, more than bcrypt reads as it was typed.
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

    /// Those of phc-winner-argon2's test.c, of version 0x10, which its strings do not name.
    #[test]
    fn the_first_version_of_argon2_verifies() {
        let hasher = Hasher::new(CHEAP).unwrap();
        let stored = "$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY";
        let verify = |text| hasher.verify(&Password::for_login(text).unwrap(), stored);
        assert_eq!(verify("password"), Ok(Verification::Matches { outdated: true }));
        assert_eq!(verify("Password"), Ok(Verification::Differs));
    }

    #[test]
    fn strings_are_those_of_the_argon2_crate_and_every_one_of_its_verifies() {
        let password = Password::for_login("correct horse battery staple").unwrap();
        let hash_as = |algorithm, version, params| {
            let argon2 = Argon2::new(algorithm, version, params);
            argon2.hash_password_with_salt(password.in_nfc().as_bytes(), &[7; 16]).unwrap().to_string()
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
    fn a_dearer_argon2_has_a_higher_price() {
        let price = |m: u32, t: u32| {
            let hasher = Hasher::new(HashCost { memory_kib: m, iterations: t }).unwrap();
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
        let [composed, decomposed] = ["caf\u{e9}", "cafe\u{301}"].map(|text| Password::for_login(text).unwrap());
        let today = hasher.cpu_micros();
        let of = |text: &str| StoredHash::parse(text).unwrap_or_else(|error| panic!("{error}")).cpu_micros();
        let ours = hasher.hash(&composed, [7; 16]).unwrap();
        assert_eq!(hasher.price(&composed, &ours), today);
        let dearer = Hasher::new(HashCost { iterations: 3, ..CHEAP }).unwrap();
        let outdated = dearer.hash(&composed, [7; 16]).unwrap();
        assert_eq!(hasher.price(&composed, &outdated), dearer.cpu_micros() + today);
        let bcrypt = "$2b$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        assert_eq!(hasher.price(&composed, bcrypt), of(bcrypt) + today);
        assert_eq!(hasher.price(&decomposed, bcrypt), 2 * of(bcrypt) + today);
        // In NFKC all spellings are one.
        let nfkc = "$scrypt-nfkc$ln=14,r=16,p=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(hasher.price(&decomposed, nfkc), of(nfkc) + today);
        // Ours are of the NFC alone, others are not, and always replaced.
        assert_eq!(hasher.price(&decomposed, &ours), today);
        let imported = format!("argon2{ours}");
        assert_eq!(hasher.price(&composed, &imported), 2 * today);
        assert_eq!(hasher.price(&decomposed, &imported), 3 * today);
        // What bcrypt does not read whole is not replaced.
        let long = Password::for_login(&"a".repeat(72)).unwrap();
        assert_eq!(hasher.price(&long, bcrypt), of(bcrypt));
        for none in
            ["", "password", "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "$argon2id$v=19$m=64"]
        {
            assert_eq!(hasher.price(&decomposed, none), 0, "{none}");
        }
    }
}
