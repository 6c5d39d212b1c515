//! Juniper's captures (`LINKTYPE_JUNIPER_…`): a header of the router's own before frames of any kind.

use super::guess;
use crate::decode::peel::{Header, Next, Payload, Step};
use crate::decode::{Portless, tunnel};

/// A magic number and flags; extensions with their length; then the protocol if there is no link header, else a cookie
/// whose length depends on the card, and a frame that `link` reads.
fn frame(payload: Payload<'_>, cookie_len: usize, link: Header) -> Step<'_> {
    const MAGIC: [u8; 3] = *b"MGC";
    const EXTENDED: u8 = 0x80;
    const WITHOUT_LINK: u8 = 0x02;
    let ([magic @ .., flags], mut rest) = payload.split::<4>()?;
    if *magic != MAGIC {
        return Err(Portless::Malformed);
    }
    if flags & EXTENDED != 0 {
        let len = rest.be16(0)?;
        rest = rest.skip(2 + usize::from(len))?;
    }
    if flags & WITHOUT_LINK == 0 {
        return Ok(Next::Header(link, rest.skip(cookie_len)?));
    }
    let (number, rest) = rest.split()?;
    protocol(u32::from_le_bytes(*number), rest)
}

/// Juniper's numbers of protocols.
fn protocol(number: u32, payload: Payload<'_>) -> Step<'_> {
    let header: Header = match number {
        2 | 3 | 6 | 7 => return Ok(Next::Ip(payload)),
        4 | 5 | 8 | 32 => tunnel::mpls,
        200 => super::ppp,
        202 | 203 => super::llc::llc,
        204 => super::ethernet,
        207 => super::frame_relay,
        208 => super::ppp::cisco_hdlc,
        _ => return Err(Portless::NotIp),
    };
    Ok(Next::Header(header, payload))
}

/// Ethernet frames.
pub(super) fn ethernet(payload: Payload<'_>) -> Step<'_> {
    frame(payload, 0, super::ethernet)
}

/// PPP frames.
pub(super) fn ppp(payload: Payload<'_>) -> Step<'_> {
    frame(payload, 0, super::ppp)
}

/// Frame Relay.
pub(super) fn frame_relay(payload: Payload<'_>) -> Step<'_> {
    frame(payload, 0, super::frame_relay)
}

/// Cisco's HDLC.
pub(super) fn hdlc(payload: Payload<'_>) -> Step<'_> {
    frame(payload, 0, super::ppp::cisco_hdlc)
}

/// Cards without a cookie: what the frames are does not show in their link type.
pub(super) fn guessed(payload: Payload<'_>) -> Step<'_> {
    frame(payload, 0, guess::frame)
}

/// Bundles of PPP: a cookie of four bytes that shows in its first, or the number of the bundle, or nothing.
pub(super) fn multilink_ppp(payload: Payload<'_>) -> Step<'_> {
    frame(payload, 0, |bundle| {
        const COOKIE: u8 = 0x54;
        const COOKIE_LEN: usize = 4;
        const BUNDLE_LEN: usize = 2;
        let ([first], _) = bundle.split()?;
        match guess::frame(bundle) {
            _ if *first == COOKIE => guess::frame(bundle.skip(COOKIE_LEN)?),
            Err(Portless::NotIp) => guess::frame(bundle.skip(BUNDLE_LEN)?),
            step => step,
        }
    })
}

/// Cards with a cookie of four bytes.
pub(super) fn short_cookie(payload: Payload<'_>) -> Step<'_> {
    frame(payload, 4, guess::frame)
}

/// Cards with a cookie of eight bytes.
pub(super) fn long_cookie(payload: Payload<'_>) -> Step<'_> {
    frame(payload, 8, guess::frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    #[test]
    fn juniper_leads_to_ip() {
        let mac = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        let magic = [0x4d, 0x47, 0x43];
        check(&[
            ("Ethernet", ethernet, &[&magic, &[1], &mac, &IP], None),
            ("with extensions", ethernet, &[&magic, &[0x81, 0, 3, 1, 1, 7], &mac, &IP], None),
            ("without a link header", ethernet, &[&magic, &[3, 2, 0, 0, 0], &IP], None),
            ("without one, MPLS", ethernet, &[&magic, &[3, 4, 0, 0, 0], &[0, 1, 1, 64], &IP], None),
            ("without one, OSI", ethernet, &[&magic, &[3, 201, 0, 0, 0], &IP], Some(Portless::NotIp)),
            ("PPP", ppp, &[&magic, &[0], &[0xff, 3, 0, 0x21], &IP], None),
            ("Frame Relay", frame_relay, &[&magic, &[0], &[0x18, 0x41, 3, 0xcc], &IP], None),
            ("HDLC", hdlc, &[&magic, &[0], &[0x0f, 0, 8, 0], &IP], None),
            ("guessed LLC", guessed, &[&magic, &[0], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &IP], None),
            ("guessed PPP", short_cookie, &[&magic, &[0], &[9; 4], &[0, 0x21], &IP], None),
            ("guessed identifier", long_cookie, &[&magic, &[0], &[9; 8], &[3, 0xcc], &IP], None),
            ("bundle", multilink_ppp, &[&magic, &[0], &[0, 0x21], &IP], None),
            ("bundle with a cookie", multilink_ppp, &[&magic, &[0], &[0x54, 0, 0, 0, 0, 0x21], &IP], None),
            ("bundle with a number", multilink_ppp, &[&magic, &[0], &[0, 1, 0, 0x21], &IP], None),
            ("another magic", ethernet, &[&[1, 2, 3, 4], &mac, &IP], Some(Portless::Malformed)),
        ]);
    }
}
