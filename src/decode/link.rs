//! Link layer: from the first byte of a frame to the first byte of its IP header.

use etherparse::{Ethernet2HeaderSlice, LinuxSllHeaderSlice, SingleVlanHeaderSlice};

use super::Portless;
use crate::units::LinkType;

/// What a link header leaves behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct IpPacket<'a> {
    /// From the first byte of the IP header, to the end of what was captured (link-layer padding included).
    pub bytes: &'a [u8],
    /// The frame was sent to everybody on the link: an IP address that looks like a host's is a subnet's broadcast.
    pub link_broadcast: bool,
}

/// Takes the link header off a frame.
///
/// # Errors
/// [`Portless::UnknownLink`] for a link type that is not known, [`Portless::Arp`] and [`Portless::NotIp`] for other payloads,
/// [`Portless::Truncated`] when the capture ends within the header.
#[inline(always)]
pub(super) fn ip_packet(link: LinkType, frame: &[u8]) -> Result<IpPacket<'_>, Portless> {
    match link {
        LinkType::ETHERNET => ethernet(frame),
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 | LINKTYPE_RAW_BSD | LINKTYPE_RAW_OPENBSD => {
            Ok(IpPacket { bytes: frame, link_broadcast: false })
        }
        LinkType::NULL | LinkType::LOOP => loopback(frame),
        LinkType::LINUX_SLL => cooked(frame),
        LinkType::LINUX_SLL2 => cooked_v2(frame),
        _ => Err(Portless::UnknownLink),
    }
}

/// `DLT_RAW` as most systems number it; files should say 101, some say this.
const LINKTYPE_RAW_BSD: LinkType = LinkType(12);
/// `DLT_RAW` as `OpenBSD` numbers it.
const LINKTYPE_RAW_OPENBSD: LinkType = LinkType(14);

mod ether_type {
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const RARP: u16 = 0x8035;
    pub const IPV6: u16 = 0x86dd;
    /// IEEE 802.1Q customer tag.
    pub const VLAN: u16 = 0x8100;
    /// IEEE 802.1ad service tag.
    pub const PROVIDER_BRIDGE: u16 = 0x88a8;
    /// Service tags from before 802.1ad.
    pub const OLD_SERVICE_TAGS: [u16; 3] = [0x9100, 0x9200, 0x9300];
}

/// Ethernet II (IEEE 802.3, clause 3.2.6: a length field above 1535 is a type). A length means LLC, which is not IP here.
#[inline(always)]
fn ethernet(frame: &[u8]) -> Result<IpPacket<'_>, Portless> {
    let header = Ethernet2HeaderSlice::from_slice(frame).map_err(|_| Portless::Truncated)?;
    let payload = &frame[header.slice().len()..];
    let link_broadcast = header.destination() == [0xff; 6];
    match header.ether_type().0 {
        ether_type::IPV4 | ether_type::IPV6 => Ok(IpPacket { bytes: payload, link_broadcast }),
        ether_type => Ok(IpPacket { bytes: tagged(ether_type, payload)?, link_broadcast }),
    }
}

/// Any number of VLAN tags, each of four bytes (IEEE 802.1Q, clause 9.5), then the IP packet. Tags are as many as the
/// frame has room for; an end to the frame is an end to the loop.
fn tagged(mut ether_type: u16, mut payload: &[u8]) -> Result<&[u8], Portless> {
    use ether_type::{ARP, IPV4, IPV6, OLD_SERVICE_TAGS, PROVIDER_BRIDGE, RARP, VLAN};
    loop {
        match ether_type {
            IPV4 | IPV6 => return Ok(payload),
            ARP | RARP => return Err(Portless::Arp),
            tag if matches!(tag, VLAN | PROVIDER_BRIDGE) || OLD_SERVICE_TAGS.contains(&tag) => {
                let vlan = SingleVlanHeaderSlice::from_slice(payload).map_err(|_| Portless::Truncated)?;
                ether_type = vlan.ether_type().0;
                payload = &payload[vlan.slice().len()..];
            }
            _ => return Err(Portless::NotIp),
        }
    }
}

/// BSD loopback (`LINKTYPE_NULL`, `LINKTYPE_LOOP`): four bytes of address family, in the byte order of the host that
/// captured or in network order. Families are small numbers, so the order shows. `AF_INET` is 2 everywhere; `AF_INET6`
/// is 10 on Linux, 24 on `NetBSD` and `OpenBSD`, 28 on `FreeBSD`, 30 on macOS.
fn loopback(frame: &[u8]) -> Result<IpPacket<'_>, Portless> {
    let (header, bytes) = frame.split_first_chunk::<4>().ok_or(Portless::Truncated)?;
    let family = u32::from_le_bytes(*header);
    let family = if family > 0xffff { family.swap_bytes() } else { family };
    match family {
        2 | 10 | 24 | 28 | 30 => Ok(IpPacket { bytes, link_broadcast: false }),
        _ => Err(Portless::NotIp),
    }
}

/// Linux cooked capture, version 1: 16 bytes, the packet type first and the protocol last.
fn cooked(frame: &[u8]) -> Result<IpPacket<'_>, Portless> {
    const LEN: usize = 16;
    // etherparse refuses hardware types that it does not know; the protocol stands in the same place all the same
    let (packet_type, protocol) = match LinuxSllHeaderSlice::from_slice(frame) {
        Ok(header) => (u16::from(header.packet_type()), u16::from(header.protocol_type())),
        Err(_) => {
            let header = frame.first_chunk::<LEN>().ok_or(Portless::Truncated)?;
            (u16::from_be_bytes([header[0], header[1]]), u16::from_be_bytes([header[14], header[15]]))
        }
    };
    Ok(IpPacket { bytes: tagged(protocol, &frame[LEN..])?, link_broadcast: packet_type == COOKED_BROADCAST })
}

/// Linux cooked capture, version 2: 20 bytes, the protocol first, the packet type at offset 10.
fn cooked_v2(frame: &[u8]) -> Result<IpPacket<'_>, Portless> {
    let (header, payload) = frame.split_first_chunk::<20>().ok_or(Portless::Truncated)?;
    let protocol = u16::from_be_bytes([header[0], header[1]]);
    Ok(IpPacket { bytes: tagged(protocol, payload)?, link_broadcast: u16::from(header[10]) == COOKED_BROADCAST })
}

/// The packet type of a cooked header that was sent to everybody (`PACKET_BROADCAST`).
const COOKED_BROADCAST: u16 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// The first bytes of an IP header; the link layer does not look at them.
    const IP: [u8; 2] = [0x45, 0];

    fn bytes(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn link_headers_lead_to_ip() {
        let mac = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        let everybody = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2];
        let ten_tags = [0x81, 0x00, 0, 5].repeat(10);
        let sll = |packet_type: u8, hardware: [u8; 2]| {
            bytes(&[&[0, packet_type], &hardware, &[0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0], &IP])
        };
        let sll2 =
            |packet_type: u8| bytes(&[&[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, packet_type, 6, 2, 0, 0, 0, 0, 1, 0, 0], &IP]);
        let cases = [
            ("ethernet", LinkType::ETHERNET, bytes(&[&mac, &[8, 0], &IP]), Ok(false)),
            ("ethernet broadcast", LinkType::ETHERNET, bytes(&[&everybody, &[8, 0], &IP]), Ok(true)),
            ("ethernet IPv6", LinkType::ETHERNET, bytes(&[&mac, &[0x86, 0xdd], &IP]), Ok(false)),
            ("802.1Q", LinkType::ETHERNET, bytes(&[&mac, &[0x81, 0, 0, 5, 8, 0], &IP]), Ok(false)),
            ("QinQ", LinkType::ETHERNET, bytes(&[&mac, &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0], &IP]), Ok(false)),
            ("old QinQ", LinkType::ETHERNET, bytes(&[&mac, &[0x91, 0, 0, 5, 0x81, 0, 0, 6, 8, 0], &IP]), Ok(false)),
            ("ten tags", LinkType::ETHERNET, bytes(&[&mac, &ten_tags, &[8, 0], &IP]), Ok(false)),
            ("ARP", LinkType::ETHERNET, bytes(&[&mac, &[8, 6], &IP]), Err(Portless::Arp)),
            ("RARP", LinkType::ETHERNET, bytes(&[&mac, &[0x80, 0x35], &IP]), Err(Portless::Arp)),
            ("LLDP", LinkType::ETHERNET, bytes(&[&mac, &[0x88, 0xcc], &IP]), Err(Portless::NotIp)),
            ("802.3 length", LinkType::ETHERNET, bytes(&[&mac, &[0, 38], &IP]), Err(Portless::NotIp)),
            ("cut in the addresses", LinkType::ETHERNET, mac.to_vec(), Err(Portless::Truncated)),
            ("cut in a tag", LinkType::ETHERNET, bytes(&[&mac, &[0x81, 0, 0]]), Err(Portless::Truncated)),
            ("raw", LinkType::RAW, IP.to_vec(), Ok(false)),
            ("raw, old number", LinkType(12), IP.to_vec(), Ok(false)),
            ("raw IPv6", LinkType::IPV6, IP.to_vec(), Ok(false)),
            ("null, little endian", LinkType::NULL, bytes(&[&[2, 0, 0, 0], &IP]), Ok(false)),
            ("null, big endian", LinkType::NULL, bytes(&[&[0, 0, 0, 30], &IP]), Ok(false)),
            ("loop", LinkType::LOOP, bytes(&[&[0, 0, 0, 24], &IP]), Ok(false)),
            ("null, OSI", LinkType::NULL, bytes(&[&[7, 0, 0, 0], &IP]), Err(Portless::NotIp)),
            ("null, cut", LinkType::NULL, vec![2, 0, 0], Err(Portless::Truncated)),
            ("cooked", LinkType::LINUX_SLL, sll(0, [0, 1]), Ok(false)),
            ("cooked broadcast", LinkType::LINUX_SLL, sll(1, [0, 1]), Ok(true)),
            ("cooked, unknown hardware", LinkType::LINUX_SLL, sll(4, [0xff, 0xfe]), Ok(false)),
            ("cooked, unknown packet type", LinkType::LINUX_SLL, sll(9, [0, 1]), Ok(false)),
            ("cooked, cut", LinkType::LINUX_SLL, sll(0, [0, 1])[..15].to_vec(), Err(Portless::Truncated)),
            ("cooked v2", LinkType::LINUX_SLL2, sll2(4), Ok(false)),
            ("cooked v2 broadcast", LinkType::LINUX_SLL2, sll2(1), Ok(true)),
            ("cooked v2, cut", LinkType::LINUX_SLL2, sll2(4)[..19].to_vec(), Err(Portless::Truncated)),
            ("unknown", LinkType(147), IP.to_vec(), Err(Portless::UnknownLink)),
        ];
        for (name, link, frame, want) in cases {
            let got = ip_packet(link, &frame);
            match want {
                Ok(broadcast) => {
                    let got = got.unwrap_or_else(|reason| panic!("{name}: {reason:?}"));
                    assert_eq!((got.bytes, got.link_broadcast), (&IP[..], broadcast), "{name}");
                }
                Err(reason) => assert_eq!(got.map(|p| p.bytes.len()).unwrap_err(), reason, "{name}"),
            }
        }
    }
}
