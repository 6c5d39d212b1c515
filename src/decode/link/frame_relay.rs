//! Frame Relay with many protocols on one circuit (RFC 2427), alone and in bundles.

use super::{llc, ppp, tagged};
use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// Network layer protocol identifiers (RFC 2427, section 4; RFC 2590 for IPv6).
mod identifier {
    pub const PADDING: u8 = 0x00;
    pub const SNAP: u8 = 0x80;
    pub const IPV6: u8 = 0x8e;
    pub const IPV4: u8 = 0xcc;
    pub const PPP: u8 = 0xcf;
}

/// An address of two to four bytes, the last of which is odd (Q.922, section 3.3); then unnumbered information and an
/// identifier, or in Cisco's encapsulation an Ethernet type at once.
pub(in crate::decode) fn frame_relay(payload: Payload<'_>) -> Step<'_> {
    const MIN_ADDRESS_LEN: usize = 2;
    const MAX_ADDRESS_LEN: usize = 4;
    const UNNUMBERED_INFORMATION: u8 = 0x03;
    let address = payload.bytes.iter().take(MAX_ADDRESS_LEN).position(|byte| byte & 1 == 1);
    let address_len = match address {
        Some(last) => (last + 1).max(MIN_ADDRESS_LEN),
        None if payload.bytes.len() < MAX_ADDRESS_LEN => return Err(Portless::Truncated),
        None => return Err(Portless::Malformed),
    };
    let rest = payload.skip(address_len)?;
    let ([control], behind) = rest.split()?;
    if *control == UNNUMBERED_INFORMATION { identified(behind) } else { tagged(rest.be16(0)?, rest.skip(2)?) }
}

/// The identifier, which padding to an even number of bytes may precede.
pub(super) fn identified(payload: Payload<'_>) -> Step<'_> {
    let ([first], behind) = payload.split()?;
    let (identifier, rest) = match *first {
        identifier::PADDING => behind.split().map(|([second], rest)| (*second, rest))?,
        identifier => (identifier, behind),
    };
    match identifier {
        identifier::IPV4 | identifier::IPV6 => Ok(Next::Ip(rest)),
        identifier::SNAP => Ok(Next::Header(llc::snap, rest)),
        identifier::PPP => Ok(Next::Header(ppp::ppp, rest)),
        _ => Err(Portless::NotIp),
    }
}

/// A direction first (`LINKTYPE_FRELAY_WITH_DIR`).
pub(super) fn frame_relay_with_direction(payload: Payload<'_>) -> Step<'_> {
    Ok(Next::Header(frame_relay, payload.skip(1)?))
}

/// Several links in one (FRF.16.1, section 4.1): whether a fragment begins and ends a frame, and whether it is for the
/// control of the bundle, then a sequence number.
pub(super) fn multilink(payload: Payload<'_>) -> Step<'_> {
    const BEGINNING: u8 = 0x80;
    const CONTROL: u8 = 0x20;
    let ([flags, _], rest) = payload.split()?;
    if flags & CONTROL != 0 {
        return Err(Portless::NotIp);
    }
    if flags & BEGINNING == 0 {
        return Err(Portless::FragmentOrphan);
    }
    Ok(Next::Header(frame_relay, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    #[test]
    fn frame_relay_leads_to_ip() {
        let mac = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        let not_ip = Some(Portless::NotIp);
        check(&[
            ("IPv4", frame_relay, &[&[0x18, 0x41, 3, 0xcc], &IP], None),
            ("IPv6", frame_relay, &[&[0x18, 0x41, 3, 0x8e], &IP], None),
            ("address of four bytes", frame_relay, &[&[0x18, 0x40, 0x40, 0x41, 3, 0xcc], &IP], None),
            ("SNAP behind padding", frame_relay, &[&[0x18, 0x41, 3, 0, 0x80, 0, 0, 0, 8, 0], &IP], None),
            ("bridged", frame_relay, &[&[0x18, 0x41, 3, 0, 0x80, 0, 0x80, 0xc2, 0, 7], &mac, &IP], None),
            ("PPP", frame_relay, &[&[0x18, 0x41, 3, 0xcf, 0, 0x21], &IP], None),
            ("Cisco", frame_relay, &[&[0x18, 0x41, 8, 0], &IP], None),
            ("link management", frame_relay, &[&[0, 1, 3, 8, 0, 0x75], &IP], not_ip),
            (
                "address without an end",
                frame_relay,
                &[&[0x18, 0x40, 0x40, 0x40, 3, 0xcc], &IP],
                Some(Portless::Malformed),
            ),
            ("direction", frame_relay_with_direction, &[&[1, 0x18, 0x41, 3, 0xcc], &IP], None),
            ("bundle", multilink, &[&[0xc0, 1, 0x18, 0x41, 3, 0xcc], &IP], None),
            ("bundle, later", multilink, &[&[0x40, 1, 0x18, 0x41, 3, 0xcc], &IP], Some(Portless::FragmentOrphan)),
            ("bundle, control", multilink, &[&[0xe1, 1], &IP], not_ip),
        ]);
    }
}
