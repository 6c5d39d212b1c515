//! Links that have an Ethernet type or a number of their own behind their addresses: ARCnet (RFC 1201, RFC 1051), IEEE 1394
//! (RFC 2734), InfiniBand (RFC 4391), AX.25.

use super::tagged;
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
            ("AX.25", ax25, &[&call, &[3, 0xcc], &IP], None),
            ("AX.25, text", ax25, &[&call, &[3, 0xf0], &IP], Some(Portless::NotIp)),
            ("AX.25, KISS", ax25_kiss, &[&[0], &call, &[3, 0xcc], &IP], None),
        ]);
    }
}
