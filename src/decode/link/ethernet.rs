//! Ethernet (IEEE 802.3) and its VLAN tags (IEEE 802.1Q).

use etherparse::{Ethernet2HeaderSlice, SingleVlanHeaderSlice};

use super::{llc, tags};
use crate::decode::peel::{Next, Payload, Step};
use crate::decode::{Portless, tunnel};

pub(super) mod ether_type {
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

/// The largest number that is a length and no type (IEEE 802.3, clause 3.2.6).
pub(super) const MAX_LENGTH: u16 = 1500;

/// The address of every station (IEEE 802.3, clause 3.2.3).
pub(in crate::decode) const EVERYBODY: [u8; 6] = [0xff; 6];

/// The IP packet right behind the header and its VLAN tags, if that is what there is.
#[inline(always)]
pub(super) fn straight(frame: &[u8]) -> Option<Payload<'_>> {
    use ether_type::{IPV4, IPV6, PROVIDER_BRIDGE, VLAN};
    let header = Ethernet2HeaderSlice::from_slice(frame).ok()?;
    let mut bytes = &frame[header.slice().len()..];
    let mut ether_type = header.ether_type().0;
    let link_broadcast = header.destination() == EVERYBODY;
    // zero for either; a branch for each would often be guessed wrong
    while (ether_type ^ IPV4).min(ether_type ^ IPV6) != 0 {
        if !matches!(ether_type, VLAN | PROVIDER_BRIDGE) {
            return None;
        }
        let vlan = SingleVlanHeaderSlice::from_slice(bytes).ok()?;
        ether_type = vlan.ether_type().0;
        bytes = &bytes[vlan.slice().len()..];
    }
    Some(Payload { bytes, link_broadcast })
}

/// Destination, source, and a type, or a length with LLC behind it (IEEE 802.3, clause 3.2).
pub(in crate::decode) fn ethernet(frame: Payload<'_>) -> Step<'_> {
    let header = Ethernet2HeaderSlice::from_slice(frame.bytes).map_err(|_| Portless::Truncated)?;
    let bytes = &frame.bytes[header.slice().len()..];
    let payload = Payload { bytes, link_broadcast: header.destination() == EVERYBODY };
    match header.ether_type().0 {
        ether_type::IPV4 | ether_type::IPV6 => Ok(Next::Ip(payload)),
        0..=MAX_LENGTH => with_length(frame, payload),
        ether_type => tagged(ether_type, payload),
    }
}

/// A frame of IEEE 802.3's own.
#[cold]
#[inline(never)]
fn with_length<'a>(frame: Payload<'a>, payload: Payload<'a>) -> Step<'a> {
    tags::inter_switch(frame).unwrap_or(Ok(Next::Header(llc::llc, payload)))
}

/// What an Ethernet type announces. VLAN tags are of four bytes each (IEEE 802.1Q, clause 9.5), and as many as the frame
/// has room for; an end to the frame is an end to the loop.
pub(in crate::decode) fn tagged(mut ether_type: u16, mut payload: Payload<'_>) -> Step<'_> {
    use ether_type::{ARP, IPV4, IPV6, OLD_SERVICE_TAGS, PROVIDER_BRIDGE, RARP, VLAN};
    loop {
        match ether_type {
            IPV4 | IPV6 => return Ok(Next::Ip(payload)),
            ARP | RARP => return Err(Portless::Arp),
            tag if matches!(tag, VLAN | PROVIDER_BRIDGE) || OLD_SERVICE_TAGS.contains(&tag) => {
                let vlan = SingleVlanHeaderSlice::from_slice(payload.bytes).map_err(|_| Portless::Truncated)?;
                ether_type = vlan.ether_type().0;
                payload = payload.skip(vlan.slice().len())?;
            }
            0..=MAX_LENGTH => return Ok(Next::Header(llc::llc, payload)),
            other => return tunnel::ether_type(other, payload),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check, follow};

    const MACS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

    #[test]
    fn ethernet_leads_to_ip() {
        let ten_tags = [0x81, 0x00, 0, 5].repeat(10);
        check(&[
            ("IPv4", ethernet, &[&MACS, &[8, 0], &IP], None),
            ("IPv6", ethernet, &[&MACS, &[0x86, 0xdd], &IP], None),
            ("802.1Q", ethernet, &[&MACS, &[0x81, 0, 0, 5, 8, 0], &IP], None),
            ("QinQ", ethernet, &[&MACS, &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0], &IP], None),
            ("old QinQ", ethernet, &[&MACS, &[0x91, 0, 0, 5, 0x81, 0, 0, 6, 8, 0], &IP], None),
            ("ten tags", ethernet, &[&MACS, &ten_tags, &[8, 0], &IP], None),
            ("ARP", ethernet, &[&MACS, &[8, 6], &IP], Some(Portless::Arp)),
            ("RARP", ethernet, &[&MACS, &[0x80, 0x35], &IP], Some(Portless::Arp)),
            ("LLDP", ethernet, &[&MACS, &[0x88, 0xcc], &IP], Some(Portless::NotIp)),
            ("spanning tree", ethernet, &[&MACS, &[0, 38, 0x42, 0x42, 3, 0, 0]], Some(Portless::NotIp)),
            ("LLC with SNAP", ethernet, &[&MACS, &[0, 10, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &IP], None),
            (
                "neither length nor type",
                ethernet,
                &[&MACS, &[5, 0xdd, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &IP],
                Some(Portless::NotIp),
            ),
            ("cut in the addresses", ethernet, &[&MACS], Some(Portless::Truncated)),
            ("cut in a tag", ethernet, &[&MACS, &[0x81, 0, 0]], Some(Portless::Truncated)),
        ]);
    }

    #[test]
    fn broadcasts_are_told() {
        let to = |mac: [u8; 6], behind: &[u8]| [&mac[..], &MACS[6..], behind, &IP].concat();
        let cases = [
            ("a station", to([2; 6], &[8, 0]), false),
            ("everybody", to(EVERYBODY, &[8, 0]), true),
            ("everybody, tagged", to(EVERYBODY, &[0x81, 0, 0, 5, 8, 0]), true),
            ("everybody, LLC", to(EVERYBODY, &[0, 10, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]), true),
        ];
        for (name, bytes, want) in cases {
            assert_eq!(follow(ethernet, &bytes).map(|rest| rest.link_broadcast), Ok(want), "{name}");
        }
    }
}
