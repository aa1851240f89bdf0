//! The cost of Argon2: its parameters, and the CPU time of a hash.

use argon2::Params;

/// The cost parameters of Argon2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashCost {
    /// Memory, m, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory, t.
    pub iterations: u32,
}

impl HashCost {
    /// Minimum parameters, as pairs of m and t of equal strength (OWASP Password Storage Cheat Sheet).
    const OWASP_MINIMUMS: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];
    /// Maximum m, in KiB. An isolate has 128 MiB for all its requests.
    pub const MAX_MEMORY_KIB: u32 = 65_536;
    /// Maximum t. `cpu_ms` in `wrangler.toml` limits the CPU time as well.
    pub const MAX_ITERATIONS: u32 = 16;
    /// Maximum m·t of a stored hash, in KiB.
    pub(super) const MAX_WORK: u64 = Self::MAX_MEMORY_KIB as u64 * Self::MAX_ITERATIONS as u64;

    /// Whether the parameters reach one of OWASP's minimums.
    #[must_use]
    pub fn is_strong_enough(&self) -> bool {
        Self::OWASP_MINIMUMS.iter().any(|(m, t)| self.memory_kib >= *m && self.iterations >= *t)
    }
}

/// CPU time per pass and KiB, in nanoseconds.
///
/// Method, which also applies to [`super::imported`]: the release build, after wasm-opt, in workerd, on one of two shared cores
/// of a server of 2026. Each request verified one hash. The value is the minimum CPU time of the process (`schedstat` of its
/// threads) over 80 requests after a warm-up; the first requests take up to twice as long, while V8 compiles.
///
/// m=19456, t=2 took 18 to 20 ms (17 ms on an idle machine); m=65536, t=3 took 115 ms.
const NANOS_PER_KIB: u64 = 430;
/// CPU time per pass and KiB where the memory exceeds the CPU caches, in nanoseconds.
const NANOS_PER_LARGE_KIB: u64 = 550;
/// Memory that exceeds the CPU caches, in KiB.
const LARGE_KIB: u32 = 32_768;
/// CPU time per KiB to wipe the memory, and to allocate it if it is not kept, in nanoseconds.
const NANOS_PER_KIB_ONCE: u64 = 80;

/// The CPU time of one Argon2 hash, in microseconds. It does not depend on the variant or the lanes.
pub(super) fn argon2_micros(params: &Params) -> u64 {
    let memory = u64::from(params.m_cost());
    let passes = memory.saturating_mul(params.t_cost().into());
    let per_kib = if params.m_cost() < LARGE_KIB { NANOS_PER_KIB } else { NANOS_PER_LARGE_KIB };
    let nanos = passes.saturating_mul(per_kib).saturating_add(memory.saturating_mul(NANOS_PER_KIB_ONCE));
    nanos.div_ceil(1000)
}

#[cfg(test)]
mod tests {
    use super::HashCost;

    #[test]
    fn parameters_below_the_minimums_of_owasp_are_too_weak() {
        let cost = |memory_kib, iterations| HashCost { memory_kib, iterations };
        for (m, t) in [(19_456, 2), (47_104, 1), (12_288, 3), (9_216, 4), (7_168, 5), (65_536, 16)] {
            assert!(cost(m, t).is_strong_enough(), "{m} {t}");
        }
        for (m, t) in [(19_455, 2), (19_456, 1), (7_167, 16), (47_103, 1), (0, 0)] {
            assert!(!cost(m, t).is_strong_enough(), "{m} {t}");
        }
    }
}
