//! The memory that is kept between hashes, and how it is wiped.
//!
//! The memory is wiped after every hash, since its content is more useful to an attacker than the hash. In version 0x13 the last
//! pass XORs each block with G of two blocks that are still in memory. So the passes can be undone block by block, down to the
//! first block, H'(H0 || 0 || 0), with which a guessed password is compared in microseconds, without filling any memory. Wiping
//! only every second block does not prevent this: a wiped block can be recomputed where its neighbour and reference remain.
//!
//! Wiping 19 MiB takes 0.4 to 0.7 ms in V8, compared with 17 ms for the hash.
//!
//! The copies of the password and of H0 on the stack of this crate are wiped too. Spilled registers and copies of the caller
//! are not.

use std::hint::black_box;
use std::ops::{Deref, DerefMut};

use crate::Error;
use crate::block::Block;

/// The matrix B, kept between hashes. It grows to the maximum size needed so far.
#[derive(Default)]
pub struct Memory(Vec<Block>);

impl Memory {
    /// Empty memory. The first hash allocates it.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The size, in KiB.
    #[must_use]
    pub fn kib(&self) -> usize {
        self.0.len()
    }

    /// Grows to at least `kib` KiB.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]. The memory is empty afterwards.
    pub fn reserve(&mut self, kib: usize) -> Result<(), Error> {
        if self.0.len() < kib {
            // Free the old memory before allocating the new one.
            self.0 = Vec::new();
            self.0.try_reserve_exact(kib).map_err(|_| Error::OutOfMemory)?;
            self.0.resize(kib, Block::ZERO);
        }
        Ok(())
    }

    /// Borrows that many blocks, with any content. They are wiped when the borrow ends.
    pub(crate) fn borrow(&mut self, blocks: usize) -> Result<Blocks<'_>, Error> {
        self.reserve(blocks)?;
        self.0.get_mut(..blocks).map(Blocks).ok_or(Error::OutOfMemory)
    }
}

/// Borrowed blocks, wiped on drop.
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

/// Overwrites values with their default, even if the compiler knows that they are not read again.
pub(crate) fn wipe<T: Copy + Default>(values: &mut [T]) {
    values.fill(T::default());
    black_box(values);
}

#[cfg(test)]
impl Memory {
    /// Fills the memory, as a hash without wiping would.
    pub(crate) fn poison(&mut self, byte: u8) {
        for block in &mut self.0 {
            block.load(&[byte; 1024]);
        }
    }

    /// Whether the first `blocks` blocks are zero.
    pub(crate) fn is_wiped(&self, blocks: u32) -> bool {
        self.0.iter().take(blocks as usize).all(|block| block.to_words() == [0; 128])
    }
}
