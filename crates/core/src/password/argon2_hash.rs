//! Argon2 hashes as PHC strings, of any variant and version. Parsing limits the cost of their verification.

use std::fmt;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Params, Version};
use argon2_simd128::Memory;
use subtle::ConstantTimeEq as _;

use super::cost::argon2_micros;
use super::memory::KeptMemory;
use super::{HashCost, HashError};

/// Maximum t of a stored hash. Each pass has a cost besides m·t.
const MAX_STORED_ITERATIONS: u32 = 64;
/// Maximum p of a stored hash. Each lane has a cost besides m·t.
const MAX_STORED_PARALLELISM: u32 = 64;

/// Everything an Argon2 hash is computed from except the password. The `Display` is the PHC string without the hash.
pub(super) struct Argon2Scheme {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Salt,
    phc: Box<PasswordHash>,
}

/// An Argon2 hash. The `Display` is the PHC string.
pub(super) struct Argon2Hash {
    scheme: Argon2Scheme,
    hash: Output,
}

impl Argon2Scheme {
    /// Argon2id version 0x13 with these parameters.
    pub(super) fn current(params: &Params, salt: &[u8]) -> Result<Self, HashError> {
        let salt = Salt::new(salt).map_err(hash_error)?;
        let phc = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(params).map_err(hash_error)?,
            salt: Some(salt),
            hash: None,
        };
        let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
        Ok(Self { algorithm, version, params: params.clone(), salt, phc: Box::new(phc) })
    }

    /// Parses a PHC string, and returns its hash separately if it has one.
    pub(super) fn parse(text: &str) -> Result<(Self, Option<Output>), HashError> {
        let mut phc = PasswordHash::new(text).map_err(hash_error)?;
        let algorithm = Algorithm::try_from(phc.algorithm.as_str()).map_err(hash_error)?;
        // A string without a version is of version 0x10, which is older than the field.
        let version = Version::try_from(*phc.version.get_or_insert(Version::V0x10.into())).map_err(hash_error)?;
        let params = Params::try_from(&phc).map_err(hash_error)?;
        let work = u64::from(params.m_cost()).saturating_mul(params.t_cost().into());
        let is_too_wide = params.t_cost() > MAX_STORED_ITERATIONS || params.p_cost() > MAX_STORED_PARALLELISM;
        if params.m_cost() > HashCost::MAX_MEMORY_KIB || work > HashCost::MAX_WORK || is_too_wide {
            return Err(hash_error("too costly to verify: the maximum is m=65536 (64 MiB), m*t=1048576, t=64, p=64"));
        }
        if !params.keyid().is_empty() {
            return Err(hash_error("it needs a secret key"));
        }
        let salt = phc.salt.ok_or_else(|| hash_error("it has no salt"))?;
        let hash = phc.hash.take();
        Ok((Self { algorithm, version, params, salt, phc: Box::new(phc) }, hash))
    }

    /// Whether the hash may have that length, in bytes.
    pub(super) fn allows_length(&self, length: usize) -> bool {
        self.params.output_len().is_none_or(|expected| expected == length)
            && (Output::MIN_LENGTH..=Output::MAX_LENGTH).contains(&length)
    }

    /// The CPU time of one hash, in microseconds.
    pub(super) fn cpu_micros(&self) -> u64 {
        argon2_micros(&self.params)
    }

    /// Whether the parameters are below the minimums of OWASP.
    pub(super) fn is_weak(&self) -> bool {
        !HashCost { memory_kib: self.params.m_cost(), iterations: self.params.t_cost() }.is_strong_enough()
    }

    /// Fills `computed` with the hash of the bytes.
    pub(super) fn compute(&self, bytes: &[u8], memory: KeptMemory, computed: &mut [u8]) -> Result<(), HashError> {
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
        let hash = |blocks: &mut Memory| argon2_simd128::hash(&params, &input, blocks, computed);
        memory.hash_in(self.params.m_cost(), hash).map_err(hash_error)
    }

    /// Computes the hash of the bytes, with that length.
    pub(super) fn hash(self, bytes: &[u8], length: usize, memory: KeptMemory) -> Result<Argon2Hash, HashError> {
        let mut buffer = [0; Output::MAX_LENGTH];
        let tag = buffer.get_mut(..length).ok_or_else(|| hash_error("the hash is too long"))?;
        self.compute(bytes, memory, tag)?;
        let hash = Output::new(tag).map_err(hash_error)?;
        Ok(Argon2Hash { scheme: self, hash })
    }
}

impl Argon2Hash {
    pub(super) fn parse(text: &str) -> Result<Self, HashError> {
        let (scheme, hash) = Argon2Scheme::parse(text)?;
        Ok(Self { scheme, hash: hash.ok_or_else(|| hash_error("it has no hash"))? })
    }

    pub(super) fn into_parts(self) -> (Argon2Scheme, Output) {
        (self.scheme, self.hash)
    }

    pub(super) fn scheme(&self) -> &Argon2Scheme {
        &self.scheme
    }

    /// Whether this is the hash of the bytes. Compares in constant time.
    pub(super) fn matches(&self, bytes: &[u8], memory: KeptMemory) -> Result<bool, HashError> {
        let mut buffer = [0; Output::MAX_LENGTH];
        let tag = buffer.get_mut(..self.hash.len()).ok_or_else(|| hash_error("the hash is too long"))?;
        self.scheme.compute(bytes, memory, tag)?;
        Ok(tag.ct_eq(self.hash.as_bytes()).into())
    }

    /// Whether it has the current parameters and lengths. A longer salt is accepted.
    pub(super) fn is_current(&self, current: &Params, salt_len: usize, hash_len: usize) -> bool {
        let Argon2Scheme { algorithm, version, params, salt, .. } = &self.scheme;
        (params.m_cost(), params.t_cost(), params.p_cost()) == (current.m_cost(), current.t_cost(), current.p_cost())
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

pub(super) fn hash_error(error: impl fmt::Display) -> HashError {
    HashError::new(format!("argon2: {error}"))
}
