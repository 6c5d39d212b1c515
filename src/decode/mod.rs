//! From a frame to its ports: every frame becomes an [`Observation`], none is lost.
//!
//! Decoding is total. What has no ports gets the reason why, and the reason is counted like a service.

mod fragments;
mod ipcomp;
mod link;
mod network;
mod peel;
mod transport;
mod tunnel;
mod usual;

pub use transport::tcp_flag;

use self::fragments::{Fragments, Met};
use self::ipcomp::Inflater;
use self::peel::{Payload, Peeled};
use crate::source::Frame;
use crate::units::{AddressWords, Endpoint, IpVersion, Timestamp, Transport};

/// The longest packet that is believed, in bytes. No link carries two gigabytes at once: a capture that claims more is
/// damaged, and the claim would swamp every other packet in the sums. Wireshark cuts such lengths at the same number.
const MAX_WIRE_LEN: u32 = i32::MAX.unsigned_abs();

/// Decodes frames in their order, which matters to fragments alone.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The first IP packet of a frame that has ports decides, and not the last one: the carrier of a tunnel, and not what is
    /// inside.
    outer: bool,
    fragments: Fragments,
    /// Made for the first packet that is compressed.
    inflater: Option<Box<Inflater>>,
}

impl Decoder {
    /// A decoder that has seen nothing yet. With `outer`, packets in tunnels are what their carrier is, if that has ports.
    #[must_use]
    pub fn new(outer: bool) -> Self {
        Self { outer, ..Self::default() }
    }

    /// Decodes a frame. Total: it returns for any bytes under any link type.
    #[must_use]
    pub fn decode(&mut self, frame: &Frame<'_>) -> Observation {
        self.decode_to(frame, Keep)
    }

    /// Decodes a frame, and lets `observer` make something of it, whose code stands here for what is usual of either version of
    /// IP by itself: nothing has to be in memory in between, and what only IPv6 takes is done for nothing else.
    #[inline(always)]
    pub fn decode_to<O: Observer>(&mut self, frame: &Frame<'_>, observer: O) -> O::Made {
        let packet = link::straight(frame.link, frame.data);
        // no link type that leads straight to IP has a pseudo-header
        let wire_len = frame.wire_len.min(MAX_WIRE_LEN);
        if let Some(packet) = packet {
            if usual::is_v4(packet) {
                if let Some(segment) = usual::v4(packet) {
                    return observer.observe(&Observation { ts: frame.ts, wire_len, outcome: Ok(segment) });
                }
            } else if let Some(segment) = usual::v6(packet) {
                return observer.observe(&Observation { ts: frame.ts, wire_len, outcome: Ok(segment) });
            }
        }
        // a copy: the frame itself then need not be in memory
        observer.observe(&self.look_closer(*frame, packet))
    }

    /// Decodes what is not usual; `packet` is the IP packet of a frame that has little before it.
    #[inline(never)]
    fn look_closer(&mut self, frame: Frame<'_>, packet: Option<Payload<'_>>) -> Observation {
        let wire_len = frame.wire_len.min(MAX_WIRE_LEN).saturating_sub(link::pseudo_header_len(frame.link));
        let outcome = match packet.map(network::datagram) {
            // one header, and nothing like a tunnel: what else has ports, or nearly
            Some(Ok(datagram)) if !datagram.is_first_fragment && !tunnel::is_in_sight(&datagram) => {
                transport::segment(&datagram, 0)
            }
            _ => self.segment_behind_headers(&frame),
        };
        Observation { ts: frame.ts, wire_len, outcome }
    }

    /// The ports of a frame, header by header.
    #[cold]
    #[inline(never)]
    fn segment_behind_headers(&mut self, frame: &Frame<'_>) -> Result<Segment, Portless> {
        let mut met = Met::default();
        let peeled = peel::peel(frame.link, frame.data, self.outer, &mut met, &mut self.inflater);
        let mut outcome = peeled.and_then(|Peeled { datagram, tunnels }| transport::segment(&datagram, tunnels));
        if let Some(key) = met.later {
            outcome = self.fragments.find(&key, frame.ts).unwrap_or(outcome);
        }
        for key in met.firsts {
            self.fragments.insert(key, frame.ts, outcome);
        }
        outcome
    }
}

/// Makes something of what was observed of a packet.
pub trait Observer {
    /// What is made.
    type Made;

    /// Makes it; to be inlined.
    fn observe(self, observed: &Observation) -> Self::Made;
}

/// Makes nothing of it.
struct Keep;

impl Observer for Keep {
    type Made = Observation;

    #[inline(always)]
    fn observe(self, observed: &Observation) -> Observation {
        *observed
    }
}

/// What the engine needs to know of a packet; small enough to travel in batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// When the packet was captured.
    pub ts: Timestamp,
    /// Bytes on the wire, link header included, at most 2,147,483,647. What some link types have before it to tell of the
    /// direction or of a circuit is none.
    pub wire_len: u32,
    /// Its ports, or why it has none.
    pub outcome: Result<Segment, Portless>,
}

const _: () = assert!(size_of::<Observation>() <= 64, "an observation stays within a cache line");

/// The ports and addresses of a packet, and the few header fields that labels and statistics need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Source address.
    pub src_addr: AddressWords,
    /// Destination address.
    pub dst_addr: AddressWords,
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// IP version of both addresses.
    pub ip_version: IpVersion,
    /// The protocol that the ports belong to.
    pub transport: Transport,
    /// What the packet says about who serves.
    pub handshake: Handshake,
    /// TCP flags as in the header (RFC 9293, section 3.1): FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
    /// Zero for other transports and where the capture cuts them off.
    pub tcp_flags: u8,
    /// The destination is a multicast or broadcast address.
    pub to_group: bool,
    /// A fragment after the first: the ports are those of its first one.
    pub later_fragment: bool,
    /// Carriers that were taken off to get here: IP headers around this packet's own. Tags, labels and sessions of the
    /// link layer (VLAN, MPLS, PPPoE) are none.
    pub tunnels: u8,
}

/// The step of a connection's opening that a packet is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Handshake {
    /// No step of an opening, or a transport without one.
    #[default]
    None,
    /// TCP SYN without ACK (RFC 9293), SCTP INIT (RFC 9260), DCCP-Request (RFC 4340): goes to the server.
    Open,
    /// TCP SYN with ACK, SCTP INIT ACK, DCCP-Response: comes from the server.
    Accept,
}

impl Segment {
    /// The sending end.
    #[must_use]
    pub fn src(&self) -> Endpoint {
        Endpoint { addr: self.src_addr.to_ip(self.ip_version), port: self.src_port }
    }

    /// The receiving end.
    #[must_use]
    pub fn dst(&self) -> Endpoint {
        Endpoint { addr: self.dst_addr.to_ip(self.ip_version), port: self.dst_port }
    }
}

/// Why a packet has no ports. Each is a row of the report, documented in the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Portless {
    /// ARP or RARP (RFC 826, RFC 903).
    Arp,
    /// A link-layer payload that is not IP: spanning tree, LLDP, LLC, …
    NotIp,
    /// ICMP or `ICMPv6` (RFC 792, RFC 4443), with whatever packet it quotes.
    Icmp,
    /// IGMP (RFC 9776).
    Igmp,
    /// Encrypted by IPsec (RFC 4303): the ports cannot be seen.
    Esp,
    /// IP, but a protocol without ports: OSPF, VRRP, … or a tunnel without IP inside.
    OtherProtocol,
    /// A fragment whose first one, with the ports, was not seen in the 30 seconds before it.
    FragmentOrphan,
    /// The capture ends before the ports.
    Truncated,
    /// A header contradicts itself before the ports: an impossible version or length.
    Malformed,
    /// More nested headers than are followed.
    TooDeep,
    /// A link type that is not known.
    UnknownLink,
    /// Encrypted by 802.11 (IEEE 802.11, clause 12): nothing behind the addresses can be seen.
    EncryptedWifi,
}

impl Portless {
    /// Every reason, in the order of declaration; `Portless as usize` is the place in it.
    pub const ALL: [Self; 12] = [
        Self::Arp,
        Self::NotIp,
        Self::Icmp,
        Self::Igmp,
        Self::Esp,
        Self::OtherProtocol,
        Self::FragmentOrphan,
        Self::Truncated,
        Self::Malformed,
        Self::TooDeep,
        Self::UnknownLink,
        Self::EncryptedWifi,
    ];

    /// The name in outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arp => "arp",
            Self::NotIp => "not_ip",
            Self::Icmp => "icmp",
            Self::Igmp => "igmp",
            Self::Esp => "esp",
            Self::OtherProtocol => "other_protocol",
            Self::FragmentOrphan => "fragment_orphan",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::TooDeep => "too_deep",
            Self::UnknownLink => "unknown_link",
            Self::EncryptedWifi => "encrypted_wifi",
        }
    }
}
