//! Hashes as `users.password_hash` holds them: ours, and those that were imported.
//!
//! **Ours** is the PHC string of Argon2id, of the password in NFC.
//!
//! **Imported** ones are of what was typed elsewhere, in whatever spelling, so that they are told apart from ours:
//!
//! | made by | string |
//! |---|---|
//! | Argon2, whichever | `argon2` in front of the PHC string, as Django has it: `argon2$argon2id$v=19$…` |
//! | the systems of [`crate::password::imported`] | as there |
//! | a weak one of these, wrapped | `$wrapped`, the weak one's string with its length in bytes in place of its hash, and the PHC string of Argon2id over that hash: `$wrapped$pbkdf2-sha1$i=1000$SALT$20$argon2id$v=19$…` |

use std::fmt;

use super::argon2_hash::{Argon2Hash, Argon2Scheme};
use super::memory::Kept;
use super::{HashError, Password};
use crate::password::imported::{ForeignHash, Scheme};

/// In front of an Argon2 hash that was made elsewhere.
const ELSEWHERE: &str = "argon2";
/// In front of a weak hash that is wrapped.
const WRAPPED: &str = "$wrapped";
/// Where the outer hash of a wrapped one begins.
const OUTER: &str = "$argon2id$";

/// A hash as `users.password_hash` holds it, which its `Display` gives. No `Debug`: it is as good as a password.
pub struct StoredHash(pub(super) Kind);

pub(super) enum Kind {
    /// Argon2id of the password in NFC.
    Ours(Argon2Hash),
    Imported(ImportedHash),
}

/// A hash of what was typed elsewhere.
pub(super) enum ImportedHash {
    Argon2(Argon2Hash),
    Foreign(ForeignHash),
    Wrapped { weak: WeakScheme, length: usize, outer: Argon2Hash },
}

/// What the hash inside a wrapped one is computed by.
pub(super) enum WeakScheme {
    Argon2(Argon2Scheme),
    Foreign(Scheme),
}

impl StoredHash {
    /// Reads a stored hash, also in the forms in which other systems store theirs, and bounds what verifying it costs. Argon2
    /// without the marker in front is ours.
    ///
    /// # Errors
    /// [`HashError`] says what does not fit.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        Ok(Self(if text.starts_with("$argon2") {
            Kind::Ours(Argon2Hash::parse(text)?)
        } else {
            Kind::Imported(ImportedHash::parse(text)?)
        }))
    }

    /// Reads a hash that is brought along from elsewhere, where nobody puts the marker in front.
    ///
    /// # Errors
    /// [`HashError`] says what does not fit.
    pub fn import(text: &str) -> Result<Self, HashError> {
        Self::parse(text).map(|hash| match hash.0 {
            Kind::Ours(hash) => Self(Kind::Imported(ImportedHash::Argon2(hash))),
            imported @ Kind::Imported(_) => Self(imported),
        })
    }

    /// The CPU time of one verification, in microseconds.
    #[must_use]
    pub fn cpu_micros(&self) -> u64 {
        match &self.0 {
            Kind::Ours(hash) | Kind::Imported(ImportedHash::Argon2(hash)) => hash.scheme().cpu_micros(),
            Kind::Imported(ImportedHash::Foreign(hash)) => hash.cpu_micros(),
            Kind::Imported(ImportedHash::Wrapped { weak, length, outer }) => {
                weak.cpu_micros(*length).saturating_add(outer.scheme().cpu_micros())
            }
        }
    }

    /// What it is called if its parameters are below the floors of OWASP, and no other hash is around it.
    #[must_use]
    pub fn weakness(&self) -> Option<&'static str> {
        match &self.0 {
            Kind::Ours(hash) | Kind::Imported(ImportedHash::Argon2(hash)) => {
                hash.scheme().is_weak().then_some("Argon2")
            }
            Kind::Imported(ImportedHash::Foreign(hash)) => hash.scheme().is_weak().then_some(hash.scheme().name()),
            Kind::Imported(ImportedHash::Wrapped { .. }) => None,
        }
    }

    /// Puts a hash around an imported one, which `outer` makes.
    pub(super) fn wrapped(self, outer: impl FnOnce(&[u8]) -> Result<Argon2Hash, HashError>) -> Result<Self, HashError> {
        let (weak, hash) = match self.0 {
            Kind::Imported(ImportedHash::Argon2(hash)) => {
                let (scheme, hash) = hash.into_parts();
                (WeakScheme::Argon2(scheme), hash.as_bytes().to_vec())
            }
            Kind::Imported(ImportedHash::Foreign(hash)) => {
                let (scheme, hash) = hash.into_parts();
                (WeakScheme::Foreign(scheme), hash)
            }
            other => return Ok(Self(other)),
        };
        let wrapped = ImportedHash::Wrapped { weak, length: hash.len(), outer: outer(&hash)? };
        Ok(Self(Kind::Imported(wrapped)))
    }
}

impl ImportedHash {
    fn parse(text: &str) -> Result<Self, HashError> {
        if let Some(text) = text.strip_prefix(WRAPPED).filter(|text| text.starts_with('$')) {
            return wrapped(text);
        }
        match text.strip_prefix(ELSEWHERE).filter(|phc| phc.starts_with("$argon2")) {
            Some(phc) => Ok(Self::Argon2(Argon2Hash::parse(phc)?)),
            None => Ok(Self::Foreign(ForeignHash::parse(text)?)),
        }
    }

    /// The spellings of a password that it may be of: as it was typed, and in NFC, in which another keyboard would have typed
    /// it.
    pub(super) fn spellings<'a>(&self, password: &'a Password) -> impl Iterator<Item = &'a str> + use<'a> {
        let differs = !password.is_typed_in_nfc() && self.tells_spellings_apart();
        std::iter::once(password.typed()).chain(differs.then(|| password.in_nfc()))
    }

    /// Whether it is the hash of that text.
    pub(super) fn is_of(&self, text: &str, kept: Kept) -> Result<bool, HashError> {
        match self {
            Self::Argon2(hash) => hash.is_of(text.as_bytes(), kept),
            Self::Foreign(hash) => Ok(beside(kept, hash.scheme(), || hash.verify(text))),
            Self::Wrapped { weak, length, outer } => {
                let mut inner = vec![0; *length];
                let may_fit = weak.compute(text, kept, &mut inner)?;
                Ok(outer.is_of(&inner, kept)? && may_fit)
            }
        }
    }

    /// Whether all of that text counts; see [`Scheme::reads_all_of`].
    pub(super) fn reads_all_of(&self, text: &str) -> bool {
        self.foreign().is_none_or(|scheme| scheme.reads_all_of(text))
    }

    fn tells_spellings_apart(&self) -> bool {
        self.foreign().is_none_or(Scheme::tells_spellings_apart)
    }

    fn foreign(&self) -> Option<&Scheme> {
        match self {
            Self::Foreign(hash) => Some(hash.scheme()),
            Self::Wrapped { weak: WeakScheme::Foreign(scheme), .. } => Some(scheme),
            Self::Argon2(_) | Self::Wrapped { weak: WeakScheme::Argon2(_), .. } => None,
        }
    }
}

impl WeakScheme {
    fn cpu_micros(&self, length: usize) -> u64 {
        match self {
            Self::Argon2(scheme) => scheme.cpu_micros(),
            Self::Foreign(scheme) => scheme.cpu_micros(length),
        }
    }

    fn compute(&self, text: &str, kept: Kept, computed: &mut [u8]) -> Result<bool, HashError> {
        match self {
            Self::Argon2(scheme) => scheme.compute(text.as_bytes(), kept, computed).map(|()| true),
            Self::Foreign(scheme) => Ok(beside(kept, scheme, || scheme.compute(text, computed))),
        }
    }
}

/// Computes beside the memory that is kept, or in place of it.
fn beside<T>(kept: Kept, scheme: &Scheme, compute: impl FnOnce() -> T) -> T {
    if scheme.takes_memory() { kept.without(compute) } else { compute() }
}

/// Reads what stands behind `$wrapped`.
fn wrapped(text: &str) -> Result<ImportedHash, HashError> {
    let malformed = || HashError::new("a malformed wrapped hash".to_owned());
    let at = text.rfind(OUTER).ok_or_else(malformed)?;
    let (weak, outer) = text.split_at_checked(at).ok_or_else(malformed)?;
    let (weak, length) = weak.rsplit_once('$').ok_or_else(malformed)?;
    let length = length.parse().ok().filter(|number: &usize| number.to_string() == length).ok_or_else(malformed)?;
    let weak = if weak.starts_with("$argon2") {
        let (scheme, hash) = Argon2Scheme::parse(weak)?;
        if hash.is_some() || !scheme.takes_length(length) {
            return Err(malformed());
        }
        WeakScheme::Argon2(scheme)
    } else {
        WeakScheme::Foreign(Scheme::parse(weak, length)?)
    };
    Ok(ImportedHash::Wrapped { weak, length, outer: Argon2Hash::parse(outer)? })
}

impl fmt::Display for StoredHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Ours(hash) => hash.fmt(formatter),
            Kind::Imported(hash) => hash.fmt(formatter),
        }
    }
}

impl fmt::Display for ImportedHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argon2(hash) => write!(formatter, "{ELSEWHERE}{hash}"),
            Self::Foreign(hash) => hash.fmt(formatter),
            Self::Wrapped { weak: WeakScheme::Argon2(weak), length, outer } => {
                write!(formatter, "{WRAPPED}{weak}${length}{outer}")
            }
            Self::Wrapped { weak: WeakScheme::Foreign(weak), length, outer } => {
                write!(formatter, "{WRAPPED}{weak}${length}{outer}")
            }
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
    fn argon2_that_is_imported_says_so_and_goes_on_saying_it() {
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
    fn every_argon2_within_bounds_is_read_and_no_other() {
        let tail = "c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for good in [
            format!("$argon2id$v=19$m=65536,t=16,p=4${tail}"),
            format!("$argon2i$v=16$m=8,t=64,p=1${tail}"),
            format!("$argon2d$v=19$m=64,t=1,p=8${tail}"),
            format!("$argon2id$v=19$m=64,t=1,p=1,data=AAAA${tail}"),
        ] {
            assert_eq!(parse(&good).to_string(), good);
            let elsewhere = format!("argon2{good}");
            assert_eq!(parse(&elsewhere).to_string(), elsewhere);
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
            (format!("argon2id$v=19$m=64,t=1,p=1${tail}"), "known form"),
        ] {
            let error = StoredHash::parse(&bad).err().unwrap_or_else(|| panic!("{bad}")).to_string();
            assert!(error.contains(why), "{bad}: {error}");
            assert!(Hasher::new(CHEAP).unwrap().verify(&password, &bad).is_err());
        }
    }

    #[test]
    fn weak_hashes_are_known_by_name_and_wrapped_ones_are_not_weak() {
        let weakness = |text: &str| import(text).weakness();
        let argon2 = |cost: &str| format!("$argon2id$v=19${cost}$c2FsdHNhbHQ${HASH}");
        assert_eq!(weakness(&argon2("m=19456,t=1,p=1")), Some("Argon2"));
        assert_eq!(weakness(&argon2("m=19456,t=2,p=1")), None);
        let weak = format!("$pbkdf2-sha256$i=1000$c2FsdA${HASH}");
        assert_eq!(weakness(&weak), Some("PBKDF2-SHA256"));
        assert_eq!(weakness(&wrap(&Hasher::new(CHEAP).unwrap(), &weak)), None);
    }

    #[test]
    fn a_wrapped_hash_verifies_as_the_weak_one_did_and_does_not_hold_it() {
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
    fn the_rules_of_a_weak_hash_hold_inside_a_wrapped_one() {
        let hasher = Hasher::new(CHEAP).unwrap();
        // Openwall's, of what bcrypt reads of it.
        let text = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        let wrapped = wrap(&hasher, "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui");
        let verify = |text: &str, stored: &str| hasher.verify(&Password::for_login(text).unwrap(), stored);
        assert_eq!(verify(&format!("{text} and more"), &wrapped), Ok(Verification::Matches { outdated: false }));
        // Of the composed spelling; and a NUL is nobody's.
        let cafe = wrap(&hasher, "$2b$05$abcdefghijklmnopqrstuusTJFCVMZBlQP1dwbtUrCxhcr59UYFQO");
        assert_eq!(verify("cafe\u{301} au lait", &cafe), Ok(Verification::Matches { outdated: true }));
        let a = wrap(&hasher, "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe");
        assert_eq!(verify("a\0a", &a), Ok(Verification::Differs));
        let decomposed = Password::for_login("cafe\u{301}").unwrap();
        assert_eq!(hasher.price(&decomposed, &cafe), 2 * parse(&cafe).cpu_micros() + hasher.cpu_micros());
    }

    #[test]
    fn what_is_no_wrapped_hash_is_refused() {
        let outer = format!("$argon2id$v=19$m=64,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw${HASH}");
        for (bad, why) in [
            ("$wrapped".to_owned(), "known form"),
            ("$wrapped$".to_owned(), "wrapped"),
            (format!("$wrapped{outer}"), "wrapped"),
            (format!("$wrapped$32{outer}"), "known form"),
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
            (format!("$wrapped$wrapped$2b$05$abcdefghijklmnopqrstuu$23$23{outer}"), "known form"),
            (
                "$wrapped$2b$05$abcdefghijklmnopqrstuu$23$argon2id$v=19$m=64,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw".to_owned(),
                "without a hash",
            ),
            (format!("$wrapped$2b$05$abcdefghijklmnopqrstuu$23{}", outer.replace("m=64", "m=65537")), "costly"),
        ] {
            let error = StoredHash::parse(&bad).err().unwrap_or_else(|| panic!("{bad}")).to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
