//! pcapng files: draft-ietf-opsawg-pcapng. Blocks follow each other; those that are no packets and no interfaces are
//! passed over.

use super::Interface;
use super::description::{Clock, Description};
use super::error::{Damage, Fault};
use super::record::{ByteOrder, Record, Step, index};
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

/// A pcapng file.
pub(super) struct PcapNg {
    stream: Stream,
    order: ByteOrder,
    /// The input's name, with which the name of its interfaces begins.
    input: String,
    /// The interfaces that the section describes.
    known: Vec<Known>,
    /// Interfaces of all sections.
    described: usize,
    record: Record,
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
    pub fn new(stream: Stream, input: String) -> Self {
        // the first section header sets the byte order before anything depends on it
        Self { stream, order: ByteOrder::Little, input, known: Vec::new(), described: 0, record: Record::NONE }
    }

    /// Goes to the next packet; interfaces that are described on the way are added to `interfaces`.
    ///
    /// # Errors
    /// The file ends within a block, or the block cannot be one; its offset is that of the block.
    #[inline]
    pub fn advance(&mut self, interfaces: &mut Vec<Interface>) -> Result<Step, Fault> {
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
                        if self.read_block(kind, block_len, interfaces)? {
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

    /// Reads the block of `block_len` bytes that is in memory, and consumes it; true: it is a packet.
    #[inline]
    fn read_block(&mut self, kind: u32, block_len: u32, interfaces: &mut Vec<Interface>) -> Result<bool, Fault> {
        let block = &self.stream.unread()[..index(block_len)];
        let trailing = self.order.u32_at(block, block.len() - 4);
        if trailing != block_len {
            return Err(self.damage(Damage::BlockLengths { kind, claimed: block_len, trailing }));
        }
        match kind {
            ENHANCED_PACKET => self.read_packet(block_len, false)?,
            PACKET => self.read_packet(block_len, true)?,
            SIMPLE_PACKET => self.read_simple_packet(block_len)?,
            INTERFACE_DESCRIPTION => self.read_interface(block_len, interfaces)?,
            SECTION_HEADER => self.read_section()?,
            _ => {}
        }
        self.stream.consume(index(block_len));
        Ok(matches!(kind, ENHANCED_PACKET | PACKET | SIMPLE_PACKET))
    }

    /// An enhanced packet block (section 4.3), or its obsolete form, whose interface has 16 bits, followed by drops.
    #[inline]
    fn read_packet(&mut self, block_len: u32, obsolete: bool) -> Result<(), Fault> {
        const HEADER_LEN: usize = 20;
        let body = &self.stream.unread()[HEAD_LEN..index(block_len) - 4];
        let number = |at| self.order.u32_at(body, at);
        let id = if obsolete { u32::from(self.order.u16_at(body, 0)) } else { number(0) };
        let ticks = u64::from(number(4)) << 32 | u64::from(number(8));
        let (captured_len, wire_len) = (number(12), number(16));
        let known = self.interface(id)?;
        let room = body.len() - HEADER_LEN;
        self.set_record(known, known.clock.time(ticks), captured_len, wire_len, HEAD_LEN + HEADER_LEN, room)
    }

    /// A simple packet block (section 4.4): of the first interface, without a time, so that the packet before lends
    /// its own; how much was captured follows from the interface's limit.
    fn read_simple_packet(&mut self, block_len: u32) -> Result<(), Fault> {
        const HEADER_LEN: usize = 4;
        let body = &self.stream.unread()[HEAD_LEN..index(block_len) - 4];
        let wire_len = self.order.u32_at(body, 0);
        let known = self.interface(0)?;
        let captured_len = if known.snap_len == 0 { wire_len } else { wire_len.min(known.snap_len) };
        let room = body.len() - HEADER_LEN;
        self.set_record(known, self.record.ts, captured_len, wire_len, HEAD_LEN + HEADER_LEN, room)
    }

    #[inline]
    fn interface(&self, id: u32) -> Result<Known, Fault> {
        self.known
            .get(index(id))
            .copied()
            .ok_or_else(|| self.damage(Damage::UnknownInterface { id, known: self.known.len() as u64 }))
    }

    /// Stands at a packet whose bytes begin `skipped` bytes into the block, which has `room` bytes left from there.
    #[inline]
    fn set_record(
        &mut self,
        known: Known,
        ts: Timestamp,
        captured_len: u32,
        wire_len: u32,
        skipped: usize,
        room: usize,
    ) -> Result<(), Fault> {
        if index(captured_len) > room {
            return Err(self.damage(Damage::LongPacket { claimed: captured_len, left: room as u64 }));
        }
        // A captured length beyond the wire's makes no sense; tshark cuts it as well.
        let data = self.stream.span(skipped, index(captured_len.min(wire_len)));
        self.record = Record { ts, wire_len, link: known.link, interface: known.index, data };
        Ok(())
    }

    fn read_interface(&mut self, block_len: u32, interfaces: &mut Vec<Interface>) -> Result<(), Fault> {
        if self.described == INTERFACE_LIMIT {
            return Err(self.damage(Damage::TooManyInterfaces { limit: INTERFACE_LIMIT as u64 }));
        }
        let body = &self.stream.unread()[HEAD_LEN..index(block_len) - 4];
        let description = Description::parse(self.order, body);
        let name = match &description.name {
            Some(name) => format!("{}: {name}", self.input),
            None => self.input.clone(),
        };
        let index = u32::try_from(interfaces.len()).unwrap_or(u32::MAX);
        let Description { link, snap_len, clock, .. } = description;
        interfaces.push(Interface { name, link, snap_len });
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
    #[inline]
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
