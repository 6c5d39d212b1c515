//! Generic framing procedure (ITU-T G.7041): frames of packets on synchronous lines, as captured without their scrambling.

use super::{ethernet, ppp};
use crate::decode::peel::{Next, Payload, Step};
use crate::decode::{Portless, tunnel};

/// Length and its check (section 6.1.1); kind of payload, kind of extension, what the payload is, and their check
/// (section 6.1.2); the extension of a linear frame has four bytes.
pub(super) fn generic_framing(payload: Payload<'_>) -> Step<'_> {
    /// Lengths below are those of idle frames (section 6.2).
    const MIN_PAYLOAD_LEN: u16 = 4;
    const KIND_BITS: u8 = 0xe0;
    const EXTENSION_BITS: u8 = 0x0f;
    const LINEAR: u8 = 1;
    const LINEAR_LEN: usize = 4;
    let (_, rest) = payload.split::<4>()?;
    if payload.be16(0)? < MIN_PAYLOAD_LEN {
        return Err(Portless::NotIp);
    }
    let ([kind, user, _, _], mut rest) = rest.split()?;
    match kind & EXTENSION_BITS {
        0 => {}
        LINEAR => rest = rest.skip(LINEAR_LEN)?,
        _ => return Err(Portless::NotIp),
    }
    if kind & KIND_BITS != 0 {
        return Err(Portless::NotIp);
    }
    // section 6.1.2.1.1, table 6-3
    match *user {
        1 => Ok(Next::Header(ethernet, rest)),
        2 => Ok(Next::Header(ppp::serial, rest)),
        13 | 14 => Ok(Next::Header(tunnel::mpls, rest)),
        16 | 17 => Ok(Next::Ip(rest)),
        _ => Err(Portless::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    #[test]
    fn generic_framing_leads_to_ip() {
        let mac = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        let not_ip = Some(Portless::NotIp);
        check(&[
            ("Ethernet", generic_framing, &[&[0, 50, 0, 0], &[0x10, 1, 0, 0], &mac, &IP], None),
            ("linear", generic_framing, &[&[0, 50, 0, 0], &[0x11, 1, 0, 0], &[7; 4], &mac, &IP], None),
            ("PPP", generic_framing, &[&[0, 50, 0, 0], &[0, 2, 0, 0], &[0xff, 3, 0, 0x21], &IP], None),
            ("MPLS", generic_framing, &[&[0, 50, 0, 0], &[0, 13, 0, 0], &[0, 1, 1, 64], &IP], None),
            ("IP", generic_framing, &[&[0, 50, 0, 0], &[0, 16, 0, 0], &IP], None),
            ("ring", generic_framing, &[&[0, 50, 0, 0], &[0x12, 1, 0, 0], &mac, &IP], not_ip),
            ("management", generic_framing, &[&[0, 50, 0, 0], &[0x80, 1, 0, 0], &mac, &IP], not_ip),
            ("Fibre Channel", generic_framing, &[&[0, 50, 0, 0], &[0, 3, 0, 0], &mac, &IP], not_ip),
            ("idle", generic_framing, &[&[0; 4]], not_ip),
        ]);
    }
}
