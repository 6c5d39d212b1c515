//! Frames made by hand: what a packet is to be, and its bytes, header by header.

use std::net::{Ipv4Addr, Ipv6Addr};

use portlabel::decode::{Decoder, Observation};
use portlabel::engine::{EngineConfig, Event};
use portlabel::source::Frame;
use portlabel::units::{LinkType, Timestamp, Transport};

use crate::laws;

/// A frame that owns its bytes.
#[derive(Clone, Debug)]
pub struct Owned {
    pub ts_nanos: i64,
    pub wire_len: u32,
    pub link: u16,
    pub data: Vec<u8>,
}

impl Owned {
    pub fn frame(&self) -> Frame<'_> {
        Frame {
            ts: Timestamp::from_nanos(self.ts_nanos),
            wire_len: self.wire_len,
            link: LinkType(self.link),
            interface: 0,
            data: &self.data,
        }
    }
}

/// A frame that comes alone, decoded.
pub fn decode(frame: &Frame<'_>) -> Observation {
    Decoder::default().decode(frame)
}

/// What counts of a length on the wire: no packet is longer than 2 GiB, whatever a damaged capture claims, and what the
/// capturing system put before the link header was not on the wire.
pub fn counted_len(frame: &Frame<'_>) -> u32 {
    let own = match frame.link.0 {
        123 | 201 | 254 => 4,
        204..=206 => 1,
        _ => 0,
    };
    frame.wire_len.min(2_147_483_647).saturating_sub(own)
}

/// What an engine has to say about frames that come `batch_len` at a time.
pub fn events(frames: &[Owned], config: &EngineConfig, batch_len: usize) -> Vec<Event> {
    laws::events(&frames.iter().map(Owned::frame).collect::<Vec<_>>(), config, batch_len)
}

/// What a TCP segment says by its flags, and other transports by their packet type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Open,
    Accept,
    Data,
    Fin,
    Reset,
}

/// An end of a packet: a host of the pool, and a port.
pub type End = (u8, u16);

/// The host of the pool that is a group.
pub const GROUP: u8 = 4;

/// A packet with ports, before it has bytes.
#[derive(Clone, Debug)]
pub struct Packet {
    pub ts_nanos: i64,
    pub is_v6: bool,
    pub tags: u8,
    /// IPv6: extension headers. IPv4: words of options.
    pub extensions: u8,
    pub transport: Transport,
    pub src: End,
    pub dst: End,
    pub kind: Kind,
    pub payload_len: u16,
    /// Bytes on the wire, whatever `bytes` come to; 0 stands for as many as they are.
    pub wire_len: u32,
}

impl Packet {
    /// The frame: Ethernet, tags, IP, transport.
    pub fn owned(&self) -> Owned {
        let mut data = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        data.extend([0x81, 0x00, 0x00, 0x05].repeat(self.tags.into()));
        let transport = self.transport_bytes();
        let protocol = match self.transport {
            Transport::Tcp => 6,
            Transport::Udp => 17,
            Transport::UdpLite => 136,
            Transport::Sctp => 132,
            Transport::Dccp => 33,
        };
        data.extend(if self.is_v6 { self.v6(protocol, &transport) } else { self.v4(protocol, &transport) });
        let captured_len = u32::try_from(data.len()).expect("a short frame");
        let wire_len = if self.wire_len == 0 { captured_len } else { self.wire_len };
        Owned { ts_nanos: self.ts_nanos, wire_len, link: LinkType::ETHERNET.0, data }
    }

    /// The same packet from the other end.
    pub fn reversed(&self) -> Self {
        Self { src: self.dst, dst: self.src, ..self.clone() }
    }

    fn v4(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let words = 5 + self.extensions % 11;
        let total_len = u16::try_from(usize::from(words) * 4 + payload.len()).expect("a short packet").to_be_bytes();
        let mut bytes =
            vec![0x08, 0x00, 0x40 | words, 0, total_len[0], total_len[1], 0, 7, 0x40, 0, 64, protocol, 0, 0];
        for (host, _) in [self.src, self.dst] {
            bytes.extend(v4_address(host).octets());
        }
        bytes.extend([1, 1, 1, 0].repeat(usize::from(words) - 5));
        bytes.extend(payload);
        bytes
    }

    fn v6(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        // destination options, routing, an atomic fragment, as often as is asked for, in this order
        let kinds: Vec<u8> = [60, 43, 44].into_iter().cycle().take(usize::from(self.extensions % 6)).collect();
        let mut headers = Vec::new();
        for at in 0..kinds.len() {
            let next = kinds.get(at + 1).copied().unwrap_or(protocol);
            headers.extend([next, 0, 0, 0, 0, 0, 0, 0]);
        }
        let payload_len = u16::try_from(headers.len() + payload.len()).expect("a short packet").to_be_bytes();
        let first = kinds.first().copied().unwrap_or(protocol);
        let mut bytes = vec![0x86, 0xdd, 0x60, 0, 0, 0, payload_len[0], payload_len[1], first, 64];
        for (host, _) in [self.src, self.dst] {
            bytes.extend(v6_address(host).octets());
        }
        bytes.extend(headers);
        bytes.extend(payload);
        bytes
    }

    fn transport_bytes(&self) -> Vec<u8> {
        let mut bytes = [self.src.1.to_be_bytes(), self.dst.1.to_be_bytes()].concat();
        bytes.extend(match self.transport {
            Transport::Tcp => {
                let flags = match self.kind {
                    Kind::Open => 0x02,
                    Kind::Accept => 0x12,
                    Kind::Data => 0x18,
                    Kind::Fin => 0x11,
                    Kind::Reset => 0x04,
                };
                vec![0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]
            }
            Transport::Udp | Transport::UdpLite => {
                let len = (8 + self.payload_len).to_be_bytes();
                vec![len[0], len[1], 0, 0]
            }
            Transport::Sctp => {
                let chunk = match self.kind {
                    Kind::Open => 1,
                    Kind::Accept => 2,
                    Kind::Data => 0,
                    Kind::Fin => 7,
                    Kind::Reset => 6,
                };
                vec![0, 0, 0, 1, 0, 0, 0, 0, chunk, 0, 0, 4]
            }
            Transport::Dccp => {
                let packet_type = match self.kind {
                    Kind::Open => 0,
                    Kind::Accept => 1,
                    Kind::Data => 2,
                    Kind::Fin => 6,
                    Kind::Reset => 7,
                };
                vec![3, 0, 0, 0, packet_type << 1 | 1, 0, 0, 0]
            }
        });
        bytes.extend(vec![0x61; self.payload_len.into()]);
        bytes
    }
}

fn v4_address(host: u8) -> Ipv4Addr {
    if host == GROUP { Ipv4Addr::new(224, 0, 0, 251) } else { Ipv4Addr::new(10, 0, 0, host) }
}

/// The IPv4 address, mapped (RFC 4291, section 2.5.5.2); a group has one of its own.
fn v6_address(host: u8) -> Ipv6Addr {
    if host == GROUP { Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb) } else { v4_address(host).to_ipv6_mapped() }
}

/// What the hand makes, the decoder reads: else properties would speak of nothing but portless packets.
#[test]
fn packets_made_by_hand_have_their_ports() {
    for transport in Transport::ALL {
        for (is_v6, extensions, tags) in
            [(false, 0, 0), (false, 10, 1), (true, 0, 3), (true, 1, 0), (true, 3, 0), (true, 5, 2)]
        {
            let packet = Packet {
                ts_nanos: 1,
                is_v6,
                tags,
                extensions,
                transport,
                src: (1, 50_001),
                dst: (2, 443),
                kind: Kind::Open,
                payload_len: 9,
                wire_len: 0,
            };
            let segment = decode(&packet.owned().frame()).outcome.expect("its ports");
            assert_eq!((segment.src().port, segment.dst().port, segment.transport), (50_001, 443, transport));
        }
    }
}
