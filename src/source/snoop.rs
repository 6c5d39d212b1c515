//! snoop files: RFC 1761, its further datalink types (RFC 3827), and the variant that Shomiti's Surveyor writes. Everything
//! is big endian.

use super::error::{Damage, Fault};
use super::pcap::captured_limit;
use super::record::ByteOrder::Big;
use super::record::{Found, Record, Step, index};
use super::stream::{Fill, Stream};
use crate::units::{LinkType, Timestamp};

/// What a file begins with (RFC 1761, section 3).
pub(super) const MAGIC: [u8; 8] = *b"snoop\0\0\0";
/// Length of the header of a file: the magic number, version, datalink type.
pub(super) const FILE_HEADER_LEN: usize = 16;
/// Length of what tells the link type: the header of the file, and that of the first record where there is one.
pub(super) const START_LEN: usize = FILE_HEADER_LEN + RECORD_HEADER_LEN;

/// Length of the header of a record (RFC 1761, section 4): wire length, captured length, length of the record, packets
/// dropped so far, seconds, microseconds.
const RECORD_HEADER_LEN: usize = 24;
/// The longest padding that is no damage, in bytes. RFC 1761 has at most 3, Surveyor at least 16.
const PADDING_LIMIT: u32 = 4_096;
/// What Surveyor keeps behind the data of each packet: length, status, time and number, in bytes. Nobody else has so much
/// padding.
const SURVEYOR_TRAILER_LEN: u32 = 16;

/// A snoop file, from a record header on.
pub(super) struct Snoop {
    stream: Stream,
    /// Longest captured length that is no damage, in bytes.
    limit: u32,
    /// Records found so far.
    records: u64,
    /// Link type of every packet.
    link: LinkType,
    /// What they refer to as their interface.
    interface: u32,
}

impl Snoop {
    /// Reads the header of a file, which `stream` has in memory, with that of its first record if there is one. Packets will
    /// refer to `interface`. Tells the link type of every packet.
    ///
    /// # Errors
    /// The version is none that has been in use: 2 is the RFC's, 3 to 5 are those of Surveyor's own hardware.
    pub fn open(mut stream: Stream, interface: u32) -> Result<(Self, LinkType), Fault> {
        let version = Big.u32_at(stream.unread(), 8);
        if !(2..=5).contains(&version) {
            return Err(Fault::SnoopVersion { version, at: stream.position() });
        }
        let datalink = Big.u32_at(stream.unread(), 12);
        stream.consume(FILE_HEADER_LEN);
        let by_surveyor = RecordHeader::parse(stream.unread())
            .is_some_and(|first| first.record_len.saturating_sub(first.least_len()) >= SURVEYOR_TRAILER_LEN);
        let link = link_type(datalink, by_surveyor);
        Ok((Self { stream, limit: captured_limit(link), records: 0, link, interface }, link))
    }

    /// Finds the next packets.
    ///
    /// # Errors
    /// The file ends within a record, or the record cannot be one; its offset is that of the record's header.
    pub fn find(&mut self, found: &mut Found) -> Result<Step, Fault> {
        if self.find_in_memory(found) { Ok(Step::Packet) } else { self.find_by_reading(found) }
    }

    /// Finds the packets that are sound and in memory, if there is one.
    fn find_in_memory(&mut self, found: &mut Found) -> bool {
        let unread = self.stream.unread();
        let mut at = 0;
        let count = found.look(|| {
            let header = RecordHeader::parse(unread.get(at..)?)?;
            let RecordHeader { ts, captured_len, wire_len, record_len } = header;
            let end = at + index(record_len);
            if self.fault_of(header).is_some() || end > unread.len() {
                return None;
            }
            // A captured length beyond the wire's makes no sense.
            let data = self.stream.span(at + RECORD_HEADER_LEN, index(captured_len.min(wire_len)));
            at = end;
            Some(Record { ts, wire_len, link: self.link, interface: self.interface, data })
        });
        self.stream.consume(at);
        self.records += count as u64;
        count > 0
    }

    #[cold]
    fn find_by_reading(&mut self, found: &mut Found) -> Result<Step, Fault> {
        loop {
            let header = RecordHeader::parse(self.stream.unread());
            if let Some(damage) = header.and_then(|header| self.fault_of(header)) {
                return Err(self.damage(damage));
            }
            let needed_len = header.map_or(RECORD_HEADER_LEN, |header| index(header.record_len));
            match self.stream.fill(needed_len)? {
                Fill::Ready if self.find_in_memory(found) => return Ok(Step::Packet),
                Fill::Ready => {} // that was the header
                Fill::Idle => return Ok(Step::Idle),
                Fill::Stopped | Fill::End(0) => return Ok(Step::End),
                Fill::End(left) => return Err(self.cut(left, header)),
            }
        }
    }

    /// The bytes that packets refer to.
    #[inline(always)]
    pub const fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Why the lengths of the next record cannot be.
    #[inline]
    fn fault_of(&self, header: RecordHeader) -> Option<Damage> {
        let RecordHeader { captured_len, record_len: claimed, .. } = header;
        let (record, limit, least) = (self.records + 1, self.limit, header.least_len());
        if captured_len > limit {
            Some(Damage::LongRecord { record, claimed: captured_len, limit })
        } else if claimed < least {
            Some(Damage::ShortRecord { record, claimed, least })
        } else if claimed - least > PADDING_LIMIT {
            Some(Damage::LongPadding { record, claimed: claimed - least, limit: PADDING_LIMIT })
        } else {
            None
        }
    }

    #[cold]
    fn cut(&self, left: u64, header: Option<RecordHeader>) -> Fault {
        let (record, header_len) = (self.records + 1, RECORD_HEADER_LEN as u64);
        self.damage(match (header, left.saturating_sub(header_len)) {
            (None, _) => Damage::CutRecordHeader { record, needed: header_len, left },
            (Some(header), left) if left < u64::from(header.captured_len) => {
                Damage::CutRecord { record, claimed: header.captured_len, left }
            }
            (Some(header), left) => Damage::CutPadding {
                record,
                claimed: header.record_len - header.least_len(),
                left: left - u64::from(header.captured_len),
            },
        })
    }

    #[cold]
    fn damage(&self, damage: Damage) -> Fault {
        Fault::Damaged { at: self.stream.position(), damage }
    }
}

/// The header of a record.
#[derive(Clone, Copy, Debug)]
struct RecordHeader {
    wire_len: u32,
    captured_len: u32,
    /// Bytes of the header, the data and the padding.
    record_len: u32,
    ts: Timestamp,
}

impl RecordHeader {
    /// The header that `unread` begins with, if all of it is there. The number of dropped packets is left aside.
    #[inline]
    fn parse(unread: &[u8]) -> Option<Self> {
        let header = unread.first_chunk::<RECORD_HEADER_LEN>()?;
        let (seconds, micros) = (Big.u32_at(header, 16), Big.u32_at(header, 20));
        Some(Self {
            wire_len: Big.u32_at(header, 0),
            captured_len: Big.u32_at(header, 4),
            record_len: Big.u32_at(header, 8),
            // at most 2^32 seconds and 2^32 microseconds: far from the end of the range
            ts: Timestamp::from_nanos(i64::from(seconds) * 1_000_000_000 + i64::from(micros) * 1_000),
        })
    }

    /// Bytes of the header and the data.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "24")]
    const fn least_len(&self) -> u32 {
        self.captured_len.saturating_add(RECORD_HEADER_LEN as u32)
    }
}

/// Datalink types, each with its link type: those of RFC 1761, section 3, and RFC 3827, section 2, then those that Solaris
/// (`sys/dlpi.h`) and UNICOS use. One that is not here, HDLC for one, keeps a number that no link type has.
const DATALINKS: &[(u32, LinkType)] = &[
    (0, LinkType::ETHERNET), // IEEE 802.3
    (2, LinkType::TOKEN_RING),
    (4, LinkType::ETHERNET),
    (8, LinkType::FDDI),
    (9, LinkType::NULL),  // other; on UNICOS, loopback
    (14, LinkType::NULL), // loopback
    (16, LinkType::IP_OVER_FC),
    (18, LinkType::SUNATM),
    (26, LinkType::SNOOP_IPOIB),
    (0x8000_0001, LinkType::IPV4), // a tunnel, from its IPv4 header on
    (0x8000_0002, LinkType::IPV6), // a tunnel, from its IPv6 header on
    (0x8000_0004, LinkType::IEEE802_11),
    (0x8000_0005, LinkType::IPNET),
    (0x8000_0007, LinkType::IPV4), // 6to4
];

/// Surveyor's own numbers, where it means what others do not.
const SURVEYOR_DATALINKS: &[(u32, LinkType)] = &[
    (0, LinkType::ETHERNET),
    (2, LinkType::TOKEN_RING),
    (4, LinkType::ETHERNET),
    (8, LinkType::FDDI),
    (10, LinkType::ETHERNET),   // of 100 Mbit/s
    (11, LinkType::TOKEN_RING), // of 4 Mbit/s
    (12, LinkType::ETHERNET),   // of 1 Gbit/s
    (13, LinkType::TOKEN_RING),
    (14, LinkType::TOKEN_RING), // of 4 Mbit/s
    (18, LinkType::SURVEYOR_WIFI),
    (19, LinkType::ETHERNET), // of 10 Gbit/s
];

/// The link type of a file's datalink type.
fn link_type(datalink: u32, by_surveyor: bool) -> LinkType {
    let known = if by_surveyor { SURVEYOR_DATALINKS } else { DATALINKS };
    let found = known.iter().find(|(number, _)| *number == datalink);
    found.map_or_else(|| LinkType::from_snoop(datalink), |(_, link)| *link)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{read, snoop_file, snoop_header, snoop_record, words};
    use super::*;

    #[test]
    fn records_are_read_with_and_without_padding() {
        for data in [&b""[..], b"a", b"abc", b"abcd"] {
            let file = [snoop_header(2, 4), snoop_record(3, 7, data), snoop_record(4, 8, data)].concat();
            let outcome = read(&file);
            let wire_len = u32::try_from(data.len()).expect("few bytes") + 100;
            let frame = |nanos| (nanos, wire_len, 1, 0, data.to_vec());
            assert_eq!(outcome.frames, [frame(3_000_007_000), frame(4_000_008_000)], "{data:?}");
            assert_eq!(outcome.fault, None, "{data:?}");
            assert_eq!((&*outcome.interfaces[0].name(), outcome.interfaces[0].snap_len), ("a", 0), "{data:?}");
        }
    }

    #[test]
    fn odd_records_are_read() {
        let cases = [
            ("more captured than there was", [2, 3, 28, 0, 1, 0], (1_000_000_000, 2, &b"ab"[..])),
            ("no multiple of four", [3, 3, 27, 0, 1, 0], (1_000_000_000, 3, b"abc")),
            ("packets were dropped", [3, 3, 28, 9, 1, 0], (1_000_000_000, 3, b"abc")),
            ("beyond 2038", [3, 3, 28, 0, u32::MAX, 0], (4_294_967_295_000_000_000, 3, b"abc")),
        ];
        for (name, header, (nanos, wire_len, data)) in cases {
            let mut file = [snoop_header(2, 4), words(Big, &header), b"abc\0".to_vec()].concat();
            file.truncate(FILE_HEADER_LEN + header[2] as usize);
            file.extend(snoop_record(5, 0, b""));
            let outcome = read(&file);
            let want = [(nanos, wire_len, 1, 0, data.to_vec()), (5_000_000_000, 100, 1, 0, vec![])];
            assert_eq!((&outcome.frames[..], outcome.fault), (&want[..], None), "{name}");
        }
    }

    #[test]
    fn datalink_types_become_link_types() {
        // the number, without and with Surveyor's trailer
        let cases = [
            (0, 1, 1),
            (1, 0xff01, 0xff01),
            (2, 6, 6),
            (4, 1, 1),
            (5, 0xff05, 0xff05),
            (8, 10, 10),
            (9, 0, 0xff09),
            (10, 0xff0a, 1),
            (14, 0, 6),
            (16, 122, 0xff10),
            (18, 123, 0xff12),
            (19, 0xff13, 1),
            (26, 0xff1a, 0xff1a),
            (126, 0xff7e, 0xff7e),
            (127, 0xffff, 0xffff),
            (0x8000_0001, 228, 0xff81),
            (0x8000_0003, 0xff83, 0xff83),
            (0x8000_0005, 226, 0xff85),
            (u32::MAX, 0xffff, 0xffff),
        ];
        for (datalink, plain, by_surveyor) in cases {
            for (padding_len, want) in [(1, plain), (15, plain), (16, by_surveyor), (19, by_surveyor)] {
                let mut record = words(Big, &[3, 3, 27 + padding_len, 0, 1, 0]);
                record.extend(b"abc");
                record.resize(record.len() + padding_len as usize, 0xee);
                let outcome = read(&[snoop_header(2, datalink), record].concat());
                assert_eq!(outcome.frames, [(1_000_000_000, 3, want, 0, b"abc".to_vec())], "{datalink} {padding_len}");
                assert_eq!((outcome.interfaces[0].link.0, outcome.fault), (want, None), "{datalink} {padding_len}");
            }
        }
    }

    #[test]
    fn versions_that_have_been_in_use_are_read() {
        for (version, is_read) in [(0, false), (1, false), (2, true), (5, true), (6, false), (0x0200_0000, false)] {
            let outcome = read(&[snoop_header(version, 4), snoop_record(1, 0, b"abc")].concat());
            let refusal = format!("snoop version {version} at byte 0 is not supported");
            assert_eq!((outcome.frames.len(), outcome.fault), (usize::from(is_read), (!is_read).then_some(refusal)));
        }
    }

    #[test]
    fn a_file_without_packets_is_sound() {
        let outcome = read(&snoop_header(2, 4));
        assert_eq!((outcome.frames.len(), outcome.interfaces.len(), outcome.fault), (0, 1, None));
    }

    #[test]
    fn every_cut_is_told_by_the_record_in_which_it_is() {
        let file = snoop_file(&[1, 2]); // records of 24 bytes, 3 of data, 1 of padding
        for len in 0..=file.len() {
            let outcome = read(&file[..len]);
            let (record, at) = (len.saturating_sub(16) / 28 + 1, len.saturating_sub(16) / 28 * 28 + 16);
            let left = len.saturating_sub(at);
            let want = match (len, left) {
                (0, _) => Some("0 bytes, no capture header".to_owned()),
                (1..8, _) => Some("no capture (pcap, pcapng or snoop): ".to_owned()),
                (8..16, _) => Some(format!("damaged at byte 0: the file header takes 16 bytes, {len} remain")),
                (_, 0) => None,
                (_, 1..24) => {
                    Some(format!("damaged at byte {at}: the header of record {record} takes 24 bytes, {left} remain"))
                }
                (_, 24..27) => {
                    Some(format!("damaged at byte {at}: record {record} claims 3 captured bytes, {} remain", left - 24))
                }
                _ => Some(format!("damaged at byte {at}: record {record} claims 1 bytes of padding, 0 remain")),
            };
            assert_eq!(outcome.frames.len(), record - 1, "{len}");
            match (&outcome.fault, &want) {
                (Some(fault), Some(want)) if want.starts_with("no capture") => {
                    assert!(fault.starts_with(want), "{len}: {fault}");
                }
                _ => assert_eq!(outcome.fault, want, "{len}"),
            }
        }
    }

    #[test]
    fn damage_comes_after_all_that_is_whole() {
        let cases = [
            (
                "a record shorter than its header",
                [3, 3, 0, 0, 2, 0],
                "record 2 claims 0 bytes, its header and data take 27",
            ),
            (
                "a record shorter than its data",
                [3, 3, 26, 0, 2, 0],
                "record 2 claims 26 bytes, its header and data take 27",
            ),
            (
                "a record that is too long",
                [3, 262_145, 262_172, 0, 2, 0],
                "record 2 claims 262145 captured bytes, packets of this link type have at most 262144",
            ),
            (
                "the longest numbers",
                [u32::MAX; 6],
                "record 2 claims 4294967295 captured bytes, packets of this link type have at most 262144",
            ),
            (
                "too much padding",
                [3, 3, 27 + 4_097, 0, 2, 0],
                "record 2 claims 4097 bytes of padding, at most 4096 are read",
            ),
            ("padding that is cut", [3, 3, 27 + 4_096, 0, 2, 0], "record 2 claims 4096 bytes of padding, 5 remain"),
        ];
        for (name, header, want) in cases {
            let file = [snoop_file(&[1]), words(Big, &header), b"abc\0\0\0\0\0".to_vec()].concat();
            let outcome = read(&file);
            assert_eq!(outcome.frames.len(), 1, "{name}");
            assert_eq!(outcome.fault, Some(format!("damaged at byte 44: {want}")), "{name}");
        }
    }

    #[test]
    fn the_longest_packet_is_read() {
        let file = [snoop_header(2, 4), snoop_record(1, 0, &vec![7; 262_144]), snoop_record(2, 0, b"abc")].concat();
        let outcome = read(&file);
        assert_eq!(outcome.frames.iter().map(|frame| frame.4.len()).collect::<Vec<_>>(), [262_144, 3]);
        assert_eq!(outcome.fault, None);
    }

    #[test]
    fn what_only_begins_alike_is_no_snoop_file() {
        let cases: [(&[u8], &str); 3] = [
            (b"snooker, 1875", "it is text: \"snooker, 1875\""),
            (b"snoo", "it is text: \"snoo\""),
            (b"snoop\0\0\x01 and more", "first bytes: 73 6e 6f 6f 70 00 00 01"),
        ];
        for (file, want) in cases {
            assert_eq!(read(file).fault, Some(format!("no capture (pcap, pcapng or snoop): {want}")));
        }
    }
}
