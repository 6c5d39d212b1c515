//! MPLS label stacks (RFC 3032), and the Ethernet pseudowires that they lead to (RFC 4448).

use crate::decode::peel::{Next, Payload, Step};
use crate::decode::{Portless, link};

/// Label (20 bits), traffic class (3), bottom of stack (1), time to live (8); as many as there are. Nothing says what is
/// behind the last: IP begins with its version, a control word (RFC 4385, section 3) with four zero bits, and Ethernet
/// with a station's address.
pub(in crate::decode) fn mpls(payload: Payload<'_>) -> Step<'_> {
    const BOTTOM: u8 = 0x01;
    const CONTROL_WORD_LEN: usize = 4;
    let mut rest = payload;
    loop {
        let (label, behind) = rest.split::<4>()?;
        rest = behind;
        if label[2] & BOTTOM != 0 {
            break;
        }
    }
    match rest.bytes.first().ok_or(Portless::Truncated)? >> 4 {
        4 | 6 => Ok(Next::Ip(rest)),
        0 => {
            let behind = rest.skip(CONTROL_WORD_LEN)?;
            // a station's address may begin with zero bits too: whichever makes a frame
            let inner =
                if !link::looks_like_ethernet(behind) && link::looks_like_ethernet(rest) { rest } else { behind };
            Ok(Next::Header(link::ethernet, inner))
        }
        1 if !link::looks_like_ethernet(rest) => channel(rest),
        _ if link::looks_like_ethernet(rest) => Ok(Next::Header(link::ethernet, rest)),
        _ => Err(Portless::NotIp),
    }
}

/// An associated channel (RFC 4385, section 5; RFC 5586): four bits, version, a reserved byte, the type of the channel, of
/// which two are IP's (IANA "MPLS Generalized Associated Channel Types").
fn channel(payload: Payload<'_>) -> Step<'_> {
    const IPV4: [u8; 2] = [0x00, 0x21];
    const IPV6: [u8; 2] = [0x00, 0x57];
    let ([_, _, high, low], rest) = payload.split()?;
    if [IPV4, IPV6].contains(&[*high, *low]) { Ok(Next::Ip(rest)) } else { Err(Portless::NotIp) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    const ETHERNET: [u8; 14] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];

    #[test]
    fn labels_lead_to_ip() {
        let odd = [&[0xd8], &ETHERNET[1..]].concat();
        check(&[
            ("a label", mpls, &[&[0, 1, 0x01, 64], &IP], None),
            ("three labels", mpls, &[&[0, 1, 0, 64, 0, 2, 0, 64, 0, 3, 0x01, 64], &IP], None),
            ("IPv6", mpls, &[&[0, 1, 0x01, 64], &[0x60, 0]], None),
            ("Ethernet behind a control word", mpls, &[&[0, 1, 0x01, 64], &[0; 4], &ETHERNET, &IP], None),
            ("Ethernet", mpls, &[&[0, 1, 0x01, 64], &ETHERNET, &IP], None),
            ("Ethernet of another address", mpls, &[&[0, 1, 0x01, 64], &odd, &IP], None),
            ("IP in an associated channel", mpls, &[&[0, 13, 0x01, 64], &[0x10, 0, 0, 0x21], &IP], None),
            ("another channel", mpls, &[&[0, 13, 0x01, 64], &[0x10, 0, 0, 7], &IP], Some(Portless::NotIp)),
            ("neither", mpls, &[&[0, 1, 0x01, 64], &[0x90; 20]], Some(Portless::NotIp)),
            ("no bottom", mpls, &[&[0, 1, 0, 64]], Some(Portless::Truncated)),
        ]);
    }
}
