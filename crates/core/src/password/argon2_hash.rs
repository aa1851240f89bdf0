//! Argon2 hashes in PHC strings, of any variant and version, that can be verified within bounds.

use std::fmt;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Params, Version};
use argon2_simd128::Memory;
use subtle::ConstantTimeEq as _;

use super::cost::argon2_micros;
use super::memory::Kept;
use super::{HashCost, HashError};

/// Of a stored hash, passes and lanes: what they cost beside m·t.
const MAX_STORED_ITERATIONS: u32 = 64;
/// See [`MAX_STORED_ITERATIONS`].
const MAX_STORED_PARALLELISM: u32 = 64;

/// What an Argon2 hash is computed by beside the password. Its `Display` is the PHC string without the hash.
pub(super) struct Argon2Scheme {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Salt,
    phc: Box<PasswordHash>,
}

/// An Argon2 hash. Its `Display` is the PHC string.
pub(super) struct Argon2Hash {
    scheme: Argon2Scheme,
    hash: Output,
}

impl Argon2Scheme {
    /// Argon2id version 0x13.
    pub(super) fn today(params: &Params, salt: &[u8]) -> Result<Self, HashError> {
        let salt = Salt::new(salt).map_err(refused)?;
        let phc = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(params).map_err(refused)?,
            salt: Some(salt),
            hash: None,
        };
        let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
        Ok(Self { algorithm, version, params: params.clone(), salt, phc: Box::new(phc) })
    }

    /// Reads a PHC string; its hash is apart, if it has one.
    pub(super) fn parse(text: &str) -> Result<(Self, Option<Output>), HashError> {
        let mut phc = PasswordHash::new(text).map_err(refused)?;
        let algorithm = Algorithm::try_from(phc.algorithm.as_str()).map_err(refused)?;
        // Without a version it was made with the first: those strings are older than the field.
        let version = Version::try_from(*phc.version.get_or_insert(Version::V0x10.into())).map_err(refused)?;
        let params = Params::try_from(&phc).map_err(refused)?;
        let work = u64::from(params.m_cost()).saturating_mul(params.t_cost().into());
        let is_wide = params.t_cost() > MAX_STORED_ITERATIONS || params.p_cost() > MAX_STORED_PARALLELISM;
        if params.m_cost() > HashCost::MAX_MEMORY_KIB || work > HashCost::MAX_WORK || is_wide {
            return Err(refused(
                "too costly to verify: it is taken with m up to 65536 (64 MiB), m*t up to 1048576, t and p up to 64",
            ));
        }
        if !params.keyid().is_empty() {
            return Err(refused("made with a secret key, which is not known here"));
        }
        let salt = phc.salt.ok_or_else(|| refused("without a salt"))?;
        let hash = phc.hash.take();
        Ok((Self { algorithm, version, params, salt, phc: Box::new(phc) }, hash))
    }

    /// Whether a hash of that length can be this one's.
    pub(super) fn takes_length(&self, length: usize) -> bool {
        self.params.output_len().is_none_or(|own| own == length)
            && (Output::MIN_LENGTH..=Output::MAX_LENGTH).contains(&length)
    }

    /// The CPU time of one hash, in microseconds.
    pub(super) fn cpu_micros(&self) -> u64 {
        argon2_micros(&self.params)
    }

    /// Whether its parameters are below the floors of OWASP.
    pub(super) fn is_weak(&self) -> bool {
        !HashCost { memory_kib: self.params.m_cost(), iterations: self.params.t_cost() }.is_strong_enough()
    }

    /// Fills `computed` with the hash of those bytes.
    pub(super) fn compute(&self, bytes: &[u8], kept: Kept, computed: &mut [u8]) -> Result<(), HashError> {
        let params = argon2_simd128::Params {
            variant: match self.algorithm {
                Algorithm::Argon2d => argon2_simd128::Variant::D,
                Algorithm::Argon2i => argon2_simd128::Variant::I,
                Algorithm::Argon2id => argon2_simd128::Variant::Id,
            },
            version: match self.version {
                Version::V0x10 => argon2_simd128::Version::V0x10,
                Version::V0x13 => argon2_simd128::Version::V0x13,
            },
            memory_kib: self.params.m_cost(),
            passes: self.params.t_cost(),
            lanes: self.params.p_cost(),
        };
        let input = argon2_simd128::Input {
            password: bytes,
            salt: &self.salt,
            secret: &[],
            associated_data: self.params.data(),
        };
        let hash = |memory: &mut Memory| argon2_simd128::hash(&params, &input, memory, computed);
        kept.hash_in(self.params.m_cost(), hash).map_err(refused)
    }

    /// The hash of those bytes, of that length.
    pub(super) fn hash(self, bytes: &[u8], length: usize, kept: Kept) -> Result<Argon2Hash, HashError> {
        let mut room = [0; Output::MAX_LENGTH];
        let tag = room.get_mut(..length).ok_or_else(|| refused("too long a hash"))?;
        self.compute(bytes, kept, tag)?;
        let hash = Output::new(tag).map_err(refused)?;
        Ok(Argon2Hash { scheme: self, hash })
    }
}

impl Argon2Hash {
    /// Reads a PHC string.
    pub(super) fn parse(text: &str) -> Result<Self, HashError> {
        let (scheme, hash) = Argon2Scheme::parse(text)?;
        Ok(Self { scheme, hash: hash.ok_or_else(|| refused("without a hash"))? })
    }

    /// What it is computed by, and the hash itself.
    pub(super) fn into_parts(self) -> (Argon2Scheme, Output) {
        (self.scheme, self.hash)
    }

    /// What it is computed by.
    pub(super) fn scheme(&self) -> &Argon2Scheme {
        &self.scheme
    }

    /// Whether it is the hash of those bytes, found in constant time.
    pub(super) fn is_of(&self, bytes: &[u8], kept: Kept) -> Result<bool, HashError> {
        let mut room = [0; Output::MAX_LENGTH];
        let tag = room.get_mut(..self.hash.len()).ok_or_else(|| refused("too long a hash"))?;
        self.scheme.compute(bytes, kept, tag)?;
        Ok(tag.ct_eq(self.hash.as_bytes()).into())
    }

    /// Whether it is made as hashes are made today.
    pub(super) fn is_of_today(&self, today: &Params, salt_len: usize, hash_len: usize) -> bool {
        let Argon2Scheme { algorithm, version, params, salt, .. } = &self.scheme;
        (params.m_cost(), params.t_cost(), params.p_cost()) == (today.m_cost(), today.t_cost(), today.p_cost())
            && (*algorithm, *version) == (Algorithm::Argon2id, Version::V0x13)
            && salt.len() >= salt_len
            && self.hash.len() == hash_len
    }
}

impl fmt::Display for Argon2Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.phc.fmt(formatter)
    }
}

impl fmt::Display for Argon2Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}${}", self.scheme, self.hash)
    }
}

pub(super) fn refused(error: impl fmt::Display) -> HashError {
    HashError::new(format!("argon2: {error}"))
}
