//! Password hashes in the form in which `users.password_hash` stores them.
//!
//! **Own** hashes are PHC strings of Argon2id over the password in NFC.
//!
//! **Imported** hashes were computed from the password as typed elsewhere, so their form differs from that of own ones:
//!
//! | made by | string |
//! |---|---|
//! | Argon2, any variant | the PHC string after `argon2`, as in Django: `argon2$argon2id$v=19$…` |
//! | an algorithm of [`super::imported`] | as described there |
//! | one of these, wrapped because it is weak | `$wrapped`, the string of the weak hash with the length of the hash in bytes instead of the hash, and the PHC string of Argon2id over the weak hash: `$wrapped$pbkdf2-sha1$i=1000$SALT$20$argon2id$v=19$…` |

use std::fmt;

use super::argon2_hash::{Argon2Hash, Argon2Scheme};
use super::imported::{Algorithm, ImportedHash, Scheme};
use super::memory::KeptMemory;
use super::{HashError, Password};

/// The prefix of an imported Argon2 hash.
const IMPORTED_ARGON2: &str = "argon2";
/// The prefix of a wrapped hash.
const WRAPPED: &str = "$wrapped";
/// The prefix of the outer hash of a wrapped one.
const OUTER: &str = "$argon2id$";

/// A stored hash. The `Display` is its stored form. No `Debug`: it is as sensitive as a password.
pub struct StoredHash(Kind);

enum Kind {
    /// Argon2id of the password in NFC.
    Own(Argon2Hash),
    ImportedArgon2(Argon2Hash),
    Imported(ImportedHash),
    /// `outer` is Argon2id of the hash by `weak`, which is `length` bytes long.
    Wrapped {
        weak: WeakScheme,
        length: usize,
        outer: Argon2Hash,
    },
}

enum WeakScheme {
    Argon2(Argon2Scheme),
    Imported(Scheme),
}

impl StoredHash {
    /// Parses a stored hash, or a hash in one of the forms of other systems, and limits the cost of its verification. Argon2
    /// without the prefix of imported hashes is an own hash.
    ///
    /// # Errors
    /// [`HashError`] says what is invalid.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        if text.starts_with("$argon2") {
            return Ok(Self(Kind::Own(Argon2Hash::parse(text)?)));
        }
        if let Some(text) = text.strip_prefix(WRAPPED).filter(|text| text.starts_with('$')) {
            return Ok(Self(parse_wrapped(text)?));
        }
        Ok(Self(match text.strip_prefix(IMPORTED_ARGON2).filter(|phc| phc.starts_with("$argon2")) {
            Some(phc) => Kind::ImportedArgon2(Argon2Hash::parse(phc)?),
            None => Kind::Imported(ImportedHash::parse(text)?),
        }))
    }

    /// Parses a hash of another system, where Argon2 has no prefix.
    ///
    /// # Errors
    /// [`HashError`] says what is invalid.
    pub fn import(text: &str) -> Result<Self, HashError> {
        Self::parse(text).map(|hash| match hash.0 {
            Kind::Own(hash) => Self(Kind::ImportedArgon2(hash)),
            imported => Self(imported),
        })
    }

    /// The CPU time of verifying one text, in microseconds.
    #[must_use]
    pub fn cpu_micros(&self) -> u64 {
        match &self.0 {
            Kind::Own(hash) | Kind::ImportedArgon2(hash) => hash.scheme().cpu_micros(),
            Kind::Imported(hash) => hash.cpu_micros(),
            Kind::Wrapped { weak, length, outer } => {
                weak.cpu_micros(*length).saturating_add(outer.scheme().cpu_micros())
            }
        }
    }

    /// The name of the algorithm if its parameters are below the minimums of OWASP. A wrapped hash is not weak.
    #[must_use]
    pub fn weakness(&self) -> Option<&'static str> {
        match &self.0 {
            Kind::Own(hash) | Kind::ImportedArgon2(hash) => hash.scheme().is_weak().then_some("Argon2"),
            Kind::Imported(hash) => {
                let algorithm = hash.scheme().algorithm();
                algorithm.is_weak().then_some(algorithm.name())
            }
            Kind::Wrapped { .. } => None,
        }
    }

    /// Wraps an imported hash by hashing it with `outer`.
    pub(super) fn wrap(self, outer: impl FnOnce(&[u8]) -> Result<Argon2Hash, HashError>) -> Result<Self, HashError> {
        let (weak, hash) = match self.0 {
            Kind::ImportedArgon2(hash) => {
                let (scheme, hash) = hash.into_parts();
                (WeakScheme::Argon2(scheme), hash.as_bytes().to_vec())
            }
            Kind::Imported(hash) => {
                let (scheme, hash) = hash.into_parts();
                (WeakScheme::Imported(scheme), hash)
            }
            other @ (Kind::Own(_) | Kind::Wrapped { .. }) => return Ok(Self(other)),
        };
        Ok(Self(Kind::Wrapped { weak, length: hash.len(), outer: outer(&hash)? }))
    }

    /// The Argon2 hash if this is an own hash.
    pub(super) fn own(&self) -> Option<&Argon2Hash> {
        match &self.0 {
            Kind::Own(hash) => Some(hash),
            Kind::ImportedArgon2(_) | Kind::Imported(_) | Kind::Wrapped { .. } => None,
        }
    }

    /// The spellings of a password that this may be the hash of. An own hash is of the NFC. An imported one is of the password
    /// as typed, or of the NFC, which another keyboard may have produced.
    pub(super) fn spellings<'a>(&self, password: &'a Password) -> impl Iterator<Item = &'a str> + use<'a> {
        let reads_typed =
            self.own().is_none() && self.imported_algorithm().is_none_or(Algorithm::distinguishes_spellings);
        password.typed.as_deref().filter(|_| reads_typed).into_iter().chain([password.nfc.as_str()])
    }

    /// Whether the hash depends on every character of the text; see [`Algorithm::reads_whole`].
    pub(super) fn reads_whole(&self, text: &str) -> bool {
        self.imported_algorithm().is_none_or(|algorithm| algorithm.reads_whole(text))
    }

    /// Whether this is the hash of the text.
    pub(super) fn matches(&self, text: &str, memory: KeptMemory) -> Result<bool, HashError> {
        match &self.0 {
            Kind::Own(hash) | Kind::ImportedArgon2(hash) => hash.matches(text.as_bytes(), memory),
            Kind::Imported(hash) => Ok(with_memory_for(hash.scheme(), memory, || hash.verify(text))),
            Kind::Wrapped { weak, length, outer } => {
                let mut inner = vec![0; *length];
                let may_match = weak.compute(text, memory, &mut inner)?;
                Ok(outer.matches(&inner, memory)? && may_match)
            }
        }
    }

    /// The algorithm of an imported hash, if it is not Argon2.
    fn imported_algorithm(&self) -> Option<&dyn Algorithm> {
        match &self.0 {
            Kind::Imported(hash) => Some(hash.scheme().algorithm()),
            Kind::Wrapped { weak: WeakScheme::Imported(scheme), .. } => Some(scheme.algorithm()),
            Kind::Own(_) | Kind::ImportedArgon2(_) | Kind::Wrapped { weak: WeakScheme::Argon2(_), .. } => None,
        }
    }
}

impl WeakScheme {
    fn cpu_micros(&self, length: usize) -> u64 {
        match self {
            Self::Argon2(scheme) => scheme.cpu_micros(),
            Self::Imported(scheme) => scheme.cpu_micros(length),
        }
    }

    /// See [`Algorithm::compute`].
    fn compute(&self, text: &str, memory: KeptMemory, computed: &mut [u8]) -> Result<bool, HashError> {
        match self {
            Self::Argon2(scheme) => scheme.compute(text.as_bytes(), memory, computed).map(|()| true),
            Self::Imported(scheme) => {
                Ok(with_memory_for(scheme, memory, || scheme.algorithm().compute(text, computed)))
            }
        }
    }
}

/// Frees the kept memory during the computation if the algorithm needs memory of its own.
fn with_memory_for<T>(scheme: &Scheme, memory: KeptMemory, compute: impl FnOnce() -> T) -> T {
    if scheme.algorithm().needs_memory() { memory.while_freed(compute) } else { compute() }
}

/// Parses a wrapped hash without its prefix.
fn parse_wrapped(text: &str) -> Result<Kind, HashError> {
    let malformed = || HashError::new("a malformed wrapped hash".to_owned());
    let at = text.rfind(OUTER).ok_or_else(malformed)?;
    let (weak, outer) = text.split_at_checked(at).ok_or_else(malformed)?;
    let (weak, length) = weak.rsplit_once('$').ok_or_else(malformed)?;
    let length = length.parse().ok().filter(|number: &usize| number.to_string() == length).ok_or_else(malformed)?;
    let weak = if weak.starts_with("$argon2") {
        let (scheme, hash) = Argon2Scheme::parse(weak)?;
        if hash.is_some() || !scheme.allows_length(length) {
            return Err(malformed());
        }
        WeakScheme::Argon2(scheme)
    } else {
        WeakScheme::Imported(Scheme::parse(weak, length)?)
    };
    Ok(Kind::Wrapped { weak, length, outer: Argon2Hash::parse(outer)? })
}

impl fmt::Display for StoredHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Own(hash) => hash.fmt(formatter),
            Kind::ImportedArgon2(hash) => write!(formatter, "{IMPORTED_ARGON2}{hash}"),
            Kind::Imported(hash) => hash.fmt(formatter),
            Kind::Wrapped { weak, length, outer } => write!(formatter, "{WRAPPED}{weak}${length}{outer}"),
        }
    }
}

impl fmt::Display for WeakScheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argon2(scheme) => scheme.fmt(formatter),
            Self::Imported(scheme) => scheme.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{HashCost, Hasher, Password, Verification};
    use super::StoredHash;

    const CHEAP: HashCost = HashCost { memory_kib: 64, iterations: 1 };
    const HASH: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn parse(text: &str) -> StoredHash {
        StoredHash::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn import(text: &str) -> StoredHash {
        StoredHash::import(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn wrap(hasher: &Hasher, text: &str) -> String {
        hasher.wrap(import(text), [7; 16]).unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
    }

    #[test]
    fn imported_argon2_keeps_its_prefix() {
        let phc = format!("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ${HASH}");
        let imported = import(&phc).to_string();
        assert_eq!(imported, format!("argon2{phc}"));
        assert_eq!(import(&imported).to_string(), imported);
        assert_eq!(parse(&imported).to_string(), imported);
        assert_eq!(parse(&phc).to_string(), phc);
        let bcrypt = "$2b$12$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        assert_eq!(import(bcrypt).to_string(), bcrypt);
    }

    #[test]
    fn argon2_is_accepted_within_the_limits_only() {
        let tail = "c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for good in [
            format!("$argon2id$v=19$m=65536,t=16,p=4${tail}"),
            format!("$argon2i$v=16$m=8,t=64,p=1${tail}"),
            format!("$argon2d$v=19$m=64,t=1,p=8${tail}"),
            format!("$argon2id$v=19$m=64,t=1,p=1,data=AAAA${tail}"),
        ] {
            assert_eq!(parse(&good).to_string(), good);
            let imported = format!("argon2{good}");
            assert_eq!(parse(&imported).to_string(), imported);
        }
        assert_eq!(
            parse(&format!("$argon2i$m=64,t=1,p=1${tail}")).to_string(),
            format!("$argon2i$v=16$m=64,t=1,p=1${tail}")
        );
        let password = Password::for_login("x").unwrap();
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
            (format!("argon2id$v=19$m=64,t=1,p=1${tail}"), "known format"),
        ] {
            let error = StoredHash::parse(&bad).err().unwrap_or_else(|| panic!("{bad}")).to_string();
            assert!(error.contains(why), "{bad}: {error}");
            assert!(Hasher::new(CHEAP).unwrap().verify(&password, &bad).is_err());
        }
    }

    #[test]
    fn a_weak_hash_has_a_name_and_a_wrapped_one_is_not_weak() {
        let weakness = |text: &str| import(text).weakness();
        let argon2 = |cost: &str| format!("$argon2id$v=19${cost}$c2FsdHNhbHQ${HASH}");
        assert_eq!(weakness(&argon2("m=19456,t=1,p=1")), Some("Argon2"));
        assert_eq!(weakness(&argon2("m=19456,t=2,p=1")), None);
        let weak = format!("$pbkdf2-sha256$i=1000$c2FsdA${HASH}");
        assert_eq!(weakness(&weak), Some("PBKDF2-SHA256"));
        assert_eq!(weakness(&wrap(&Hasher::new(CHEAP).unwrap(), &weak)), None);
    }

    #[test]
    fn a_wrapped_hash_verifies_like_the_weak_one_without_containing_it() {
        let hasher = Hasher::new(CHEAP).unwrap();
        for (weak, begin, password) in [
            (
                "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe",
                "$wrapped$2a$06$m0CrhHm10qJ3lXRY.5zDGO$23$argon2id$v=19$m=64,t=1,p=1$",
                "a",
            ),
            (
                "$pbkdf2-sha1$i=4096$c2FsdA$SwB5AbdlSJq+rUnZJvch0GWkKcE",
                "$wrapped$pbkdf2-sha1$i=4096$c2FsdA$20$argon2id$",
                "password",
            ),
            (
                "pbkdf2_sha256$12000$seasalt$Ybw8zsFxqja97tY/o6G+Fy1ksY4U/Hw3DRrGED6Up4s=",
                "$wrapped$pbkdf2-sha256$i=12000$c2Vhc2FsdA$32$argon2id$",
                "l\u{e8}tmein",
            ),
            (
                "$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
                "$wrapped$argon2i$v=16$m=256,t=2,p=1$c29tZXNhbHQ$32$argon2id$",
                "password",
            ),
            (
                "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==",
                "$wrapped$fbscrypt$v=1,n=14,",
                "user1password",
            ),
        ] {
            let wrapped = wrap(&hasher, weak);
            assert!(wrapped.starts_with(begin), "{wrapped}");
            let (_, tail) = weak.split_at(weak.len() - 20);
            assert!(!wrapped.contains(tail), "{wrapped}");
            assert_eq!(parse(&wrapped).to_string(), wrapped);
            assert_eq!(import(&wrapped).to_string(), wrapped);
            assert_eq!(wrap(&hasher, &wrapped), wrapped);
            let verify = |text: &str| hasher.verify(&Password::for_login(text).unwrap(), &wrapped);
            assert_eq!(verify(password), Ok(Verification::Matches { outdated: true }), "{wrapped}");
            assert_eq!(verify(&format!("{password}x")), Ok(Verification::Differs), "{wrapped}");
            assert_eq!(parse(&wrapped).cpu_micros(), import(weak).cpu_micros() + hasher.cpu_micros());
        }
    }

    #[test]
    fn a_wrapped_hash_follows_the_rules_of_the_weak_one() {
        let hasher = Hasher::new(CHEAP).unwrap();
        // Openwall's: 72 bytes.
        let text = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        let wrapped = wrap(&hasher, "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui");
        let verify = |text: &str, stored: &str| hasher.verify(&Password::for_login(text).unwrap(), stored);
        assert_eq!(verify(&format!("{text} and more"), &wrapped), Ok(Verification::Matches { outdated: false }));
        // The hash of the composed spelling.
        let cafe = wrap(&hasher, "$2b$05$abcdefghijklmnopqrstuusTJFCVMZBlQP1dwbtUrCxhcr59UYFQO");
        assert_eq!(verify("cafe\u{301} au lait", &cafe), Ok(Verification::Matches { outdated: true }));
        let a = wrap(&hasher, "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe");
        assert_eq!(verify("a\0a", &a), Ok(Verification::Differs));
        let decomposed = Password::for_login("cafe\u{301}").unwrap();
        assert_eq!(hasher.price(&decomposed, &cafe), 2 * parse(&cafe).cpu_micros() + hasher.cpu_micros());
    }

    #[test]
    fn an_invalid_wrapped_hash_is_refused() {
        let outer = format!("$argon2id$v=19$m=64,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw${HASH}");
        for (bad, why) in [
            ("$wrapped".to_owned(), "known format"),
            ("$wrapped$".to_owned(), "wrapped"),
            (format!("$wrapped{outer}"), "wrapped"),
            (format!("$wrapped$32{outer}"), "known format"),
            (format!("$wrapped$pbkdf2-sha256$i=1000$c2FsdA{outer}"), "wrapped"),
            (format!("$wrapped$pbkdf2-sha256$i=1000$c2FsdA$032{outer}"), "wrapped"),
            (format!("$wrapped$pbkdf2-sha256$i=1000$c2FsdA$+32{outer}"), "wrapped"),
            (format!("$wrapped$pbkdf2-sha256$i=1000$c2FsdA$8{outer}"), "16 to 64"),
            (format!("$wrapped$pbkdf2-sha256$i=1000$c2FsdA$65{outer}"), "16 to 64"),
            (format!("$wrapped$pbkdf2-sha256$i=2000001$c2FsdA$32{outer}"), "costly"),
            (format!("$wrapped$2b$15$abcdefghijklmnopqrstuu$23{outer}"), "costly"),
            (format!("$wrapped$2b$05$abcdefghijklmnopqrstuu$24{outer}"), "length"),
            (format!("$wrapped$argon2id$v=19$m=65537,t=1,p=1$c2FsdHNhbHQ$32{outer}"), "costly"),
            (format!("$wrapped$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$9{outer}"), "wrapped"),
            (format!("$wrapped$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ${HASH}$32{outer}"), "wrapped"),
            (format!("$wrapped$wrapped$2b$05$abcdefghijklmnopqrstuu$23$23{outer}"), "known format"),
            (
                "$wrapped$2b$05$abcdefghijklmnopqrstuu$23$argon2id$v=19$m=64,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw".to_owned(),
                "no hash",
            ),
            (format!("$wrapped$2b$05$abcdefghijklmnopqrstuu$23{}", outer.replace("m=64", "m=65537")), "costly"),
        ] {
            let error = StoredHash::parse(&bad).err().unwrap_or_else(|| panic!("{bad}")).to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
