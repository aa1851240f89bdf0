//! Password hashes that other systems made, but for Argon2. They are verified until their owner logs in, and then replaced by
//! our own.
//!
//! **Stored** is one self-describing string, whose base64 is the standard one without padding (PHC string format), but of
//! Firebase, whose string is that of Supabase Auth, and of bcrypt, which has an alphabet of its own:
//!
//! | system | string |
//! |---|---|
//! | bcrypt | `$2b$COST$SALT+HASH`, `2a` and `2y` likewise |
//! | PBKDF2 | `$pbkdf2-sha256$i=ITERATIONS$SALT$HASH`, `sha1` and `sha512` likewise |
//! | scrypt | `$scrypt$ln=LOG2_N,r=R,p=P$SALT$HASH` |
//! | scrypt over the password in NFKC | `$scrypt-nfkc$ln=LOG2_N,r=R,p=P$SALT$HASH` |
//! | Firebase | `$fbscrypt$v=1,n=MEM_COST,r=ROUNDS,p=1,ss=SALT_SEPARATOR,sk=SIGNER_KEY$SALT$HASH` |
//!
//! **Read** are the same strings as other systems store them: those of Django, of ASP.NET Core Identity (versions 2 and 3),
//! of passlib, of better-auth, and Firebase's with base64url. [`ForeignHash::parse`] takes both kinds, its `Display` gives the
//! stored one.
//!
//! What a verification costs is bounded when a hash is read: at most 64 MiB and some two seconds of a Worker's CPU time.

mod forms;
mod price;
mod scheme;
#[cfg(test)]
mod tests;
mod weak;

use std::fmt;

use subtle::ConstantTimeEq as _;

pub use scheme::Scheme;

/// Of a stored string, in bytes.
const MAX_STRING_BYTES: usize = 1024;

/// A hash that another system made, and that can be verified within bounds. No `Debug`: it is as good as a password.
#[derive(Clone, PartialEq, Eq)]
pub struct ForeignHash {
    scheme: Scheme,
    hash: Vec<u8>,
}

/// Why a text is not a hash that can be verified here. Its text shows nothing of the hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ForeignHashError {
    /// In none of the forms.
    Unknown,
    /// In a form that is known, and is not read: what it is.
    NotRead(&'static str),
    /// Begins like one of the forms, but is none: which part does not fit.
    Malformed(&'static str),
    /// Verifying it would cost more than a request may: the bound.
    TooCostly(&'static str),
}

impl fmt::Display for ForeignHashError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => formatter.write_str(
                "not a password hash of a known form (Argon2, bcrypt, PBKDF2, scrypt, Firebase, Django, ASP.NET Core \
                 Identity, better-auth)",
            ),
            Self::NotRead(what) => write!(formatter, "a password hash that cannot be verified here: {what}"),
            Self::Malformed(part) => write!(formatter, "a malformed password hash: {part}"),
            Self::TooCostly(bound) => write!(formatter, "a password hash too costly to verify: {bound}"),
        }
    }
}

impl ForeignHash {
    /// Reads a hash in any of the forms, and bounds what verifying it costs.
    ///
    /// # Errors
    /// [`ForeignHashError`].
    pub fn parse(text: &str) -> Result<Self, ForeignHashError> {
        check_text(text)?;
        let (scheme, hash) = forms::read(text)?;
        scheme.check_length(hash.len())?;
        Ok(Self { scheme, hash })
    }

    /// What it is computed by, and the hash itself.
    #[must_use]
    pub fn into_parts(self) -> (Scheme, Vec<u8>) {
        (self.scheme, self.hash)
    }

    /// What it is computed by.
    #[must_use]
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The CPU time of one verification, in microseconds.
    #[must_use]
    pub fn cpu_micros(&self) -> u64 {
        self.scheme.cpu_micros(self.hash.len())
    }

    /// Whether this is the hash of the text, found in constant time.
    #[must_use]
    pub fn verify(&self, text: &str) -> bool {
        let mut computed = vec![0; self.hash.len()];
        let may_fit = self.scheme.compute(text, &mut computed);
        bool::from(computed.ct_eq(&self.hash)) && may_fit
    }
}

impl Scheme {
    /// Reads what a hash of that length is computed by, in the stored form without the hash, and bounds what that costs.
    ///
    /// # Errors
    /// [`ForeignHashError`].
    pub fn parse(text: &str, length: usize) -> Result<Self, ForeignHashError> {
        check_text(text)?;
        let scheme = forms::read_scheme(text)?;
        scheme.check_length(length)?;
        Ok(scheme)
    }
}

/// The stored form.
impl fmt::Display for ForeignHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.scheme, self.scheme.encode_hash(&self.hash))
    }
}

/// All forms are of printable ASCII.
fn check_text(text: &str) -> Result<(), ForeignHashError> {
    let is_readable = text.len() <= MAX_STRING_BYTES && text.chars().all(|c| c.is_ascii_graphic());
    if is_readable { Ok(()) } else { Err(ForeignHashError::Unknown) }
}
