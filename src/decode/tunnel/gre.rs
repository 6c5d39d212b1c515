//! Generic routing encapsulation: RFC 2784 with the fields of RFC 1701 and RFC 2890, the enhanced one of PPTP (RFC 2637),
//! NVGRE (RFC 7637), and ERSPAN (draft-foschiano-erspan).

use crate::decode::peel::{Next, Payload, Step};
use crate::decode::{Portless, link};

/// The first two bytes: which fields follow, and the version.
mod flag {
    /// Checksum and offset.
    pub const CHECKSUM: u16 = 0x8000;
    /// Offset and source routes (RFC 1701).
    pub const ROUTING: u16 = 0x4000;
    pub const KEY: u16 = 0x2000;
    pub const SEQUENCE: u16 = 0x1000;
    /// Acknowledgment number (RFC 2637, section 4.1).
    pub const ACKNOWLEDGMENT: u16 = 0x0080;
    pub const VERSION: u16 = 0x0007;
}

/// Protocols that are no Ethernet types, or others than Ethernet has under their number.
mod protocol {
    /// ERSPAN types I and II.
    pub const ERSPAN: u16 = 0x88be;
    /// ERSPAN type III.
    pub const ERSPAN_3: u16 = 0x22eb;
    /// Cisco's redirection to web caches (draft-wilson-wrec-wccp-v2, section 4.12).
    pub const WCCP: u16 = 0x883e;
    /// Ethernet over IP by MikroTik.
    pub const MIKROTIK: u16 = 0x6400;
    /// A stream of PPP between base stations and their network (3GPP2 A.S0017, section 2.6).
    pub const PPP_STREAM: u16 = 0x8881;
    /// Frame Relay (RFC 1701).
    pub const FRAME_RELAY: u16 = 0x6559;
    /// 802.11 by Aruba: one number for each tunnel of an access point.
    pub const ARUBA_FIRST: u16 = 0x8200;
    pub const ARUBA_LAST: u16 = 0x83ff;
}

/// Flags and protocol, then four bytes for each field that is there.
pub(super) fn gre(payload: Payload<'_>) -> Step<'_> {
    let (header, mut rest) = payload.split::<4>()?;
    let [flags, protocol] = [u16::from_be_bytes([header[0], header[1]]), u16::from_be_bytes([header[2], header[3]])];
    if flags & flag::VERSION > 1 {
        return Err(Portless::NotIp);
    }
    for field in [flag::CHECKSUM | flag::ROUTING, flag::KEY, flag::SEQUENCE, flag::ACKNOWLEDGMENT] {
        if flags & field != 0 {
            rest = rest.skip(4)?;
        }
    }
    if flags & flag::ROUTING != 0 {
        rest = routes(rest)?;
    }
    match protocol {
        // type I has no header of its own, and no sequence number: that is how the two are told apart
        protocol::ERSPAN if flags & flag::SEQUENCE == 0 => Ok(Next::Header(link::ethernet, rest)),
        protocol::ERSPAN => erspan_2(rest),
        protocol::ERSPAN_3 => erspan_3(rest),
        protocol::WCCP => wccp(rest),
        protocol::MIKROTIK => Ok(Next::Header(link::ethernet, rest)),
        protocol::PPP_STREAM => Ok(Next::Header(link::ppp_stuffed, rest)),
        protocol::FRAME_RELAY => Ok(Next::Header(link::frame_relay, rest)),
        protocol::ARUBA_FIRST..=protocol::ARUBA_LAST => Ok(Next::Header(link::wifi, rest)),
        protocol => link::tagged(protocol, rest),
    }
}

/// Source routes (RFC 1701): each has its family, offset and length, and the last has a length of 0.
fn routes(mut payload: Payload<'_>) -> Result<Payload<'_>, Portless> {
    loop {
        let ([_, _, _, len], rest) = payload.split()?;
        if *len == 0 {
            return Ok(rest);
        }
        payload = rest.skip(usize::from(*len))?;
    }
}

/// Eight bytes: version, VLAN, class, session, port index.
fn erspan_2(payload: Payload<'_>) -> Step<'_> {
    Ok(Next::Header(link::ethernet, payload.skip(8)?))
}

/// Twelve bytes, of which the last three bits are the frame's kind (five bits), and whether eight bytes that depend on
/// the platform follow.
fn erspan_3(payload: Payload<'_>) -> Step<'_> {
    const FLAGS: usize = 10;
    const KIND_SHIFT: u16 = 10;
    const KIND_BITS: u16 = 0x1f;
    const KIND_IP: u16 = 2;
    const PLATFORM: u16 = 0x0001;
    let (header, mut rest) = payload.split::<12>()?;
    let flags = u16::from_be_bytes([header[FLAGS], header[FLAGS + 1]]);
    if flags & PLATFORM != 0 {
        rest = rest.skip(8)?;
    }
    match flags >> KIND_SHIFT & KIND_BITS {
        KIND_IP => Ok(Next::Ip(rest)),
        _ => Ok(Next::Header(link::ethernet, rest)),
    }
}

/// A word of flags in version 2, which does not begin as an IPv4 header does; none in version 1.
fn wccp(payload: Payload<'_>) -> Step<'_> {
    let ([first], _) = payload.split()?;
    Ok(Next::Ip(if first >> 4 == 4 { payload } else { payload.skip(4)? }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::ETHERNET;
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    /// An IPv4 header as far as it tells its lengths, and the end of a frame.
    const STREAM: [u8; 5] = [0x45, 0, 0, 4, 0x7e];

    #[test]
    fn gre_leads_to_ip() {
        let ppp = [0x00, 0x21];
        let all_fields = [[0xb0, 0, 8, 0], [1; 4], [2; 4], [3; 4]].concat();
        let routed = [&[0x40, 0, 8, 0, 0, 0, 0, 0][..], &[0, 2, 0, 4, 10, 0, 0, 1], &[0; 4]].concat();
        check(&[
            ("IP", gre, &[&[0, 0, 8, 0], &IP], None),
            ("every field", gre, &[&all_fields, &IP], None),
            ("source routes", gre, &[&routed, &IP], None),
            ("MPLS", gre, &[&[0, 0, 0x88, 0x47], &[0, 1, 1, 64], &IP], None),
            ("NVGRE", gre, &[&[0x20, 0, 0x65, 0x58, 0, 0, 42, 0], &ETHERNET, &IP], None),
            ("PPTP", gre, &[&[0x30, 0x81, 0x88, 0x0b, 0, 6, 0, 1], &[0; 8], &[0xff, 3], &ppp, &IP], None),
            (
                "PPTP, acknowledgment alone",
                gre,
                &[&[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 1], &[0; 4]],
                Some(Portless::Truncated),
            ),
            ("ERSPAN I", gre, &[&[0, 0, 0x88, 0xbe], &ETHERNET, &IP], None),
            ("ERSPAN II", gre, &[&[0x10, 0, 0x88, 0xbe], &[1; 4], &[0x10; 8], &ETHERNET, &IP], None),
            ("ERSPAN III", gre, &[&[0x10, 0, 0x22, 0xeb], &[1; 4], &[0x20; 10], &[0, 0], &ETHERNET, &IP], None),
            ("ERSPAN III, IP", gre, &[&[0x10, 0, 0x22, 0xeb], &[1; 4], &[0x20; 10], &[8, 1], &[7; 8], &IP], None),
            ("WCCP", gre, &[&[0, 0, 0x88, 0x3e], &IP], None),
            ("WCCP 2", gre, &[&[0, 0, 0x88, 0x3e], &[0, 0, 0, 1], &IP], None),
            ("MikroTik", gre, &[&[0x20, 1, 0x64, 0, 0, 9, 1, 0], &ETHERNET, &IP], None),
            ("PPP stream", gre, &[&[0x20, 0, 0x88, 0x81, 0, 0, 0, 1], &[0x7e, 0xff, 0x7d, 0x23, 0x21], &STREAM], None),
            ("keepalive", gre, &[&[0, 0, 0, 0]], Some(Portless::Truncated)),
            ("NHRP", gre, &[&[0, 0, 0x20, 1], &IP], Some(Portless::NotIp)),
            ("version 2", gre, &[&[0, 2, 8, 0], &IP], Some(Portless::NotIp)),
        ]);
    }
}
