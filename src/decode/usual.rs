//! What nearly all packets are: TCP or UDP behind a single IP header. They are read in one go.
//!
//! Whether the next packet is IPv4 or IPv6, TCP or UDP, nobody can know, and a processor that guesses wrong loses as much time
//! as a third of all this takes. So nothing here branches on it: what stands in different places is read from both, and one
//! of the two is picked; and tables say what else is different. The only branches are those to what is not usual, which the
//! rest of this layer reads header by header; of what is usual it would say the same.

use std::hint::select_unpredictable as pick;

use super::network::protocol;
use super::peel::Payload;
use super::transport::{TCP_FLAGS_AT, tcp_handshake};
use super::{Segment, tunnel};
use crate::units::{AddressWords, IpVersion, Transport};

/// Length of an IPv6 header (RFC 8200, section 3), and of an IPv4 header with a TCP header behind it, both without options:
/// nearly every packet has as much.
const HEADER_LEN: usize = 40;

/// As much of a transport header as is looked at.
const TRANSPORT_LEN: usize = TCP_FLAGS_AT + 1;

/// The first byte of an IPv4 header without options (RFC 791, section 3.1): version 4, five words.
const PLAIN_V4: u8 = 0x45;

/// A length that no packet has, because it takes more than 16 bits.
const NO_LEN: u32 = 1 << 16;

/// What the first byte of an IP header says of the rest.
#[derive(Clone, Copy)]
struct Layout {
    version: IpVersion,
    /// As much of the header as the length in it counts too, in bytes; [`NO_LEN`] where the header is not usual.
    counted_len: u32,
    /// The bits of an address's second word that are its own.
    second_word: u64,
    /// The bits of bytes 6 and 7 that only a fragment has.
    fragment: u16,
}

static LAYOUTS: [Layout; 256] = {
    let none = Layout { version: IpVersion::V4, counted_len: NO_LEN, second_word: 0, fragment: 0 };
    let mut layouts = [none; 256];
    // more fragments, and the fragment offset
    layouts[PLAIN_V4 as usize] = Layout { counted_len: 20, fragment: 0x3fff, ..none };
    // of any traffic class
    let mut first = 0x60;
    while first <= 0x6f {
        layouts[first] = Layout { version: IpVersion::V6, counted_len: 0, second_word: u64::MAX, fragment: 0 };
        first += 1;
    }
    layouts
};

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

/// The ports of an IP packet, if it is TCP or UDP behind a header without options, no fragment and nothing like a tunnel, and
/// cut only behind what is read here. `None` says no more than that it takes a closer look.
#[inline(always)]
pub(super) fn segment(packet: Payload<'_>) -> Option<Segment> {
    let header = packet.bytes.first_chunk::<HEADER_LEN>()?;
    let be16 = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let is_v4 = header[0] == PLAIN_V4;
    let transport_header = packet.bytes.get(pick(is_v4, 20, 40)..)?.first_chunk::<TRANSPORT_LEN>()?;
    let layout = &LAYOUTS[usize::from(header[0])];
    let kind = KINDS[usize::from(pick(is_v4, header[9], header[6]))];
    // one comparison for a header and a protocol that are not usual, too
    if u32::from(pick(is_v4, be16(2), be16(4))) < layout.counted_len + kind.least_len || be16(6) & layout.fragment != 0
    {
        return None;
    }
    let [src_high, src_low, dst_high, dst_low, ..] = *transport_header;
    let (src_port, dst_port) = (u16::from_be_bytes([src_high, src_low]), u16::from_be_bytes([dst_high, dst_low]));
    if tunnel::is_port_in_sight(src_port, dst_port) & kind.has_tunnels {
        return None;
    }

    let (words, addresses) = (header.as_chunks::<4>().0, header[8..].as_chunks::<16>().0);
    let address = |v4: [u8; 4], v6: [u8; 16]| {
        let (v4, v6) = (AddressWords::v4(v4), AddressWords::v6(v6));
        AddressWords([pick(is_v4, v4.0[0], v6.0[0]), v6.0[1] & layout.second_word])
    };
    let (src_addr, dst_addr) = (address(words[3], addresses[0]), address(words[4], addresses[1]));
    let tcp_flags = transport_header[TCP_FLAGS_AT] & kind.tcp_flags;
    Some(Segment {
        src_addr,
        dst_addr,
        src_port,
        dst_port,
        ip_version: layout.version,
        transport: kind.transport,
        handshake: tcp_handshake(tcp_flags),
        tcp_flags,
        // the groups of both versions begin so, and little else does
        to_group: packet.link_broadcast || dst_addr.first_byte() >= 0xe0 && dst_addr.is_group(layout.version),
        later_fragment: false,
        tunnels: 0,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{network, transport};
    use super::*;

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
            ("cut behind what is read", v4(0x45, 6, &TCP)[..40].to_vec(), true),
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
            ("cut before", v4(0x45, 6, &TCP)[..39].to_vec(), false),
            ("cut before, IPv6", v6(0x60, 6, &TCP)[..53].to_vec(), false),
            ("nothing", vec![], false),
        ];
        for (name, bytes, want) in cases {
            let packet = Payload::new(&bytes);
            let got = segment(packet);
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
            if let Some(segment) = segment(packet) {
                prop_assert_eq!(Some(segment), by_headers(packet));
            }
        }
    }
}
