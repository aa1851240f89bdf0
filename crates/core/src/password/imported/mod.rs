//! Password hashes of other systems, except Argon2. They are verified until their owners log in, and then replaced.
//!
//! **Stored form.** One self-describing string. Base64 is the standard one without padding (PHC string format), except in
//! bcrypt, which has its own alphabet, and in Firebase, whose string is that of Supabase Auth.
//!
//! | algorithm | string |
//! |---|---|
//! | bcrypt | `$2b$COST$SALT+HASH`, also `2a` and `2y` |
//! | PBKDF2 | `$pbkdf2-sha256$i=ITERATIONS$SALT$HASH`, also `sha1` and `sha512` |
//! | scrypt | `$scrypt$ln=LOG2_N,r=R,p=P$SALT$HASH` |
//! | scrypt over the password in NFKC | `$scrypt-nfkc$ln=LOG2_N,r=R,p=P$SALT$HASH` |
//! | Firebase | `$fbscrypt$v=1,n=MEM_COST,r=ROUNDS,p=1,ss=SALT_SEPARATOR,sk=SIGNER_KEY$SALT$HASH` |
//!
//! **Accepted forms.** [`ImportedHash::parse`] also reads the strings of Django, ASP.NET Core Identity (versions 2 and 3),
//! passlib and better-auth, and Firebase's in base64url.
//!
//! **Cost.** Parsing limits the cost of a verification to 64 MiB and about two seconds of CPU time.

mod bcrypt;
mod firebase;
mod pbkdf2;
mod scrypt;
#[cfg(test)]
mod tests;

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD_NO_PAD;
use subtle::ConstantTimeEq as _;

use ImportedHashError::{Malformed, Unknown, Unsupported};
use bcrypt::Bcrypt;
use firebase::Firebase;
use pbkdf2::{Pbkdf2, Prf};
use scrypt::Scrypt;

/// Maximum length of a string, in bytes.
const MAX_STRING_BYTES: usize = 1024;
/// Permitted length of a hash, in bytes. A shorter one might match a wrong password.
const HASH_BYTES: std::ops::RangeInclusive<usize> = 16..=64;
/// CPU time of a verification with minimum parameters, in nanoseconds.
const MIN_NANOS: u64 = 100_000;

/// Formats that are recognised by their prefix and not supported.
const UNSUPPORTED: [(&str, &str); 23] = [
    ("$wp$", "WordPress 6.8 or newer, which hashes the password before bcrypt"),
    ("$P$", "phpass of WordPress before 6.8, based on MD5"),
    ("$H$", "phpass of phpBB, based on MD5"),
    ("$S$", "Drupal 7 to 10.0, which iterates SHA-512 in its own way"),
    ("U$S$", "Drupal 7, an upgraded hash based on MD5"),
    ("U$P$", "Drupal 7, an upgraded hash based on MD5"),
    ("bcrypt_sha256$", "BCryptSHA256PasswordHasher of Django, which hashes the password before bcrypt"),
    ("$bcrypt-sha256$", "bcrypt_sha256 of passlib, which hashes the password before bcrypt"),
    ("$2x$", "the incorrect bcrypt of PHP before 5.3.7"),
    ("$1$", "crypt of Unix, based on MD5"),
    ("$apr1$", "crypt of Apache, based on MD5"),
    ("$5$", "crypt of Unix, based on SHA-256"),
    ("$6$", "crypt of Unix, based on SHA-512"),
    ("$7$", "scrypt in the format of crypt"),
    ("$y$", "yescrypt"),
    ("$gy$", "yescrypt"),
    ("md5$", "a single MD5, which is too weak"),
    ("sha1$", "a single SHA-1, which is too weak"),
    ("unsalted_", "a single hash without a salt, which is too weak"),
    ("scrypt:", "scrypt in the format of Werkzeug"),
    ("pbkdf2:", "PBKDF2 in the format of Werkzeug"),
    ("{", "a format of LDAP"),
    ("!", "Django's marker of an account without a password: remove the line"),
];

/// Accepts both paddings, since systems differ, but only canonical trailing bits.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A hash of another system whose verification has a limited cost. No `Debug`: it is as sensitive as a password.
#[derive(Clone, PartialEq, Eq)]
pub struct ImportedHash {
    scheme: Scheme,
    hash: Vec<u8>,
}

/// Everything a hash is computed from except the password: algorithm, parameters and salt.
#[derive(Clone, PartialEq, Eq)]
pub enum Scheme {
    Bcrypt(Bcrypt),
    Pbkdf2(Pbkdf2),
    Scrypt(Scrypt),
    Firebase(Firebase),
}

/// What all algorithms have in common. The `Display` is the stored form without the hash.
pub trait Algorithm: fmt::Display {
    fn name(&self) -> &'static str;

    /// Whether the parameters are below the minimums of the OWASP Password Storage Cheat Sheet.
    fn is_weak(&self) -> bool;

    /// Checks the length of a hash, in bytes, and the cost of computing one of that length.
    fn check_length(&self, length: usize) -> Result<(), ImportedHashError> {
        check_hash_bytes(length)
    }

    /// The CPU time of one hash of `length` bytes beyond [`MIN_NANOS`], in nanoseconds. Measured like that of Argon2; see
    /// `cost.rs`.
    fn nanos(&self, length: usize) -> u64;

    /// Whether one hash needs several MiB of memory.
    fn needs_memory(&self) -> bool {
        false
    }

    /// Whether the hash depends on every character of the text. Otherwise another text has the same hash, and it is unknown
    /// which one is the password.
    fn reads_whole(&self, _text: &str) -> bool {
        true
    }

    /// Whether canonically equivalent texts have different hashes.
    fn distinguishes_spellings(&self) -> bool {
        true
    }

    /// Fills `computed` with the hash of a text. `false` if the text must not match any hash.
    fn compute(&self, text: &str, computed: &mut [u8]) -> bool;

    /// The part of the stored form after the scheme.
    fn encode_hash(&self, hash: &[u8]) -> String {
        format!("${}", BASE64_STANDARD_NO_PAD.encode(hash))
    }
}

/// Why a text is not a supported hash. The text shows nothing of the hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ImportedHashError {
    /// The format is unknown.
    Unknown,
    /// The format is known, but not supported: its description.
    Unsupported(&'static str),
    /// The format is recognised, but a part is invalid: which one.
    Malformed(&'static str),
    /// Verification would cost more than a request may: the limit.
    TooCostly(&'static str),
}

impl fmt::Display for ImportedHashError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => formatter.write_str(
                "not a password hash of a known format (Argon2, bcrypt, PBKDF2, scrypt, Firebase, Django, ASP.NET Core \
                 Identity, better-auth)",
            ),
            Self::Unsupported(format) => write!(formatter, "a password hash of an unsupported format: {format}"),
            Self::Malformed(part) => write!(formatter, "a malformed password hash: {part}"),
            Self::TooCostly(limit) => write!(formatter, "a password hash too costly to verify: {limit}"),
        }
    }
}

impl ImportedHash {
    /// Parses a hash in any of the accepted forms, and limits the cost of its verification.
    pub fn parse(text: &str) -> Result<Self, ImportedHashError> {
        check_text(text)?;
        let (scheme, hash) = read(text)?;
        scheme.algorithm().check_length(hash.len())?;
        Ok(Self { scheme, hash })
    }

    pub fn into_parts(self) -> (Scheme, Vec<u8>) {
        (self.scheme, self.hash)
    }

    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The CPU time of one verification, in microseconds.
    pub fn cpu_micros(&self) -> u64 {
        self.scheme.cpu_micros(self.hash.len())
    }

    /// Whether this is the hash of the text. Compares in constant time.
    pub fn verify(&self, text: &str) -> bool {
        let mut computed = vec![0; self.hash.len()];
        let may_match = self.scheme.algorithm().compute(text, &mut computed);
        bool::from(computed.ct_eq(&self.hash)) && may_match
    }
}

impl Scheme {
    /// Parses the stored form without the hash, and limits the cost of a hash of that length.
    pub fn parse(text: &str, length: usize) -> Result<Self, ImportedHashError> {
        check_text(text)?;
        let scheme = read_scheme(text)?;
        scheme.algorithm().check_length(length)?;
        Ok(scheme)
    }

    pub fn algorithm(&self) -> &dyn Algorithm {
        match self {
            Self::Bcrypt(scheme) => scheme,
            Self::Pbkdf2(scheme) => scheme,
            Self::Scrypt(scheme) => scheme,
            Self::Firebase(scheme) => scheme,
        }
    }

    /// The CPU time of one hash of `length` bytes, in microseconds.
    pub fn cpu_micros(&self, length: usize) -> u64 {
        self.algorithm().nanos(length).saturating_add(MIN_NANOS).div_ceil(1000)
    }
}

impl fmt::Display for ImportedHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.scheme, self.scheme.algorithm().encode_hash(&self.hash))
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.algorithm().fmt(formatter)
    }
}

type Parsed = Result<(Scheme, Vec<u8>), ImportedHashError>;

fn read(text: &str) -> Parsed {
    if let Some((_, format)) = UNSUPPORTED.iter().find(|(prefix, _)| text.starts_with(prefix)) {
        return Err(Unsupported(format));
    }
    // Django's BCryptPasswordHasher adds its own name.
    let text = text.strip_prefix("bcrypt$").unwrap_or(text);
    let fields: Vec<&str> = text.split('$').collect();
    match fields.as_slice() {
        ["", version @ ("2a" | "2b" | "2y"), cost, salt_and_hash] => bcrypt::read(version, cost, salt_and_hash),
        // passlib's name for PBKDF2 with SHA-1.
        ["", "pbkdf2", iterations, salt, hash] => pbkdf2::read_passlib(Prf::Sha1, iterations, salt, hash),
        ["", id @ ("pbkdf2-sha1" | "pbkdf2-sha256" | "pbkdf2-sha512"), cost, salt, hash] => {
            let prf = Prf::parse(id).ok_or(Unknown)?;
            match cost.strip_prefix("i=") {
                Some(parameters) => pbkdf2::read_phc(prf, parameters, salt, hash),
                None => pbkdf2::read_passlib(prf, cost, salt, hash),
            }
        }
        ["", "scrypt" | "scrypt-nfkc", ..] => read_with_scheme(text),
        // Firebase's API uses base64url, its command-line tool base64.
        ["", "fbscrypt", ..] => read_with_scheme(&text.replace('-', "+").replace('_', "/")),
        ["pbkdf2_sha256", iterations, salt, hash] => pbkdf2::read_django(Prf::Sha256, iterations, salt, hash),
        ["pbkdf2_sha1", iterations, salt, hash] => pbkdf2::read_django(Prf::Sha1, iterations, salt, hash),
        [text] => match text.split_once(':') {
            Some((salt, key)) => scrypt::read_better_auth(salt, key),
            None => pbkdf2::read_aspnet(text),
        },
        _ => Err(Unknown),
    }
}

/// Reads a scheme in its stored form, and the hash after it.
fn read_with_scheme(text: &str) -> Parsed {
    let (scheme, hash) = text.rsplit_once('$').ok_or(Malformed("invalid length"))?;
    Ok((read_scheme(scheme)?, base64(hash, "invalid hash")?))
}

/// Reads the stored form without the hash.
fn read_scheme(text: &str) -> Result<Scheme, ImportedHashError> {
    let fields: Vec<&str> = text.split('$').collect();
    match fields.as_slice() {
        ["", version @ ("2a" | "2b" | "2y"), cost, salt] => Bcrypt::read(version, cost, salt).map(Scheme::Bcrypt),
        ["", "scrypt", cost, salt] => Scrypt::read(false, cost, salt).map(Scheme::Scrypt),
        ["", "scrypt-nfkc", cost, salt] => Scrypt::read(true, cost, salt).map(Scheme::Scrypt),
        ["", "fbscrypt", parameters, salt] => Firebase::read(parameters, salt).map(Scheme::Firebase),
        ["", id, cost, salt] => {
            let prf = Prf::parse(id).ok_or(Unknown)?;
            let iterations = cost.strip_prefix("i=").ok_or(Malformed("invalid iterations"))?;
            Pbkdf2::new(prf, iterations, base64(salt, "invalid salt")?).map(Scheme::Pbkdf2)
        }
        _ => Err(Unknown),
    }
}

/// All formats consist of printable ASCII.
fn check_text(text: &str) -> Result<(), ImportedHashError> {
    let is_readable = text.len() <= MAX_STRING_BYTES && text.chars().all(|c| c.is_ascii_graphic());
    if is_readable { Ok(()) } else { Err(Unknown) }
}

fn check_hash_bytes(length: usize) -> Result<(), ImportedHashError> {
    if HASH_BYTES.contains(&length) { Ok(()) } else { Err(Malformed("the hash must be 16 to 64 bytes long")) }
}

/// The value of the first parameter if it has that name, and the parameters after it.
fn parameter<'a>(text: &'a str, name: &str) -> (Option<&'a str>, &'a str) {
    let Some(value_and_rest) = text.strip_prefix(name) else { return (None, text) };
    let (value, rest) = value_and_rest.split_once(',').unwrap_or((value_and_rest, ""));
    (Some(value), rest)
}

/// Parses a decimal number without a sign or leading zeros.
fn decimal<T: std::str::FromStr>(text: &str) -> Option<T> {
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    if canonical { text.parse().ok() } else { None }
}

fn base64(text: &str, error: &'static str) -> Result<Vec<u8>, ImportedHashError> {
    BASE64.decode(text).map_err(|_| Malformed(error))
}
