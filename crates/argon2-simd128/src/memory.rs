//! The memory of the hashes, and how nothing stays in it.
//!
//! Left as it is after a hash of version 0x13, it would be worth more than the hash to whoever reads it: the last pass added G
//! of two blocks to each block, and both are still there, so the passes can be taken back block by block, down to the first,
//! H'(H0 || 0 || 0). A guess of the password is compared with that in microseconds, without filling any memory. So all of it
//! is wiped after every hash. Every second block would not do: one that is gone is its former self and G of a neighbour and
//! of a reference, so a guess makes it again wherever both remain, which is so within some hundreds of blocks. Wiping 19 MiB
//! takes 0.4 to 0.7 ms in V8, of some 17 ms for a hash.
//!
//! What held the password and H0 on the stack of this crate is wiped too; what the compiler spilled, and the copies of its
//! callers, are not within its reach.

use std::hint::black_box;
use std::ops::{Deref, DerefMut};

use crate::Error;
use crate::block::Block;

/// The matrix B, kept from hash to hash. Grows to what the most expensive hash so far needed.
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

    /// Sees to it that at least so many KiB are held.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; then none are.
    pub fn reserve(&mut self, kib: usize) -> Result<(), Error> {
        if self.0.len() < kib {
            // Given back first, so that old and new are never held together.
            self.0 = Vec::new();
            self.0.try_reserve_exact(kib).map_err(|_| Error::OutOfMemory)?;
            self.0.resize(kib, Block::ZERO);
        }
        Ok(())
    }

    /// So many blocks of it, of any content. They are wiped when they are given back.
    pub(crate) fn borrow(&mut self, blocks: usize) -> Result<Blocks<'_>, Error> {
        self.reserve(blocks)?;
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

#[cfg(test)]
impl Memory {
    /// As another hash that was not wiped would leave it.
    pub(crate) fn poison(&mut self, byte: u8) {
        for block in &mut self.0 {
            block.load(&[byte; 1024]);
        }
    }

    /// Whether so many blocks hold nothing.
    pub(crate) fn is_wiped(&self, blocks: u32) -> bool {
        self.0.iter().take(blocks as usize).all(|block| block.to_words() == [0; 128])
    }
}
