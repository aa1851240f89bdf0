//! The compression function G (RFC 9106 §3.5) in 64-bit arithmetic.

#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "row * 8 + column is below 64, since both are below 8, which the compiler knows"
)]

/// A block, aligned so that it does not cross a page boundary.
#[derive(Clone, Copy)]
#[repr(C, align(1024))]
pub(crate) struct Block([Register; 64]);

/// A 16-byte register of the RFC, as two words.
type Register = [u64; 2];

impl Default for Block {
    fn default() -> Self {
        Self::ZERO
    }
}

impl Block {
    pub(crate) const ZERO: Self = Self([[0; 2]; 64]);

    /// Sets the words from little-endian bytes.
    pub(crate) fn load(&mut self, bytes: &[u8; 1024]) {
        let (words, _) = bytes.as_chunks();
        for (word, bytes) in self.0.as_flattened_mut().iter_mut().zip(words) {
            *word = u64::from_le_bytes(*bytes);
        }
    }

    pub(crate) fn to_words(self) -> [u64; 128] {
        let mut words = [0; 128];
        words.copy_from_slice(self.0.as_flattened());
        words
    }

    pub(crate) fn first_word(&self) -> u64 {
        let [[word, _], ..] = self.0;
        word
    }
}

/// G, with a buffer for its intermediate state.
pub(crate) struct G {
    /// Q, the state after the rows were permuted.
    pub(crate) rows: Block,
}

impl G {
    pub(crate) const fn new() -> Self {
        Self { rows: Block::ZERO }
    }

    /// Computes `current = G(previous, reference)`.
    #[inline(never)]
    pub(crate) fn set(&mut self, current: &mut Block, previous: &Block, reference: &Block) {
        self.compress::<false>(current, previous, reference);
    }

    /// Computes `current = current XOR G(previous, reference)`.
    #[inline(never)]
    pub(crate) fn xor(&mut self, current: &mut Block, previous: &Block, reference: &Block) {
        self.compress::<true>(current, previous, reference);
    }

    /// Writes R into `current`, or XORs it if `XOR`, and then XORs Z into it.
    #[inline]
    fn compress<const XOR: bool>(&mut self, current: &mut Block, previous: &Block, reference: &Block) {
        for row in 0..8 {
            let mut v = [[0; 2]; 8];
            for (column, v) in v.iter_mut().enumerate() {
                let at = row * 8 + column;
                let r = xor(previous.0[at], reference.0[at]);
                current.0[at] = if XOR { xor(current.0[at], r) } else { r };
                *v = r;
            }
            permute(&mut v);
            for (column, v) in v.iter().enumerate() {
                self.rows.0[row * 8 + column] = *v;
            }
        }
        for column in 0..8 {
            let mut v = [[0; 2]; 8];
            for (row, v) in v.iter_mut().enumerate() {
                *v = self.rows.0[row * 8 + column];
            }
            permute(&mut v);
            for (row, v) in v.iter().enumerate() {
                let at = row * 8 + column;
                current.0[at] = xor(current.0[at], *v);
            }
        }
    }
}

#[inline]
fn xor([a0, a1]: Register, [b0, b1]: Register) -> Register {
    [a0 ^ b0, a1 ^ b1]
}

/// The permutation P, in place (RFC 9106 §3.6).
#[inline]
fn permute(v: &mut [Register; 8]) {
    let [[v0, v1], [v2, v3], [v4, v5], [v6, v7], [v8, v9], [v10, v11], [v12, v13], [v14, v15]] = v;
    gb(v0, v4, v8, v12);
    gb(v1, v5, v9, v13);
    gb(v2, v6, v10, v14);
    gb(v3, v7, v11, v15);
    gb(v0, v5, v10, v15);
    gb(v1, v6, v11, v12);
    gb(v2, v7, v8, v13);
    gb(v3, v4, v9, v14);
}

/// The function GB.
#[inline]
fn gb(a: &mut u64, b: &mut u64, c: &mut u64, d: &mut u64) {
    *a = add(*a, *b);
    *d = (*d ^ *a).rotate_right(32);
    *c = add(*c, *d);
    *b = (*b ^ *c).rotate_right(24);
    *a = add(*a, *b);
    *d = (*d ^ *a).rotate_right(16);
    *c = add(*c, *d);
    *b = (*b ^ *c).rotate_right(63);
}

/// x + y + 2 * trunc(x) * trunc(y), where trunc keeps the lower 32 bits.
#[inline]
fn add(x: u64, y: u64) -> u64 {
    let product = (x & 0xffff_ffff).wrapping_mul(y & 0xffff_ffff);
    x.wrapping_add(y).wrapping_add(product).wrapping_add(product)
}
