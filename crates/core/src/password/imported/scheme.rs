//! What a hash is computed by, and computing it.

use std::fmt;

use aes::Aes256;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use unicode_normalization::UnicodeNormalization as _;

use super::ForeignHashError::{self, Malformed, TooCostly};

/// Of a hash, in bytes. With fewer a wrong password might fit; the most is what scrypt here gives.
const HASH_BYTES: std::ops::RangeInclusive<usize> = 16..=64;
/// Of bcrypt's.
pub(super) const BCRYPT_HASH_BYTES: usize = 23;
/// What bcrypt reads of a password, in bytes, its final NUL included.
const BCRYPT_KEY_BYTES: usize = 72;
/// bcrypt's own least, and the most that is taken here.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=14;
/// Of PBKDF2, for every block of output.
const MAX_PBKDF2_ITERATIONS: u64 = 2_000_000;
/// Of scrypt, N·r, of which each takes 128 bytes: 64 MiB.
const MAX_SCRYPT_MEMORY: u64 = 1 << 19;
/// Of scrypt, N·r·p.
const MAX_SCRYPT_WORK: u64 = 1 << 20;
/// Of scrypt, r and p: what it needs beside its N·r blocks grows with their product.
const MAX_SCRYPT_R: u32 = 64;
/// See [`MAX_SCRYPT_R`].
const MAX_SCRYPT_P: u32 = 16;

/// Implementations fill the spare bits of the salt in different ways.
pub(super) const BASE64_BCRYPT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::BCRYPT,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// What a hash is computed by beside the password: the algorithm, its parameters and the salt.
#[derive(Clone, PartialEq, Eq)]
pub struct Scheme(pub(super) Kind);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Bcrypt { version: char, cost: u32, salt: [u8; 16] },
    Pbkdf2 { prf: Prf, iterations: u32, salt: Vec<u8> },
    Scrypt { cost: ScryptCost, nfkc: bool, salt: Vec<u8> },
    Firebase { cost: ScryptCost, separator: Vec<u8>, signer_key: Vec<u8>, salt: Vec<u8> },
}

/// The hash under PBKDF2's HMAC.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Prf {
    Sha1,
    Sha256,
    Sha512,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct ScryptCost {
    pub(super) log_n: u8,
    pub(super) r: u32,
    pub(super) p: u32,
}

impl Scheme {
    /// Whether all of that text counts. Where it does not, another text fits as well, and which of them its owner means is not
    /// known: bcrypt reads 72 bytes, and compatibility look-alikes are one in NFKC.
    #[must_use]
    pub fn reads_all_of(&self, text: &str) -> bool {
        match &self.0 {
            Kind::Bcrypt { .. } => text.len() < BCRYPT_KEY_BYTES,
            Kind::Scrypt { nfkc: true, .. } => text.nfkc().eq(text.nfc()),
            _ => true,
        }
    }

    /// Whether canonically equivalent texts have different hashes.
    #[must_use]
    pub fn tells_spellings_apart(&self) -> bool {
        !matches!(&self.0, Kind::Scrypt { nfkc: true, .. })
    }

    /// Whether computing it takes memory worth mentioning: some MiB.
    #[must_use]
    pub fn takes_memory(&self) -> bool {
        matches!(&self.0, Kind::Scrypt { .. } | Kind::Firebase { .. })
    }

    /// Fills `computed` with the hash of that text. `false` if the text is nobody's password, whatever the hash.
    #[must_use]
    pub fn compute(&self, text: &str, computed: &mut [u8]) -> bool {
        match &self.0 {
            Kind::Bcrypt { cost, salt, .. } => {
                // Up to 72 bytes, with a NUL behind them if there is room, as every bcrypt reads it. A text that has a NUL in it
                // is nobody's: implementations differ in whether it ends there, and the key is repeated, so that `a` and
                // `a\0a` are one.
                let key: Vec<u8> = text.bytes().chain([0]).take(BCRYPT_KEY_BYTES).collect();
                let hash = bcrypt::bcrypt(*cost, *salt, &key);
                computed.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
                !text.contains('\0')
            }
            Kind::Pbkdf2 { prf, iterations, salt } => {
                let compute = match prf {
                    Prf::Sha1 => pbkdf2_hmac::<Sha1>,
                    Prf::Sha256 => pbkdf2_hmac::<Sha256>,
                    Prf::Sha512 => pbkdf2_hmac::<Sha512>,
                };
                compute(text.as_bytes(), salt, *iterations, computed);
                true
            }
            Kind::Scrypt { cost, nfkc, salt } => {
                let text = if *nfkc { text.nfkc().collect() } else { text.to_owned() };
                cost.derive(&text, salt, computed)
            }
            Kind::Firebase { cost, separator, signer_key, salt } => {
                // The signer key, encrypted under what scrypt makes of the password (github.com/firebase/scrypt).
                let mut key = [0; 32];
                if !cost.derive(text, &[salt.as_slice(), separator].concat(), &mut key) {
                    return false;
                }
                computed.iter_mut().zip(signer_key).for_each(|(to, from)| *to = *from);
                ctr::Ctr128BE::<Aes256>::new(&key.into(), &[0; 16].into()).apply_keystream(computed);
                true
            }
        }
    }

    /// Whether a hash of that length can be this one's, and costs no more than is taken.
    pub(super) fn check_length(&self, length: usize) -> Result<(), ForeignHashError> {
        match &self.0 {
            Kind::Bcrypt { .. } if length != BCRYPT_HASH_BYTES => Err(Malformed("the length")),
            _ if !HASH_BYTES.contains(&length) => Err(Malformed("the hash is not 16 to 64 bytes long")),
            Kind::Pbkdf2 { prf, iterations, .. } => {
                let blocks = length.div_ceil(prf.output_bytes()) as u64;
                // Of SHA-512 one takes as long as two of the others.
                let weight = if matches!(prf, Prf::Sha512) { 2 } else { 1 };
                let work = u64::from(*iterations).saturating_mul(blocks).saturating_mul(weight);
                if work > MAX_PBKDF2_ITERATIONS { Err(TooCostly(PBKDF2_BOUND)) } else { Ok(()) }
            }
            Kind::Firebase { signer_key, .. } if signer_key.len() != length => {
                Err(Malformed("the signer key and the hash are not of one length"))
            }
            _ => Ok(()),
        }
    }

    /// What stands behind the scheme in the stored form.
    pub(super) fn encode_hash(&self, hash: &[u8]) -> String {
        match &self.0 {
            Kind::Bcrypt { .. } => BASE64_BCRYPT.encode(hash),
            Kind::Firebase { .. } => format!("${}", BASE64_STANDARD.encode(hash)),
            _ => format!("${}", BASE64_STANDARD_NO_PAD.encode(hash)),
        }
    }
}

const PBKDF2_BOUND: &str =
    "PBKDF2 is taken with up to 2000000 iterations, of SHA-512 1000000, for all blocks of the hash together";

/// The stored form, without the hash.
impl fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encode = |bytes: &[u8]| BASE64_STANDARD_NO_PAD.encode(bytes);
        match &self.0 {
            Kind::Bcrypt { version, cost, salt } => {
                write!(formatter, "$2{version}${cost:02}${}", BASE64_BCRYPT.encode(salt))
            }
            Kind::Pbkdf2 { prf, iterations, salt } => {
                write!(formatter, "$pbkdf2-{}$i={iterations}${}", prf.name(), encode(salt))
            }
            Kind::Scrypt { cost: ScryptCost { log_n, r, p }, nfkc, salt } => {
                let name = if *nfkc { "scrypt-nfkc" } else { "scrypt" };
                write!(formatter, "${name}$ln={log_n},r={r},p={p}${}", encode(salt))
            }
            Kind::Firebase { cost: ScryptCost { log_n, r, p }, separator, signer_key, salt } => {
                let [separator, signer_key, salt] =
                    [separator, signer_key, salt].map(|bytes| BASE64_STANDARD.encode(bytes));
                write!(formatter, "$fbscrypt$v=1,n={log_n},r={r},p={p},ss={separator},sk={signer_key}${salt}")
            }
        }
    }
}

impl Prf {
    pub(super) const fn output_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

/// bcrypt's cost, if it is taken.
pub(super) fn bounded_bcrypt(cost: u32) -> Result<u32, ForeignHashError> {
    if BCRYPT_COSTS.contains(&cost) { Ok(cost) } else { Err(TooCostly("bcrypt is taken with a cost of 4 to 14")) }
}

impl ScryptCost {
    pub(super) fn bounded(log_n: u8, r: u32, p: u32) -> Result<Self, ForeignHashError> {
        let cost = Self { log_n, r, p };
        let memory = 1u64.checked_shl(log_n.into()).and_then(|n| n.checked_mul(r.into()));
        let work = memory.filter(|memory| *memory <= MAX_SCRYPT_MEMORY).and_then(|memory| memory.checked_mul(p.into()));
        if work.is_none_or(|work| work > MAX_SCRYPT_WORK) || r > MAX_SCRYPT_R || p > MAX_SCRYPT_P {
            return Err(TooCostly(
                "scrypt is taken with N*r up to 2^19 (64 MiB), N*r*p up to 2^20, r up to 64 and p up to 16",
            ));
        }
        // RFC 7914 §6: with N = 1 it is no scrypt.
        if log_n == 0 {
            return Err(Malformed("parameters that scrypt does not have"));
        }
        cost.parameters(*HASH_BYTES.end()).map(|_| cost).ok_or(Malformed("parameters that scrypt does not have"))
    }

    fn parameters(self, length: usize) -> Option<scrypt::Params> {
        scrypt::Params::new(self.log_n, self.r, self.p, length).ok()
    }

    /// Fills `key`; `false` if scrypt does not take the parameters, which were checked.
    fn derive(self, text: &str, salt: &[u8], key: &mut [u8]) -> bool {
        let parameters = self.parameters(key.len());
        parameters.is_some_and(|parameters| scrypt::scrypt(text.as_bytes(), salt, &parameters, key).is_ok())
    }
}
