//! Classic pcap files: draft-ietf-opsawg-pcap, and what libpcap's `sf-pcap.c` knows of older ones.

use super::error::{Damage, Fault};
use super::record::{ByteOrder, Found, Record, Step, index};
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
    /// Records found so far.
    records: u64,
    /// Link type of every packet.
    link: LinkType,
    /// What they refer to as their interface.
    interface: u32,
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
        let pcap = Self { stream, magic, lengths, limit: captured_limit(link), records: 0, link, interface };
        Ok((pcap, FileHeader { link, snap_len }))
    }

    /// Finds the next packets.
    ///
    /// # Errors
    /// The file ends within a record, or the record cannot be one; its offset is that of the record's header.
    pub fn find(&mut self, found: &mut Found) -> Result<Step, Fault> {
        // almost always; what else there is stays out of the way
        if self.find_in_memory(found) { Ok(Step::Packet) } else { self.find_by_reading(found) }
    }

    /// Finds the packets that are sound and in memory, if there is one.
    fn find_in_memory(&mut self, found: &mut Found) -> bool {
        match (self.magic.order, self.lengths) {
            (ByteOrder::Little, Lengths::InOrder) => self.walk::<true>(found),
            _ => self.walk::<false>(found),
        }
    }

    /// What nearly every file is, little endian with its lengths in order, has a loop of its own.
    fn walk<const IS_USUAL: bool>(&mut self, found: &mut Found) -> bool {
        let usual = (ByteOrder::Little, Lengths::InOrder);
        let (order, lengths) = if IS_USUAL { usual } else { (self.magic.order, self.lengths) };
        let Magic { fraction_nanos, record_header_len, .. } = self.magic;
        let unread = self.stream.unread();
        let mut at = 0;
        let count = found.look(|| {
            let header = RecordHeader::parse(unread.get(at..)?, order, lengths, fraction_nanos)?;
            let RecordHeader { ts, captured_len, wire_len } = header;
            let data_at = at + record_header_len;
            let end = data_at + index(captured_len);
            if captured_len > self.limit || end > unread.len() {
                return None;
            }
            at = end;
            // A captured length beyond the wire's makes no sense; tshark cuts it as well.
            let data = self.stream.span(data_at, index(captured_len.min(wire_len)));
            Some(Record { ts, wire_len, link: self.link, interface: self.interface, data })
        });
        self.stream.consume(at);
        self.records += count as u64;
        count > 0
    }

    #[cold]
    fn find_by_reading(&mut self, found: &mut Found) -> Result<Step, Fault> {
        loop {
            let captured_len = self.captured_len();
            if captured_len > self.limit {
                let record = self.records + 1;
                return Err(self.damage(Damage::LongRecord { record, claimed: captured_len, limit: self.limit }));
            }
            match self.stream.fill(self.magic.record_header_len + index(captured_len))? {
                Fill::Ready if self.find_in_memory(found) => return Ok(Step::Packet),
                Fill::Ready => {} // that was the header
                Fill::Idle => return Ok(Step::Idle),
                Fill::Stopped | Fill::End(0) => return Ok(Step::End),
                Fill::End(left) => return Err(self.cut(left, captured_len)),
            }
        }
    }

    /// The bytes that packets refer to.
    #[inline(always)]
    pub const fn stream(&self) -> &Stream {
        &self.stream
    }

    /// What the next record claims to hold; 0 while its header is not in memory.
    fn captured_len(&self) -> u32 {
        let unread = self.stream.unread();
        if unread.len() < self.magic.record_header_len {
            return 0;
        }
        RecordHeader::parse(unread, self.magic.order, self.lengths, 0).map_or(0, |header| header.captured_len)
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

/// The header of a record.
struct RecordHeader {
    ts: Timestamp,
    captured_len: u32,
    wire_len: u32,
}

impl RecordHeader {
    /// The header that `unread` begins with, if all that is known of it is there.
    #[inline(always)]
    fn parse(unread: &[u8], order: ByteOrder, lengths: Lengths, fraction_nanos: u32) -> Option<Self> {
        let header = unread.first_chunk::<16>()?;
        let (seconds, fraction) = (order.u32_at(header, 0), order.u32_at(header, 4));
        let (first, second) = (order.u32_at(header, 8), order.u32_at(header, 12));
        let (captured_len, wire_len) = match lengths {
            Lengths::InOrder => (first, second),
            Lengths::Swapped => (second, first),
            Lengths::SmallerIsCaptured => (first.min(second), first.max(second)),
        };
        // at most 2^32 seconds and 2^32 microseconds: far from the end of the range
        let nanos = i64::from(seconds) * 1_000_000_000 + i64::from(fraction) * i64::from(fraction_nanos);
        Some(Self { ts: Timestamp::from_nanos(nanos), captured_len, wire_len })
    }
}

/// The longest capture of a packet that libpcap takes (`max_snaplen_for_dlt` of `pcap-common.c`), in bytes.
pub(super) const fn captured_limit(link: LinkType) -> u32 {
    match link.0 {
        // D-Bus and USBPcap: the longest message of the protocol
        231 | 249 => 128 << 20,
        // Elektrobit high-speed capture
        279 => 8 << 20,
        _ => 256 << 10,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{pcap_header, pcap_record, read, words};
    use super::ByteOrder::{Big, Little};

    #[test]
    fn every_variant_in_both_byte_orders() {
        let cases = [
            ("microseconds", 0xa1b2_c3d4, Little, 0, 3_000_007_000),
            ("microseconds", 0xa1b2_c3d4, Big, 0, 3_000_007_000),
            ("nanoseconds", 0xa1b2_3c4d, Little, 0, 3_000_000_007),
            ("nanoseconds", 0xa1b2_3c4d, Big, 0, 3_000_000_007),
            ("modified", 0xa1b2_cd34, Little, 8, 3_000_007_000),
            ("modified", 0xa1b2_cd34, Big, 8, 3_000_007_000),
        ];
        for (name, magic, order, extra_len, nanos) in cases {
            let mut file = pcap_header(order, magic, (2, 4));
            for _ in 0..2 {
                let mut record = pcap_record(order, 3, 7, b"abc");
                record.splice(16..16, vec![0xee; extra_len]);
                file.extend(record);
            }
            let outcome = read(&file);
            let frame = (nanos, 103, 1, 0, b"abc".to_vec());
            assert_eq!(outcome.frames, [frame.clone(), frame], "{name} {order:?}");
            assert_eq!(outcome.fault, None, "{name} {order:?}");
            assert_eq!(outcome.interfaces[0].snap_len, 65_535, "{name} {order:?}");
        }
    }

    #[test]
    fn old_versions_have_their_lengths_the_other_way_round() {
        let cases = [
            ((2, 0), 5, 3, Some((3, 5))),
            ((2, 2), 5, 3, Some((3, 5))),
            ((2, 3), 5, 3, Some((3, 5))),
            ((2, 3), 3, 5, Some((3, 5))),
            ((2, 4), 3, 5, Some((3, 5))),
            ((2, 4), 3, 2, Some((2, 2))), // more captured than there was
            ((2, 8224), 3, 5, Some((3, 5))),
            ((543, 0), 5, 3, Some((3, 5))),
            ((543, 1), 5, 3, None),
            ((1, 4), 3, 5, None),
            ((3, 0), 3, 5, None),
        ];
        for (version, first, second, want) in cases {
            let mut file = pcap_header(Little, 0xa1b2_c3d4, version);
            file.extend(words(Little, &[1, 0, first, second]));
            file.extend(b"abc");
            let outcome = read(&file);
            let lengths = outcome.frames.first().map(|frame| (frame.4.len(), frame.1));
            assert_eq!(lengths, want, "{version:?} {first} {second}");
            let refusal = format!("pcap version {}.{} at byte 0 is not supported", version.0, version.1);
            assert_eq!(outcome.fault, want.is_none().then_some(refusal), "{version:?}");
        }
    }

    #[test]
    fn the_link_type_has_sixteen_bits() {
        let mut file = pcap_header(Big, 0xa1b2_c3d4, (2, 4));
        file.truncate(20);
        file.extend(words(Big, &[0x5400_0071])); // with a frame check sequence of 4 bytes
        file.extend(pcap_record(Big, 1, 0, b""));
        assert_eq!(read(&file).frames, [(1_000_000_000, 100, 0x71, 0, vec![])]);
    }

    #[test]
    fn damage_comes_after_all_that_is_whole() {
        let record = |claimed: u32, data: &[u8]| [words(Little, &[1, 0, claimed, claimed]), data.to_vec()].concat();
        let with_link = |link: u32, tail: Vec<u8>| {
            let mut file = pcap_header(Little, 0xa1b2_c3d4, (2, 4));
            file.splice(20.., words(Little, &[link]));
            [file, record(3, b"abc"), tail].concat()
        };
        let cases = [
            (
                "a record header that is cut",
                with_link(1, vec![0; 15]),
                1,
                "damaged at byte 43: the header of record 2 takes 16 bytes, 15 remain",
            ),
            (
                "data that are cut",
                with_link(1, record(9, b"abcd")),
                1,
                "damaged at byte 43: record 2 claims 9 captured bytes, 4 remain",
            ),
            (
                "a record that is too long",
                with_link(1, record(262_145, b"abcd")),
                1,
                "damaged at byte 43: record 2 claims 262145 captured bytes, packets of this link type have at most 262144",
            ),
            (
                "long enough for USBPcap",
                with_link(249, record(262_145, b"abcd")),
                1,
                "damaged at byte 43: record 2 claims 262145 captured bytes, 4 remain",
            ),
            (
                "too long for USBPcap",
                with_link(249, record(134_217_729, b"abcd")),
                1,
                "damaged at byte 43: record 2 claims 134217729 captured bytes, packets of this link type have at most 134217728",
            ),
            (
                "a file header that is cut",
                pcap_header(Little, 0xa1b2_c3d4, (2, 4))[..23].to_vec(),
                0,
                "damaged at byte 0: the file header takes 24 bytes, 23 remain",
            ),
            ("nothing", vec![], 0, "0 bytes, no capture header"),
        ];
        for (name, file, frames, want) in cases {
            let outcome = read(&file);
            assert_eq!(outcome.frames.len(), frames, "{name}");
            assert_eq!(outcome.fault.as_deref(), Some(want), "{name}");
        }
    }

    #[test]
    fn the_longest_packet_is_read() {
        let mut file = pcap_header(Little, 0xa1b2_c3d4, (2, 4));
        file.extend(pcap_record(Little, 1, 0, &vec![7; 262_144]));
        file.extend(pcap_record(Little, 2, 0, b"abc"));
        let outcome = read(&file);
        assert_eq!(outcome.frames.iter().map(|frame| frame.4.len()).collect::<Vec<_>>(), [262_144, 3]);
        assert_eq!(outcome.fault, None);
    }
}
