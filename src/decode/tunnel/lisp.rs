//! Locator/ID separation protocol (RFC 9300, RFC 9301).

use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// Flags and nonce or map version, instance or locator bits (RFC 9300, section 5.3); an IP packet.
pub(super) fn data(payload: Payload<'_>) -> Step<'_> {
    let (_, rest) = payload.split::<8>()?;
    Ok(Next::Ip(rest))
}

/// An encapsulated control message (RFC 9301, section 5.8): its type in the first four bits of a word, then the IP packet
/// in which the message travels on. Other control messages carry nothing.
pub(super) fn control(payload: Payload<'_>) -> Step<'_> {
    const ENCAPSULATED: u8 = 8;
    let (header, rest) = payload.split::<4>()?;
    if header[0] >> 4 == ENCAPSULATED { Ok(Next::Ip(rest)) } else { Err(Portless::NotIp) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    #[test]
    fn lisp_leads_to_ip() {
        check(&[
            ("data", data, &[&[0x80, 1, 2, 3, 0, 0, 0, 1], &IP], None),
            ("data, cut", data, &[&[0x80, 1, 2, 3, 0, 0, 0]], Some(Portless::Truncated)),
            ("encapsulated control", control, &[&[0x80, 0, 0, 0], &IP], None),
            ("map request", control, &[&[0x10, 0, 0, 1], &IP], Some(Portless::NotIp)),
        ]);
    }
}
