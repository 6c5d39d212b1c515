//! What can go wrong with an input, and how much of it was lost by that.

use std::fmt;
use std::io;

use super::foreign::Foreign;

/// What can go wrong with an input. Every message says where, and what there is instead.
///
/// `input` is the input as the user named it; standard input is called by that name.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file cannot be opened, or a folder cannot be listed.
    #[error("{input}: cannot open: {source}")]
    Open {
        /// The input.
        input: String,
        /// What the system said.
        source: io::Error,
    },
    /// A folder without any capture directly in it.
    #[error("{folder}: no capture directly in this folder")]
    NoCaptures {
        /// The folder.
        folder: String,
    },
    /// A file in a folder that is no capture; it is left out, which is no failure.
    #[error("{input}: skipped, no capture: {found}")]
    Skipped {
        /// The file.
        input: String,
        /// What it is instead.
        found: Foreign,
    },
    /// An input that was opened, but not read to its end.
    #[error("{input}: {fault}")]
    Input {
        /// The input.
        input: String,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// What is wrong with an input that could be opened.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It holds something else than packets.
    #[error("no capture (pcap, pcapng or snoop): {0}")]
    NotACapture(Foreign),
    /// It has no byte at all.
    #[error("0 bytes, no capture header")]
    Empty,
    /// The container is of a version that nobody describes.
    #[error("{container} version {major}.{minor} at {at} is not supported")]
    Version {
        /// `pcap` or `pcapng`.
        container: &'static str,
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
        /// Where the header that says so begins.
        at: Position,
    },
    /// The same of a snoop file, whose version is one number.
    #[error("snoop version {version} at {at} is not supported")]
    SnoopVersion {
        /// The version.
        version: u32,
        /// Where the header that says so begins.
        at: Position,
    },
    /// The system cannot read on.
    #[error("cannot read on at {at}: {source}")]
    Read {
        /// How far it was read.
        at: Position,
        /// What the system said.
        source: io::Error,
    },
    /// The compressed data are cut or corrupt.
    #[error("damaged {codec} data at byte {offset} of the compressed file: {problem}")]
    Decompress {
        /// How it is compressed.
        codec: Codec,
        /// Compressed bytes up to the damage.
        offset: u64,
        /// What the decompressor said.
        problem: String,
    },
    /// The container is cut or corrupt.
    #[error("damaged at {at}: {damage}")]
    Damaged {
        /// Where the record or block begins that cannot be read.
        at: Position,
        /// What is wrong with it.
        damage: Damage,
    },
    /// The time of a packet is outside of what a [`Timestamp`](crate::units::Timestamp) can tell. The input is read on.
    #[error(
        "the packet at {at} has a time before 1677 or after 2262: it, and others like it, get the nearest in between"
    )]
    Time {
        /// Where the block begins that holds the first of them.
        at: Position,
    },
}

/// A place in an input: bytes from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Bytes from the beginning.
    pub offset: u64,
    /// Counted after decompression of this, when the input is compressed.
    pub decompressed: Option<Codec>,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.decompressed {
            None => write!(f, "byte {}", self.offset),
            Some(codec) => write!(f, "byte {} after {codec} decompression", self.offset),
        }
    }
}

/// How a capture file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// The LZ4 frame format, version 1.6.
    Lz4,
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        })
    }
}

/// What is wrong with a record of a pcap or snoop file, a block of a pcapng file, or what comes before compressed data.
/// Lengths are in bytes; records count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file ends within its header.
    #[error("the file header takes {needed} bytes, {left} remain")]
    CutFileHeader {
        /// Length of the header.
        needed: u64,
        /// Bytes up to the end of the input.
        left: u64,
    },
    /// The file ends within the header of a skippable frame of zstd or lz4.
    #[error("the header of a skippable frame takes {needed} bytes, {left} remain")]
    CutSkippableHeader {
        /// Length of the header.
        needed: u64,
        /// Bytes up to the end of the input.
        left: u64,
    },
    /// The file ends within a skippable frame.
    #[error("a skippable frame claims {claimed} bytes, {left} remain")]
    CutSkippable {
        /// Its length without its header.
        claimed: u32,
        /// Bytes from there up to the end of the input.
        left: u64,
    },
    /// The file ends within the header of a record.
    #[error("the header of record {record} takes {needed} bytes, {left} remain")]
    CutRecordHeader {
        /// Which record.
        record: u64,
        /// Length of the header.
        needed: u64,
        /// Bytes up to the end of the input.
        left: u64,
    },
    /// The file ends within the data of a record.
    #[error("record {record} claims {claimed} captured bytes, {left} remain")]
    CutRecord {
        /// Which record.
        record: u64,
        /// Captured length.
        claimed: u32,
        /// Bytes from the record's data up to the end of the input.
        left: u64,
    },
    /// A record is longer than any packet of its link type.
    #[error("record {record} claims {claimed} captured bytes, packets of this link type have at most {limit}")]
    LongRecord {
        /// Which record.
        record: u64,
        /// Captured length.
        claimed: u32,
        /// Longest captured length that libpcap takes.
        limit: u32,
    },
    /// A record of a snoop file is shorter than what it holds.
    #[error("record {record} claims {claimed} bytes, its header and data take {least}")]
    ShortRecord {
        /// Which record.
        record: u64,
        /// Length of the record.
        claimed: u32,
        /// Length of its header and its data.
        least: u32,
    },
    /// A record of a snoop file has more padding than anybody writes.
    #[error("record {record} claims {claimed} bytes of padding, at most {limit} are read")]
    LongPadding {
        /// Which record.
        record: u64,
        /// Length of the padding.
        claimed: u32,
        /// Longest padding that is read.
        limit: u32,
    },
    /// A snoop file ends within the padding of a record.
    #[error("record {record} claims {claimed} bytes of padding, {left} remain")]
    CutPadding {
        /// Which record.
        record: u64,
        /// Length of the padding.
        claimed: u32,
        /// Bytes from the padding up to the end of the input.
        left: u64,
    },
    /// The file ends within the first bytes of a block.
    #[error("the header of a block takes {needed} bytes, {left} remain")]
    CutBlockHeader {
        /// Length of what every block has.
        needed: u64,
        /// Bytes up to the end of the input.
        left: u64,
    },
    /// The file ends within a block.
    #[error("a block of type 0x{kind:08x} claims {claimed} bytes, {left} remain")]
    CutBlock {
        /// Block type.
        kind: u32,
        /// Total length.
        claimed: u32,
        /// Bytes from the block's beginning up to the end of the input.
        left: u64,
    },
    /// A block is shorter than what a block of its type must hold.
    #[error("a block of type 0x{kind:08x} claims {claimed} bytes, the least for it is {least}")]
    ShortBlock {
        /// Block type.
        kind: u32,
        /// Total length.
        claimed: u32,
        /// The least total length.
        least: u32,
    },
    /// A block is longer than any packet.
    #[error("a block of type 0x{kind:08x} claims {claimed} bytes, at most {limit} are read")]
    LongBlock {
        /// Block type.
        kind: u32,
        /// Total length.
        claimed: u32,
        /// Longest block that is read.
        limit: u32,
    },
    /// The two lengths of a block differ.
    #[error("a block of type 0x{kind:08x} claims {claimed} bytes at its beginning and {trailing} at its end")]
    BlockLengths {
        /// Block type.
        kind: u32,
        /// Total length at its beginning.
        claimed: u32,
        /// Total length at its end.
        trailing: u32,
    },
    /// The byte order of a section is neither of the two.
    #[error("the byte-order magic of a section is 0x{found:08x}")]
    SectionMagic {
        /// The four bytes, most significant first.
        found: u32,
    },
    /// A packet of an interface that was not described.
    #[error("a packet names interface {id}, the section describes {known}")]
    UnknownInterface {
        /// Interface ID of the packet.
        id: u32,
        /// Interfaces that the section describes up to there.
        known: u64,
    },
    /// A packet is longer than the block that holds it.
    #[error("a packet claims {claimed} captured bytes, its block has room for {left}")]
    LongPacket {
        /// Captured length.
        claimed: u32,
        /// Bytes from the packet's data up to the end of its block.
        left: u64,
    },
    /// More interfaces than anybody has.
    #[error("more than {limit} interfaces are described")]
    TooManyInterfaces {
        /// How many are kept.
        limit: u64,
    },
}

/// How bad an error is for the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing of the input could be read: missing, forbidden, no capture.
    Unreadable,
    /// It was read up to the damage.
    Damaged,
    /// A file in a folder that is no capture: named, and nothing else follows from it.
    Skipped,
}

impl SourceError {
    /// How bad it is for the exit code.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Open { .. } | Self::NoCaptures { .. } => Severity::Unreadable,
            Self::Skipped { .. } => Severity::Skipped,
            Self::Input { fault, .. } => fault.severity(),
        }
    }
}

impl Fault {
    /// The input is read on.
    pub(super) const fn is_passing(&self) -> bool {
        matches!(self, Self::Time { .. })
    }

    /// How bad it is for the exit code. An empty file is damaged: whatever wrote it did not get as far as the header.
    const fn severity(&self) -> Severity {
        match self {
            Self::NotACapture(_) => Severity::Unreadable,
            Self::Version { at, .. } | Self::SnoopVersion { at, .. } if at.offset == 0 => Severity::Unreadable,
            _ => Severity::Damaged,
        }
    }
}
