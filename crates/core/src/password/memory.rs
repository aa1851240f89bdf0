//! The memory in which an isolate hashes, which is kept between hashes.

use std::cell::Cell;

use argon2_simd128::Memory;

use super::HashCost;

thread_local! {
    static MEMORY: Cell<Memory> = const { Cell::new(Memory::new()) };
}

#[cfg(test)]
thread_local! {
    /// The number of hashes computed by this thread.
    pub(super) static HASHES: Cell<u32> = const { Cell::new(0) };
}

/// Maximum size of kept memory beside which a larger temporary one fits, in KiB. Above it, memory of the maximum size is
/// kept, so that no temporary one is needed.
const MAX_KEPT_WITH_LARGER_KIB: u32 = 49_152;

/// The size of the kept memory.
#[derive(Clone, Copy)]
pub(super) struct KeptMemory {
    kib: u32,
}

impl KeptMemory {
    /// For hashes that mostly need `current_kib`.
    pub(super) fn for_current_cost(current_kib: u32) -> Self {
        Self { kib: if current_kib > MAX_KEPT_WITH_LARGER_KIB { HashCost::MAX_MEMORY_KIB } else { current_kib } }
    }

    /// Hashes in the kept memory if it is large enough, otherwise in temporary memory.
    pub(super) fn hash_in<T>(self, kib: u32, hash: impl FnOnce(&mut Memory) -> T) -> T {
        #[cfg(test)]
        HASHES.set(HASHES.get() + 1);
        if kib > self.kib {
            return self.while_freed(|| hash(&mut Memory::new()));
        }
        let mut memory = self.take();
        let hashed = hash(&mut memory);
        MEMORY.set(memory);
        hashed
    }

    /// Frees the kept memory, runs `act`, which allocates memory of its own, and allocates the kept memory again.
    ///
    /// WebAssembly's memory never shrinks, so a temporary allocation must not be followed by a permanent one. This way an
    /// isolate never holds more than the kept memory and one temporary one, whatever it verifies.
    pub(super) fn while_freed<T>(self, act: impl FnOnce() -> T) -> T {
        drop(MEMORY.take());
        let result = act();
        MEMORY.set(self.take());
        result
    }

    /// Takes the kept memory out of its cell. The caller puts it back, without awaiting in between.
    fn take(self) -> Memory {
        let mut memory = MEMORY.take();
        // On failure the hash reports it.
        let _ = memory.reserve(self.kib as usize);
        memory
    }
}
