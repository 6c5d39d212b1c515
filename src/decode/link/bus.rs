//! Links that have an Ethernet type or a number of their own behind their addresses: ARCnet (RFC 1201, RFC 1051), IEEE 1394
//! (RFC 2734), InfiniBand (RFC 4391), AX.25, LocalTalk, experimental Ethernet (RFC 895).

use super::ethernet::ether_type;
use super::{guess, tagged};
use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// Protocol numbers of ARCnet.
mod arcnet_protocol {
    /// IPv4 and ARP without further headers (RFC 1051).
    pub const OLD_IPV4: u8 = 0xf0;
    pub const OLD_ARP: u8 = 0xf1;
    /// With flags and a sequence number (RFC 1201).
    pub const IPV4: u8 = 0xd4;
    pub const ARP: u8 = 0xd5;
    pub const IPV6: u8 = 0xc4;
}

/// Source, destination, protocol (`LINKTYPE_ARCNET_BSD`).
pub(super) fn arcnet(payload: Payload<'_>) -> Step<'_> {
    let ([_, _, protocol], rest) = payload.split()?;
    arcnet_payload(*protocol, rest)
}

/// Source, destination, two bytes of Linux' own, protocol (`LINKTYPE_ARCNET_LINUX`).
pub(super) fn arcnet_linux(payload: Payload<'_>) -> Step<'_> {
    let ([_, _, _, _, protocol], rest) = payload.split()?;
    arcnet_payload(*protocol, rest)
}

fn arcnet_payload(protocol: u8, payload: Payload<'_>) -> Step<'_> {
    /// A long packet has its flags once more (RFC 1201, section 2.1).
    const EXCEPTION: u8 = 0xff;
    /// An odd number is a fragment's; the first one's says how many there are (section 2.2).
    const LATER_FRAGMENT_BIT: u8 = 0x01;
    match protocol {
        arcnet_protocol::OLD_IPV4 => return Ok(Next::Ip(payload)),
        arcnet_protocol::OLD_ARP | arcnet_protocol::ARP => return Err(Portless::Arp),
        arcnet_protocol::IPV4 | arcnet_protocol::IPV6 => {}
        _ => return Err(Portless::NotIp),
    }
    let ([flags, _, _], rest) = payload.split()?;
    match *flags {
        EXCEPTION => {
            let (_, rest) = rest.split::<4>()?;
            Ok(Next::Ip(rest))
        }
        0 => Ok(Next::Ip(rest)),
        flags if flags & LATER_FRAGMENT_BIT == 0 => Err(Portless::FragmentOrphan),
        _ => Ok(Next::Ip(rest)),
    }
}

/// Apple's IP over IEEE 1394 (`LINKTYPE_APPLE_IP_OVER_IEEE1394`): destination and source, eight bytes each, Ethernet type.
pub(super) fn firewire(payload: Payload<'_>) -> Step<'_> {
    let (header, rest) = payload.split::<18>()?;
    tagged(u16::from_be_bytes([header[16], header[17]]), rest)
}

/// IP over InfiniBand (`LINKTYPE_IPOIB`): a global route header of 40 bytes, Ethernet type, two reserved bytes
/// (RFC 4391, section 6).
pub(super) fn infiniband(payload: Payload<'_>) -> Step<'_> {
    let (_, rest) = payload.split::<40>()?;
    infiniband_encapsulation(rest)
}

/// IP over InfiniBand in snoop files (RFC 3827, section 2): the same without the global route header.
pub(super) fn infiniband_encapsulation(payload: Payload<'_>) -> Step<'_> {
    let ([high, low, _, _], rest) = payload.split()?;
    tagged(u16::from_be_bytes([*high, *low]), rest)
}

/// InfiniBand with its own headers (`LINKTYPE_INFINIBAND`; `InfiniBand` Architecture 1.3, volume 1, chapters 7 to 9): local
/// route, global route where the local one says so, base transport, and what a datagram has. That IP is in a message is
/// not said: it has to look like it.
pub(super) fn infiniband_with_routes(payload: Payload<'_>) -> Step<'_> {
    const NEXT_BITS: u8 = 0x03;
    const LOCAL: u8 = 2;
    const GLOBAL: u8 = 3;
    const GLOBAL_LEN: usize = 40;
    /// Whole messages: of a connection, of datagrams.
    const CONNECTED: u8 = 0x04;
    const DATAGRAM: u8 = 0x64;
    const DATAGRAM_LEN: usize = 8;
    let (route, mut rest) = payload.split::<8>()?;
    match route[1] & NEXT_BITS {
        LOCAL => {}
        GLOBAL => rest = rest.skip(GLOBAL_LEN)?,
        _ => return Err(Portless::NotIp),
    }
    let (transport, mut rest) = rest.split::<12>()?;
    match transport[0] {
        CONNECTED => {}
        DATAGRAM => rest = rest.skip(DATAGRAM_LEN)?,
        _ => return Err(Portless::NotIp),
    }
    let ([high, low, 0, 0], packet) = rest.split()? else { return Err(Portless::NotIp) };
    match u16::from_be_bytes([*high, *low]) {
        ether_type::IPV4 | ether_type::IPV6 if guess::looks_like_ip(packet) => Ok(Next::Ip(packet)),
        ether_type::ARP => Err(Portless::Arp),
        _ => Err(Portless::NotIp),
    }
}

/// Apple's `LocalTalk` (`LINKTYPE_LTALK`; Inside `AppleTalk`, chapters 1 and 4): destination, source, and whether a short or a
/// long datagram header follows, with the protocol last.
pub(super) fn local_talk(payload: Payload<'_>) -> Step<'_> {
    const SHORT: u8 = 1;
    const LONG: u8 = 2;
    const IPV4: u8 = 22;
    let ([_, _, kind], rest) = payload.split()?;
    let (protocol, rest) = match *kind {
        SHORT => rest.split::<5>().map(|(header, rest)| (header[4], rest))?,
        LONG => rest.split::<13>().map(|(header, rest)| (header[12], rest))?,
        _ => return Err(Portless::NotIp),
    };
    if protocol == IPV4 { Ok(Next::Ip(rest)) } else { Err(Portless::NotIp) }
}

/// Experimental Ethernet, of three megabits (RFC 895): destination, source, and a type of its own kind.
pub(super) fn experimental_ethernet(payload: Payload<'_>) -> Step<'_> {
    const IPV4: u16 = 0x0201;
    let ([_, _, high, low], rest) = payload.split()?;
    if u16::from_be_bytes([*high, *low]) == IPV4 { Ok(Next::Ip(rest)) } else { Err(Portless::NotIp) }
}

/// AX.25 (section 3.12): addresses of seven bytes each, the last of which is odd; control and protocol.
pub(super) fn ax25(payload: Payload<'_>) -> Step<'_> {
    const ADDRESS_LEN: usize = 7;
    /// Destination, source and eight repeaters.
    const MAX_ADDRESSES: usize = 10;
    const IPV4: u8 = 0xcc;
    const ARP: u8 = 0xcd;
    let addresses = payload.bytes.chunks_exact(ADDRESS_LEN).take(MAX_ADDRESSES);
    let last =
        addresses.into_iter().position(|address| address[ADDRESS_LEN - 1] & 1 == 1).ok_or(Portless::Truncated)?;
    let ([_, protocol], rest) = payload.skip((last + 1) * ADDRESS_LEN)?.split()?;
    match *protocol {
        IPV4 => Ok(Next::Ip(rest)),
        ARP => Err(Portless::Arp),
        _ => Err(Portless::NotIp),
    }
}

/// A byte for the terminal node controller first (`LINKTYPE_AX25_KISS`).
pub(super) fn ax25_kiss(payload: Payload<'_>) -> Step<'_> {
    Ok(Next::Header(ax25, payload.skip(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    #[test]
    fn buses_lead_to_ip() {
        let call = [&[0x40; 7][..], &[0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x61]].concat();
        let not_ip = Some(Portless::NotIp);
        let route = |next: u8| [0, next, 0, 1, 0, 10, 0, 2];
        let packet = [0x45, 0, 0, 20, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        check(&[
            ("ARCnet", arcnet, &[&[1, 2, 0xd4, 0, 0, 1], &IP], None),
            ("ARCnet, first fragment", arcnet, &[&[1, 2, 0xd4, 3, 0, 1], &IP], None),
            ("ARCnet, later fragment", arcnet, &[&[1, 2, 0xd4, 2, 0, 1], &IP], Some(Portless::FragmentOrphan)),
            ("ARCnet, exception", arcnet, &[&[1, 2, 0xd4, 0xff, 0xff, 0xff, 0, 0, 0, 1], &IP], None),
            ("ARCnet, RFC 1051", arcnet, &[&[1, 2, 0xf0], &IP], None),
            ("ARCnet, ARP", arcnet, &[&[1, 2, 0xd5, 0, 0, 1], &IP], Some(Portless::Arp)),
            ("ARCnet on Linux", arcnet_linux, &[&[1, 2, 0, 0, 0xc4, 0, 0, 1], &IP], None),
            ("IEEE 1394", firewire, &[&[2; 16], &[8, 0], &IP], None),
            ("InfiniBand", infiniband, &[&[2; 40], &[8, 0, 0, 0], &IP], None),
            ("InfiniBand, ARP", infiniband, &[&[2; 40], &[8, 6, 0, 0], &IP], Some(Portless::Arp)),
            ("InfiniBand of snoop files", infiniband_encapsulation, &[&[0x86, 0xdd, 0, 0], &IP], None),
            ("InfiniBand of snoop files, cut", infiniband_encapsulation, &[&[8, 0, 0]], Some(Portless::Truncated)),
            ("InfiniBand, local", infiniband_with_routes, &[&route(2), &[0x64; 20], &[8, 0, 0, 0], &packet], None),
            (
                "InfiniBand, global",
                infiniband_with_routes,
                &[&route(3), &[0; 40], &[0x64; 20], &[8, 0, 0, 0], &packet],
                None,
            ),
            ("InfiniBand, connected", infiniband_with_routes, &[&route(2), &[4; 12], &[8, 0, 0, 0], &packet], None),
            ("InfiniBand, memory", infiniband_with_routes, &[&route(2), &[0x0a; 12], &packet], not_ip),
            ("InfiniBand, raw", infiniband_with_routes, &[&route(0), &packet], not_ip),
            ("LocalTalk, short", local_talk, &[&[1, 2, 1, 0, 9, 72, 72, 22], &IP], None),
            ("LocalTalk, long", local_talk, &[&[1, 2, 2], &[0; 12], &[22], &IP], None),
            ("LocalTalk, names", local_talk, &[&[1, 2, 1, 0, 9, 2, 2, 2], &IP], not_ip),
            ("LocalTalk, control", local_talk, &[&[1, 2, 0x81]], not_ip),
            ("experimental Ethernet", experimental_ethernet, &[&[1, 2, 2, 1], &IP], None),
            ("experimental Ethernet, PUP", experimental_ethernet, &[&[1, 2, 2, 0], &IP], not_ip),
            ("AX.25", ax25, &[&call, &[3, 0xcc], &IP], None),
            ("AX.25, text", ax25, &[&call, &[3, 0xf0], &IP], Some(Portless::NotIp)),
            ("AX.25, KISS", ax25_kiss, &[&[0], &call, &[3, 0xcc], &IP], None),
        ]);
    }
}
