//! Firebase's scrypt (github.com/firebase/scrypt), in the format of Supabase Auth (internal/crypto/password.go in supabase/auth).

use std::fmt;

use aes::Aes256;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};

use super::ImportedHashError::{self, Malformed};
use super::scrypt::Cost;
use super::{Algorithm, base64, check_hash_bytes, decimal, parameter};

#[derive(Clone, PartialEq, Eq)]
pub struct Firebase {
    cost: Cost,
    salt_separator: Vec<u8>,
    signer_key: Vec<u8>,
    salt: Vec<u8>,
}

impl Firebase {
    pub fn read(parameters: &str, salt: &str) -> Result<Self, ImportedHashError> {
        let (version, rest) = parameter(parameters, "v=");
        let (log_n, rest) = parameter(rest, "n=");
        let (r, rest) = parameter(rest, "r=");
        let (p, rest) = parameter(rest, "p=");
        let (salt_separator, rest) = parameter(rest, "ss=");
        let (signer_key, rest) = parameter(rest, "sk=");
        let (Some("1"), Some(log_n), Some(r), Some(p), Some(signer_key), "") =
            (version, log_n.and_then(decimal), r.and_then(decimal), p.and_then(decimal), signer_key, rest)
        else {
            return Err(Malformed("invalid parameters"));
        };
        Ok(Self {
            cost: Cost::new(log_n, r, p)?,
            salt_separator: base64(salt_separator.unwrap_or_default(), "invalid salt separator")?,
            signer_key: base64(signer_key, "invalid signer key")?,
            salt: base64(salt, "invalid salt")?,
        })
    }
}

impl Algorithm for Firebase {
    fn name(&self) -> &'static str {
        "Firebase's scrypt"
    }

    fn is_weak(&self) -> bool {
        self.cost.is_weak()
    }

    fn check_length(&self, length: usize) -> Result<(), ImportedHashError> {
        check_hash_bytes(length)?;
        if self.signer_key.len() == length {
            Ok(())
        } else {
            Err(Malformed("the signer key and the hash must have the same length"))
        }
    }

    fn nanos(&self, _length: usize) -> u64 {
        self.cost.nanos()
    }

    fn needs_memory(&self) -> bool {
        true
    }

    /// The hash is the signer key, encrypted by AES-256-CTR with the key that scrypt derives from the password.
    fn compute(&self, text: &str, computed: &mut [u8]) -> bool {
        let mut key = [0; 32];
        if !self.cost.derive(text, &[self.salt.as_slice(), &self.salt_separator].concat(), &mut key) {
            return false;
        }
        computed.iter_mut().zip(&self.signer_key).for_each(|(to, from)| *to = *from);
        ctr::Ctr128BE::<Aes256>::new(&key.into(), &[0; 16].into()).apply_keystream(computed);
        true
    }

    fn encode_hash(&self, hash: &[u8]) -> String {
        format!("${}", BASE64_STANDARD.encode(hash))
    }
}

impl fmt::Display for Firebase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost { log_n, r, p } = self.cost;
        let [salt_separator, signer_key, salt] =
            [&self.salt_separator, &self.signer_key, &self.salt].map(|bytes| BASE64_STANDARD.encode(bytes));
        write!(formatter, "$fbscrypt$v=1,n={log_n},r={r},p={p},ss={salt_separator},sk={signer_key}${salt}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::parse;

    /// From the README of firebase/scrypt.
    const VECTOR: &str = "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzx\
                          UECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZ\
                          vqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";

    #[test]
    fn the_published_vector_verifies() {
        let hash = parse(VECTOR);
        assert!(hash.verify("user1password"));
        assert_eq!(hash.to_string(), VECTOR);
    }

    #[test]
    fn base64url_is_accepted() {
        let url_safe = VECTOR.replace('+', "-").replace('/', "_");
        assert_ne!(url_safe, VECTOR);
        assert_eq!(parse(&url_safe).to_string(), VECTOR);
        assert_eq!(parse(&url_safe.replace("==", "")).to_string(), VECTOR);
    }
}
