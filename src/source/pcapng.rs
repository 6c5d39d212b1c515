//! pcapng files: draft-ietf-opsawg-pcapng. Blocks follow each other; those that are no packets and no interfaces are
//! passed over.

use std::sync::Arc;

use super::Interface;
use super::description::{Clock, Description};
use super::error::{Damage, Fault};
use super::record::{ByteOrder, Found, Record, Step, index};
use super::stream::{Fill, Stream};
use crate::units::{LinkType, Timestamp};

/// The type of a section header block reads the same in both byte orders.
pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
/// Obsolete, section 4.3 of older drafts.
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Type and length before, length after: the shortest block.
const SHORTEST_LEN: u32 = 12;
/// Type and length.
const HEAD_LEN: usize = 8;
/// The longest packet that is taken (D-Bus, USB), its block's header and a generous number of options.
const BLOCK_LIMIT: u32 = (128 << 20) + (1 << 20);
/// The most interfaces of one file: what a careless or hostile file must not use up memory with.
const INTERFACE_LIMIT: usize = 65_536;
/// And of all files of a run.
const ALL_INTERFACES_LIMIT: usize = 1_000_000;

/// A pcapng file.
pub(super) struct PcapNg {
    stream: Stream,
    order: ByteOrder,
    /// The input's name.
    input: Arc<str>,
    /// The interfaces that the section describes.
    known: Vec<Known>,
    /// Interfaces of all sections.
    described: usize,
    /// The time of the packet that was found last.
    last_ts: Timestamp,
    /// Some packets have times that cannot be told, and it was said.
    told_times: bool,
}

/// What a packet needs of its interface.
#[derive(Clone, Copy, Debug)]
struct Known {
    link: LinkType,
    snap_len: u32,
    clock: Clock,
    /// Index into the interfaces of the source.
    index: u32,
}

impl PcapNg {
    /// A file that begins with a section header; `input` is its name.
    pub fn new(stream: Stream, input: Arc<str>) -> Self {
        // the first section header sets the byte order before anything depends on it
        let (known, last_ts) = (Vec::new(), Record::NONE.ts);
        Self { stream, order: ByteOrder::Little, input, known, described: 0, last_ts, told_times: false }
    }

    /// Finds the next packets; interfaces that are described on the way are added to `interfaces`.
    ///
    /// # Errors
    /// The file ends within a block, or the block cannot be one; its offset is that of the block. Once, the first of the
    /// packets whose times cannot be told: it is found when this is called again.
    pub fn find(&mut self, found: &mut Found, interfaces: &mut Vec<Interface>) -> Result<Step, Fault> {
        let count = match self.order {
            ByteOrder::Little => self.find_in_memory::<false>(found),
            ByteOrder::Big => self.find_in_memory::<true>(found),
        };
        if count > 0 { Ok(Step::Packet) } else { self.find_one(found, interfaces) }
    }

    /// Finds enhanced packet blocks (section 4.3) that follow each other, are sound and in memory, and tells how many. What
    /// else there is, is left to [`PcapNg::find_one`]. Each byte order has a loop of its own.
    fn find_in_memory<const IS_BIG: bool>(&mut self, found: &mut Found) -> usize {
        const HEADER_LEN: usize = 28;
        const AROUND_LEN: usize = HEADER_LEN + 4;
        let order = if IS_BIG { ByteOrder::Big } else { ByteOrder::Little };
        let unread = self.stream.unread();
        let mut at = 0;
        let count = found.look(|| {
            let rest = unread.get(at..)?;
            let header = rest.first_chunk::<HEADER_LEN>()?;
            let number = |at| order.u32_at(header, at);
            let (kind, block_len, id) = (number(0), number(4), number(8));
            if kind != ENHANCED_PACKET || block_len > BLOCK_LIMIT {
                return None;
            }
            let block = rest.get(..index(block_len))?;
            let room = block.len().checked_sub(AROUND_LEN)?;
            let (captured_len, wire_len) = (number(20), number(24));
            if order.u32_at(block, block.len() - 4) != block_len || index(captured_len) > room {
                return None;
            }
            let known = self.known.get(index(id))?;
            let ts = known.clock.time(u64::from(number(12)) << 32 | u64::from(number(16))).ok()?;
            // A captured length beyond the wire's makes no sense; tshark cuts it as well.
            let data = self.stream.span(at + HEADER_LEN, index(captured_len.min(wire_len)));
            at += block.len();
            Some(Record { ts, wire_len, link: known.link, interface: known.index, data })
        });
        self.last_ts = found.last().map_or(self.last_ts, |last| last.ts);
        self.stream.consume(at);
        count
    }

    /// Finds the next packet, of whatever kind of block.
    fn find_one(&mut self, found: &mut Found, interfaces: &mut Vec<Interface>) -> Result<Step, Fault> {
        loop {
            let unread = self.stream.unread();
            let mut needed_len = HEAD_LEN;
            let mut head = None;
            if let Some(&[a, b, c, d, e, f, g, h]) = unread.first_chunk::<HEAD_LEN>() {
                let kind = self.order.u32([a, b, c, d]);
                if kind == SECTION_HEADER && unread.len() < 12 {
                    // the length of a section header can be told only with its byte-order magic
                    needed_len = 12;
                } else {
                    if kind == SECTION_HEADER {
                        self.order = self.section_order()?;
                    }
                    let block_len = self.order.u32([e, f, g, h]);
                    self.check_len(kind, block_len)?;
                    needed_len = index(block_len);
                    if self.stream.unread().len() >= needed_len {
                        let mut packet = self.read_block(kind, block_len, interfaces)?;
                        if let Some(Record { ts, .. }) = packet {
                            self.last_ts = ts;
                            found.look(|| packet.take());
                            return Ok(Step::Packet);
                        }
                        continue;
                    }
                    head = Some((kind, block_len));
                }
            }
            match self.stream.fill(needed_len)? {
                Fill::Ready => {}
                Fill::Idle => return Ok(Step::Idle),
                Fill::Stopped | Fill::End(0) => return Ok(Step::End),
                Fill::End(left) => return Err(self.cut(left, head)),
            }
        }
    }

    /// The bytes that packets refer to.
    #[inline(always)]
    pub const fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Reads the block of `block_len` bytes that is in memory, and consumes it; tells the packet that it is.
    fn read_block(
        &mut self,
        kind: u32,
        block_len: u32,
        interfaces: &mut Vec<Interface>,
    ) -> Result<Option<Record>, Fault> {
        let block = &self.stream.unread()[..index(block_len)];
        let trailing = self.order.u32_at(block, block.len() - 4);
        if trailing != block_len {
            return Err(self.damage(Damage::BlockLengths { kind, claimed: block_len, trailing }));
        }
        let mut packet = None;
        match kind {
            ENHANCED_PACKET => packet = Some(self.read_packet(block_len, false)?),
            PACKET => packet = Some(self.read_packet(block_len, true)?),
            SIMPLE_PACKET => packet = Some(self.read_simple_packet(block_len)?),
            INTERFACE_DESCRIPTION => self.read_interface(block_len, interfaces)?,
            SECTION_HEADER => self.read_section()?,
            _ => {}
        }
        self.stream.consume(index(block_len));
        Ok(packet)
    }

    /// An enhanced packet block (section 4.3), or its obsolete form, whose interface has 16 bits, followed by drops.
    fn read_packet(&mut self, block_len: u32, obsolete: bool) -> Result<Record, Fault> {
        const HEADER_LEN: usize = 20;
        let body = &self.stream.unread()[HEAD_LEN..index(block_len) - 4];
        let number = |at| self.order.u32_at(body, at);
        let id = if obsolete { u32::from(self.order.u16_at(body, 0)) } else { number(0) };
        let ticks = u64::from(number(4)) << 32 | u64::from(number(8));
        let (captured_len, wire_len) = (number(12), number(16));
        let known = self.interface(id)?;
        let room = body.len() - HEADER_LEN;
        let ts = match known.clock.time(ticks) {
            Ok(ts) => ts,
            Err(_) if !std::mem::replace(&mut self.told_times, true) => {
                return Err(Fault::Time { at: self.stream.position() });
            }
            Err(nearest) => nearest,
        };
        self.packet(known, ts, captured_len, wire_len, HEAD_LEN + HEADER_LEN, room)
    }

    /// A simple packet block (section 4.4): of the first interface, without a time, so that the packet before lends
    /// its own; how much was captured follows from the interface's limit.
    fn read_simple_packet(&self, block_len: u32) -> Result<Record, Fault> {
        const HEADER_LEN: usize = 4;
        let body = &self.stream.unread()[HEAD_LEN..index(block_len) - 4];
        let wire_len = self.order.u32_at(body, 0);
        let known = self.interface(0)?;
        let captured_len = if known.snap_len == 0 { wire_len } else { wire_len.min(known.snap_len) };
        let room = body.len() - HEADER_LEN;
        self.packet(known, self.last_ts, captured_len, wire_len, HEAD_LEN + HEADER_LEN, room)
    }

    fn interface(&self, id: u32) -> Result<Known, Fault> {
        self.known
            .get(index(id))
            .copied()
            .ok_or_else(|| self.damage(Damage::UnknownInterface { id, known: self.known.len() as u64 }))
    }

    /// The packet whose bytes begin `skipped` bytes into the block, which has `room` bytes left from there. Refers to the
    /// stream before the block is consumed.
    fn packet(
        &self,
        known: Known,
        ts: Timestamp,
        captured_len: u32,
        wire_len: u32,
        skipped: usize,
        room: usize,
    ) -> Result<Record, Fault> {
        if index(captured_len) > room {
            return Err(self.damage(Damage::LongPacket { claimed: captured_len, left: room as u64 }));
        }
        // A captured length beyond the wire's makes no sense; tshark cuts it as well.
        let data = self.stream.span(skipped, index(captured_len.min(wire_len)));
        Ok(Record { ts, wire_len, link: known.link, interface: known.index, data })
    }

    fn read_interface(&mut self, block_len: u32, interfaces: &mut Vec<Interface>) -> Result<(), Fault> {
        for (described, limit) in [(self.described, INTERFACE_LIMIT), (interfaces.len(), ALL_INTERFACES_LIMIT)] {
            if described >= limit {
                return Err(self.damage(Damage::TooManyInterfaces { limit: limit as u64 }));
            }
        }
        let body = &self.stream.unread()[HEAD_LEN..index(block_len) - 4];
        let description = Description::parse(self.order, body);
        let index = u32::try_from(interfaces.len()).unwrap_or(u32::MAX);
        let Description { link, snap_len, clock, name: own_name } = description;
        interfaces.push(Interface { input: Arc::clone(&self.input), own_name, link, snap_len });
        self.known.push(Known { link, snap_len, clock, index });
        self.described += 1;
        Ok(())
    }

    /// A section header block (section 4.1): forgets the interfaces of the section before.
    fn read_section(&mut self) -> Result<(), Fault> {
        let block = self.stream.unread();
        let (major, minor) = (self.order.u16_at(block, 12), self.order.u16_at(block, 14));
        if major != 1 {
            return Err(Fault::Version { container: "pcapng", major, minor, at: self.stream.position() });
        }
        self.known.clear();
        Ok(())
    }

    /// The byte order that the section header says, of which 12 bytes are in memory.
    #[cold]
    fn section_order(&self) -> Result<ByteOrder, Fault> {
        match ByteOrder::Big.u32_at(self.stream.unread(), HEAD_LEN) {
            0x1a2b_3c4d => Ok(ByteOrder::Big),
            0x4d3c_2b1a => Ok(ByteOrder::Little),
            found => Err(self.damage(Damage::SectionMagic { found })),
        }
    }

    /// Refuses a block whose length cannot be.
    fn check_len(&self, kind: u32, claimed: u32) -> Result<(), Fault> {
        let least = match kind {
            SECTION_HEADER => 28,
            INTERFACE_DESCRIPTION => 20,
            PACKET | ENHANCED_PACKET => 32,
            SIMPLE_PACKET => 16,
            _ => SHORTEST_LEN,
        };
        if claimed < least {
            return Err(self.damage(Damage::ShortBlock { kind, claimed, least }));
        }
        if claimed > BLOCK_LIMIT {
            return Err(self.damage(Damage::LongBlock { kind, claimed, limit: BLOCK_LIMIT }));
        }
        Ok(())
    }

    #[cold]
    fn cut(&self, left: u64, head: Option<(u32, u32)>) -> Fault {
        self.damage(match head {
            Some((kind, claimed)) => Damage::CutBlock { kind, claimed, left },
            None => Damage::CutBlockHeader { needed: u64::from(SHORTEST_LEN), left },
        })
    }

    #[cold]
    fn damage(&self, damage: Damage) -> Fault {
        Fault::Damaged { at: self.stream.position(), damage }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{block, halves, interface, packet, read, section, words};
    use super::ByteOrder::{Big, Little};
    use super::*;

    const ETH0: &[(u16, &[u8])] = &[(2, b"eth0"), (9, &[9])];

    #[test]
    fn packets_of_every_kind_in_both_byte_orders() {
        for order in [Little, Big] {
            let obsolete = [halves(order, &[1, 0xffff]), words(order, &[0, 9, 3, 3]), b"xyz".to_vec()].concat();
            let simple = [words(order, &[8]), b"abcd".to_vec()].concat();
            let file = [
                section(order),
                interface(order, 1, 4, ETH0),
                interface(order, 101, 0, &[]),
                packet(order, 0, 5, b"abc"),
                block(order, PACKET, &obsolete),
                block(order, SIMPLE_PACKET, &simple),
            ];
            let outcome = read(&file.concat());
            let want = [
                (5, 103, 1, 0, b"abc".to_vec()),
                (9_000, 3, 101, 1, b"xyz".to_vec()),
                (9_000, 8, 1, 0, b"abcd".to_vec()), // the time before it, cut to the interface's limit
            ];
            assert_eq!(outcome.frames, want, "{order:?}");
            assert_eq!(outcome.fault, None, "{order:?}");
            let names: Vec<_> = outcome.interfaces.iter().map(Interface::name).collect();
            assert_eq!(names, ["a: eth0", "a"], "{order:?}");
        }
    }

    #[test]
    fn sections_have_their_own_byte_order_and_interfaces() {
        let file = [
            section(Little),
            interface(Little, 1, 0, &[(9, &[9])]),
            packet(Little, 0, 5, b"abc"),
            section(Big),
            interface(Big, 0, 0, &[(9, &[0x8a]), (14, &(-1_i64).to_be_bytes())]),
            packet(Big, 0, 1_536, b"def"),
            section(Big),
            packet(Big, 0, 1, b"ghi"),
        ];
        let outcome = read(&file.concat());
        let want = [(5, 103, 1, 0, b"abc".to_vec()), (500_000_000, 103, 0, 1, b"def".to_vec())];
        assert_eq!(outcome.frames, want);
        let fault = "damaged at byte 224: a packet names interface 0, the section describes 0";
        assert_eq!(outcome.fault.as_deref(), Some(fault));
    }

    #[test]
    fn other_blocks_are_passed_over() {
        let kinds = [4, 5, 7, 8, 9, 10, 0x0bad, 0x4000_0bad, 0x8000_0001, 0];
        let mut file = [section(Little), interface(Little, 1, 0, &[])].concat();
        for kind in kinds {
            file.extend(block(Little, kind, &[0xee; 40]));
            file.extend(block(Little, kind, &[]));
            file.extend(packet(Little, 0, 1, b"abc"));
        }
        let outcome = read(&file);
        assert_eq!((outcome.frames.len(), outcome.fault), (kinds.len(), None));
    }

    #[test]
    fn a_first_simple_packet_is_of_the_epoch() {
        let file = [section(Big), interface(Big, 1, 0, &[]), block(Big, SIMPLE_PACKET, &words(Big, &[4, 0x0102_0304]))];
        assert_eq!(read(&file.concat()).frames, [(0, 4, 1, 0, vec![1, 2, 3, 4])]);
    }

    #[test]
    fn options_of_a_packet_are_none_of_its_data() {
        let mut body = words(Little, &[0, 0, 1, 3, 3]);
        body.extend(b"abc\0");
        body.extend([2, 0, 4, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        let file = [section(Little), interface(Little, 1, 0, &[]), block(Little, ENHANCED_PACKET, &body)];
        assert_eq!(read(&file.concat()).frames, [(1_000, 3, 1, 0, b"abc".to_vec())]);
    }

    #[test]
    fn damage_comes_after_all_that_is_whole() {
        let epb =
            |head: &[u32], data: &[u8]| block(Little, ENHANCED_PACKET, &[words(Little, head), data.to_vec()].concat());
        let mut lengths = packet(Little, 0, 1, b"abc");
        let last = lengths.len() - 4;
        lengths[last] = 44;
        let mut future = section(Little);
        future[12] = 2;
        let mut magic = section(Little);
        magic[8] = 0;
        let cases: [(&str, Vec<u8>, &str); 14] = [
            (
                "the trailing length differs",
                lengths,
                "damaged at byte 84: a block of type 0x00000006 claims 36 bytes at its beginning and 44 at its end",
            ),
            (
                "a block below 12 bytes",
                words(Little, &[9, 11, 0]),
                "damaged at byte 84: a block of type 0x00000009 claims 11 bytes, the least for it is 12",
            ),
            (
                "a packet below 32 bytes",
                block(Little, ENHANCED_PACKET, &[0; 16]),
                "damaged at byte 84: a block of type 0x00000006 claims 28 bytes, the least for it is 32",
            ),
            (
                "an interface below 20 bytes",
                block(Little, INTERFACE_DESCRIPTION, &[0; 4]),
                "damaged at byte 84: a block of type 0x00000001 claims 16 bytes, the least for it is 20",
            ),
            (
                "a block beyond reason",
                words(Little, &[5, 0xffff_fff0]),
                "damaged at byte 84: a block of type 0x00000005 claims 4294967280 bytes, at most 135266304 are read",
            ),
            (
                "a block that is cut",
                words(Little, &[5, 400, 0]),
                "damaged at byte 84: a block of type 0x00000005 claims 400 bytes, 12 remain",
            ),
            (
                "the header of a block that is cut",
                words(Little, &[5])[..3].to_vec(),
                "damaged at byte 84: the header of a block takes 12 bytes, 3 remain",
            ),
            (
                "a section header that is cut",
                section(Big)[..10].to_vec(),
                "damaged at byte 84: the header of a block takes 12 bytes, 10 remain",
            ),
            (
                "an interface that is not there",
                packet(Little, 7, 1, b"abc"),
                "damaged at byte 84: a packet names interface 7, the section describes 1",
            ),
            (
                "a packet longer than its block",
                epb(&[0, 0, 1, 9, 9], b"abcdefgh"),
                "damaged at byte 84: a packet claims 9 captured bytes, its block has room for 8",
            ),
            (
                "a packet of 4 GB",
                epb(&[0, 0, 1, u32::MAX, u32::MAX], b"abcdefgh"),
                "damaged at byte 84: a packet claims 4294967295 captured bytes, its block has room for 8",
            ),
            (
                "a simple packet longer than its block",
                block(Little, SIMPLE_PACKET, &words(Little, &[5, 1])),
                "damaged at byte 84: a packet claims 5 captured bytes, its block has room for 4",
            ),
            ("a version of the future", future, "pcapng version 2.0 at byte 84 is not supported"),
            ("a byte order that is none", magic, "damaged at byte 84: the byte-order magic of a section is 0x003c2b1a"),
        ];
        for (name, tail, want) in cases {
            let whole = [section(Little), interface(Little, 1, 0, &[]), packet(Little, 0, 1, b"abc")].concat();
            let outcome = read(&[whole, tail].concat());
            assert_eq!(outcome.frames.len(), 1, "{name}");
            assert_eq!(outcome.fault.as_deref(), Some(want), "{name}");
        }
    }

    #[test]
    fn interfaces_are_bounded() {
        let mut file = section(Little);
        for _ in 0..=INTERFACE_LIMIT {
            file.extend(interface(Little, 1, 0, &[]));
        }
        let outcome = read(&file);
        assert_eq!(outcome.interfaces.len(), INTERFACE_LIMIT);
        let fault = "damaged at byte 1310748: more than 65536 interfaces are described";
        assert_eq!(outcome.fault.as_deref(), Some(fault));
    }
}
