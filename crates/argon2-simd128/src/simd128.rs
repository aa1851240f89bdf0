//! The compression function G (RFC 9106 §3.5) in WebAssembly SIMD128, optimised for the code that V8 generates.
//!
//! - **Multiplication.** V8 compiles `i64x2.mul` to ten instructions on x86-64. Instead, one shuffle packs the lower halves of
//!   two registers, and `i64x2.extmul_low` and `_high` of two packed registers compute two products each.
//! - **Interleaving.** Two permutations run stage by stage in parallel, since one alone is limited by latency. LLVM's WebAssembly
//!   backend would serialise them; a `black_box` per stage, which costs one store, prevents that.
//! - **No copies.** R is computed in the new block itself. Only the rows use a buffer.
//! - **One call per block.** V8 switches from baseline to optimised code when a function is called. So `set` and `xor` are not
//!   inlined; a loop without calls would run to its end in baseline code.

#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "indices are constants, or counters of loops over lengths known to the compiler"
)]
#![expect(
    clippy::inline_always,
    reason = "the instructions are enabled in `set` and `xor`, so everything must be inlined there"
)]

use core::arch::wasm32::{
    i16x8_shuffle, i32x4_shuffle, i64x2_add, i64x2_shl, i64x2_shuffle, u64x2, u64x2_extmul_high_u32x4,
    u64x2_extmul_low_u32x4, u64x2_extract_lane, u64x2_shr, v128, v128_or, v128_xor,
};
use std::hint::black_box;

/// A block, aligned so that it does not cross a page boundary.
#[derive(Clone, Copy)]
#[repr(C, align(1024))]
pub(crate) struct Block([[v128; 16]; 4]);

impl Default for Block {
    fn default() -> Self {
        Self::ZERO
    }
}

impl Block {
    pub(crate) const ZERO: Self = Self([[u64x2(0, 0); 16]; 4]);

    /// Sets the words from little-endian bytes.
    pub(crate) fn load(&mut self, bytes: &[u8; 1024]) {
        let (words, _) = bytes.as_chunks();
        let (pairs, _) = words.as_chunks();
        for (register, [low, high]) in self.0.as_flattened_mut().iter_mut().zip(pairs) {
            *register = u64x2(u64::from_le_bytes(*low), u64::from_le_bytes(*high));
        }
    }

    pub(crate) fn to_words(self) -> [u64; 128] {
        let mut words = [0; 128];
        let (pairs, _) = words.as_chunks_mut();
        for ([low, high], register) in pairs.iter_mut().zip(self.0.as_flattened()) {
            (*low, *high) = (u64x2_extract_lane::<0>(*register), u64x2_extract_lane::<1>(*register));
        }
        words
    }

    pub(crate) fn first_word(&self) -> u64 {
        let [[register, ..], ..] = self.0;
        u64x2_extract_lane::<0>(register)
    }
}

/// Runs a statement for each of the sixteen registers of two states. A loop might not be unrolled when optimising for size, which
/// would keep the states in memory.
macro_rules! for_each_register {
    ($at:ident => $body:expr) => {
        for_each_register!($at => $body; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    ($at:ident => $body:expr; $($register:literal)*) => {
        $({
            const $at: usize = $register;
            $body;
        })*
    };
}

/// G, with a buffer for its intermediate state.
pub(crate) struct G {
    /// Q, the state after the rows were permuted.
    pub(crate) rows: Block,
}

/// Four words of the state, that is, two registers of the RFC.
type Quad = [v128; 2];
/// The rows of the 4×4 matrix v of P.
type State = [Quad; 4];

impl G {
    pub(crate) const fn new() -> Self {
        Self { rows: Block::ZERO }
    }

    /// Computes `current = G(previous, reference)`.
    #[inline(never)]
    #[target_feature(enable = "simd128")]
    pub(crate) fn set(&mut self, current: &mut Block, previous: &Block, reference: &Block) {
        self.compress::<false>(current, previous, reference);
    }

    /// Computes `current = current XOR G(previous, reference)`.
    #[inline(never)]
    #[target_feature(enable = "simd128")]
    pub(crate) fn xor(&mut self, current: &mut Block, previous: &Block, reference: &Block) {
        self.compress::<true>(current, previous, reference);
    }

    /// Writes R into `current`, or XORs it if `XOR`, and then XORs Z into it.
    #[inline(always)]
    fn compress<const XOR: bool>(&mut self, current: &mut Block, previous: &Block, reference: &Block) {
        let registers = previous.0.iter().zip(&reference.0);
        for ((current, rows), (previous, reference)) in current.0.iter_mut().zip(&mut self.rows.0).zip(registers) {
            let mut states: [State; 2] = [[[u64x2(0, 0); 2]; 4]; 2];
            for_each_register!(AT => {
                let r = v128_xor(previous[AT], reference[AT]);
                current[AT] = if XOR { v128_xor(current[AT], r) } else { r };
                states[AT / 8][AT / 2 % 4][AT % 2] = r;
            });
            permute(&mut states);
            for_each_register!(AT => rows[AT] = states[AT / 8][AT / 2 % 4][AT % 2]);
        }
        for column in 0..4 {
            let mut states: [State; 2] = [[[u64x2(0, 0); 2]; 4]; 2];
            for_each_register!(AT => {
                states[AT / 8][AT / 2 % 4][AT % 2] = self.rows.0[AT / 2 % 4][AT % 2 * 8 + 2 * column + AT / 8];
            });
            permute(&mut states);
            for_each_register!(AT => {
                let register = &mut current.0[AT / 2 % 4][AT % 2 * 8 + 2 * column + AT / 8];
                *register = v128_xor(*register, states[AT / 8][AT / 2 % 4][AT % 2]);
            });
        }
    }
}

/// The permutation P of two states, in place (RFC 9106 §3.6).
#[inline(always)]
fn permute(states: &mut [State; 2]) {
    gb(states);
    // Rotate the diagonals into columns, and back.
    for [_, [b0, b1], [c0, c1], [d0, d1]] in states.iter_mut() {
        (*b0, *b1) = (straddle(*b0, *b1), straddle(*b1, *b0));
        (*c0, *c1) = (*c1, *c0);
        (*d0, *d1) = (straddle(*d1, *d0), straddle(*d0, *d1));
    }
    gb(states);
    for [_, [b0, b1], [c0, c1], [d0, d1]] in states.iter_mut() {
        (*b0, *b1) = (straddle(*b1, *b0), straddle(*b0, *b1));
        (*c0, *c1) = (*c1, *c0);
        (*d0, *d1) = (straddle(*d0, *d1), straddle(*d1, *d0));
    }
}

/// The function GB, for the four columns of both states.
#[inline(always)]
fn gb(states: &mut [State; 2]) {
    for [a, b, _, d] in states.iter_mut() {
        add(a, b);
        *d = xor(d, a).map(|x| i32x4_shuffle::<1, 0, 3, 2>(x, x));
    }
    for [_, b, c, d] in states.iter_mut() {
        add(c, d);
        *b = xor(b, c).map(|x| v128_or(u64x2_shr(x, 24), i64x2_shl(x, 40)));
    }
    for [a, b, _, d] in states.iter_mut() {
        add(a, b);
        *d = xor(d, a).map(|x| i16x8_shuffle::<1, 2, 3, 0, 5, 6, 7, 4>(x, x));
    }
    for [_, b, c, d] in states.iter_mut() {
        add(c, d);
        *b = xor(b, c).map(|x| v128_or(i64x2_add(x, x), u64x2_shr(x, 63)));
    }
}

/// x = x + y + 2 * trunc(x) * trunc(y) for every word, where trunc keeps the lower 32 bits.
#[inline(always)]
fn add([x0, x1]: &mut Quad, [y0, y1]: &Quad) {
    let x = i32x4_shuffle::<0, 2, 4, 6>(*x0, *x1);
    let y = i32x4_shuffle::<0, 2, 4, 6>(*y0, *y1);
    // Keeps the stages in order.
    black_box(y);
    let (low, high) = (u64x2_extmul_low_u32x4(x, y), u64x2_extmul_high_u32x4(x, y));
    *x0 = i64x2_add(i64x2_add(*x0, *y0), i64x2_add(low, low));
    *x1 = i64x2_add(i64x2_add(*x1, *y1), i64x2_add(high, high));
}

#[inline(always)]
fn xor([x0, x1]: &Quad, [y0, y1]: &Quad) -> Quad {
    [v128_xor(*x0, *y0), v128_xor(*x1, *y1)]
}

/// Maps [x0 x1] and [y0 y1] to [x1 y0].
#[inline(always)]
fn straddle(x: v128, y: v128) -> v128 {
    i64x2_shuffle::<1, 2>(x, y)
}
