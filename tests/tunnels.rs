//! Packets in packets: whatever is around a packet, its own ports are found; and what counts where there are none.

use portlabel::decode::{Portless, Segment};
use portlabel::source::Frame;
use portlabel::units::{LinkType, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::frames::decode;

const MACS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&MACS[..], &ether_type.to_be_bytes(), payload].concat()
}

fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(20 + payload.len()).expect("a short packet").to_be_bytes();
    let header = [0x45, 0, len[0], len[1], 0, 1, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    [&header[..], payload].concat()
}

fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).expect("a short packet").to_be_bytes();
    let addresses = [[0x20; 16], [0x21; 16]].concat();
    [&[0x60, 0, 0, 0, len[0], len[1], next_header, 64], &addresses[..], payload].concat()
}

fn udp(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + payload.len()).expect("a short datagram");
    [&[src, dst, len, 0].map(u16::to_be_bytes).concat(), payload].concat()
}

/// Something that goes around an IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Around {
    Ip,
    Ipv6,
    Gre,
    GreEthernet,
    ErspanTwo,
    Vxlan,
    VxlanGeneric,
    Geneve,
    Gtp,
    Mpls,
    Pppoe,
    L2tp,
    Capwap,
    Lisp,
}

const AROUND: [Around; 14] = [
    Around::Ip,
    Around::Ipv6,
    Around::Gre,
    Around::GreEthernet,
    Around::ErspanTwo,
    Around::Vxlan,
    Around::VxlanGeneric,
    Around::Geneve,
    Around::Gtp,
    Around::Mpls,
    Around::Pppoe,
    Around::L2tp,
    Around::Capwap,
    Around::Lisp,
];

/// An IP packet around an IP packet.
fn around(what: Around, inner: &[u8]) -> Vec<u8> {
    let is_v6 = inner[0] >> 4 == 6;
    let ether_type = if is_v6 { 0x86dd } else { 0x0800_u16 };
    let frame = ethernet(ether_type, inner);
    let behind = |header: &[u8], payload: &[u8]| [header, payload].concat();
    let [high, low] = ether_type.to_be_bytes();
    let protocol = if is_v6 { 41 } else { 4 };
    let ppp = if is_v6 { [0, 0x57] } else { [0, 0x21] };
    match what {
        Around::Ip => ipv4(protocol, inner),
        Around::Ipv6 => ipv6(protocol, inner),
        Around::Gre => ipv4(47, &behind(&[0x30, 0, high, low, 0, 0, 0, 9, 0, 0, 0, 1], inner)),
        Around::GreEthernet => ipv6(47, &behind(&[0x20, 0, 0x65, 0x58, 0, 0, 9, 0], &frame)),
        Around::ErspanTwo => ipv4(47, &behind(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 7, 0, 1, 0, 0, 0, 0], &frame)),
        Around::Vxlan => ipv4(17, &udp(50_000, 4_789, &behind(&[8, 0, 0, 0, 0, 0, 9, 0], &frame))),
        Around::VxlanGeneric => ipv6(17, &udp(50_000, 4_790, &behind(&[0x0c, 0, 0, 1, 0, 0, 9, 0], inner))),
        Around::Geneve => ipv4(17, &udp(50_000, 6_081, &behind(&[1, 0, 0x65, 0x58, 0, 0, 9, 0, 1, 2, 3, 0], &frame))),
        Around::Gtp => ipv4(17, &udp(2_152, 2_152, &behind(&[0x30, 255, 0, 0, 0, 0, 0, 9], inner))),
        Around::Mpls => ipv4(137, &behind(&[0, 1, 0, 64, 0, 2, 1, 64], inner)),
        Around::Pppoe => {
            let session = [&[0x11, 0, 0, 1, 0, 9], &ppp[..], inner].concat();
            ipv4(47, &behind(&[0, 0, 0x65, 0x58], &ethernet(0x8864, &session)))
        }
        Around::L2tp => {
            let session = [&[0, 2, 0, 1, 0, 2, 0xff, 3], &ppp[..], inner].concat();
            ipv4(17, &udp(1_701, 1_701, &session))
        }
        Around::Capwap => {
            let wifi = [&[1, 8, 0, 0], &[2; 20][..], &[0xaa, 0xaa, 3, 0, 0, 0, high, low], inner].concat();
            ipv4(17, &udp(50_000, 5_247, &behind(&[0, 0x10, 0x43, 0, 0, 0, 0, 0], &wifi)))
        }
        Around::Lisp => ipv4(17, &udp(50_000, 4_341, &behind(&[0x80, 1, 2, 3, 0, 0, 0, 1], inner))),
    }
}

/// A DNS query in that order of headers, the outermost first.
fn nested(stack: &[Around], is_v6: bool) -> Vec<u8> {
    let query = udp(40_000, 53, &[0; 12]);
    let packet = if is_v6 { ipv6(17, &query) } else { ipv4(17, &query) };
    stack.iter().rfold(packet, |inner, what| around(*what, &inner))
}

fn outcome(link: LinkType, data: &[u8]) -> Result<Segment, Portless> {
    let wire_len = u32::try_from(data.len()).expect("a short frame");
    decode(&Frame { ts: Timestamp::default(), wire_len, link, interface: 0, data }).outcome
}

fn ports(link: LinkType, data: &[u8]) -> Result<(u16, u16, u8), Portless> {
    outcome(link, data).map(|segment| (segment.src_port, segment.dst_port, segment.tunnels))
}

#[test]
fn every_tunnel_is_taken_off() {
    for what in AROUND {
        for is_v6 in [false, true] {
            let packet = nested(&[what], is_v6);
            assert_eq!(ports(LinkType::RAW, &packet), Ok((40_000, 53, 1)), "{what:?}");
            let ether_type = if packet[0] >> 4 == 6 { 0x86dd } else { 0x0800 };
            assert_eq!(ports(LinkType::ETHERNET, &ethernet(ether_type, &packet)), Ok((40_000, 53, 1)), "{what:?}");
        }
    }
}

#[test]
fn the_last_ip_header_decides() {
    let vxlan = |frame: &[u8]| ipv4(17, &udp(50_000, 4_789, &[&[8, 0, 0, 0, 0, 0, 9, 0], frame].concat()));
    let gre = |ether_type: u16, payload: &[u8]| ipv4(47, &[&[0, 0], &ether_type.to_be_bytes()[..], payload].concat());
    let carrier = Ok((50_000, 4_789, 0));
    let query = ipv4(17, &udp(40_000, 53, &[0; 12]));
    let mut later_fragment = query.clone();
    later_fragment[7] = 9;
    let mut impossible = query.clone();
    impossible[0] = 0x41;
    let cases = [
        ("ICMP inside", vxlan(&ethernet(0x0800, &ipv4(1, &[8; 8]))), Err(Portless::Icmp)),
        ("a later fragment inside", vxlan(&ethernet(0x0800, &later_fragment)), Err(Portless::FragmentOrphan)),
        ("a tunnel without IP inside", vxlan(&ethernet(0x0800, &gre(0x0806, &[0; 28]))), Err(Portless::OtherProtocol)),
        ("ports cut off inside", vxlan(&ethernet(0x0800, &query[..22])), Err(Portless::Truncated)),
        ("ARP inside", vxlan(&ethernet(0x0806, &[0; 28])), carrier),
        ("an IP header cut off inside", vxlan(&ethernet(0x0800, &query[..19])), carrier),
        ("an impossible IP header inside", vxlan(&ethernet(0x0800, &impossible)), carrier),
        ("nothing inside", vxlan(&[]), carrier),
        ("no VXLAN", ipv4(17, &udp(50_000, 4_789, &[0; 60])), carrier),
        ("no GTP", ipv4(17, &udp(2_152, 53, &query)), Ok((2_152, 53, 0))),
        ("GRE with ARP", gre(0x0806, &[0; 28]), Err(Portless::OtherProtocol)),
        ("GRE that ends early", gre(0x0800, &query[..12]), Err(Portless::OtherProtocol)),
        ("GRE with nothing", gre(0, &[]), Err(Portless::OtherProtocol)),
        ("GRE, cut", gre(0x0800, &query)[..36].to_vec(), Err(Portless::Truncated)),
        ("GRE with a query", gre(0x0800, &query), Ok((40_000, 53, 1))),
    ];
    for (name, packet, want) in cases {
        assert_eq!(ports(LinkType::RAW, &packet), want, "{name}");
    }
}

#[test]
fn nesting_has_an_end() {
    for (depth, want) in [(60, Ok((40_000, 53, 60))), (200, Err(Portless::TooDeep)), (2_000, Err(Portless::TooDeep))] {
        assert_eq!(ports(LinkType::RAW, &nested(&vec![Around::Ip; depth], false)), want, "{depth}");
    }
    // tags and labels without an end are as long as the frame, and no longer
    let tags = ethernet(0x8100, &[0, 5, 0x81, 0].repeat(10_000));
    assert_eq!(ports(LinkType::ETHERNET, &tags), Err(Portless::Truncated));
    assert_eq!(ports(LinkType::MPLS, &vec![0; 65_536]), Err(Portless::Truncated));
}

fn any_stack() -> impl Strategy<Value = Vec<Around>> {
    vec(select(&AROUND[..]), 0..12)
}

proptest! {
    #[test]
    fn any_stack_of_tunnels_is_taken_off(stack in any_stack(), is_v6: bool) {
        let tunnels = u8::try_from(stack.len()).expect("few");
        prop_assert_eq!(ports(LinkType::RAW, &nested(&stack, is_v6)), Ok((40_000, 53, tunnels)));
    }

    /// What is cut off leaves ports of the packet or of a carrier, or none.
    #[test]
    fn prefixes_of_tunnels_decode(stack in any_stack(), is_v6: bool, at: Index) {
        let packet = nested(&stack, is_v6);
        let cut = outcome(LinkType::RAW, &packet[..at.index(packet.len())]);
        prop_assert!(cut.is_ok_and(|segment| usize::from(segment.tunnels) <= stack.len()) || cut.is_err());
    }

    #[test]
    fn flipped_bits_in_tunnels_decode(stack in any_stack(), flips in vec((any::<Index>(), 0..8_u8), 1..20)) {
        let mut packet = nested(&stack, false);
        for (at, bit) in flips {
            let at = at.index(packet.len());
            packet[at] ^= 1 << bit;
        }
        // returns
        let _ = outcome(LinkType::RAW, &packet);
    }
}
