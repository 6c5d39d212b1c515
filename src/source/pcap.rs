//! Classic pcap files: draft-ietf-opsawg-pcap, and what libpcap's `sf-pcap.c` knows of older ones.

use super::error::{Damage, Fault};
use super::record::{ByteOrder, Record, Step, index};
use super::stream::{Fill, Stream};
use crate::units::{LinkType, Timestamp};

/// Length of the header of a file.
pub(super) const FILE_HEADER_LEN: usize = 24;

/// What the first four bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Magic {
    order: ByteOrder,
    /// Nanoseconds that one unit of the fraction of a second stands for.
    fraction_nanos: u32,
    /// Length of the header of a record.
    record_header_len: usize,
}

impl Magic {
    /// The variant of pcap that begins with `magic`.
    pub const fn recognise(magic: [u8; 4]) -> Option<Self> {
        let (order, fraction_nanos, record_header_len) = match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => (ByteOrder::Big, 1_000, 16),
            [0xd4, 0xc3, 0xb2, 0xa1] => (ByteOrder::Little, 1_000, 16),
            [0xa1, 0xb2, 0x3c, 0x4d] => (ByteOrder::Big, 1, 16),
            [0x4d, 0x3c, 0xb2, 0xa1] => (ByteOrder::Little, 1, 16),
            // Alexey Kuznetsov's: interface, protocol and packet type follow the lengths
            [0xa1, 0xb2, 0xcd, 0x34] => (ByteOrder::Big, 1_000, 24),
            [0x34, 0xcd, 0xb2, 0xa1] => (ByteOrder::Little, 1_000, 24),
            _ => return None,
        };
        Some(Self { order, fraction_nanos, record_header_len })
    }
}

/// Whether the two lengths of a record have changed places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    /// Captured length first.
    InOrder,
    /// Wire length first.
    Swapped,
    /// Some writers did, some did not: the smaller is the captured one.
    SmallerIsCaptured,
}

/// A pcap file, from its second record header on.
pub(super) struct Pcap {
    stream: Stream,
    magic: Magic,
    lengths: Lengths,
    /// Longest captured length that is no damage, in bytes.
    limit: u32,
    records: u64,
    record: Record,
}

/// What the header of a file says of its only interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileHeader {
    /// Link type of every packet.
    pub link: LinkType,
    /// Longest captured length, in bytes; 0 when there is no limit.
    pub snap_len: u32,
}

impl Pcap {
    /// Reads the header of a file, which `stream` has in memory. Packets will refer to `interface`.
    ///
    /// # Errors
    /// The version is none that has been in use.
    pub fn open(mut stream: Stream, magic: Magic, interface: u32) -> Result<(Self, FileHeader), Fault> {
        let header = stream.unread();
        let (major, minor) = (magic.order.u16_at(header, 4), magic.order.u16_at(header, 6));
        // 543.0 is what DG/UX wrote
        let lengths = match (major, minor) {
            (2, 0..=2) | (543, 0) => Lengths::Swapped,
            (2, 3) => Lengths::SmallerIsCaptured,
            (2, _) => Lengths::InOrder,
            _ => return Err(Fault::Version { container: "pcap", major, minor, at: stream.position() }),
        };
        let snap_len = magic.order.u32_at(header, 16);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the upper half holds the length of the frame check sequence"
        )]
        let link = LinkType(magic.order.u32_at(header, 20) as u16);
        stream.consume(FILE_HEADER_LEN);
        let record = Record { link, interface, ..Record::NONE };
        let pcap = Self { stream, magic, lengths, limit: captured_limit(link), records: 0, record };
        Ok((pcap, FileHeader { link, snap_len }))
    }

    /// Goes to the next packet.
    ///
    /// # Errors
    /// The file ends within a record, or the record cannot be one; its offset is that of the record's header.
    #[inline]
    pub fn advance(&mut self) -> Result<Step, Fault> {
        loop {
            let unread = self.stream.unread();
            let header_len = self.magic.record_header_len;
            let mut needed_len = header_len;
            let mut captured_len = 0;
            if let Some(header) = unread.first_chunk::<16>().filter(|_| unread.len() >= header_len) {
                let record = self.read_header(header);
                captured_len = record.captured_len;
                if captured_len > self.limit {
                    let claimed = captured_len;
                    return Err(self.damage(Damage::LongRecord {
                        record: self.records + 1,
                        claimed,
                        limit: self.limit,
                    }));
                }
                needed_len += index(captured_len);
                if unread.len() >= needed_len {
                    // A captured length beyond the wire's makes no sense; tshark cuts it as well.
                    let data_len = index(captured_len.min(record.wire_len));
                    self.record.ts = record.ts;
                    self.record.wire_len = record.wire_len;
                    self.record.data = self.stream.span(header_len, data_len);
                    self.stream.consume(needed_len);
                    self.records += 1;
                    return Ok(Step::Packet);
                }
            }
            match self.stream.fill(needed_len)? {
                Fill::Ready => {}
                Fill::Idle => return Ok(Step::Idle),
                Fill::Stopped | Fill::End(0) => return Ok(Step::End),
                Fill::End(left) => return Err(self.cut(left, captured_len)),
            }
        }
    }

    /// The packet at which the reader stands.
    #[inline]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// Its bytes.
    #[inline]
    pub fn data(&self) -> &[u8] {
        self.stream.slice(self.record.data)
    }

    #[inline]
    fn read_header(&self, header: &[u8; 16]) -> RecordHeader {
        let order = self.magic.order;
        let (seconds, fraction) = (order.u32_at(header, 0), order.u32_at(header, 4));
        let (first, second) = (order.u32_at(header, 8), order.u32_at(header, 12));
        let (captured_len, wire_len) = match self.lengths {
            Lengths::InOrder => (first, second),
            Lengths::Swapped => (second, first),
            Lengths::SmallerIsCaptured => (first.min(second), first.max(second)),
        };
        // at most 2^32 seconds and 2^32 microseconds: far from the end of the range
        let nanos = i64::from(seconds) * 1_000_000_000 + i64::from(fraction) * i64::from(self.magic.fraction_nanos);
        RecordHeader { ts: Timestamp::from_nanos(nanos), captured_len, wire_len }
    }

    #[cold]
    fn cut(&self, left: u64, claimed: u32) -> Fault {
        let record = self.records + 1;
        let header_len = self.magic.record_header_len as u64;
        self.damage(match left.checked_sub(header_len) {
            Some(left) => Damage::CutRecord { record, claimed, left },
            None => Damage::CutRecordHeader { record, needed: header_len, left },
        })
    }

    #[cold]
    fn damage(&self, damage: Damage) -> Fault {
        Fault::Damaged { at: self.stream.position(), damage }
    }
}

/// The header of a record, in its own units.
struct RecordHeader {
    ts: Timestamp,
    captured_len: u32,
    wire_len: u32,
}

/// The longest capture of a packet that libpcap takes (`max_snaplen_for_dlt` of `pcap-common.c`), in bytes.
const fn captured_limit(link: LinkType) -> u32 {
    match link.0 {
        // D-Bus and USBPcap: the longest message of the protocol
        231 | 249 => 128 << 20,
        // Elektrobit high-speed capture
        279 => 8 << 20,
        _ => 256 << 10,
    }
}
