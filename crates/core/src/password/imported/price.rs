//! What verifying a hash of another system costs, measured as the prices of Argon2 are (`crates/core/src/password/cost.rs`, which says
//! how).

use super::scheme::{Kind, Prf, Scheme, ScryptCost};

/// One of the 2^cost rounds of bcrypt's key schedule, in nanoseconds of a Worker's CPU: 82 ms for a cost of 10.
const BCRYPT_ROUND_NANOS: u64 = 80_000;
/// One iteration of PBKDF2 for one block, by hash function.
const PBKDF2_SHA1_NANOS: u64 = 320;
/// See [`PBKDF2_SHA1_NANOS`].
const PBKDF2_SHA256_NANOS: u64 = 615;
/// See [`PBKDF2_SHA1_NANOS`].
const PBKDF2_SHA512_NANOS: u64 = 925;
/// One unit of scrypt's N·r·p: 81 ms for N=2^14, r=8, p=1, which is Firebase's.
const SCRYPT_NANOS: u64 = 620;
/// What every hash costs, whatever its parameters.
const MIN_NANOS: u64 = 100_000;

impl Scheme {
    /// The CPU time of one hash of `length` bytes, in microseconds.
    #[must_use]
    pub fn cpu_micros(&self, length: usize) -> u64 {
        let nanos = match &self.0 {
            Kind::Bcrypt { cost, .. } => 1u64.checked_shl(*cost).unwrap_or(u64::MAX).saturating_mul(BCRYPT_ROUND_NANOS),
            Kind::Pbkdf2 { prf, iterations, .. } => {
                let nanos = match prf {
                    Prf::Sha1 => PBKDF2_SHA1_NANOS,
                    Prf::Sha256 => PBKDF2_SHA256_NANOS,
                    Prf::Sha512 => PBKDF2_SHA512_NANOS,
                };
                let blocks = length.div_ceil(prf.output_bytes()) as u64;
                u64::from(*iterations).saturating_mul(blocks).saturating_mul(nanos)
            }
            Kind::Scrypt { cost, .. } | Kind::Firebase { cost, .. } => cost.work().saturating_mul(SCRYPT_NANOS),
        };
        nanos.saturating_add(MIN_NANOS).div_ceil(1000)
    }
}

impl ScryptCost {
    /// N·r·p, of which each is as much work as any other.
    fn work(self) -> u64 {
        self.memory().saturating_mul(self.p.into())
    }

    /// N·r, of which each is 128 bytes.
    pub(super) fn memory(self) -> u64 {
        1u64.checked_shl(self.log_n.into()).unwrap_or(u64::MAX).saturating_mul(self.r.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::ForeignHash;

    fn price(text: &str) -> u64 {
        ForeignHash::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).cpu_micros()
    }

    fn assert_rises(texts: &[String]) {
        let prices: Vec<u64> = texts.iter().map(|text| price(text)).collect();
        assert!(prices.is_sorted_by(|a, b| a < b), "{texts:?}: {prices:?}");
    }

    const HASH: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn every_parameter_that_makes_a_hash_dearer_raises_its_price() {
        assert_rises(
            &[4, 5, 10, 14].map(|cost| format!("$2b${cost:02}$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")),
        );
        for prf in ["sha1", "sha256", "sha512"] {
            assert_rises(&[1, 1000, 100_000].map(|i| format!("$pbkdf2-{prf}$i={i}$c2FsdA${HASH}")));
        }
        assert_rises(
            &["ln=1,r=1,p=1", "ln=14,r=8,p=1", "ln=15,r=8,p=1", "ln=15,r=16,p=1", "ln=15,r=16,p=2"]
                .map(|cost| format!("$scrypt${cost}$c2FsdA${HASH}")),
        );
        assert_rises(&[13, 14, 15].map(|n| format!("$fbscrypt$v=1,n={n},r=8,p=1,ss=Bw==,sk={HASH}=$c2FsdA==${HASH}=")));
    }

    #[test]
    fn a_second_block_of_pbkdf2_costs_as_much_as_the_first() {
        let of = |bytes: usize| price(&format!("$pbkdf2-sha256$i=100000$c2FsdA${}", "A".repeat(bytes * 4 / 3)));
        assert_eq!(of(18), of(30));
        assert!(of(36) > of(30) * 19 / 10, "{} {}", of(36), of(30));
    }

    #[test]
    fn what_costs_most_of_each_kind_is_priced_alike_within_reason() {
        let most = [
            "$2b$14$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(),
            format!("$pbkdf2-sha256$i=2000000$c2FsdA${HASH}"),
            format!("$pbkdf2-sha512$i=1000000$c2FsdA${HASH}"),
            format!("$scrypt$ln=16,r=8,p=2$c2FsdA${HASH}"),
        ];
        for text in most {
            assert!((500_000..2_000_000).contains(&price(&text)), "{text} {}", price(&text));
        }
    }

    #[test]
    fn the_nfkc_of_better_auth_costs_nothing() {
        let [plain, nfkc] = ["scrypt", "scrypt-nfkc"].map(|id| price(&format!("${id}$ln=14,r=16,p=1$c2FsdA${HASH}")));
        assert_eq!(plain, nfkc);
    }
}
