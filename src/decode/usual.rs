//! What nearly all packets are: TCP or UDP behind a single IP header. They are read in one go.
//!
//! Whether the next packet is TCP or UDP nobody can know, and a processor that guesses wrong loses as much time as a third of
//! all this takes. So nothing here branches on it: tables say what is different. The version of IP is worth a guess: most
//! wires have mostly one, whose addresses then take half of the instructions, here and in all that is made of them. The other
//! branches are those to what is not usual, which the rest of this layer reads header by header; of what is usual it would
//! say the same.

use super::network::protocol;
use super::peel::Payload;
use super::transport::{TCP_FLAGS_AT, tcp_handshake};
use super::{Segment, tunnel};
use crate::units::{AddressWords, IpVersion, Transport};

/// The first byte of an IPv4 header without options (RFC 791, section 3.1): version 4, five words.
const PLAIN_V4: u8 = 0x45;

/// A length that no packet has, because it takes more than 16 bits.
const NO_LEN: u32 = 1 << 16;

/// The bits of bytes 6 and 7 of an IPv4 header that only a fragment has: more fragments, and the fragment offset.
const FRAGMENT: u16 = 0x3fff;

/// What the number of a protocol says of its header.
#[derive(Clone, Copy)]
struct Kind {
    transport: Transport,
    /// The least that is usual, in bytes; [`NO_LEN`] where the protocol is not.
    least_len: u32,
    /// The bits of the byte at [`TCP_FLAGS_AT`] that are flags of TCP.
    tcp_flags: u8,
    /// Some ports announce tunnels.
    has_tunnels: bool,
}

static KINDS: [Kind; 256] = {
    let none = Kind { transport: Transport::Tcp, least_len: NO_LEN, tcp_flags: 0, has_tunnels: false };
    let mut kinds = [none; 256];
    // up to the flags (RFC 9293, section 3.1), and the whole header (RFC 768)
    kinds[protocol::TCP as usize] = Kind { least_len: 14, tcp_flags: 0xff, ..none };
    kinds[protocol::UDP as usize] = Kind { transport: Transport::Udp, least_len: 8, has_tunnels: true, ..none };
    kinds
};

/// Whether a packet is to be read as IPv4; else as IPv6.
#[inline(always)]
pub(super) fn is_v4(packet: Payload<'_>) -> bool {
    packet.bytes.first() == Some(&PLAIN_V4)
}

/// The ports of an IPv4 packet, see [`segment`].
#[inline(always)]
pub(super) fn v4(packet: Payload<'_>) -> Option<Segment> {
    // a header without options, and the one behind it as far as it is looked at
    let bytes = packet.bytes.first_chunk::<{ 20 + TCP_FLAGS_AT + 1 }>()?;
    let be16 = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let words = bytes.as_chunks::<4>().0;
    if bytes[0] != PLAIN_V4 || be16(6) & FRAGMENT != 0 {
        return None;
    }
    let header = Header {
        version: IpVersion::V4,
        protocol: bytes[9],
        // one that is too short comes out as none
        payload_len: u32::from(be16(2)).saturating_sub(20),
        addresses: [AddressWords::v4(words[3]), AddressWords::v4(words[4])],
        ports: [be16(20), be16(22)],
        tcp_flags: bytes[20 + TCP_FLAGS_AT],
    };
    segment(packet, &header)
}

/// The ports of an IPv6 packet, see [`segment`].
#[inline(always)]
pub(super) fn v6(packet: Payload<'_>) -> Option<Segment> {
    let bytes = packet.bytes.first_chunk::<{ 40 + TCP_FLAGS_AT + 1 }>()?;
    let be16 = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    // of any traffic class
    if bytes[0] >> 4 != 6 {
        return None;
    }
    let addresses = bytes[8..].as_chunks::<16>().0;
    let header = Header {
        version: IpVersion::V6,
        protocol: bytes[6],
        payload_len: be16(4).into(),
        addresses: [AddressWords::v6(addresses[0]), AddressWords::v6(addresses[1])],
        ports: [be16(40), be16(42)],
        tcp_flags: bytes[40 + TCP_FLAGS_AT],
    };
    segment(packet, &header)
}

/// What is read of an IP packet, source first.
struct Header {
    version: IpVersion,
    protocol: u8,
    /// What the packet holds behind this header, in bytes, as it says.
    payload_len: u32,
    addresses: [AddressWords; 2],
    ports: [u16; 2],
    /// The byte where TCP has its flags.
    tcp_flags: u8,
}

/// The ports of an IP packet, if it is TCP or UDP behind a header without options, no fragment and nothing like a tunnel, and
/// cut only behind what is read here. `None` says no more than that it takes a closer look.
#[inline(always)]
fn segment(packet: Payload<'_>, header: &Header) -> Option<Segment> {
    let kind = KINDS[usize::from(header.protocol)];
    let [src_port, dst_port] = header.ports;
    // one comparison for a protocol that is not usual, too
    if header.payload_len < kind.least_len || tunnel::is_port_in_sight(src_port, dst_port) & kind.has_tunnels {
        return None;
    }
    let [src_addr, dst_addr] = header.addresses;
    let tcp_flags = header.tcp_flags & kind.tcp_flags;
    Some(Segment {
        src_addr,
        dst_addr,
        src_port,
        dst_port,
        ip_version: header.version,
        transport: kind.transport,
        handshake: tcp_handshake(tcp_flags),
        tcp_flags,
        // the groups of both versions begin so, and little else does
        to_group: packet.link_broadcast || dst_addr.first_byte() >= 0xe0 && dst_addr.is_group(header.version),
        later_fragment: false,
        tunnels: 0,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{network, transport};
    use super::*;

    /// As the decoder reads it.
    fn usual(packet: Payload<'_>) -> Option<Segment> {
        if is_v4(packet) { super::v4(packet) } else { super::v6(packet) }
    }

    const TCP: [u8; 24] = [0xc8, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x12, 0xff, 0xff, 0, 0, 0, 0, 1, 2, 3, 4];
    const UDP: [u8; 24] = [0xc8, 0, 0, 53, 0, 24, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6];

    /// An IPv4 packet that begins with `first`, of 44 bytes as its header says.
    fn v4(first: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let header = [first, 0, 0, 44, 0, 1, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        [&header, payload].concat()
    }

    /// An IPv6 packet with 24 bytes of payload as its header says.
    fn v6(first: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let address = |last| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
        [&[first, 0, 0, 0, 0, 24, protocol, 64], &address(1)[..], &address(2), payload].concat()
    }

    fn with(mut bytes: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
        bytes[at] = byte;
        bytes
    }

    /// What the rest of the layer says of a packet, unless it takes a closer look itself.
    fn by_headers(packet: Payload<'_>) -> Option<Segment> {
        let datagram = network::datagram(packet).ok()?;
        let is_plain = !datagram.is_first_fragment && !tunnel::is_in_sight(&datagram);
        is_plain.then(|| transport::segment(&datagram, 0).ok()).flatten()
    }

    #[test]
    fn the_usual_is_told_from_what_is_not() {
        let cases = [
            ("IPv4, TCP", v4(0x45, 6, &TCP), true),
            ("IPv4, UDP", v4(0x45, 17, &UDP), true),
            ("IPv6, TCP", v6(0x60, 6, &TCP), true),
            ("IPv6, UDP", v6(0x60, 17, &UDP), true),
            ("IPv6, a traffic class", v6(0x6b, 6, &TCP), true),
            ("multicast", with(v4(0x45, 17, &UDP), 16, 239), true),
            ("reserved", with(v4(0x45, 17, &UDP), 16, 240), true),
            ("IPv6, multicast", with(v6(0x60, 17, &UDP), 24, 0xff), true),
            ("cut behind what is read", v4(0x45, 6, &TCP)[..34].to_vec(), true),
            ("cut behind what is read, IPv6", v6(0x60, 6, &TCP)[..54].to_vec(), true),
            ("UDP without data, padded", with(v4(0x45, 17, &UDP), 3, 28), true),
            ("TCP to the port of a tunnel", with(with(v4(0x45, 6, &TCP), 22, 0x12), 23, 0xb5), true),
            ("UDP to the port of a tunnel", with(with(v4(0x45, 17, &UDP), 22, 0x12), 23, 0xb5), false),
            ("UDP from the port of a tunnel", with(with(v6(0x60, 17, &UDP), 40, 0x12), 41, 0xb5), false),
            ("options", v4(0x46, 6, &TCP), false),
            ("a header that is too short", v4(0x44, 6, &TCP), false),
            ("version 5", v4(0x55, 6, &TCP), false),
            ("another protocol", v4(0x45, 1, &TCP), false),
            ("a first fragment", with(v4(0x45, 6, &TCP), 6, 0x20), false),
            ("a later fragment", with(v4(0x45, 6, &TCP), 7, 1), false),
            ("IPv6, the same bits", with(v6(0x60, 6, &TCP), 7, 1), true),
            ("no length", with(v4(0x45, 6, &TCP), 3, 0), false),
            ("no length, IPv6", with(v6(0x60, 6, &TCP), 5, 0), false),
            ("a length that ends before the flags", with(v4(0x45, 6, &TCP), 3, 33), false),
            ("a length that ends with the flags", with(v4(0x45, 6, &TCP), 3, 34), true),
            ("a length that ends in the header of UDP", with(v6(0x60, 17, &UDP), 5, 7), false),
            ("cut before", v4(0x45, 6, &TCP)[..33].to_vec(), false),
            ("cut before, IPv6", v6(0x60, 6, &TCP)[..53].to_vec(), false),
            ("nothing", vec![], false),
        ];
        for (name, bytes, want) in cases {
            let packet = Payload::new(&bytes);
            let got = usual(packet);
            assert_eq!(got.is_some(), want, "{name}");
            assert!(got.is_none() || got == by_headers(packet), "{name}: {got:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_usual_is_read_as_header_by_header(
            which in 0..4_usize,
            changes in proptest::collection::vec((0..64_usize, any::<u8>()), 0..4),
            len in 30..70_usize,
            link_broadcast: bool,
        ) {
            let mut bytes = match which {
                0 => v4(0x45, 6, &TCP),
                1 => v4(0x45, 17, &UDP),
                2 => v6(0x60, 6, &TCP),
                _ => v6(0x60, 17, &UDP),
            };
            for (at, byte) in changes {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            bytes.truncate(len);
            let packet = Payload { bytes: &bytes, link_broadcast };
            if let Some(segment) = usual(packet) {
                prop_assert_eq!(Some(segment), by_headers(packet));
            }
        }
    }
}
