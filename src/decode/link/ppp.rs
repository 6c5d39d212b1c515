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

/// Frames of a serial line: PPP, or Cisco's HDLC, which begins with the address of one station or of all.
pub(super) fn serial(payload: Payload<'_>) -> Step<'_> {
    const CISCO_UNICAST: u8 = 0x0f;
    const CISCO_MULTICAST: u8 = 0x8f;
    let ([first], _) = payload.split()?;
    if matches!(*first, CISCO_UNICAST | CISCO_MULTICAST) { cisco_hdlc(payload) } else { ppp(payload) }
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
    fn pppoe_leads_to_ip() {
        check(&[
            ("session", pppoe, &[&[0x11, 0, 0, 1, 0, 4], &[0, 0x21], &IP], None),
            ("terminated", pppoe, &[&[0x11, 0xa7, 0, 1, 0, 0], &IP], Some(Portless::NotIp)),
            ("another version", pppoe, &[&[0x21, 0, 0, 1, 0, 4], &IP], Some(Portless::Malformed)),
            ("cut", pppoe, &[&[0x11, 0, 0, 1, 0]], Some(Portless::Truncated)),
        ]);
    }
}
