//! GPRS tunnelling protocol, user plane (3GPP TS 29.281), and its first version (3GPP TS 09.60).

use crate::decode::peel::{Next, Payload, Step};
use crate::decode::{Portless, link};

/// Flags: version (three bits), protocol type (one: GTP, not GTP'), and three that say whether there are an extension
/// header, a sequence number and an N-PDU number (TS 29.281, section 5.1).
mod flag {
    pub const VERSION_SHIFT: u8 = 5;
    pub const PROTOCOL_TYPE: u8 = 0x10;
    pub const ANY_OPTION: u8 = 0x07;
    pub const EXTENSION: u8 = 0x04;
}

/// The message that carries a packet (TS 29.281, section 6.1).
const G_PDU: u8 = 255;

/// Flags, message type, length, tunnel endpoint identifier; options.
pub(super) fn user_plane(payload: Payload<'_>) -> Step<'_> {
    const MESSAGE_TYPE: usize = 1;
    const VERSION_0_LEN: usize = 20;
    let (header, rest) = payload.split::<8>()?;
    let flags = header[0];
    if flags & flag::PROTOCOL_TYPE == 0 || header[MESSAGE_TYPE] != G_PDU {
        return Err(Portless::NotIp);
    }
    match flags >> flag::VERSION_SHIFT {
        0 => inner(payload.skip(VERSION_0_LEN)?),
        1 if flags & flag::ANY_OPTION == 0 => inner(rest),
        1 => options(flags, rest),
        _ => Err(Portless::NotIp),
    }
}

/// Sequence number, N-PDU number, type of the next extension header: all three, whichever of them is meant. Each
/// extension header has its length in words of four bytes first, and the type of the next one last (section 5.2.1).
fn options(flags: u8, payload: Payload<'_>) -> Step<'_> {
    const NEXT_TYPE: usize = 3;
    let (options, mut rest) = payload.split::<4>()?;
    let mut next_type = if flags & flag::EXTENSION == 0 { 0 } else { options[NEXT_TYPE] };
    while next_type != 0 {
        let ([words], _) = rest.split()?;
        let len = usize::from(*words) * 4;
        let last = len.checked_sub(1).ok_or(Portless::Malformed)?;
        next_type = *rest.bytes.get(last).ok_or(Portless::Truncated)?;
        rest = rest.skip(len)?;
    }
    inner(rest)
}

/// What is carried is known to both ends only: mostly IP, sometimes Ethernet, or PPP, which begins with its address byte.
fn inner(payload: Payload<'_>) -> Step<'_> {
    if link::looks_like_ethernet(payload) {
        return Ok(Next::Header(link::ethernet, payload));
    }
    match payload.bytes.first().ok_or(Portless::Truncated)? >> 4 {
        4 | 6 => Ok(Next::Ip(payload)),
        0xf => Ok(Next::Header(link::ppp, payload)),
        _ => Err(Portless::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::ETHERNET;
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    #[test]
    fn gtp_leads_to_ip() {
        check(&[
            ("G-PDU", user_plane, &[&[0x30, 255, 0, 2, 0, 0, 0, 1], &IP], None),
            ("with a sequence number", user_plane, &[&[0x32, 255, 0, 6, 0, 0, 0, 1, 0, 9, 0, 0], &IP], None),
            ("a stale extension type", user_plane, &[&[0x32, 255, 0, 6, 0, 0, 0, 1, 0, 9, 0, 0x85], &IP], None),
            (
                "with two extension headers",
                user_plane,
                &[&[0x34, 255, 0, 18, 0, 0, 0, 1, 0, 0, 0, 0x85], &[1, 0, 0, 0xc0], &[2, 0, 0, 0, 0, 0, 0, 0], &IP],
                None,
            ),
            ("version 0", user_plane, &[&[0x1e, 255], &[0; 18], &IP], None),
            ("PPP", user_plane, &[&[0x30, 255, 0, 6, 0, 0, 0, 1], &[0xff, 3, 0, 0x21], &IP], None),
            ("Ethernet", user_plane, &[&[0x30, 255, 0, 16, 0, 0, 0, 1], &ETHERNET, &IP], None),
            ("echo", user_plane, &[&[0x32, 1, 0, 4, 0, 0, 0, 0, 0, 9, 0, 0]], Some(Portless::NotIp)),
            ("GTP'", user_plane, &[&[0x20, 255, 0, 2, 0, 0, 0, 1], &IP], Some(Portless::NotIp)),
            ("version 2", user_plane, &[&[0x50, 255, 0, 2, 0, 0, 0, 1], &IP], Some(Portless::NotIp)),
            (
                "extension without a length",
                user_plane,
                &[&[0x34, 255, 0, 18, 0, 0, 0, 1, 0, 0, 0, 0x85], &[0; 8]],
                Some(Portless::Malformed),
            ),
            ("empty", user_plane, &[&[0x30, 255, 0, 0, 0, 0, 0, 1]], Some(Portless::Truncated)),
        ]);
    }
}
