//! A packet on its way from the thread that reads to the one that counts: decoded, and with what its flow is found by.

use std::hash::BuildHasher as _;

use foldhash::quality::RandomState;

use super::{FlowKey, Side};
use crate::decode::{Handshake, Observation, Portless, Segment};
use crate::units::Timestamp;

/// Computes what flows are found by. Tags are keyed: nobody who does not know the key of this run can choose packets
/// whose tags are equal.
#[derive(Clone, Debug, Default)]
pub struct Keyer(RandomState);

/// A packet, ready to be counted. It fills one cache line.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// When it was captured.
    pub ts: Timestamp,
    /// Bytes on the wire, link header included.
    pub wire_len: u32,
    /// 32 bits of the key's hash.
    pub(super) tag: u32,
    /// Identity of its flow; nothing where it has none.
    pub(super) key: FlowKey,
    /// The rest of what was decoded, or why the packet has no ports.
    pub outcome: Result<Header, Portless>,
}

const _: () = assert!(size_of::<Packet>() == 64, "a packet fills a cache line");

/// What the headers of a packet say beside addresses, ports and transport, which are in the key of its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The end that sent it.
    pub sender: Side,
    /// See [`Segment::handshake`].
    pub handshake: Handshake,
    /// See [`Segment::tcp_flags`].
    pub tcp_flags: u8,
    /// See [`Segment::to_group`].
    pub to_group: bool,
    /// See [`Segment::later_fragment`].
    pub later_fragment: bool,
    /// See [`Segment::tunnels`].
    pub tunnels: u8,
}

impl Keyer {
    /// The packet that was observed.
    #[must_use]
    #[inline(always)]
    pub fn packet(&self, observed: &Observation) -> Packet {
        let (key, tag, outcome) = match &observed.outcome {
            Ok(segment) => {
                let (key, sender) = FlowKey::of(segment);
                let &Segment { handshake, tcp_flags, to_group, later_fragment, tunnels, .. } = segment;
                let header = Header { sender, handshake, tcp_flags, to_group, later_fragment, tunnels };
                (key, self.tag(&key), Ok(header))
            }
            Err(reason) => (FlowKey::NOTHING, 0, Err(*reason)),
        };
        Packet { ts: observed.ts, wire_len: observed.wire_len, tag, key, outcome }
    }

    #[inline]
    pub(super) fn tag(&self, key: &FlowKey) -> u32 {
        (self.0.hash_one(key) >> 32) as u32
    }
}

impl Packet {
    /// The segment that was observed; `header` is the packet's.
    #[must_use]
    pub fn segment(&self, header: Header) -> Segment {
        let (src, dst) = (self.key.end(header.sender), self.key.end(header.sender.other()));
        Segment {
            src_addr: src.0,
            dst_addr: dst.0,
            src_port: src.1,
            dst_port: dst.1,
            ip_version: self.key.ip_version(),
            transport: self.key.transport(),
            handshake: header.handshake,
            tcp_flags: header.tcp_flags,
            to_group: header.to_group,
            later_fragment: header.later_fragment,
            tunnels: header.tunnels,
        }
    }
}
