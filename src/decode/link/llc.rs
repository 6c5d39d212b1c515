//! Logical link control (IEEE 802.2) and its extension for Ethernet types (SNAP, RFC 1042).

use super::{ethernet, frame_relay, tagged};
use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// The service access point of SNAP (RFC 1042).
const SNAP: u8 = 0xaa;
/// The service access point of IP (IEEE 802, assigned numbers).
const IP: u8 = 0x06;
/// The service access point of protocols that have an identifier of their own (ISO/IEC TR 9577; RFC 2684, section 5.2).
const NETWORK: u8 = 0xfe;
/// The bits of a control field that say that it has one byte instead of two (IEEE 802.2, clause 5.2).
const UNNUMBERED: u8 = 0x03;

/// Organisations whose protocol numbers are Ethernet types: none (RFC 1042), and bridging by Cisco and AppleTalk's tunnel
/// (IEEE 802.1H).
const ETHER_TYPES: [[u8; 3]; 2] = [[0, 0, 0], [0, 0, 0xf8]];
/// IEEE 802.1, whose protocol numbers are bridged media (RFC 2684, section 5.2; RFC 2427, section 4.2).
const BRIDGED: [u8; 3] = [0, 0x80, 0xc2];
/// Bridged Ethernet, with its checksum and without.
const BRIDGED_ETHERNET: [u16; 2] = [0x0001, 0x0007];

/// Destination and source service access points, control.
pub(in crate::decode) fn llc(payload: Payload<'_>) -> Step<'_> {
    let ([destination, source, control], rest) = payload.split()?;
    let rest = if control & UNNUMBERED == UNNUMBERED { rest } else { rest.skip(1)? };
    match (*destination, *source) {
        (SNAP, SNAP) => snap(rest),
        (IP, IP) => Ok(Next::Ip(rest)),
        (NETWORK, NETWORK) => frame_relay::identified(rest),
        _ => Err(Portless::NotIp),
    }
}

/// Organisation and protocol (RFC 1042).
pub(super) fn snap(payload: Payload<'_>) -> Step<'_> {
    let ([a, b, c, high, low], rest) = payload.split()?;
    let (organisation, protocol) = ([*a, *b, *c], u16::from_be_bytes([*high, *low]));
    if ETHER_TYPES.contains(&organisation) {
        tagged(protocol, rest)
    } else if organisation == BRIDGED && BRIDGED_ETHERNET.contains(&protocol) {
        Ok(Next::Header(ethernet, rest))
    } else {
        Err(Portless::NotIp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP as PACKET, check};

    #[test]
    fn llc_leads_to_ip() {
        let ethernet = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        check(&[
            ("SNAP", llc, &[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &PACKET], None),
            ("SNAP, 802.1H", llc, &[&[0xaa, 0xaa, 3, 0, 0, 0xf8, 0x86, 0xdd], &PACKET], None),
            ("SNAP, tagged", llc, &[&[0xaa, 0xaa, 3, 0, 0, 0, 0x81, 0, 0, 5, 8, 0], &PACKET], None),
            ("SNAP, ARP", llc, &[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 6], &PACKET], Some(Portless::Arp)),
            ("SNAP, Cisco", llc, &[&[0xaa, 0xaa, 3, 0, 0, 0xc, 8, 0], &PACKET], Some(Portless::NotIp)),
            ("bridged Ethernet", llc, &[&[0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 7], &ethernet, &PACKET], None),
            ("bridged Token Ring", llc, &[&[0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 9], &PACKET], Some(Portless::NotIp)),
            ("IP", llc, &[&[6, 6, 3], &PACKET], None),
            ("IP, numbered", llc, &[&[6, 6, 0, 2], &PACKET], None),
            ("network identifier", llc, &[&[0xfe, 0xfe, 3, 0xcc], &PACKET], None),
            ("IS-IS", llc, &[&[0xfe, 0xfe, 3, 0x83], &PACKET], Some(Portless::NotIp)),
            ("spanning tree", llc, &[&[0x42, 0x42, 3], &PACKET], Some(Portless::NotIp)),
            ("cut in the control field", llc, &[&[0xaa, 0xaa, 0]], Some(Portless::Truncated)),
        ]);
    }
}
