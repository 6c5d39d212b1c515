//! What the readers of all containers have in common: a packet that was found, and where numbers lie in bytes.

use super::Frame;
use super::stream::Span;
use crate::units::{LinkType, Timestamp};

/// A packet that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// When it was captured.
    pub ts: Timestamp,
    /// Bytes on the wire.
    pub wire_len: u32,
    /// What its first byte is.
    pub link: LinkType,
    /// Index into the interfaces of the source.
    pub interface: u32,
    /// Its captured bytes.
    pub data: Span,
}

impl Record {
    /// No packet yet.
    pub const NONE: Self =
        Self { ts: Timestamp::from_nanos(0), wire_len: 0, link: LinkType::NULL, interface: 0, data: Span::EMPTY };

    /// The packet, whose captured bytes are `data`.
    #[inline(always)]
    pub const fn frame<'a>(&self, data: &'a [u8]) -> Frame<'a> {
        let &Self { ts, wire_len, link, interface, data: _ } = self;
        Frame { ts, wire_len, link, interface, data }
    }
}

/// The next packets of an input that are in memory, and at which of them a reader stands. Looking for several at once costs
/// less than half of what it costs to look for one after the other: the loop that looks fits into registers, and the one
/// that takes them is the same for every container.
pub(super) struct Found {
    records: [Record; Self::LIMIT],
    at: usize,
    len: usize,
}

impl Found {
    /// The most that are found at once.
    const LIMIT: usize = 32;

    /// None.
    pub const NONE: Self = Self { records: [Record::NONE; Self::LIMIT], at: 0, len: 0 };

    /// Replaces all by what `next` finds: it is asked until it has none, or there is no more room. The reader then stands at
    /// the first. Tells how many there are.
    #[inline(always)]
    pub fn look(&mut self, mut next: impl FnMut() -> Option<Record>) -> usize {
        let mut len = 0;
        for place in &mut self.records {
            let Some(record) = next() else { break };
            *place = record;
            len += 1;
        }
        (self.at, self.len) = (0, len);
        len
    }

    /// Goes to the next one; false when there is none.
    #[inline(always)]
    pub const fn advance(&mut self) -> bool {
        self.at += 1;
        self.at < self.len
    }

    /// The one at which the reader stands.
    #[inline(always)]
    pub fn current(&self) -> &Record {
        self.records.get(self.at).unwrap_or(&Record::NONE)
    }

    /// The one at which the reader stands, and those after it.
    #[inline(always)]
    pub fn rest(&self) -> &[Record] {
        self.records.get(self.at..self.len).unwrap_or_default()
    }

    /// Goes on by as many, which are there.
    #[inline(always)]
    pub const fn skip(&mut self, records: usize) {
        self.at += records;
    }

    /// The last one.
    pub fn last(&self) -> Option<&Record> {
        self.rest().last()
    }
}

/// What a reader says when it is asked to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It stands at a packet.
    Packet,
    /// Nothing there just now.
    Idle,
    /// That was all.
    End,
}

/// The byte order of a container's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl ByteOrder {
    /// A 16-bit number.
    #[inline]
    pub const fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    /// A 32-bit number.
    #[inline]
    pub const fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    /// The bytes of a 32-bit number.
    pub const fn bytes(self, word: u32) -> [u8; 4] {
        match self {
            Self::Little => word.to_le_bytes(),
            Self::Big => word.to_be_bytes(),
        }
    }

    /// The bytes of a 16-bit number.
    pub const fn half_bytes(self, half: u16) -> [u8; 2] {
        match self {
            Self::Little => half.to_le_bytes(),
            Self::Big => half.to_be_bytes(),
        }
    }

    /// A signed 64-bit number.
    pub const fn i64(self, bytes: [u8; 8]) -> i64 {
        match self {
            Self::Little => i64::from_le_bytes(bytes),
            Self::Big => i64::from_be_bytes(bytes),
        }
    }

    /// The 32-bit number that begins at `at`; 0 where `bytes` end before it does.
    #[inline]
    pub fn u32_at(self, bytes: &[u8], at: usize) -> u32 {
        bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| self.u32(*chunk))
    }

    /// The 16-bit number that begins at `at`; 0 where `bytes` end before it does.
    #[inline]
    pub fn u16_at(self, bytes: &[u8], at: usize) -> u16 {
        bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| self.u16(*chunk))
    }
}

/// A length that is a number of a container, as an index.
#[inline]
pub(super) const fn index(len: u32) -> usize {
    // lossless on every system with an address space of 32 bits or more
    len as usize
}
