//! A packet on its way from the thread that reads to the one that counts: decoded, and with what its flow is found by.

use std::array;
use std::hash::{BuildHasher as _, RandomState};

use super::{FlowKey, Side};
use crate::decode::tcp_flag::{FIN, RST, SYN};
use crate::decode::{Handshake, Observation, Portless, Segment};
use crate::units::{Timestamp, Transport};

/// Computes the tags that flows are found by.
///
/// Tags are keyed, by numbers that are drawn anew for each run. The hash is strongly universal (multilinear, in the form of
/// Lemire and Kaser, "Strongly universal string hashing is fast", 2014, section 2): of any two keys, chosen by whoever does
/// not know these numbers, the tags are equal with a probability of 2^-32, as if they were dice. It takes five
/// multiplications, none of which waits for another.
#[derive(Clone, Debug)]
pub struct Keyer([u64; 11]);

impl Default for Keyer {
    fn default() -> Self {
        // SipHash under a key from the system's source of randomness
        let random = RandomState::new();
        Self(array::from_fn(|at| random.hash_one(at)))
    }
}

/// A packet, ready to be counted. It fits one cache line.
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
    /// The rest of what was decoded.
    pub(super) header: Header,
}

const _: () = assert!(size_of::<Packet>() <= 64, "a packet fits a cache line");

/// What the headers of a packet say beside addresses, ports and transport, which are in the key of its flow; or why it has no
/// ports.
///
/// It is one word, and not a structure of bytes: the processor would have to wait until bytes that it has just written one by
/// one are in memory, before it can move them on together. That was a sixth of all time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header(u32);

impl Header {
    const SENDER: u32 = 1;
    const OPENS: u32 = (Handshake::Open as u32) << 1;
    const ACCEPTS: u32 = (Handshake::Accept as u32) << 1;
    const TO_GROUP: u32 = 1 << 3;
    const LATER_FRAGMENT: u32 = 1 << 4;
    const STARTS_FLOW: u32 = 1 << 5;
    const TCP_FLAGS_AT: u32 = 8;
    const TUNNELS_AT: u32 = 16;
    /// One more than the number of the reason why it has no ports; 0 where it has.
    const REASON_AT: u32 = 24;
    /// Nothing of this is in a packet that only carries a flow on.
    const UNUSUAL: u32 = Self::OPENS
        | Self::ACCEPTS
        | Self::LATER_FRAGMENT
        | ((SYN | FIN | RST) as u32) << Self::TCP_FLAGS_AT
        | 0xff << Self::REASON_AT;
    /// Nothing of this is in a packet that is only counted.
    const NOTABLE: u32 = Self::STARTS_FLOW | Self::ACCEPTS | Self::LATER_FRAGMENT | 0xff << Self::REASON_AT;

    #[inline(always)]
    fn new(segment: &Segment, sender: Side) -> Self {
        let &Segment { handshake, tcp_flags, to_group, later_fragment, tunnels, .. } = segment;
        Self(
            sender as u32
                | (handshake as u32) << 1
                | u32::from(to_group) << 3
                | u32::from(later_fragment) << 4
                | u32::from(tcp_flags) << Self::TCP_FLAGS_AT
                | u32::from(tunnels) << Self::TUNNELS_AT,
        )
    }

    /// Of a packet that has no ports.
    #[must_use]
    pub const fn portless(reason: Portless) -> Self {
        Self((reason as u32 + 1) << Self::REASON_AT)
    }

    /// Why the packet has no ports; `None` where it has.
    #[must_use]
    #[inline(always)]
    pub fn reason(self) -> Option<Portless> {
        let reason = (self.0 >> Self::REASON_AT).checked_sub(1)?;
        Portless::ALL.get(reason as usize).copied()
    }

    const fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }

    /// It does no more than carry a flow on: it has ports, opens, accepts and closes nothing, and is no later fragment.
    #[must_use]
    #[inline(always)]
    pub const fn is_usual(self) -> bool {
        !self.has(Self::UNUSUAL)
    }

    /// The same, of a packet that is the first of its flow: whoever follows packets says so.
    #[must_use]
    pub const fn starting_flow(self) -> Self {
        Self(self.0 | Self::STARTS_FLOW)
    }

    /// It is known to be the first packet of its flow.
    #[must_use]
    #[inline(always)]
    pub const fn starts_flow(self) -> bool {
        self.has(Self::STARTS_FLOW)
    }

    /// There is more to do about it than to count it: it has no ports, is a later fragment, starts a flow or accepts a
    /// connection.
    #[must_use]
    #[inline(always)]
    pub const fn is_notable(self) -> bool {
        self.has(Self::NOTABLE)
    }

    /// The end that sent it.
    #[must_use]
    #[inline(always)]
    pub const fn sender(self) -> Side {
        if self.has(Self::SENDER) { Side::High } else { Side::Low }
    }

    /// It opens a connection, see [`Handshake::Open`].
    #[must_use]
    #[inline(always)]
    pub const fn opens(self) -> bool {
        self.has(Self::OPENS)
    }

    /// It accepts a connection, see [`Handshake::Accept`].
    #[must_use]
    #[inline(always)]
    pub const fn accepts(self) -> bool {
        self.has(Self::ACCEPTS)
    }

    /// See [`Segment::later_fragment`].
    #[must_use]
    #[inline(always)]
    pub const fn is_later_fragment(self) -> bool {
        self.has(Self::LATER_FRAGMENT)
    }

    /// See [`Segment::tcp_flags`].
    #[must_use]
    #[inline(always)]
    pub const fn tcp_flags(self) -> u8 {
        (self.0 >> Self::TCP_FLAGS_AT & 0xff) as u8
    }

    /// See [`Segment::tunnels`].
    #[must_use]
    pub const fn tunnels(self) -> u8 {
        (self.0 >> Self::TUNNELS_AT & 0xff) as u8
    }
}

impl Keyer {
    /// What a packet without a flow has for a tag: any will do, for its key is no flow's.
    const NO_TAG: u32 = 0;

    /// The packet that was observed.
    #[must_use]
    #[inline(always)]
    pub fn packet(&self, observed: &Observation) -> Packet {
        let (key, tag, header) = match &observed.outcome {
            Ok(segment) => {
                let (key, sender) = FlowKey::of(segment);
                (key, self.tag(&key), Header::new(segment, sender))
            }
            Err(reason) => (FlowKey::NOTHING, Self::NO_TAG, Header::portless(*reason)),
        };
        Packet { ts: observed.ts, wire_len: observed.wire_len, tag, key, header }
    }

    /// 32 bits that stand for a key.
    #[inline(always)]
    pub(super) fn tag(&self, key: &FlowKey) -> u32 {
        let [first, random @ ..] = &self.0;
        let mut sum = *first;
        for (word, random) in key.words().iter().zip(random.as_chunks::<2>().0) {
            let (low, high) = (word & 0xffff_ffff, word >> 32);
            sum = sum.wrapping_add(random[0].wrapping_add(low).wrapping_mul(random[1].wrapping_add(high)));
        }
        (sum >> 32) as u32
    }
}

impl Packet {
    /// What its headers say.
    ///
    /// # Errors
    /// The reason why it has no ports.
    #[inline(always)]
    pub fn header(&self) -> Result<Header, Portless> {
        self.header.reason().map_or(Ok(self.header), Err)
    }

    /// What its flow is found by: 32 bits that depend on the key of this run.
    #[must_use]
    pub const fn tag(&self) -> u32 {
        self.tag
    }

    /// What its headers say, without a look at whether it has ports.
    #[must_use]
    #[inline(always)]
    pub const fn raw_header(&self) -> Header {
        self.header
    }

    /// The transport of its ports.
    #[must_use]
    #[inline(always)]
    pub fn transport(&self) -> Transport {
        self.key.transport()
    }

    /// The port it was sent from.
    #[must_use]
    #[inline(always)]
    pub fn src_port(&self) -> u16 {
        self.key.port(self.header.sender())
    }

    /// The port it was sent to.
    #[must_use]
    #[inline(always)]
    pub fn dst_port(&self) -> u16 {
        self.key.port(self.header.sender().other())
    }

    /// The segment that was observed. The packet must have ports.
    #[must_use]
    #[inline]
    pub fn segment(&self) -> Segment {
        let header = self.header;
        let (src, dst) = (self.key.end(header.sender()), self.key.end(header.sender().other()));
        let handshake = match (header.opens(), header.accepts()) {
            (true, _) => Handshake::Open,
            (_, true) => Handshake::Accept,
            _ => Handshake::None,
        };
        Segment {
            src_addr: src.0,
            dst_addr: dst.0,
            src_port: src.1,
            dst_port: dst.1,
            ip_version: self.key.ip_version(),
            transport: self.key.transport(),
            handshake,
            tcp_flags: header.tcp_flags(),
            to_group: header.has(Header::TO_GROUP),
            later_fragment: header.is_later_fragment(),
            tunnels: header.tunnels(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::key::tests::any_segment;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_packet_keeps_what_was_observed(segment in any_segment(), wire_len: u32) {
            let observed = Observation { ts: Timestamp::from_nanos(7), wire_len, outcome: Ok(segment) };
            let packet = Keyer::default().packet(&observed);
            prop_assert_eq!(packet.header().map(|_| packet.segment()), Ok(segment));
        }
    }

    #[test]
    fn a_reason_is_kept() {
        for reason in Portless::ALL {
            let observed = Observation { ts: Timestamp::from_nanos(7), wire_len: 60, outcome: Err(reason) };
            assert_eq!(Keyer::default().packet(&observed).header(), Err(reason));
        }
    }
}
