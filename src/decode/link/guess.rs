//! What bytes look like, where no header says what they are: pseudowires, tunnels whose ends agreed on it, cards that do not
//! know their line. A guess wants to see more than one thing that fits.

use super::ethernet::{self, ether_type};
use super::{frame_relay, llc, ppp};
use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// PPPoE, MPLS, authentication, link layer discovery, connectivity faults.
const COMMON: [u16; 7] = [0x8847, 0x8848, 0x8863, 0x8864, 0x888e, 0x88cc, 0x8902];

/// Addresses, and a type that is common, or a length that is possible with LLC behind it.
pub(in crate::decode) fn looks_like_ethernet(payload: Payload<'_>) -> bool {
    const TYPE: usize = 12;
    const LEN: usize = 14;
    let Ok(ether_type) = payload.be16(TYPE) else { return false };
    let behind = &payload.bytes[LEN..];
    let version = behind.first().map(|first| first >> 4);
    match ether_type {
        ether_type::IPV4 => version == Some(4),
        ether_type::IPV6 => version == Some(6),
        ether_type::ARP | ether_type::RARP | ether_type::VLAN | ether_type::PROVIDER_BRIDGE => true,
        0..=ethernet::MAX_LENGTH => {
            usize::from(ether_type) <= behind.len()
                && matches!(behind, [0xaa, 0xaa, ..] | [0x42, 0x42, ..] | [0xfe, 0xfe, ..])
        }
        other => COMMON.contains(&other),
    }
}

/// A version, a length and a protocol that go together.
pub(in crate::decode) fn looks_like_ip(payload: Payload<'_>) -> bool {
    match payload.bytes {
        [0x45..=0x4f, _, len_high, len_low, _, _, _, _, _, protocol, rest @ ..] => {
            u16::from_be_bytes([*len_high, *len_low]) >= 20 && rest.len() >= 10 && is_common(*protocol)
        }
        [0x60..=0x6f, _, _, _, _, _, next_header, _, rest @ ..] => rest.len() >= 32 && is_common(*next_header),
        _ => false,
    }
}

/// An IP packet of `len` bytes, of which some may not have been captured.
pub(super) fn is_ip_of_length(payload: Payload<'_>, len: usize) -> bool {
    looks_like_ip(payload) && ip_len(payload) == len
}

/// An Ethernet frame that has IP or ARP in it, in the bytes of something that is seldom a network.
pub(super) fn is_ethernet_with_ip(payload: Payload<'_>) -> bool {
    const TYPE: usize = 12;
    const LEN: usize = 14;
    let (Ok(ether_type), Ok(packet)) = (payload.be16(TYPE), payload.skip(LEN)) else { return false };
    match ether_type {
        ether_type::IPV4 | ether_type::IPV6 => {
            looks_like_ethernet(payload) && looks_like_ip(packet) && ip_len(packet) <= packet.bytes.len()
        }
        ether_type::ARP => is_arp(packet),
        _ => false,
    }
}

/// Ethernet's address resolution for IPv4 (RFC 826): hardware, protocol, and the lengths of their addresses.
pub(super) fn is_arp(payload: Payload<'_>) -> bool {
    payload.bytes.starts_with(&[0, 1, 8, 0, 6, 4])
}

/// Bytes of an IP packet as its header tells; 0 where that is cut.
fn ip_len(payload: Payload<'_>) -> usize {
    const V6_HEADER_LEN: usize = 40;
    let at = |offset| payload.be16(offset).map_or(0, usize::from);
    if payload.bytes.first().is_some_and(|first| first >> 4 == 6) { V6_HEADER_LEN + at(4) } else { at(2) }
}

/// ICMP, IGMP, IP, TCP, UDP, IPv6 and its fragments, GRE, IPsec, ICMPv6, OSPF, PIM, SCTP.
const fn is_common(protocol: u8) -> bool {
    matches!(protocol, 1 | 2 | 4 | 6 | 17 | 41 | 44 | 47 | 50 | 51 | 58 | 89 | 103 | 132)
}

/// A frame or packet of any kind.
pub(super) fn frame(payload: Payload<'_>) -> Step<'_> {
    match payload.bytes {
        [0xaa, 0xaa, 0x03, ..] => Ok(Next::Header(llc::llc, payload)),
        // the numbers of PPP for IPv4, IPv6 and MPLS
        [0xff, 0x03, ..] | [0x00, 0x21 | 0x57, ..] | [0x02, 0x81, ..] => Ok(Next::Header(ppp::ppp, payload)),
        [0x03, ..] => frame_relay::identified(payload.skip(1)?),
        _ if looks_like_ip(payload) => Ok(Next::Ip(payload)),
        _ if looks_like_ethernet(payload) => Ok(Next::Header(ethernet::ethernet, payload)),
        _ => Err(Portless::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_want_more_than_one_thing_that_fits() {
        let mac = |behind: &[u8]| [&[2; 12][..], behind].concat();
        let cases = [
            ("IPv4", mac(&[8, 0, 0x45]), true),
            ("IPv4 without its version", mac(&[8, 0, 0x65]), false),
            ("ARP", mac(&[8, 6]), true),
            ("LLC", mac(&[0, 3, 0x42, 0x42, 3]), true),
            ("LLC, too long", mac(&[0, 4, 0x42, 0x42, 3]), false),
            ("an unknown type", mac(&[0x77, 0x77]), false),
            ("too short", mac(&[8]), false),
        ];
        for (name, bytes, want) in cases {
            assert_eq!(looks_like_ethernet(Payload::new(&bytes)), want, "{name}");
        }
        let v4 = [0x45, 0, 0, 20, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        let v6 = [&[0x60, 0, 0, 0, 0, 0, 6, 64][..], &[2; 32]].concat();
        let mut odd = v4;
        odd[9] = 200;
        let cases =
            [("IPv4", &v4[..], true), ("IPv6", &v6, true), ("an odd protocol", &odd, false), ("cut", &v4[..19], false)];
        for (name, bytes, want) in cases {
            assert_eq!(looks_like_ip(Payload::new(bytes)), want, "{name}");
        }
        for (bytes, len) in [(&v4[..], 20), (&v6, 40)] {
            assert!(is_ip_of_length(Payload::new(bytes), len), "{len}");
            assert!(!is_ip_of_length(Payload::new(bytes), len + 1), "{len}");
        }
        let cases = [
            ("Ethernet with IP", [&mac(&[8, 0])[..], &v4].concat(), true),
            ("another version", [&mac(&[0x86, 0xdd])[..], &v4].concat(), false),
            ("longer than its frame", [&mac(&[8, 0])[..], &[0x45, 0, 0, 21], &v4[4..]].concat(), false),
            ("ARP", mac(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]), true),
            ("ARP, odd", mac(&[8, 6, 0, 1, 8, 0, 6, 6, 0, 1]), false),
            ("LLDP", mac(&[0x88, 0xcc, 2, 7]), false),
        ];
        for (name, bytes, want) in cases {
            assert_eq!(is_ethernet_with_ip(Payload::new(&bytes)), want, "{name}");
        }
    }
}
