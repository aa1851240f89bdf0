//! Hashes as `users.password_hash` holds them.

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Params, Version};

use super::HashCost;
use super::cost::argon2_micros;
use super::hasher::{HashError, refused};
use crate::auth::foreign_hash::ForeignHash;

/// Of a stored Argon2 hash, passes and lanes: what they cost beside m·t.
const MOST_STORED_ITERATIONS: u32 = 64;
/// See [`MOST_STORED_ITERATIONS`].
const MOST_STORED_PARALLELISM: u32 = 64;

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

    /// The CPU time of one verification, in microseconds.
    #[must_use]
    pub fn cpu_micros(&self) -> u64 {
        match self {
            // Its parameters were read when it was.
            Self::Argon2(hash) => Params::try_from(hash.as_ref()).as_ref().map_or(0, argon2_micros),
            Self::Foreign(hash) => hash.cpu_micros(),
        }
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
