//! The memory of the hashes, and how nothing stays in it.

use std::hint::black_box;
use std::ops::{Deref, DerefMut};

use crate::Error;
use crate::block::Block;

/// The matrix B, kept from hash to hash. Grows to what the most expensive hash so far needed, and never shrinks.
#[derive(Default)]
pub struct Memory(Vec<Block>);

impl Memory {
    /// None yet: the first hash allocates it.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// How many KiB are held.
    #[must_use]
    pub fn kib(&self) -> usize {
        self.0.len()
    }

    /// So many blocks of it, of any content. They are wiped when they are given back.
    pub(crate) fn borrow(&mut self, blocks: usize) -> Result<Blocks<'_>, Error> {
        if self.0.len() < blocks {
            // Given back first, so that old and new are never held together.
            self.0 = Vec::new();
            self.0.try_reserve_exact(blocks).map_err(|_| Error::OutOfMemory)?;
            self.0.resize(blocks, Block::ZERO);
        }
        self.0.get_mut(..blocks).map(Blocks).ok_or(Error::OutOfMemory)
    }
}

/// The blocks of one hash.
pub(crate) struct Blocks<'a>(&'a mut [Block]);

impl Deref for Blocks<'_> {
    type Target = [Block];

    fn deref(&self) -> &[Block] {
        self.0
    }
}

impl DerefMut for Blocks<'_> {
    fn deref_mut(&mut self) -> &mut [Block] {
        self.0
    }
}

impl Drop for Blocks<'_> {
    fn drop(&mut self) {
        wipe(self.0);
    }
}

/// Sets everything to its default, also where the compiler sees that nobody reads it again.
pub(crate) fn wipe<T: Copy + Default>(values: &mut [T]) {
    values.fill(T::default());
    black_box(values);
}
