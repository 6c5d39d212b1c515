//! Tunnels: headers that carry another packet. One file a family; a tunnel is a row of one of the tables here, by the
//! number that announces it.

mod amt;
mod ayiya;
mod capwap;
mod geneve;
mod gre;
mod gtp;
mod l2tp;
mod lisp;
mod mpls;
mod nsh;
mod pim;
mod teredo;
mod vxlan;

use super::Portless;
use super::link;
use super::network::{Datagram, protocol};
use super::peel::{self, Header, Next, Payload, Step};

pub(super) use mpls::mpls;

/// By Ethernet type (IANA "IEEE 802 Numbers"): what may stand where an IP header would.
const ETHER_TYPES: &[(u16, Header)] = &[
    (0x22f3, link::trill),
    (0x6558, link::ethernet), // transparent Ethernet bridging (RFC 1701)
    (0x880b, link::ppp),
    (0x8847, mpls),
    (0x8848, mpls),
    (0x8864, link::pppoe),
    (0x8870, link::llc), // where a length would be too long (draft-ietf-isis-ext-eth)
    (0x88e5, link::macsec),
    (0x88e7, link::backbone),
    (0x8903, link::fabric_path),
    (0x8909, link::cisco_metadata),
    (0x8926, link::vn_tag),
    (0x892f, link::redundancy),
    (0x893f, link::e_tag),
    (0x894f, nsh::nsh),
    (0xf1c1, link::r_tag),
];

/// By IP protocol number (IANA "Assigned Internet Protocol Numbers").
const PROTOCOLS: &[(u8, Header)] = &[
    (4, peel::ip),  // IP in IP (RFC 2003)
    (41, peel::ip), // IPv6 (RFC 2473, RFC 4213)
    (47, gre::gre),
    (97, ether_ip),
    (103, pim::register),
    (115, l2tp::over_ip),
    (137, mpls),           // MPLS in IP (RFC 4023)
    (143, link::ethernet), // Ethernet (RFC 8986, section 4.9)
];

/// By UDP port (IANA "Service Name and Transport Protocol Port Number Registry"; 8472 is what Linux took for VXLAN before
/// there was a number). A port proves nothing: each of these headers has to make sense, or else the datagram is what its
/// ports say.
const UDP_PORTS: &[(u16, Header)] = &[
    (1701, l2tp::over_udp),
    (2123, gtp::user_plane), // the control plane's, which early networks used for both
    (2152, gtp::user_plane),
    (2268, amt::amt),
    (3386, gtp::user_plane), // the one of version 0
    (3544, teredo::teredo),
    (4341, lisp::data),
    (4342, lisp::control),
    (4754, gre::gre), // GRE in UDP (RFC 8086)
    (4789, vxlan::vxlan),
    (4790, vxlan::generic),
    (5072, ayiya::ayiya),
    (5247, capwap::data),
    (6081, geneve::geneve),
    (6635, mpls), // MPLS in UDP (RFC 7510)
    (8472, vxlan::vxlan),
    (12222, capwap::lightweight),
    (12223, capwap::lightweight),
    (37008, link::sniffer),
];

/// Whether one of [`UDP_PORTS`] ends in the ten bits that are the place: one look tells nearly every other port from these.
const SIEVE: [bool; 1024] = {
    let mut sieve = [false; 1024];
    let mut at = 0;
    while at < UDP_PORTS.len() {
        sieve[UDP_PORTS[at].0 as usize % 1024] = true;
        at += 1;
    }
    sieve
};

/// What an Ethernet type announces that is neither IP nor a VLAN tag.
#[cold]
#[inline(never)]
pub(super) fn ether_type(ether_type: u16, payload: Payload<'_>) -> Step<'_> {
    let (_, header) = ETHER_TYPES.iter().find(|(known, _)| *known == ether_type).ok_or(Portless::NotIp)?;
    Ok(Next::Header(*header, payload))
}

/// Whether a datagram may be the carrier of a tunnel, or is compressed.
pub(super) fn is_in_sight(datagram: &Datagram<'_>) -> bool {
    match (datagram.protocol, datagram.payload.first_chunk()) {
        (protocol::UDP, Some([a, b, c, d])) => {
            is_port_in_sight(u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]))
        }
        (protocol::TCP | protocol::UDP, _) => false,
        (protocol, _) => protocol == protocol::COMPRESSION || PROTOCOLS.iter().any(|(known, _)| *known == protocol),
    }
}

/// Whether a UDP datagram between these ports may be the carrier of a tunnel. Asked of every packet, of TCP too.
#[inline(always)]
pub(super) const fn is_port_in_sight(src_port: u16, dst_port: u16) -> bool {
    SIEVE[src_port as usize % 1024] | SIEVE[dst_port as usize % 1024]
}

/// What a datagram carries, if it is the carrier of a tunnel.
pub(super) fn inside<'a>(datagram: &Datagram<'a>) -> Option<Next<'a>> {
    let payload = Payload::new(datagram.payload);
    if datagram.protocol != protocol::UDP {
        let (_, header) = PROTOCOLS.iter().find(|(known, _)| *known == datagram.protocol)?;
        return Some(Next::Header(*header, payload));
    }
    // source port, destination port, length, checksum (RFC 768)
    let (header, payload) = payload.split::<8>().ok()?;
    let (src, dst) = (u16::from_be_bytes([header[0], header[1]]), u16::from_be_bytes([header[2], header[3]]));
    let row = |port| UDP_PORTS.iter().find(|(known, _)| *known == port);
    let (_, header) = row(dst).or_else(|| row(src))?;
    Some(Next::Header(*header, payload))
}

/// EtherIP (RFC 3378): the version, 3, in the first four bits of two bytes, then an Ethernet frame.
fn ether_ip(payload: Payload<'_>) -> Step<'_> {
    const VERSION: u8 = 3;
    let (header, rest) = payload.split::<2>()?;
    if header[0] >> 4 == VERSION { Ok(Next::Header(link::ethernet, rest)) } else { Err(Portless::NotIp) }
}

/// The protocols behind an NSH header (RFC 8300, section 2.2), whose numbers VXLAN-GPE shares
/// (draft-ietf-nvo3-vxlan-gpe, section 3.2).
fn next_protocol(number: u8, payload: Payload<'_>) -> Step<'_> {
    match number {
        1 | 2 => Ok(Next::Ip(payload)),
        3 => Ok(Next::Header(link::ethernet, payload)),
        4 => Ok(Next::Header(nsh::nsh, payload)),
        5 => Ok(Next::Header(mpls, payload)),
        _ => Err(Portless::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    pub(super) const ETHERNET: [u8; 14] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];

    #[test]
    fn numbers_are_listed_once_and_in_order() {
        assert!(ETHER_TYPES.is_sorted_by(|(a, _), (b, _)| a < b));
        assert!(PROTOCOLS.is_sorted_by(|(a, _), (b, _)| a < b));
        assert!(UDP_PORTS.is_sorted_by(|(a, _), (b, _)| a < b));
    }

    #[test]
    fn ether_ip_leads_to_ip() {
        check(&[
            ("EtherIP", ether_ip, &[&[0x30, 0], &ETHERNET, &IP], None),
            ("another version", ether_ip, &[&[0x40, 0], &ETHERNET, &IP], Some(Portless::NotIp)),
            ("cut", ether_ip, &[&[0x30]], Some(Portless::Truncated)),
        ]);
    }
}
