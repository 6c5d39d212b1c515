//! Low-power radio (IEEE 802.15.4) and IPv6 on it (RFC 4944). Compressed headers (RFC 6282) are left alone: there is no IP
//! header among their bytes.

use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// Frame control (IEEE 802.15.4, clause 7.2.2), little endian: kind and flags in the first byte.
mod control {
    pub const KIND_BITS: u8 = 0x07;
    pub const DATA: u8 = 0x01;
    pub const SECURED: u8 = 0x08;
    /// A network number is left out.
    pub const COMPRESSED: u8 = 0x40;
    /// In the second byte, from version 2 on: no sequence number; information elements behind the addresses.
    pub const WITHOUT_SEQUENCE: u8 = 0x01;
    pub const WITH_ELEMENTS: u8 = 0x02;
}

/// Frame control, sequence number, addresses as the control says, and a payload that is taken for IPv6.
pub(super) fn radio(payload: Payload<'_>) -> Step<'_> {
    const SEQUENCE_LEN: usize = 1;
    const NETWORK_LEN: usize = 2;
    let ([low, high], rest) = payload.split()?;
    if low & control::KIND_BITS != control::DATA || low & control::SECURED != 0 {
        return Err(Portless::NotIp);
    }
    let is_compressed = low & control::COMPRESSED != 0;
    let (version, to, from) = (high >> 4 & 3, Address::of(high >> 2)?, Address::of(high >> 6)?);
    let (sequence_len, networks) = match version {
        0 | 1 => {
            let source = from != Address::None && !is_compressed;
            (SEQUENCE_LEN, usize::from(to != Address::None) + usize::from(source))
        }
        2 if high & control::WITH_ELEMENTS == 0 => {
            let sequence_len = if high & control::WITHOUT_SEQUENCE == 0 { SEQUENCE_LEN } else { 0 };
            (sequence_len, networks(to, from, is_compressed))
        }
        _ => return Err(Portless::NotIp),
    };
    adaptation(rest.skip(sequence_len + networks * NETWORK_LEN + to.len() + from.len())?)
}

/// How many network numbers there are from version 2 on (IEEE 802.15.4, table 7-2).
fn networks(to: Address, from: Address, is_compressed: bool) -> usize {
    match (to, from) {
        (Address::None, Address::None) => usize::from(is_compressed),
        (Address::None, _) | (_, Address::None) | (Address::Long, Address::Long) => usize::from(!is_compressed),
        _ if is_compressed => 1,
        _ => 2,
    }
}

/// What an addressing mode stands for (IEEE 802.15.4, table 7-3).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Address {
    None,
    Short,
    Long,
}

impl Address {
    fn of(mode: u8) -> Result<Self, Portless> {
        match mode & 3 {
            0 => Ok(Self::None),
            2 => Ok(Self::Short),
            3 => Ok(Self::Long),
            _ => Err(Portless::NotIp),
        }
    }

    /// In bytes.
    const fn len(self) -> usize {
        match self {
            Self::None => 0,
            Self::Short => 2,
            Self::Long => 8,
        }
    }
}

/// The preamble, its end, and the length first (`LINKTYPE_IEEE802_15_4_NONASK_PHY`).
pub(super) fn radio_with_preamble(payload: Payload<'_>) -> Step<'_> {
    Ok(Next::Header(radio, payload.skip(6)?))
}

/// What the receiver knows first (`LINKTYPE_IEEE802_15_4_TAP`): version, and the length of it all; little endian.
pub(super) fn radio_with_metadata(payload: Payload<'_>) -> Step<'_> {
    const MIN_LEN: usize = 4;
    let ([version, _, _, _], _) = payload.split()?;
    let len = usize::from(payload.le16(2)?);
    if *version != 0 || len < MIN_LEN {
        return Err(Portless::Malformed);
    }
    Ok(Next::Header(radio, payload.skip(len)?))
}

/// The adaptation layer (RFC 4944, section 5): headers of a mesh, of a broadcast in it and of fragments, each told by its
/// first bits; then IPv6.
pub(super) fn adaptation(payload: Payload<'_>) -> Step<'_> {
    const UNCOMPRESSED: u8 = 0x41;
    const BROADCAST: u8 = 0x50;
    let ([dispatch], rest) = payload.split()?;
    match *dispatch {
        UNCOMPRESSED if rest.bytes.first().is_none_or(|first| first >> 4 == 6) => Ok(Next::Ip(rest)),
        BROADCAST => Ok(Next::Header(adaptation, rest.skip(1)?)),
        0x80..=0xbf => mesh(*dispatch, rest),
        // the datagram's size and tag (section 5.3)
        0xc0..=0xc7 => Ok(Next::Header(adaptation, rest.skip(3)?)),
        0xe0..=0xe7 => Err(Portless::FragmentOrphan),
        _ => Err(Portless::NotIp),
    }
}

/// Hops that are left, in a byte of their own if there are many, and both ends (RFC 4944, section 5.2).
fn mesh(dispatch: u8, rest: Payload<'_>) -> Step<'_> {
    const FROM_SHORT: u8 = 0x20;
    const TO_SHORT: u8 = 0x10;
    const HOPS_BITS: u8 = 0x0f;
    let len = |short: u8| if dispatch & short == 0 { Address::Long.len() } else { Address::Short.len() };
    let hops_len = usize::from(dispatch & HOPS_BITS == HOPS_BITS);
    Ok(Next::Header(adaptation, rest.skip(hops_len + len(FROM_SHORT) + len(TO_SHORT))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::check;

    const IP: [u8; 2] = [0x60, 0];

    #[test]
    fn radios_lead_to_ip() {
        let not_ip = Some(Portless::NotIp);
        // short addresses in one network, sequence number 7
        let short = [0x41, 0x88, 7, 1, 2, 3, 4, 5, 6];
        check(&[
            ("short addresses", radio, &[&short, &[0x41], &IP], None),
            ("long addresses", radio, &[&[0x41, 0xdc, 7], &[2; 18], &[0x41], &IP], None),
            ("two networks", radio, &[&[0x01, 0x98, 7], &[2; 8], &[0x41], &IP], None),
            ("no destination", radio, &[&[0x01, 0x80, 7], &[2; 4], &[0x41], &IP], None),
            ("version 2, long addresses", radio, &[&[0x41, 0xec, 7], &[2; 16], &[0x41], &IP], None),
            ("version 2, no sequence", radio, &[&[0x41, 0xa9], &[2; 6], &[0x41], &IP], None),
            ("version 2, elements", radio, &[&[0x41, 0xaa, 7], &[2; 6], &[0x41], &IP], not_ip),
            ("version 3", radio, &[&[0x41, 0xb8, 7], &[2; 6], &[0x41], &IP], not_ip),
            ("reserved address", radio, &[&[0x41, 0x84, 7], &[2; 6], &[0x41], &IP], not_ip),
            ("secured", radio, &[&[0x49, 0x88, 7], &[2; 6], &[0x41], &IP], not_ip),
            ("acknowledgment", radio, &[&[0x02, 0, 7]], not_ip),
            ("compressed", radio, &[&short, &[0x7e, 0x33, 0xf0], &IP], not_ip),
            ("with preamble", radio_with_preamble, &[&[0, 0, 0, 0, 0xa7, 50], &short, &[0x41], &IP], None),
            ("with metadata", radio_with_metadata, &[&[0, 0, 12, 0], &[0; 8], &short, &[0x41], &IP], None),
            ("metadata, version 1", radio_with_metadata, &[&[1, 0, 4, 0], &short], Some(Portless::Malformed)),
            ("metadata, no length", radio_with_metadata, &[&[0, 0, 3, 0], &short], Some(Portless::Malformed)),
        ]);
    }

    #[test]
    fn adaptation_leads_to_ip() {
        check(&[
            ("mesh, short", adaptation, &[&[0xb5, 1, 2, 3, 4], &[0x41], &IP], None),
            ("mesh, long and deep", adaptation, &[&[0x8f, 20], &[2; 16], &[0x41], &IP], None),
            ("broadcast", adaptation, &[&[0x50, 9], &[0x41], &IP], None),
            ("first fragment", adaptation, &[&[0xc2, 0, 0, 1], &[0x41], &IP], None),
            ("mesh, first fragment", adaptation, &[&[0xb5, 1, 2, 3, 4], &[0xc2, 0, 0, 1], &[0x41], &IP], None),
            ("later fragment", adaptation, &[&[0xe2, 0, 0, 1, 5], &IP], Some(Portless::FragmentOrphan)),
            ("another version", adaptation, &[&[0x41, 0x45, 0]], Some(Portless::NotIp)),
            ("not of IP", adaptation, &[&[0x09, 0x12], &IP], Some(Portless::NotIp)),
        ]);
    }
}
