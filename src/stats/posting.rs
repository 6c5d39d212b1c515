//! What there is to count of a packet, in two words.

/// How a packet is counted, once it is known under what.
#[derive(Clone, Copy, Debug)]
pub struct Posting {
    /// The number of its cell, and in the upper bits how it goes there.
    target: u32,
    wire_len: u32,
    gap_us: u64,
}

impl Posting {
    const TO_SERVER: u32 = 1 << 31;
    const IS_FIRST: u32 = 1 << 30;
    const CELL: u32 = Self::IS_FIRST - 1;

    /// Of a packet that is not counted here: it is to go to the cell that nobody looks at.
    pub const NOT: Self = Self { target: Self::IS_FIRST, wire_len: 0, gap_us: 0 };

    /// Of a packet of `wire_len` bytes that comes `gap_us` microseconds after the one before it of its flow; if `is_first`,
    /// there is none before it.
    #[must_use]
    #[inline(always)]
    pub fn new(cell: u32, to_server: bool, is_first: bool, wire_len: u32, gap_us: u64) -> Self {
        debug_assert!(cell <= Self::CELL);
        // in bits all the way: nobody can guess the direction of a packet
        Self { target: cell | u32::from(to_server) << 31 | u32::from(is_first) << 30, wire_len, gap_us }
    }

    /// The number of the cell.
    #[inline(always)]
    pub(super) const fn cell(self) -> usize {
        (self.target & Self::CELL) as usize
    }

    #[inline(always)]
    pub(super) const fn to_server(self) -> bool {
        self.target & Self::TO_SERVER != 0
    }

    #[inline(always)]
    pub(super) const fn is_first(self) -> bool {
        self.target & Self::IS_FIRST != 0
    }

    /// Bytes on the wire.
    #[inline(always)]
    pub(super) const fn wire_len(self) -> u32 {
        self.wire_len
    }

    /// Microseconds since the packet before it of its flow, if there is one.
    #[inline(always)]
    pub(super) const fn gap_us(self) -> u64 {
        self.gap_us
    }
}
