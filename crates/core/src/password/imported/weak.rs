//! Which hashes are too cheap to guess at: below the floors of the OWASP Password Storage Cheat Sheet.

use super::scheme::{Kind, Prf, Scheme};

/// bcrypt's.
const MIN_BCRYPT_COST: u32 = 10;
/// Of scrypt, N·r with any p: 16 MiB. OWASP wants p=5 with it, which neither Firebase nor better-auth has: theirs are taken for
/// what they are.
const MIN_SCRYPT_MEMORY: u64 = 1 << 17;
/// Of scrypt, N·r and p of OWASP's last equivalent, of 8 MiB.
const MIN_SCRYPT_OTHERWISE: (u64, u32) = (1 << 16, 10);

impl Scheme {
    /// Whether its parameters are below those floors.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        match &self.0 {
            Kind::Bcrypt { cost, .. } => *cost < MIN_BCRYPT_COST,
            Kind::Pbkdf2 { prf, iterations, .. } => {
                *iterations
                    < match prf {
                        Prf::Sha1 => 1_300_000,
                        Prf::Sha256 => 600_000,
                        Prf::Sha512 => 210_000,
                    }
            }
            Kind::Scrypt { cost, .. } | Kind::Firebase { cost, .. } => {
                let memory = cost.memory();
                let (memory_otherwise, p) = MIN_SCRYPT_OTHERWISE;
                memory < MIN_SCRYPT_MEMORY && (memory < memory_otherwise || cost.p < p)
            }
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match &self.0 {
            Kind::Bcrypt { .. } => "bcrypt",
            Kind::Pbkdf2 { prf: Prf::Sha1, .. } => "PBKDF2-SHA1",
            Kind::Pbkdf2 { prf: Prf::Sha256, .. } => "PBKDF2-SHA256",
            Kind::Pbkdf2 { prf: Prf::Sha512, .. } => "PBKDF2-SHA512",
            Kind::Scrypt { .. } => "scrypt",
            Kind::Firebase { .. } => "Firebase's scrypt",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ForeignHash;

    fn is_weak(text: &str) -> bool {
        let hash = ForeignHash::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        hash.scheme().is_weak()
    }

    #[test]
    fn parameters_below_owasps_floors_are_weak() {
        let hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let bcrypt = |cost| format!("$2b${cost}$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
        let pbkdf2 = |prf, i, hash| format!("$pbkdf2-{prf}$i={i}$c2FsdA${hash}");
        let scrypt = |cost| format!("$scrypt${cost}$c2FsdA${hash}");
        let short = "AAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for (weak, strong) in [
            (bcrypt("09"), bcrypt("10")),
            (pbkdf2("sha1", 1_299_999, short), pbkdf2("sha1", 1_300_000, short)),
            (pbkdf2("sha256", 599_999, hash), pbkdf2("sha256", 600_000, hash)),
            (pbkdf2("sha512", 209_999, hash), pbkdf2("sha512", 210_000, hash)),
            (scrypt("ln=13,r=8,p=1"), scrypt("ln=14,r=8,p=1")),
            (scrypt("ln=13,r=8,p=9"), scrypt("ln=13,r=8,p=10")),
            (scrypt("ln=12,r=8,p=16"), scrypt("ln=15,r=8,p=1")),
        ] {
            assert!(is_weak(&weak), "{weak}");
            assert!(!is_weak(&strong), "{strong}");
        }
    }
}
