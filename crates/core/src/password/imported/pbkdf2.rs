//! PBKDF2 (RFC 8018 §5.2), as PHC strings and as Django, passlib and ASP.NET Core Identity store it.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::ImportedHashError::{self, Malformed, TooCostly, Unknown};
use super::{Algorithm, BASE64, Parsed, Scheme, base64, check_hash_bytes, decimal};

/// Maximum iterations of SHA-1 or SHA-256, times the blocks of the hash.
const MAX_ITERATIONS: u64 = 2_000_000;

#[derive(Clone, PartialEq, Eq)]
pub struct Pbkdf2 {
    prf: Prf,
    iterations: u32,
    salt: Vec<u8>,
}

/// The pseudorandom function: HMAC with this hash function.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Prf {
    Sha1,
    Sha256,
    Sha512,
}

/// Reads the fields of a PHC string. The parameters are the iterations, optionally followed by `,l=` and the length.
pub fn read_phc(prf: Prf, parameters: &str, salt: &str, hash: &str) -> Parsed {
    let (iterations, length) = parameters.split_once(",l=").unzip();
    let hash = base64(hash, "invalid hash")?;
    if length.is_some_and(|length| decimal(length) != Some(hash.len())) {
        return Err(Malformed("invalid length"));
    }
    parsed(prf, iterations.unwrap_or(parameters), base64(salt, "invalid salt")?, hash)
}

/// Reads the fields of passlib: the iterations without a name, and `.` instead of `+` (passlib/handlers/pbkdf2.py).
pub fn read_passlib(prf: Prf, iterations: &str, salt: &str, hash: &str) -> Parsed {
    let [salt, hash] = [salt, hash].map(|text| text.replace('.', "+"));
    parsed(prf, iterations, base64(&salt, "invalid salt")?, base64(&hash, "invalid hash")?)
}

/// Reads the fields of Django, where the salt is the text itself (django/contrib/auth/hashers.py).
pub fn read_django(prf: Prf, iterations: &str, salt: &str, hash: &str) -> Parsed {
    parsed(prf, iterations, salt.as_bytes().to_vec(), base64(hash, "invalid hash")?)
}

/// Reads the base64 of ASP.NET Core Identity: format marker, parameters, salt, subkey (PasswordHasher.cs in dotnet/aspnetcore).
pub fn read_aspnet(text: &str) -> Parsed {
    let bytes = BASE64.decode(text).map_err(|_| Unknown)?;
    match bytes.split_first() {
        // Version 2: HMAC-SHA1, 1000 iterations, 16 bytes of salt, 32 bytes of subkey.
        Some((0, rest)) if rest.len() == 48 => {
            let (salt, hash) = rest.split_at_checked(16).ok_or(Malformed("invalid length"))?;
            parsed(Prf::Sha1, "1000", salt.to_vec(), hash.to_vec())
        }
        // Version 3: PRF, iterations and salt length, each as a big-endian u32; then salt and subkey.
        Some((1, rest)) => {
            let (prf, rest) = split_u32(rest).ok_or(Malformed("invalid length"))?;
            let (iterations, rest) = split_u32(rest).ok_or(Malformed("invalid length"))?;
            let (salt_length, rest) = split_u32(rest).ok_or(Malformed("invalid length"))?;
            let prf = match prf {
                0 => Prf::Sha1,
                1 => Prf::Sha256,
                2 => Prf::Sha512,
                _ => return Err(Malformed("unknown hash function")),
            };
            let salt_length = usize::try_from(salt_length).map_err(|_| Malformed("invalid length"))?;
            let (salt, hash) = rest.split_at_checked(salt_length).ok_or(Malformed("invalid length"))?;
            parsed(prf, &iterations.to_string(), salt.to_vec(), hash.to_vec())
        }
        _ => Err(Unknown),
    }
}

fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    bytes.split_first_chunk().map(|(number, rest)| (u32::from_be_bytes(*number), rest))
}

fn parsed(prf: Prf, iterations: &str, salt: Vec<u8>, hash: Vec<u8>) -> Parsed {
    Ok((Scheme::Pbkdf2(Pbkdf2::new(prf, iterations, salt)?), hash))
}

impl Pbkdf2 {
    pub fn new(prf: Prf, iterations: &str, salt: Vec<u8>) -> Result<Self, ImportedHashError> {
        let iterations: u32 =
            decimal(iterations).filter(|iterations| *iterations > 0).ok_or(Malformed("invalid iterations"))?;
        Ok(Self { prf, iterations, salt })
    }

    /// Iterations times blocks of a hash of that length.
    fn work(&self, length: usize) -> u64 {
        let blocks = length.div_ceil(self.prf.output_bytes()) as u64;
        u64::from(self.iterations).saturating_mul(blocks)
    }
}

impl Algorithm for Pbkdf2 {
    fn name(&self) -> &'static str {
        match self.prf {
            Prf::Sha1 => "PBKDF2-SHA1",
            Prf::Sha256 => "PBKDF2-SHA256",
            Prf::Sha512 => "PBKDF2-SHA512",
        }
    }

    fn is_weak(&self) -> bool {
        self.iterations < self.prf.min_iterations()
    }

    fn check_length(&self, length: usize) -> Result<(), ImportedHashError> {
        check_hash_bytes(length)?;
        // One iteration of SHA-512 takes about twice as long.
        let weight = if matches!(self.prf, Prf::Sha512) { 2 } else { 1 };
        if self.work(length).saturating_mul(weight) > MAX_ITERATIONS {
            return Err(TooCostly(
                "the maximum of PBKDF2 is 2000000 iterations, or 1000000 with SHA-512, counted for each block of the hash",
            ));
        }
        Ok(())
    }

    fn nanos(&self, length: usize) -> u64 {
        self.work(length).saturating_mul(self.prf.iteration_nanos())
    }

    fn compute(&self, text: &str, computed: &mut [u8]) -> bool {
        let compute = match self.prf {
            Prf::Sha1 => pbkdf2_hmac::<Sha1>,
            Prf::Sha256 => pbkdf2_hmac::<Sha256>,
            Prf::Sha512 => pbkdf2_hmac::<Sha512>,
        };
        compute(text.as_bytes(), &self.salt, self.iterations, computed);
        true
    }
}

impl fmt::Display for Pbkdf2 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prf, iterations, salt } = self;
        write!(formatter, "${}$i={iterations}${}", prf.id(), BASE64_STANDARD_NO_PAD.encode(salt))
    }
}

impl Prf {
    pub fn parse(id: &str) -> Option<Self> {
        [Self::Sha1, Self::Sha256, Self::Sha512].into_iter().find(|prf| prf.id() == id)
    }

    /// The identifier in a PHC string.
    const fn id(self) -> &'static str {
        match self {
            Self::Sha1 => "pbkdf2-sha1",
            Self::Sha256 => "pbkdf2-sha256",
            Self::Sha512 => "pbkdf2-sha512",
        }
    }

    const fn output_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// OWASP's minimum iterations.
    const fn min_iterations(self) -> u32 {
        match self {
            Self::Sha1 => 1_300_000,
            Self::Sha256 => 600_000,
            Self::Sha512 => 210_000,
        }
    }

    /// CPU time of one iteration for one block, in nanoseconds.
    const fn iteration_nanos(self) -> u64 {
        match self {
            Self::Sha1 => 320,
            Self::Sha256 => 615,
            Self::Sha512 => 925,
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD_NO_PAD;

    use super::super::ImportedHashError;
    use super::super::tests::{assert_verifies, b64, error, parse};

    /// RFC 6070 (SHA-1) and RFC 7914 §11 (SHA-256). Those of ASP.NET Core Identity cover SHA-512.
    #[test]
    fn rfc_vectors_verify() {
        let [salt, long_salt, nul_salt] =
            ["salt", "saltSALTsaltSALTsaltSALTsaltSALTsalt", "sa\0lt"].map(|salt| BASE64_STANDARD_NO_PAD.encode(salt));
        for (prf, iterations, salt, hash, password) in [
            ("sha1", 1, &salt, "0c60c80f961f0e71f3a9b524af6012062fe037a6", "password"),
            ("sha1", 2, &salt, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957", "password"),
            ("sha1", 4096, &salt, "4b007901b765489abead49d926f721d065a429c1", "password"),
            (
                "sha1",
                4096,
                &long_salt,
                "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038",
                "passwordPASSWORDpassword",
            ),
            ("sha1", 4096, &nul_salt, "56fa6aa75548099dcc37d7f03425e0c3", "pass\0word"),
            (
                "sha256",
                1,
                &salt,
                "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc\
                 49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
                "passwd",
            ),
        ] {
            assert_verifies(&format!("$pbkdf2-{prf}$i={iterations}${salt}${}", b64(hash)), password);
        }
    }

    /// From Django's `test_hashers.py`. The last one is passlib's.
    #[test]
    fn django_vectors_verify() {
        for (text, password) in [
            ("pbkdf2_sha256$12000$seasalt$Ybw8zsFxqja97tY/o6G+Fy1ksY4U/Hw3DRrGED6Up4s=", "l\u{e8}tmein"),
            ("pbkdf2_sha256$36000$seasalt$mEUPPFJkT/xtwDU8rB7Q+puHRZnR07WRjerTkt/3HI0=", "l\u{e8}tmein"),
            ("pbkdf2_sha1$10000$wz5B6WkasRoF$atJmJ1o+XfJxKq1+Nu1f1i57Z5I=", "not a password"),
        ] {
            assert_verifies(text, password);
        }
        assert_eq!(
            parse("pbkdf2_sha256$12000$seasalt$Ybw8zsFxqja97tY/o6G+Fy1ksY4U/Hw3DRrGED6Up4s=").to_string(),
            "$pbkdf2-sha256$i=12000$c2Vhc2FsdA$Ybw8zsFxqja97tY/o6G+Fy1ksY4U/Hw3DRrGED6Up4s"
        );
    }

    /// From `PasswordHasherTest.cs` of dotnet/aspnetcore.
    #[test]
    fn aspnet_core_identity_vectors_verify() {
        for text in [
            "ANXrDknc7fGPpigibZXXZFMX4aoqz44JveK6jQuwY3eH/UyPhvr5xTPeGYEckLxz9A==",
            "AAABAgMEBQYHCAkKCwwNDg+ukCEMDf0yyQ29NYubggHIVY0sdEUfdyeM+E1LtH1uJg==",
            "AQAAAAEAACcQAAAAEAABAgMEBQYHCAkKCwwNDg+yWU7rLgUwPZb1Itsmra7cbxw2EFpwpVFIEtP+JIuUEw==",
            "AQAAAAIAAAAyAAAAEOMwvh3+FZxqkdMBz2ekgGhwQ4B6pZWND6zgESBuWiHw",
            "AQAAAAIAAAD6AAAAIJbVi5wbMR+htSfFp8fTw8N8GOS/Sje+S/4YZcgBfU7EQuqv4OkVYmc4VJl9AGZzmRTxSkP7LtVi9IWyUxX8IAAfZ8v+ZfhjCcudtC1YERSqE1OEdXLW9VukPuJWBBjLuw==",
            "AQAAAAAAAAD6AAAAEAhftMyfTJylOlZT+eEotFXd1elee8ih5WsjXaR3PA9M",
        ] {
            assert_verifies(text, "my password");
        }
        for text in [
            "AAABAgMEBQYHCAkKCwwNDg+uAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAALtH1uJg==",
            "AQAAAAAAAAD6AAAAEAhftMyfTJyAAAAAAAAAAAAAAAAAAAih5WsjXaR3PA9M",
            "AQAAAAIAAAAyAAAAEOMwvh3+FZxqkdMBz2ekgGhwQ4B6pZWND6zgESBuWiHwAAAAAAAAAAAA",
        ] {
            assert!(!parse(text).verify("my password"), "{text}");
        }
        for invalid_length in [
            "AAABAgMEBQYHCAkKCwwNDg+ukCEMDf0yyQ29NYubggE=",
            "AAABAgMEBQYHCAkKCwwNDg+ukCEMDf0yyQ29NYubggHIVY0sdEUfdyeM+E1LtH1uJgAAAAAAAAAAAAA=",
        ] {
            assert_eq!(error(invalid_length), ImportedHashError::Unknown, "{invalid_length}");
        }
        assert_eq!(
            error("AQAAAAIAAAAyAAAAEOMwvh3+FZxqkdMBz2ekgGhwQ4A="),
            ImportedHashError::Malformed("the hash must be 16 to 64 bytes long")
        );
    }

    #[test]
    fn a_hash_of_passlib_is_stored_as_a_phc_string() {
        let text = "$pbkdf2-sha256$1000$..3.vw$y5LKPOplRmok7CZp.aqVDVg8zGI";
        assert_eq!(parse(text).to_string(), "$pbkdf2-sha256$i=1000$++3+vw$y5LKPOplRmok7CZp+aqVDVg8zGI");
        // SHA-1 is not named. The hash is RFC 6070's.
        let hash = b64("4b007901b765489abead49d926f721d065a429c1");
        let text = format!("$pbkdf2$4096$c2FsdA${}", hash.replace('+', "."));
        assert_verifies(&text, "password");
        assert_eq!(parse(&text).to_string(), format!("$pbkdf2-sha1$i=4096$c2FsdA${hash}"));
    }
}
