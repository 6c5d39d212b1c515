//! Control and provisioning of wireless access points, data channel (RFC 5415), and its predecessor LWAPP (RFC 5412).

use crate::decode::peel::{Next, Payload, Step};
use crate::decode::{Portless, link};

/// Preamble (version and type, four bits each), then 24 bits (RFC 5415, section 4.3): length of the header in words of
/// four bytes (5), radio (5), kind of wireless link (5), flags; fragment and its offset; options.
pub(super) fn data(payload: Payload<'_>) -> Step<'_> {
    /// Version 0, and a header that is not behind DTLS.
    const PREAMBLE: u8 = 0;
    const HEADER_WORDS_SHIFT: u32 = 19;
    const WIRELESS_KIND_SHIFT: u32 = 9;
    const FIVE_BITS: u32 = 0x1f;
    const WIFI: u32 = 1;
    /// The frame is as it was on the air; else it is an Ethernet frame.
    const NATIVE: u32 = 0x100;
    const KEEP_ALIVE: u32 = 0x008;
    /// Thirteen bits.
    const FRAGMENT_OFFSET_SHIFT: u32 = 3;
    let (header, _) = payload.split::<8>()?;
    let bits = u32::from_be_bytes([0, header[1], header[2], header[3]]);
    let fragment_offset = u16::from_be_bytes([header[6], header[7]]) >> FRAGMENT_OFFSET_SHIFT;
    if header[0] != PREAMBLE || bits & KEEP_ALIVE != 0 || fragment_offset != 0 {
        return Err(Portless::NotIp);
    }
    let len = usize::try_from(bits >> HEADER_WORDS_SHIFT & FIVE_BITS).map_or(0, |words| words * 4);
    let rest = payload.skip(len.max(header.len()))?;
    match (bits & NATIVE != 0, bits >> WIRELESS_KIND_SHIFT & FIVE_BITS) {
        (false, _) => Ok(Next::Header(link::ethernet, rest)),
        (true, WIFI) => Ok(Next::Header(link::wifi_tunnelled, rest)),
        (true, _) => Err(Portless::NotIp),
    }
}

/// Version (two bits), radio (three) and flags, fragment, length, status (RFC 5412, section 3).
pub(super) fn lightweight(payload: Payload<'_>) -> Step<'_> {
    const VERSION_SHIFT: u8 = 6;
    const CONTROL: u8 = 0x04;
    const LATER_FRAGMENT: u8 = 0x02;
    let (header, rest) = payload.split::<6>()?;
    if header[0] >> VERSION_SHIFT != 0 || header[0] & (CONTROL | LATER_FRAGMENT) != 0 {
        return Err(Portless::NotIp);
    }
    Ok(Next::Header(link::wifi_tunnelled, rest))
}

#[cfg(test)]
mod tests {
    use super::super::tests::ETHERNET;
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    #[test]
    fn capwap_leads_to_ip() {
        let wifi = [&[0x08, 0x01, 0, 0][..], &[2; 18], &[0x10, 0], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat();
        let swapped = [&[0x01, 0x08, 0, 0][..], &wifi[4..]].concat();
        check(&[
            ("802.11", data, &[&[0, 0x10, 0x43, 0, 0, 0, 0, 0], &wifi, &IP], None),
            (
                "802.11, bytes of its first field exchanged",
                data,
                &[&[0, 0x10, 0x43, 0, 0, 0, 0, 0], &swapped, &IP],
                None,
            ),
            (
                "with options",
                data,
                &[&[0, 0x20, 0x43, 0x10, 0, 0, 0, 0], &[4, 1, 2, 3, 4, 0, 0, 0], &swapped, &IP],
                None,
            ),
            ("Ethernet", data, &[&[0, 0x10, 0x42, 0, 0, 0, 0, 0], &ETHERNET, &IP], None),
            ("keepalive", data, &[&[0, 0x10, 0x42, 8, 0, 0, 0, 0], &[0; 22]], Some(Portless::NotIp)),
            ("later fragment", data, &[&[0, 0x10, 0x43, 0x80, 0, 1, 0, 8], &wifi], Some(Portless::NotIp)),
            ("DTLS", data, &[&[1, 0, 0, 0, 22, 254, 253, 0], &wifi], Some(Portless::NotIp)),
            ("cut", data, &[&[0, 0x10, 0x43, 0, 0, 0, 0]], Some(Portless::Truncated)),
            ("LWAPP", lightweight, &[&[0, 0, 0, 42, 0, 0], &swapped, &IP], None),
            ("LWAPP, control", lightweight, &[&[4, 0, 0, 42, 0, 0], &swapped], Some(Portless::NotIp)),
        ]);
    }
}
