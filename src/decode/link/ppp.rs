//! Point-to-point protocol (RFC 1661) in its framings, PPP over Ethernet, and Cisco's HDLC.

use super::{ethernet, tagged};
use crate::decode::peel::{Next, Payload, Step};
use crate::decode::{Portless, tunnel};

/// All stations, and unnumbered information (RFC 1662, section 3.1); a link may leave both out.
pub(in crate::decode) const ADDRESS_AND_CONTROL: [u8; 2] = [0xff, 0x03];

/// Numbers of the registry "PPP DLL Protocol Numbers" of IANA.
mod protocol {
    pub const IPV4: u16 = 0x0021;
    /// IPv4 with a TCP header that Van Jacobson's compression left whole (RFC 1332, section 4).
    pub const UNCOMPRESSED_TCP: u16 = 0x002f;
    /// Bridging (RFC 3518).
    pub const BRIDGING: u16 = 0x0031;
    pub const MULTILINK: u16 = 0x003d;
    pub const IPV6: u16 = 0x0057;
    pub const MPLS: u16 = 0x0281;
    pub const MPLS_MULTICAST: u16 = 0x0283;
}

/// Address and control, or neither; a protocol of two bytes, or of one, which is odd (RFC 1661, section 2).
pub(in crate::decode) fn ppp(payload: Payload<'_>) -> Step<'_> {
    let framed = payload.bytes.starts_with(&ADDRESS_AND_CONTROL);
    let payload = if framed { payload.skip(ADDRESS_AND_CONTROL.len())? } else { payload };
    let ([first], rest) = payload.split()?;
    let (protocol, rest) =
        if first & 1 == 1 { (u16::from(*first), rest) } else { (payload.be16(0)?, payload.skip(2)?) };
    match protocol {
        protocol::IPV4 | protocol::IPV6 => Ok(Next::Ip(rest)),
        protocol::MPLS | protocol::MPLS_MULTICAST => Ok(Next::Header(tunnel::mpls, rest)),
        protocol::BRIDGING => Ok(Next::Header(bridged, rest)),
        protocol::MULTILINK => multilink(rest),
        protocol::UNCOMPRESSED_TCP => Err(Portless::OtherProtocol),
        _ => Err(Portless::NotIp),
    }
}

/// Flags and a sequence number of 24 bits (RFC 1990, section 3); only what begins a packet has its headers.
fn multilink(payload: Payload<'_>) -> Step<'_> {
    const BEGINNING: u8 = 0x80;
    let (header, rest) = payload.split::<4>()?;
    if header[0] & BEGINNING == 0 {
        return Err(Portless::FragmentOrphan);
    }
    Ok(Next::Header(ppp, rest))
}

/// Flags with the length of the padding, and the kind of medium (RFC 3518, section 4.2).
fn bridged(payload: Payload<'_>) -> Step<'_> {
    const ETHERNET: u8 = 1;
    let ([_, medium], rest) = payload.split()?;
    if *medium == ETHERNET { Ok(Next::Header(ethernet, rest)) } else { Err(Portless::NotIp) }
}

/// What begins and ends a frame in a stream of bytes, and what a byte that means something is hidden behind (RFC 1662,
/// section 4).
const FLAG: u8 = 0x7e;
const ESCAPE: u8 = 0x7d;

/// A stream of bytes that begins with a frame (RFC 1662, section 4). Address, control and protocol may be escaped; IP is
/// read if nothing is up to its ports, since what is escaped would have to be undone in place.
pub(in crate::decode) fn stuffed(payload: Payload<'_>) -> Step<'_> {
    const ALL_STATIONS: u8 = ADDRESS_AND_CONTROL[0];
    const UNNUMBERED: u8 = ADDRESS_AND_CONTROL[1];
    /// The longest header of a transport up to what is read of it (TCP).
    const TRANSPORT_LEN: usize = 20;
    let flags = payload.bytes.iter().take_while(|byte| **byte == FLAG).count();
    let mut rest = payload.skip(flags)?;
    if rest.bytes.first() == Some(&ALL_STATIONS) {
        rest = match unescaped(rest.skip(1)?)? {
            (UNNUMBERED, rest) => rest,
            _ => return Err(Portless::NotIp),
        };
    }
    let (mut number, mut packet) = unescaped(rest)?;
    if number == 0 {
        (number, packet) = unescaped(packet)?;
    }
    let (header_len, len) = match (u16::from(number), packet.bytes) {
        (protocol::IPV4, [first, _, high, low, ..]) => {
            (usize::from(first & 0x0f) * 4, usize::from(u16::from_be_bytes([*high, *low])))
        }
        (protocol::IPV6, [_, _, _, _, high, low, ..]) => (40, 40 + usize::from(u16::from_be_bytes([*high, *low]))),
        (protocol::IPV4 | protocol::IPV6, _) => return Err(Portless::Truncated),
        _ => return Err(Portless::NotIp),
    };
    let headers = packet.bytes.iter().take(len.min(header_len + TRANSPORT_LEN));
    if headers.into_iter().any(|byte| matches!(*byte, FLAG | ESCAPE)) {
        return Err(Portless::NotIp);
    }
    Ok(Next::Ip(packet))
}

/// The next byte of a stream, and what is behind it: after an escape, with its sixth bit the other way.
fn unescaped(payload: Payload<'_>) -> Result<(u8, Payload<'_>), Portless> {
    const COMPLEMENT: u8 = 0x20;
    let ([byte], rest) = payload.split()?;
    if *byte != ESCAPE {
        return Ok((*byte, rest));
    }
    let ([byte], rest) = rest.split()?;
    Ok((byte ^ COMPLEMENT, rest))
}

/// Frames of a serial line: PPP, also with the flags of its stream, or Cisco's HDLC, which begins with the address of one
/// station or of all.
pub(super) fn serial(payload: Payload<'_>) -> Step<'_> {
    const CISCO_UNICAST: u8 = 0x0f;
    const CISCO_MULTICAST: u8 = 0x8f;
    let ([first], _) = payload.split()?;
    match *first {
        CISCO_UNICAST | CISCO_MULTICAST => cisco_hdlc(payload),
        FLAG => stuffed(payload),
        _ => ppp(payload),
    }
}

/// Address, control, and an Ethernet type, of which some mean something else than there.
pub(super) fn cisco_hdlc(payload: Payload<'_>) -> Step<'_> {
    /// Cisco's address resolution, with the type of RARP.
    const SLARP: u16 = 0x8035;
    const OSI: u16 = 0xfefe;
    let (_, rest) = payload.split::<2>()?;
    let ([high, low], rest) = rest.split()?;
    match u16::from_be_bytes([*high, *low]) {
        SLARP | OSI => Err(Portless::NotIp),
        ether_type => tagged(ether_type, rest),
    }
}

/// A direction first (`LINKTYPE_PPP_WITH_DIR`).
pub(super) fn ppp_with_direction(payload: Payload<'_>) -> Step<'_> {
    Ok(Next::Header(serial, payload.skip(1)?))
}

/// A direction first (`LINKTYPE_C_HDLC_WITH_DIR`).
pub(super) fn cisco_hdlc_with_direction(payload: Payload<'_>) -> Step<'_> {
    Ok(Next::Header(cisco_hdlc, payload.skip(1)?))
}

/// A direction where the address would be (`LINKTYPE_PPP_PPPD`).
pub(super) fn pppd(payload: Payload<'_>) -> Step<'_> {
    let ([_, control], rest) = payload.split()?;
    Ok(Next::Header(ppp, if *control == ADDRESS_AND_CONTROL[1] { rest } else { payload }))
}

/// PPP over Ethernet, session stage (RFC 2516, section 4): version and type, code, session, length.
pub(in crate::decode) fn pppoe(payload: Payload<'_>) -> Step<'_> {
    const VERSION_AND_TYPE: u8 = 0x11;
    const SESSION_DATA: u8 = 0;
    let ([version_and_type, code, _, _, _, _], rest) = payload.split()?;
    if *version_and_type != VERSION_AND_TYPE {
        return Err(Portless::Malformed);
    }
    if *code == SESSION_DATA { Ok(Next::Header(ppp, rest)) } else { Err(Portless::NotIp) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    #[test]
    fn ppp_leads_to_ip() {
        let not_ip = Some(Portless::NotIp);
        let mac = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        check(&[
            ("framed", ppp, &[&[0xff, 3, 0, 0x21], &IP], None),
            ("protocol alone", ppp, &[&[0, 0x57], &IP], None),
            ("protocol of one byte", ppp, &[&[0x21], &IP], None),
            ("MPLS", ppp, &[&[0xff, 3, 2, 0x81], &[0, 1, 1, 64], &IP], None),
            ("bridged Ethernet", ppp, &[&[0xff, 3, 0, 0x31], &[0, 1], &mac, &IP], None),
            ("multilink", ppp, &[&[0xff, 3, 0, 0x3d], &[0xc0, 0, 0, 1], &[0x21], &IP], None),
            (
                "multilink, later",
                ppp,
                &[&[0xff, 3, 0, 0x3d], &[0x40, 0, 0, 2], &[0x21], &IP],
                Some(Portless::FragmentOrphan),
            ),
            ("link control", ppp, &[&[0xff, 3, 0xc0, 0x21], &IP], not_ip),
            ("serial", serial, &[&[0xff, 3, 0, 0x21], &IP], None),
            ("serial, Cisco", serial, &[&[0x0f, 0, 8, 0], &IP], None),
            ("Cisco, to all", serial, &[&[0x8f, 0, 0x86, 0xdd], &IP], None),
            ("Cisco, SLARP", cisco_hdlc, &[&[0x8f, 0, 0x80, 0x35], &IP], not_ip),
            ("direction", ppp_with_direction, &[&[1, 0xff, 3, 0, 0x21], &IP], None),
            ("Cisco, direction", cisco_hdlc_with_direction, &[&[0, 0x0f, 0, 8, 0], &IP], None),
            ("pppd", pppd, &[&[1, 3, 0, 0x21], &IP], None),
        ]);
    }

    #[test]
    fn streams_lead_to_ip_that_has_no_escapes() {
        let not_ip = Some(Portless::NotIp);
        let v4 = [0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 53, 4, 0, 0, 8, 0, 0];
        let behind = [&v4[..], &[0x7d, 0x5e, 0x12, 0x7e]].concat();
        let mut escaped = v4;
        escaped[15] = ESCAPE;
        let v6 = [&[0x60, 0, 0, 0, 0, 1, 17, 64][..], &[2; 32], &[0x7e]].concat();
        check(&[
            ("flag", serial, &[&[0x7e, 0xff, 3, 0, 0x21], &behind], None),
            ("escaped", stuffed, &[&[0x7e, 0x7e, 0xff, 0x7d, 0x23, 0x7d, 0x20, 0x21], &behind], None),
            ("protocol of one byte", stuffed, &[&[0x7e, 0x21], &behind], None),
            ("no flag", stuffed, &[&[0xff, 3, 0, 0x21], &behind], None),
            ("an escape in the addresses", stuffed, &[&[0x7e, 0x21], &escaped], not_ip),
            ("IPv6, an end in the ports", stuffed, &[&[0x7e, 0x57], &v6], not_ip),
            ("link control", stuffed, &[&[0x7e, 0xff, 3, 0xc0, 0x21], &v4], not_ip),
            ("another control", stuffed, &[&[0x7e, 0xff, 4, 0, 0x21], &v4], not_ip),
            ("cut", stuffed, &[&[0x7e, 0x21], &v4[..3]], Some(Portless::Truncated)),
        ]);
    }

    #[test]
    fn pppoe_leads_to_ip() {
        check(&[
            ("session", pppoe, &[&[0x11, 0, 0, 1, 0, 4], &[0, 0x21], &IP], None),
            ("terminated", pppoe, &[&[0x11, 0xa7, 0, 1, 0, 0], &IP], Some(Portless::NotIp)),
            ("another version", pppoe, &[&[0x21, 0, 0, 1, 0, 4], &IP], Some(Portless::Malformed)),
            ("cut", pppoe, &[&[0x11, 0, 0, 1, 0]], Some(Portless::Truncated)),
        ]);
    }
}
