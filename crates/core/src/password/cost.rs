//! What Argon2 costs: the parameters that are configured, and the CPU time of a hash.

use argon2::Params;

/// The cost of one hash. At least one of the equivalents that OWASP lists must be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashCost {
    /// Memory, m, in KiB.
    pub memory_kib: u32,
    /// Passes over it, t.
    pub iterations: u32,
}

impl HashCost {
    /// `m`, `t` pairs of equal strength, from the OWASP Password Storage Cheat Sheet.
    const OWASP_MINIMUMS: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];
    /// An isolate has 128 MiB for everything, shared by its requests.
    pub const MAX_MEMORY_KIB: u32 = 65_536;
    /// What these cost is bounded by `cpu_ms` in `wrangler.toml` as well.
    pub const MAX_ITERATIONS: u32 = 16;
    /// m*t of a stored hash, in KiB; none that is made here has more.
    pub(super) const MAX_WORK: u64 = Self::MAX_MEMORY_KIB as u64 * Self::MAX_ITERATIONS as u64;

    /// Whether this is not weaker than OWASP's equivalents.
    #[must_use]
    pub fn is_strong_enough(&self) -> bool {
        Self::OWASP_MINIMUMS.iter().any(|(m, t)| self.memory_kib >= *m && self.iterations >= *t)
    }
}

/// One pass over one KiB, in nanoseconds of a Worker's CPU.
///
/// Measured as all prices of hashes are, here and in `crates/core/src/password/imported`: this code, built for release and run through
/// wasm-opt, in workerd, on one of two shared cores of a server of 2026. A request verified one hash; what counts is the CPU
/// time of the process (`schedstat` of its threads), the least of 80, without the first ones, during which V8 compiles and
/// which take up to twice as long. m=19456 with t=2 took 18 to 20 ms, 17 where nothing else ran; m=65536 with t=3 115 ms.
const NANOS_PER_KIB: u64 = 430;
/// The same of memory that the caches of a processor do not hold.
const NANOS_PER_KIB_OF_LARGE: u64 = 550;
/// From here on memory is large, in KiB.
const LARGE_KIB: u32 = 32_768;
/// What a KiB costs once: wiped, and where it is not kept, taken from the system.
const NANOS_PER_KIB_ONCE: u64 = 80;

/// The CPU time of one Argon2 hash, in microseconds. Variant and lanes do not matter to it.
pub(super) fn argon2_micros(params: &Params) -> u64 {
    let memory = u64::from(params.m_cost());
    let passes = memory.saturating_mul(params.t_cost().into());
    let per_kib = if params.m_cost() < LARGE_KIB { NANOS_PER_KIB } else { NANOS_PER_KIB_OF_LARGE };
    let nanos = passes.saturating_mul(per_kib).saturating_add(memory.saturating_mul(NANOS_PER_KIB_ONCE));
    nanos.div_ceil(1000)
}

#[cfg(test)]
mod tests {
    use super::HashCost;

    #[test]
    fn costs_below_owasps_equivalents_are_too_weak() {
        let cost = |memory_kib, iterations| HashCost { memory_kib, iterations };
        for (m, t) in [(19_456, 2), (47_104, 1), (12_288, 3), (9_216, 4), (7_168, 5), (65_536, 16)] {
            assert!(cost(m, t).is_strong_enough(), "{m} {t}");
        }
        for (m, t) in [(19_455, 2), (19_456, 1), (7_167, 16), (47_103, 1), (0, 0)] {
            assert!(!cost(m, t).is_strong_enough(), "{m} {t}");
        }
    }
}
