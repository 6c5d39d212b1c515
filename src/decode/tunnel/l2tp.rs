//! Layer two tunnelling protocol: version 2 (RFC 2661) and version 3 (RFC 3931).

use crate::decode::peel::{Next, Payload, Step};
use crate::decode::{Portless, link};

/// The first two bytes over UDP: what the message is, which fields follow, and the version.
mod flag {
    /// A control message.
    pub const TYPE: u16 = 0x8000;
    pub const LENGTH: u16 = 0x4000;
    pub const SEQUENCE: u16 = 0x0800;
    pub const OFFSET: u16 = 0x0200;
    pub const VERSION: u16 = 0x000f;
}

/// Over UDP: version 2 has flags, length, tunnel, session, sequence numbers and offset (RFC 2661, section 3.1), then PPP;
/// version 3 has flags, 16 reserved bits (RFC 3931, section 4.1.2.1), and goes on as over IP.
pub(super) fn over_udp(payload: Payload<'_>) -> Step<'_> {
    const TUNNEL_AND_SESSION_LEN: usize = 4;
    let flags = payload.be16(0)?;
    let mut rest = payload.skip(2)?;
    match flags & flag::VERSION {
        _ if flags & flag::TYPE != 0 => return Err(Portless::NotIp),
        2 => {}
        3 => return over_ip(rest.skip(2)?),
        _ => return Err(Portless::NotIp),
    }
    if flags & flag::LENGTH != 0 {
        rest = rest.skip(2)?;
    }
    rest = rest.skip(TUNNEL_AND_SESSION_LEN)?;
    if flags & flag::SEQUENCE != 0 {
        rest = rest.skip(4)?;
    }
    if flags & flag::OFFSET != 0 {
        let padding_len = rest.be16(0)?;
        rest = rest.skip(2 + usize::from(padding_len))?;
    }
    Ok(Next::Header(link::ppp, rest))
}

/// Session identifier, of which 0 is for control messages (RFC 3931, section 4.1.1); a cookie of none, four or eight
/// bytes, and maybe four bytes of the sublayer's (section 4.1). Which, and what is inside, only the two ends know: it is
/// where a frame or packet shows that makes sense.
pub(super) fn over_ip(payload: Payload<'_>) -> Step<'_> {
    const CONTROL: [u8; 4] = [0; 4];
    let (session, rest) = payload.split()?;
    if *session == CONTROL {
        return Err(Portless::NotIp);
    }
    for len in [0, 4, 8, 12] {
        let inner = rest.skip(len)?;
        if inner.bytes.starts_with(&link::PPP_ADDRESS_AND_CONTROL) {
            return Ok(Next::Header(link::ppp, inner));
        }
        if link::looks_like_ethernet(inner) {
            return Ok(Next::Header(link::ethernet, inner));
        }
        if link::looks_like_ip(inner) {
            return Ok(Next::Ip(inner));
        }
    }
    Err(Portless::NotIp)
}

#[cfg(test)]
mod tests {
    use super::super::tests::ETHERNET;
    use super::*;
    use crate::decode::peel::testing::{IP, check, follow};

    #[test]
    fn version_2_leads_to_ip() {
        let ppp = [0xff, 3, 0, 0x21];
        check(&[
            ("plain", over_udp, &[&[0, 2, 0, 1, 0, 2], &ppp, &IP], None),
            ("with a length", over_udp, &[&[0x40, 2, 0, 14, 0, 1, 0, 2], &ppp, &IP], None),
            ("with every field", over_udp, &[&[0x4a, 2, 0, 14, 0, 1, 0, 2, 0, 3, 0, 4, 0, 1, 9], &ppp, &IP], None),
            ("compressed PPP", over_udp, &[&[0, 2, 0, 1, 0, 2], &[0x21], &IP], None),
            ("control", over_udp, &[&[0xc8, 2, 0, 12, 0, 1, 0, 0, 0, 0, 0, 1]], Some(Portless::NotIp)),
            ("L2F", over_udp, &[&[0, 1, 0, 1, 0, 2], &ppp, &IP], Some(Portless::NotIp)),
        ]);
    }

    #[test]
    fn version_3_leads_to_ip() {
        let ip = [0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 53, 0, 53, 0, 8, 0, 0];
        let cookies: [&[u8]; 4] = [&[], &[0xa7; 4], &[0xa7; 8], &[0xa7; 12]];
        for cookie in cookies {
            for header in [&[][..], &ETHERNET, &[0xff, 3, 0, 0x21]] {
                let bytes = [&[0, 0, 0, 9], cookie, header, &ip].concat();
                assert_eq!(follow(over_ip, &bytes).map(|rest| rest.bytes), Ok(&ip[..]), "{cookie:?}, {header:?}");
                let bytes = [&[0, 3, 0, 0], &bytes[..]].concat();
                assert_eq!(follow(over_udp, &bytes).map(|rest| rest.bytes), Ok(&ip[..]), "{cookie:?}, {header:?}");
            }
        }
        check(&[("control", over_ip, &[&[0; 4], &[0xc8, 3, 0, 12]], Some(Portless::NotIp))]);
    }
}
