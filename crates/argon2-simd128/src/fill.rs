//! Filling the memory, and which blocks each block references (RFC 9106 §3.2, §3.4).

#![expect(
    clippy::arithmetic_side_effects,
    reason = "positions and sizes are at most m', a u32, and no difference of them is negative; the tests check for \
              overflow"
)]

use std::slice;

use crate::block::{Block, G};
use crate::h_prime::h_prime;
use crate::memory::wipe;
use crate::{Error, Params, Variant, Version};

/// SL, the number of slices. The segments of a slice do not reference each other.
const SLICES: u32 = 4;
/// Number of pseudorandom values per address block.
const ADDRESSES: u32 = 128;

/// The dimensions of the memory matrix.
pub(crate) struct Shape {
    params: Params,
    /// q, the number of columns, that is, of blocks per lane.
    lane_length: u32,
    /// q / SL, the number of blocks per segment.
    segment_length: u32,
}

/// The position of a segment, and the pass that fills it.
#[derive(Clone, Copy)]
struct Position {
    pass: u32,
    slice: u32,
    lane: u32,
}

impl Shape {
    pub(crate) fn new(params: &Params) -> Result<Self, Error> {
        let lanes = params.lanes;
        if !(1..1 << 24).contains(&lanes) {
            return Err(Error::Lanes);
        }
        if params.memory_kib < 8 * lanes {
            return Err(Error::MemoryTooSmall);
        }
        if params.passes == 0 {
            return Err(Error::Passes);
        }
        let segment_length = params.memory_kib / (SLICES * lanes);
        Ok(Self { params: *params, lane_length: SLICES * segment_length, segment_length })
    }

    /// m', the total number of blocks.
    pub(crate) const fn blocks(&self) -> usize {
        (self.lane_length * self.params.lanes) as usize
    }

    /// The index of a block in memory.
    const fn index(&self, lane: u32, column: u32) -> usize {
        (lane * self.lane_length + column) as usize
    }

    /// Fills [`Self::blocks`] blocks. None is read before it has been written.
    pub(crate) fn fill(&self, memory: &mut [Block], h0: &[u8; 64]) -> Result<(), Error> {
        let mut bytes = [0; 1024];
        for lane in 0..self.params.lanes {
            for column in 0..2_u32 {
                h_prime(&[h0, &column.to_le_bytes(), &lane.to_le_bytes()], &mut bytes)?;
                let block = memory.get_mut(self.index(lane, column)).ok_or(Error::BlockIndex)?;
                block.load(&bytes);
            }
        }
        wipe(&mut bytes);
        let mut g = G::new();
        for pass in 0..self.params.passes {
            for slice in 0..SLICES {
                for lane in 0..self.params.lanes {
                    self.fill_segment(memory, Position { pass, slice, lane }, &mut g)?;
                }
            }
        }
        wipe(slice::from_mut(&mut g.rows));
        Ok(())
    }

    fn fill_segment(&self, memory: &mut [Block], position: Position, g: &mut G) -> Result<(), Error> {
        let Position { pass, slice, lane } = position;
        let first = if pass == 0 && slice == 0 { 2 } else { 0 };
        let overwrites = pass == 0 || self.params.version == Version::V0x10;
        let mut addresses = self.addresses(position);
        let start = slice * self.segment_length;
        let mut previous = self.index(lane, if start + first == 0 { self.lane_length } else { start + first } - 1);
        for offset in first..self.segment_length {
            let j = match &mut addresses {
                Some(addresses) => addresses.at(offset, g),
                None => memory.get(previous).ok_or(Error::BlockIndex)?.first_word(),
            };
            let current = self.index(lane, start + offset);
            let reference = self.reference(position, offset, j);
            // The three blocks are distinct: a lane has at least 8 blocks, and the reference set contains neither of the
            // other two.
            let Ok([current_block, previous_block, reference_block]) =
                memory.get_disjoint_mut([current, previous, reference])
            else {
                return Err(Error::BlockIndex);
            };
            if overwrites {
                g.set(current_block, previous_block, reference_block);
            } else {
                g.xor(current_block, previous_block, reference_block);
            }
            previous = current;
        }
        Ok(())
    }

    /// The address generator of a segment whose references do not depend on the content of the memory.
    fn addresses(&self, Position { pass, slice, lane }: Position) -> Option<Addresses> {
        let independent = match self.params.variant {
            Variant::D => false,
            Variant::I => true,
            Variant::Id => pass == 0 && slice < SLICES / 2,
        };
        let input = [
            pass.into(),
            lane.into(),
            slice.into(),
            u64::from(self.lane_length) * u64::from(self.params.lanes),
            self.params.passes.into(),
            self.params.variant as u64,
        ];
        independent.then_some(Addresses { input, counter: 0, words: [0; 128] })
    }

    /// The index of the block [l][z] that the `offset`-th block of a segment references, from `J_1` and `J_2` (RFC 9106 §3.4.2).
    ///
    /// The reference set W contains the blocks of the last SL-1 finished segments of the lane. In the current lane it also
    /// contains the blocks of the current segment before the current block. It never contains the previous block, the current
    /// block, or a block that is written in this slice of another lane.
    fn reference(&self, Position { pass, slice, lane }: Position, offset: u32, j: u64) -> usize {
        let (j1, j2) = (j & 0xffff_ffff, (j >> 32) as u32);
        // Avoids the division, which takes a twentieth of the time of a block.
        let same_lane = self.params.lanes == 1 || (pass == 0 && slice == 0);
        let reference_lane = if same_lane { lane } else { j2 % self.params.lanes };
        let (oldest, finished) = if pass == 0 {
            (0, slice * self.segment_length)
        } else {
            ((slice + 1) % SLICES * self.segment_length, self.lane_length - self.segment_length)
        };
        // |W|
        let size = if reference_lane == lane { finished + offset - 1 } else { finished - u32::from(offset == 0) };
        let x = (j1 * j1) >> 32;
        let y = (u64::from(size) * x) >> 32;
        let zz = size - 1 - y as u32;
        // (oldest + zz) mod q
        let column = if zz < self.lane_length - oldest { oldest + zz } else { zz - (self.lane_length - oldest) };
        self.index(reference_lane, column)
    }

    /// The XOR of the blocks of the last column.
    pub(crate) fn last(&self, memory: &[Block]) -> Result<[u8; 1024], Error> {
        let mut last = [0; 128];
        for lane in 0..self.params.lanes {
            let block = memory.get(self.index(lane, self.lane_length - 1)).ok_or(Error::BlockIndex)?;
            for (word, other) in last.iter_mut().zip(block.to_words()) {
                *word ^= other;
            }
        }
        Ok(to_le_bytes(&last))
    }
}

/// The little-endian bytes of a block.
fn to_le_bytes(words: &[u64; 128]) -> [u8; 1024] {
    let mut bytes = [0; 1024];
    let (chunks, _) = bytes.as_chunks_mut();
    for (chunk, word) in chunks.iter_mut().zip(words) {
        *chunk = word.to_le_bytes();
    }
    bytes
}

/// Generates the pseudorandom values `J_1 || J_2` of a segment from its position (RFC 9106 §3.4.1.2).
struct Addresses {
    /// Z: pass, lane, slice, m', t, y.
    input: [u64; 6],
    /// Number of address blocks generated.
    counter: u64,
    /// The last address block.
    words: [u64; 128],
}

impl Addresses {
    fn at(&mut self, offset: u32, g: &mut G) -> u64 {
        if offset.is_multiple_of(ADDRESSES) || self.counter == 0 {
            self.next(g);
        }
        self.words.get((offset % ADDRESSES) as usize).copied().unwrap_or_default()
    }

    fn next(&mut self, g: &mut G) {
        self.counter += 1;
        let mut words = [0; 128];
        for (word, value) in words.iter_mut().zip(self.input.iter().chain([&self.counter])) {
            *word = *value;
        }
        let (mut input, mut once, mut twice) = (Block::ZERO, Block::ZERO, Block::ZERO);
        input.load(&to_le_bytes(&words));
        g.set(&mut once, &Block::ZERO, &input);
        g.set(&mut twice, &Block::ZERO, &once);
        self.words = twice.to_words();
    }
}
