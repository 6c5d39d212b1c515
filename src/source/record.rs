//! What the readers of all containers have in common: a packet that was found, and where numbers lie in bytes.

use super::stream::Span;
use crate::units::{LinkType, Timestamp};

/// The packet at which a reader stands.
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
