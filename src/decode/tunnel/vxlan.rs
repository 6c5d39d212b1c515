//! VXLAN (RFC 7348) and its generic protocol extension (draft-ietf-nvo3-vxlan-gpe).
//!
//! The network identifier is not looked at: services are called the same in every overlay.

use super::next_protocol;
use crate::decode::peel::{Next, Payload, Step};
use crate::decode::{Portless, link};

/// The flag without which there is no network identifier (RFC 7348, section 5).
const VALID_NETWORK: u8 = 0x08;
/// Where the generic header names the protocol behind it (draft-ietf-nvo3-vxlan-gpe, section 3.1). It has a flag that says
/// so too, which not all set.
const PROTOCOL: usize = 3;

/// Flags, 24 reserved bits (of which group policies use some), network identifier, 8 reserved bits; an Ethernet frame.
pub(super) fn vxlan(payload: Payload<'_>) -> Step<'_> {
    let (header, rest) = payload.split::<8>()?;
    if header[0] & VALID_NETWORK == 0 {
        return Err(Portless::NotIp);
    }
    Ok(Next::Header(link::ethernet, rest))
}

/// As VXLAN, with the protocol where that has reserved bits.
pub(super) fn generic(payload: Payload<'_>) -> Step<'_> {
    let (header, rest) = payload.split::<8>()?;
    if header[PROTOCOL] == 0 { vxlan(payload) } else { next_protocol(header[PROTOCOL], rest) }
}

#[cfg(test)]
mod tests {
    use super::super::tests::ETHERNET;
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    #[test]
    fn vxlan_leads_to_ip() {
        let tagged = [&ETHERNET[..12], &[0x81, 0, 0, 5, 8, 0]].concat();
        check(&[
            ("VXLAN", vxlan, &[&[8, 0, 0, 0, 0, 0, 42, 0], &ETHERNET, &IP], None),
            ("group policy", vxlan, &[&[0x88, 0, 0, 7, 0, 0, 42, 0], &ETHERNET, &IP], None),
            ("tagged inside", vxlan, &[&[8, 0, 0, 0, 0, 0, 42, 0], &tagged, &IP], None),
            ("ARP inside", vxlan, &[&[8, 0, 0, 0, 0, 0, 42, 0], &ETHERNET[..12], &[8, 6]], Some(Portless::Arp)),
            ("no network", vxlan, &[&[0, 0, 0, 0, 0, 0, 42, 0], &ETHERNET, &IP], Some(Portless::NotIp)),
            ("cut", vxlan, &[&[8, 0, 0, 0, 0, 0, 42]], Some(Portless::Truncated)),
            ("generic, IP", generic, &[&[0x0c, 0, 0, 1, 0, 0, 42, 0], &IP], None),
            ("generic, Ethernet", generic, &[&[0x0c, 0, 0, 3, 0, 0, 42, 0], &ETHERNET, &IP], None),
            ("generic, NSH", generic, &[&[0x0c, 0, 0, 4, 0, 0, 42, 0], &[0, 2, 2, 1, 0, 0, 1, 1], &IP], None),
            ("generic, MPLS", generic, &[&[0x0c, 0, 0, 5, 0, 0, 42, 0], &[0, 1, 1, 64], &IP], None),
            ("generic, without the flag", generic, &[&[8, 0, 0, 1, 0, 0, 42, 0], &IP], None),
            ("generic, without a protocol", generic, &[&[8, 0, 0, 0, 0, 0, 42, 0], &ETHERNET, &IP], None),
            ("generic, unknown", generic, &[&[0x0c, 0, 0, 9, 0, 0, 42, 0], &IP], Some(Portless::NotIp)),
        ]);
    }
}
