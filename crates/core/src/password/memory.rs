//! The memory that an isolate hashes in.

use std::cell::Cell;

use argon2_simd128::Memory;

use super::HashCost;

thread_local! {
    /// What the isolate hashes in, of the size that today's cost takes.
    static MEMORY: Cell<Memory> = const { Cell::new(Memory::new()) };
}

#[cfg(test)]
thread_local! {
    /// How often it was hashed in.
    pub(super) static HASHES: Cell<u32> = const { Cell::new(0) };
}

/// From here on the memory that is kept is the largest there can be, in KiB: it and a dearer one would be too much together.
const MAX_KEPT_BESIDE_KIB: u32 = 49_152;

/// How much memory is kept, which today's cost decides.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    kib: u32,
}

impl Kept {
    /// Where a hash of today takes that much, in KiB.
    pub(super) fn for_today(today: u32) -> Self {
        Self { kib: if today > MAX_KEPT_BESIDE_KIB { HashCost::MAX_MEMORY_KIB } else { today } }
    }

    /// Hashes in the memory that is kept if it is large enough, and otherwise in another.
    pub(super) fn hash_in<T>(self, kib: u32, hash: impl FnOnce(&mut Memory) -> T) -> T {
        #[cfg(test)]
        HASHES.set(HASHES.get() + 1);
        if kib > self.kib {
            return self.without(|| hash(&mut Memory::new()));
        }
        let mut memory = self.take();
        let hashed = hash(&mut memory);
        MEMORY.set(memory);
        hashed
    }

    /// Does what takes memory of its own, in place of the one that is kept, which is there again before anything else is:
    /// WebAssembly's memory never shrinks, and what is large for a moment must find its place at the end, with nothing that
    /// stays behind it. So an isolate holds one memory of each of the two sizes, whatever it is asked to verify.
    pub(super) fn without<T>(self, act: impl FnOnce() -> T) -> T {
        drop(MEMORY.take());
        let result = act();
        MEMORY.set(self.take());
        result
    }

    /// To be put back. Nothing is ever awaited in between, so nobody finds it missing.
    fn take(self) -> Memory {
        let mut memory = MEMORY.take();
        // If there is not as much, the hash says so.
        let _ = memory.reserve(self.kib as usize);
        memory
    }
}
