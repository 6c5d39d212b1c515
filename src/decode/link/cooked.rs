//! Linux cooked capture (`LINKTYPE_LINUX_SLL`, `LINKTYPE_LINUX_SLL2`): what the kernel knows of a packet of any device.

use etherparse::LinuxSllHeaderSlice;

use super::ethernet::ether_type;
use super::{llc, lowpan, netlink, tagged, wifi};
use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// The packet type of what was sent to everybody (`PACKET_BROADCAST`).
const BROADCAST: u16 = 1;
/// The protocol of frames that begin with LLC (`ETH_P_802_2`).
const LLC: u16 = 4;
/// The largest of the protocol numbers that Linux made up (linux/if_ether.h).
const LINUX_OWN: u16 = 0x00ff;

/// Hardware types of devices whose frames have no Ethernet type (linux/if_arp.h).
mod hardware {
    pub const IEEE80211: u16 = 801;
    pub const IEEE80211_PRISM: u16 = 802;
    pub const IEEE80211_RADIOTAP: u16 = 803;
    pub const IEEE802154: u16 = 804;
    pub const IEEE802154_MONITOR: u16 = 805;
    pub const NETLINK: u16 = 824;
}

/// Version 1: 16 bytes, the packet type first and the protocol last.
#[inline(always)]
pub(super) fn version_1(payload: Payload<'_>) -> Step<'_> {
    const LEN: usize = 16;
    // etherparse refuses hardware types that it does not know; the protocol stands in the same place all the same
    let (packet_type, hardware, protocol) = match LinuxSllHeaderSlice::from_slice(payload.bytes) {
        Ok(header) => {
            let hardware = u16::from(header.arp_hardware_type());
            (u16::from(header.packet_type()), hardware, u16::from(header.protocol_type()))
        }
        Err(_) => {
            let header = payload.bytes.first_chunk::<LEN>().ok_or(Portless::Truncated)?;
            let [packet_type, hardware, protocol] =
                [0, 2, 14].map(|at| u16::from_be_bytes([header[at], header[at + 1]]));
            (packet_type, hardware, protocol)
        }
    };
    by_protocol(protocol, hardware, packet_type, &payload.bytes[LEN..])
}

/// Version 2: 20 bytes, the protocol first, the hardware type at offset 8, the packet type at 10.
#[inline(always)]
pub(super) fn version_2(payload: Payload<'_>) -> Step<'_> {
    const HARDWARE: usize = 8;
    const PACKET_TYPE: usize = 10;
    let (header, rest) = payload.split::<20>()?;
    let protocol = u16::from_be_bytes([header[0], header[1]]);
    let hardware = u16::from_be_bytes([header[HARDWARE], header[HARDWARE + 1]]);
    by_protocol(protocol, hardware, u16::from(header[PACKET_TYPE]), rest.bytes)
}

/// The protocol is an Ethernet type, or one of Linux' own numbers for frames without one.
#[inline(always)]
fn by_protocol(protocol: u16, hardware: u16, packet_type: u16, bytes: &[u8]) -> Step<'_> {
    let payload = Payload { bytes, link_broadcast: packet_type == BROADCAST };
    match protocol {
        ether_type::IPV4 | ether_type::IPV6 => Ok(Next::Ip(payload)),
        0..=LINUX_OWN => by_hardware(protocol, hardware, payload),
        _ => tagged(protocol, payload),
    }
}

/// Frames that have no Ethernet type: LLC, what a device saw on the air, or netlink, whose family is in the protocol's
/// place.
#[cold]
#[inline(never)]
fn by_hardware(protocol: u16, hardware: u16, payload: Payload<'_>) -> Step<'_> {
    let header = match (protocol, hardware) {
        (_, hardware::NETLINK) => return netlink::family(protocol, payload),
        (LLC, _) => llc::llc,
        (_, hardware::IEEE80211) => wifi::wifi,
        (_, hardware::IEEE80211_PRISM) => wifi::prism,
        (_, hardware::IEEE80211_RADIOTAP) => wifi::radiotap,
        (_, hardware::IEEE802154 | hardware::IEEE802154_MONITOR) => lowpan::radio,
        // other devices, such as CAN buses
        _ => return Err(Portless::NotIp),
    };
    Ok(Next::Header(header, payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check, follow};

    const SLL_LAST: [u8; 12] = [0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0];

    #[test]
    fn cooked_headers_lead_to_ip() {
        let v2 = [8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 4, 6, 2, 0, 0, 0, 0, 1, 0, 0];
        let mut llc = SLL_LAST;
        llc[10..].copy_from_slice(&[0, 4]);
        let mut can = SLL_LAST;
        can[10..].copy_from_slice(&[0, 0xc]);
        // the number of CAN is that of netlink's packet filter, too
        let log = [&[80, 0, 0, 0, 0, 4, 0, 0][..], &[0; 8], &[2, 0, 0, 5], &[24, 0, 9, 0]].concat();
        let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
        let wifi = [&[8, 1, 0, 0][..], &[2; 18], &[0, 0], &snap].concat();
        check(&[
            ("radiotap", version_1, &[&[0, 0, 3, 0x23], &can, &[0, 0, 8, 0, 0, 0, 0, 0], &wifi, &IP], None),
            ("802.11", version_1, &[&[0, 0, 3, 0x21], &can, &wifi, &IP], None),
            ("802.15.4", version_1, &[&[0, 0, 3, 0x24], &can, &[0x01, 0x80, 7], &[2; 4], &[0x41], &[0x60, 0]], None),
            ("netlink", version_1, &[&[0, 4, 3, 0x38], &can, &log, &IP], None),
            ("version 1", version_1, &[&[0, 0, 0, 1], &SLL_LAST, &IP], None),
            ("unknown hardware", version_1, &[&[0, 4, 0xff, 0xfe], &SLL_LAST, &IP], None),
            ("unknown packet type", version_1, &[&[0, 9, 0, 1], &SLL_LAST, &IP], None),
            ("LLC", version_1, &[&[0, 0, 0, 1], &llc, &snap, &IP], None),
            ("CAN", version_1, &[&[0, 0, 0, 1], &can, &IP], Some(Portless::NotIp)),
            ("version 2", version_2, &[&v2, &IP], None),
        ]);
    }

    #[test]
    fn broadcasts_are_told() {
        for (packet_type, want) in [(0, false), (1, true)] {
            let v1 = [&[0, packet_type, 0, 1], &SLL_LAST[..], &IP].concat();
            let v2 = [&[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, packet_type], &[0; 9][..], &IP].concat();
            assert_eq!(follow(version_1, &v1).map(|rest| rest.link_broadcast), Ok(want), "{packet_type}");
            assert_eq!(follow(version_2, &v2).map(|rest| rest.link_broadcast), Ok(want), "{packet_type}");
        }
    }
}
