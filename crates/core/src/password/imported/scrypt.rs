//! scrypt (RFC 7914), as PHC strings and as better-auth stores it.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use unicode_normalization::UnicodeNormalization as _;

use super::ImportedHashError::{self, Malformed, TooCostly, Unknown};
use super::{Algorithm, HASH_BYTES, Parsed, Scheme, base64, decimal, parameter};

/// Maximum N·r, of 128 bytes each: 64 MiB.
const MAX_MEMORY: u64 = 1 << 19;
/// Maximum N·r·p.
const MAX_WORK: u64 = 1 << 20;
/// Maximum r. scrypt also needs memory proportional to r·p.
const MAX_R: u32 = 64;
/// Maximum p.
const MAX_P: u32 = 16;
/// Minimum N·r, for any p: 16 MiB. OWASP's minimum has p=5, which neither Firebase nor better-auth reaches.
const MIN_MEMORY: u64 = 1 << 17;
/// Minimum N·r and p with less memory: OWASP's last equivalent, of 8 MiB.
const MIN_MEMORY_WITH_P: (u64, u32) = (1 << 16, 10);
/// CPU time per N·r·p, in nanoseconds. N=2^14, r=8, p=1 takes 81 ms.
const WORK_NANOS: u64 = 620;

#[derive(Clone, PartialEq, Eq)]
pub struct Scrypt {
    cost: Cost,
    /// Whether the password is hashed in NFKC.
    nfkc: bool,
    salt: Vec<u8>,
}

/// Parameters within the limits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    pub log_n: u8,
    pub r: u32,
    pub p: u32,
}

/// Reads `SALT:KEY` of better-auth, both in hexadecimal. The salt is the text itself, and the parameters are fixed: N=16384,
/// r=16, p=1, over the password in NFKC (packages/better-auth/src/crypto/password.ts in better-auth/better-auth).
pub fn read_better_auth(salt: &str, key: &str) -> Parsed {
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if (salt.len(), key.len()) != (32, 128) || !is_hex(salt) || !is_hex(key) {
        return Err(Unknown);
    }
    let hash = key.as_bytes().chunks(2).filter_map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
    let scheme = Scrypt { cost: Cost::new(14, 16, 1)?, nfkc: true, salt: salt.as_bytes().to_vec() };
    Ok((Scheme::Scrypt(scheme), hash.collect()))
}

impl Scrypt {
    /// Reads the fields of a PHC string. The cost is `ln=LOG2_N,r=R,p=P`.
    pub fn read(nfkc: bool, cost: &str, salt: &str) -> Result<Self, ImportedHashError> {
        let (log_n, rest) = parameter(cost, "ln=");
        let (r, rest) = parameter(rest, "r=");
        let (p, rest) = parameter(rest, "p=");
        let (Some(log_n), Some(r), Some(p), "") =
            (log_n.and_then(decimal), r.and_then(decimal), p.and_then(decimal), rest)
        else {
            return Err(Malformed("invalid parameters"));
        };
        Ok(Self { cost: Cost::new(log_n, r, p)?, nfkc, salt: base64(salt, "invalid salt")? })
    }
}

impl Algorithm for Scrypt {
    fn name(&self) -> &'static str {
        "scrypt"
    }

    fn is_weak(&self) -> bool {
        self.cost.is_weak()
    }

    fn nanos(&self, _length: usize) -> u64 {
        self.cost.nanos()
    }

    fn needs_memory(&self) -> bool {
        true
    }

    /// In NFKC, compatibility variants of a character have the same hash.
    fn reads_whole(&self, text: &str) -> bool {
        !self.nfkc || text.nfkc().eq(text.nfc())
    }

    fn distinguishes_spellings(&self) -> bool {
        !self.nfkc
    }

    fn compute(&self, text: &str, computed: &mut [u8]) -> bool {
        let text = if self.nfkc { text.nfkc().collect() } else { text.to_owned() };
        self.cost.derive(&text, &self.salt, computed)
    }
}

impl fmt::Display for Scrypt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cost: Cost { log_n, r, p }, nfkc, salt } = self;
        let id = if *nfkc { "scrypt-nfkc" } else { "scrypt" };
        write!(formatter, "${id}$ln={log_n},r={r},p={p}${}", BASE64_STANDARD_NO_PAD.encode(salt))
    }
}

impl Cost {
    pub fn new(log_n: u8, r: u32, p: u32) -> Result<Self, ImportedHashError> {
        let cost = Self { log_n, r, p };
        let memory = 1u64.checked_shl(log_n.into()).and_then(|n| n.checked_mul(r.into()));
        let work = memory.filter(|memory| *memory <= MAX_MEMORY).and_then(|memory| memory.checked_mul(p.into()));
        if work.is_none_or(|work| work > MAX_WORK) || r > MAX_R || p > MAX_P {
            return Err(TooCostly("the maximum of scrypt is N*r 2^19 (64 MiB), N*r*p 2^20, r 64 and p 16"));
        }
        // RFC 7914 §6: N must be greater than 1.
        if log_n == 0 {
            return Err(Malformed("invalid parameters"));
        }
        cost.params(*HASH_BYTES.end()).map(|_| cost).ok_or(Malformed("invalid parameters"))
    }

    fn params(self, length: usize) -> Option<::scrypt::Params> {
        ::scrypt::Params::new(self.log_n, self.r, self.p, length).ok()
    }

    /// Fills `key`. `false` if scrypt refuses the parameters, which cannot happen after [`Self::new`].
    pub fn derive(self, text: &str, salt: &[u8], key: &mut [u8]) -> bool {
        let params = self.params(key.len());
        params.is_some_and(|params| ::scrypt::scrypt(text.as_bytes(), salt, &params, key).is_ok())
    }

    pub fn is_weak(self) -> bool {
        let (memory, (min_memory, min_p)) = (self.memory(), MIN_MEMORY_WITH_P);
        memory < MIN_MEMORY && (memory < min_memory || self.p < min_p)
    }

    /// The CPU time of one hash, in nanoseconds.
    pub fn nanos(self) -> u64 {
        self.memory().saturating_mul(self.p.into()).saturating_mul(WORK_NANOS)
    }

    /// N·r.
    fn memory(self) -> u64 {
        1u64.checked_shl(self.log_n.into()).unwrap_or(u64::MAX).saturating_mul(self.r.into())
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD_NO_PAD;

    use super::super::tests::{b64, parse};

    /// RFC 7914 §12, except the one that needs 1 GiB.
    #[test]
    fn rfc_vectors_verify() {
        for (cost, salt, hash, password) in [
            (
                "ln=4,r=1,p=1",
                "",
                "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442\
                 fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906",
                "",
            ),
            (
                "ln=10,r=8,p=16",
                "NaCl",
                "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162\
                 2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640",
                "password",
            ),
            (
                "ln=14,r=8,p=1",
                "SodiumChloride",
                "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2\
                 d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887",
                "pleaseletmein",
            ),
        ] {
            let salt = BASE64_STANDARD_NO_PAD.encode(salt);
            let hash = parse(&format!("$scrypt${cost}${salt}${}", b64(hash)));
            assert!(hash.verify(password), "{cost}");
        }
    }

    /// Made with `crypto.scrypt` of Node. NFKC maps the ligature to two letters.
    #[test]
    fn a_hash_of_better_auth_verifies() {
        let hash = parse(
            "000102030405060708090a0b0c0d0e0f:8273f742328b99913d6799200e34f1dc00acfd8ef457d2d326288af95214580c\
             61399d08e6b04f144bf3faabb1dc7b821dca41f92a305ae5f26b58dc9da7dfad",
        );
        assert!(hash.verify("\u{fb01}re and ice"));
        assert!(hash.to_string().starts_with("$scrypt-nfkc$ln=14,r=16,p=1$"));
    }
}
