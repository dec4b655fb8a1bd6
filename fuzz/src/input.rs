//! A fuzzer's bytes as a tape of choices. Behind its end every choice is 0, so that each input
//! means something and a shorter one means less.

/// Numbers at which code breaks.
const EDGES: [u64; 20] = [
    0,
    1,
    3,
    4,
    7,
    8,
    0x7f,
    0xff,
    0x1000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0xffff_fffb,
    0xffff_ffff,
    1 << 36,
    1 << 62,
    i64::MAX as u64 - 4096,
    i64::MAX as u64,
    u64::MAX - 1,
    u64::MAX,
];

/// The bytes that are left.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// All choices of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// Whether there is nothing left to choose.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// One byte.
    pub fn u8(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    /// A number below `end`, which is at least 1.
    pub fn below(&mut self, end: usize) -> usize {
        let number = match end {
            0..=1 => return 0,
            2..=256 => usize::from(self.u8()),
            _ => usize::from(self.u8()) << 8 | usize::from(self.u8()),
        };
        number % end
    }

    /// Whether one of two ways is taken.
    pub fn flag(&mut self) -> bool {
        self.u8() & 1 == 1
    }

    /// A number: often an edge, or one near it, else small or any.
    pub fn number(&mut self) -> u64 {
        match self.u8() {
            way @ 0..=99 => EDGES
                .get(usize::from(way) % EDGES.len())
                .copied()
                .unwrap_or(0),
            way @ 100..=139 => {
                let edge = EDGES
                    .get(usize::from(way) % EDGES.len())
                    .copied()
                    .unwrap_or(0);
                edge.wrapping_add(u64::from(self.u8())).wrapping_sub(128)
            }
            140..=219 => u64::from(self.u8()),
            _ => {
                let bytes = self.bytes(8);
                bytes
                    .iter()
                    .fold(0, |number, &byte| number << 8 | u64::from(byte))
            }
        }
    }

    /// Up to `len` bytes, fewer at the end.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Bytes behind a length of one byte.
    pub fn string(&mut self) -> &'a [u8] {
        let len = usize::from(self.u8());
        self.bytes(len)
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        self.bytes(usize::MAX)
    }
}
