//! Headers of capturing programs and cards around frames of another link type.

use super::{atm, ethernet, frame_relay, ppp, within};
use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};
use crate::units::LinkType;

/// Per-packet information (`LINKTYPE_PPI`): version, flags, length of the header, link type; all little endian.
pub(super) fn per_packet_information(payload: Payload<'_>) -> Step<'_> {
    let ([version, _, len_low, len_high, link_low, link_high, 0, 0], _) = payload.split()? else {
        return Err(Portless::Malformed);
    };
    if *version != 0 {
        return Err(Portless::Malformed);
    }
    let frame = payload.skip(usize::from(u16::from_le_bytes([*len_low, *len_high])))?;
    within(LinkType(u16::from_le_bytes([*link_low, *link_high])), frame)
}

/// Apple's capture of all interfaces (`LINKTYPE_PKTAP`, and a private number before it had that): length of the header,
/// kind of record, link type; little endian.
pub(super) fn all_interfaces(payload: Payload<'_>) -> Step<'_> {
    const PACKET: [u8; 4] = [1, 0, 0, 0];
    /// Up to the link type.
    const MIN_LEN: usize = 12;
    let (header, _) = payload.split::<MIN_LEN>()?;
    let [len, link] = [0, 8].map(|at| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]));
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if len < MIN_LEN {
        return Err(Portless::Malformed);
    }
    if header[4..8] != PACKET {
        return Err(Portless::NotIp);
    }
    within(LinkType(u16::try_from(link).map_err(|_| Portless::Malformed)?), payload.skip(len)?)
}

/// The number that programs may use for what they like, where it holds Apple's header; that one is 108 bytes long at least,
/// and little longer.
pub(super) fn all_interfaces_private(payload: Payload<'_>) -> Step<'_> {
    const LENGTHS: std::ops::Range<u32> = 108..512;
    const PACKET: [u8; 4] = [1, 0, 0, 0];
    match payload.bytes.split_first_chunk() {
        Some((len, kind)) if LENGTHS.contains(&u32::from_le_bytes(*len)) && kind.starts_with(&PACKET) => {
            all_interfaces(payload)
        }
        _ => Err(Portless::UnknownLink),
    }
}

/// Linux' packet filter log (`LINKTYPE_NFLOG`): family, version, group; then attributes, each with length and type in the
/// byte order of the host, padded to a multiple of four. One of them is the packet.
pub(super) fn filter_log(payload: Payload<'_>) -> Step<'_> {
    /// `NFULA_PAYLOAD` of linux/netfilter/nfnetlink_log.h.
    const PACKET: u16 = 9;
    const HEADER_LEN: usize = 4;
    let ([family, ..], rest) = payload.split::<4>()?;
    if !matches!(*family, 2 | 10) {
        return Err(Portless::NotIp);
    }
    // the first attribute is short, so that its length shows the order
    let (first, _) = rest.split()?;
    let is_big_endian = u16::from_le_bytes(*first) > 0xff;
    let number = |bytes| if is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
    let mut attributes = rest;
    loop {
        let ([len_0, len_1, kind_0, kind_1], value) = attributes.split()?;
        if number([*kind_0, *kind_1]) == PACKET {
            return Ok(Next::Ip(value));
        }
        let len = usize::from(number([*len_0, *len_1]));
        if len < HEADER_LEN {
            return Err(Portless::Malformed);
        }
        attributes = attributes.skip(len.next_multiple_of(4))?;
    }
}

/// Endace's extensible record format (`LINKTYPE_ERF`): time, kind (and whether extension headers follow), flags, lengths;
/// extension headers of eight bytes each, the first bit of which says that there is another.
pub(super) fn extensible_record(payload: Payload<'_>) -> Step<'_> {
    const KIND: usize = 8;
    const EXTENDED: u8 = 0x80;
    let (header, mut rest) = payload.split::<16>()?;
    let mut more = header[KIND] & EXTENDED != 0;
    while more {
        let (extension, behind) = rest.split::<8>()?;
        more = extension[0] & EXTENDED != 0;
        rest = behind;
    }
    match header[KIND] & !EXTENDED {
        1 | 10 | 15 | 17 => serial(rest),
        // two bytes of offset and padding
        2 | 11 | 16 | 20 => Ok(Next::Header(ethernet, rest.skip(2)?)),
        // the header of an ATM cell without its check
        4 => Ok(Next::Header(atm::multiprotocol, rest.skip(4)?)),
        22 | 23 => Ok(Next::Ip(rest)),
        _ => Err(Portless::NotIp),
    }
}

/// What a card records of a serial line without knowing its framing.
fn serial(payload: Payload<'_>) -> Step<'_> {
    let ([first, second], _) = payload.split()?;
    match [*first, *second] {
        [0x0f | 0x8f, 0] => ppp::cisco_hdlc(payload),
        ppp::ADDRESS_AND_CONTROL => ppp::ppp(payload),
        _ => frame_relay::frame_relay(payload),
    }
}

/// Tazmen sniffer protocol (`LINKTYPE_TZSP`): version, kind, link; then tags, each with a length but for padding and the end.
pub(in crate::decode) fn sniffer(payload: Payload<'_>) -> Step<'_> {
    const VERSION: u8 = 1;
    const RECEIVED: u8 = 0;
    const TRANSMITTED: u8 = 1;
    const PADDING: u8 = 0;
    const END: u8 = 1;
    let ([version, kind, link_high, link_low], mut rest) = payload.split()?;
    if *version != VERSION || !matches!(*kind, RECEIVED | TRANSMITTED) {
        return Err(Portless::NotIp);
    }
    loop {
        let ([tag], behind) = rest.split()?;
        rest = match *tag {
            END => break rest = behind,
            PADDING => behind,
            _ => {
                let ([len], value) = behind.split()?;
                value.skip(usize::from(*len))?
            }
        };
    }
    match u16::from_be_bytes([*link_high, *link_low]) {
        1 => Ok(Next::Header(ethernet, rest)),
        18 => within(LinkType::IEEE802_11, rest),
        119 => within(LinkType::IEEE802_11_PRISM, rest),
        127 => within(LinkType::IEEE802_11_AVS, rest),
        _ => Err(Portless::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    const ETHERNET: [u8; 14] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];

    #[test]
    fn wrapped_frames_lead_to_ip() {
        let pktap =
            |len: u8, kind: u8, link: u8| [&[len, 0, 0, 0, kind, 0, 0, 0, link, 0, 0, 0][..], &[0; 96]].concat();
        let wifi = [&[8, 1, 0, 0][..], &[2; 18], &[0, 0], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat();
        let unknown = Some(Portless::UnknownLink);
        check(&[
            ("PPI", per_packet_information, &[&[0, 0, 12, 0, 1, 0, 0, 0], &[9; 4], &ETHERNET, &IP], None),
            ("PPI, 802.11", per_packet_information, &[&[0, 0, 8, 0, 105, 0, 0, 0], &wifi, &IP], None),
            ("PPI, unknown", per_packet_information, &[&[0, 0, 8, 0, 147, 0, 0, 0], &IP], Some(Portless::NotIp)),
            (
                "PPI, version 1",
                per_packet_information,
                &[&[1, 0, 8, 0, 1, 0, 0, 0], &ETHERNET],
                Some(Portless::Malformed),
            ),
            ("PKTAP", all_interfaces, &[&pktap(108, 1, 1), &ETHERNET, &IP], None),
            ("PKTAP, raw", all_interfaces, &[&pktap(108, 1, 12), &IP], None),
            ("PKTAP, no packet", all_interfaces, &[&pktap(108, 0, 1), &ETHERNET], Some(Portless::NotIp)),
            ("PKTAP, too short", all_interfaces, &[&pktap(11, 1, 1), &ETHERNET], Some(Portless::Malformed)),
            ("PKTAP, private", all_interfaces_private, &[&pktap(108, 1, 1), &ETHERNET, &IP], None),
            ("private", all_interfaces_private, &[&pktap(50, 1, 1), &ETHERNET], unknown),
            (
                "NFLOG",
                filter_log,
                &[&[2, 0, 0, 5], &[8, 0, 1, 0, 8, 0, 1, 0], &[6, 0, 10, 0, 9, 0, 0, 0], &[24, 0, 9, 0], &IP],
                None,
            ),
            ("NFLOG, big endian", filter_log, &[&[10, 0, 0, 5], &[0, 8, 0, 1, 8, 0, 1, 0], &[0, 24, 0, 9], &IP], None),
            ("NFLOG, bridge", filter_log, &[&[7, 0, 0, 5], &[24, 0, 9, 0], &IP], Some(Portless::NotIp)),
            ("NFLOG, no length", filter_log, &[&[2, 0, 0, 5], &[0, 0, 1, 0], &IP, &IP], Some(Portless::Malformed)),
            ("ERF", extensible_record, &[&[0; 8], &[2, 4, 0, 40, 0, 0, 0, 20], &[0, 0], &ETHERNET, &IP], None),
            (
                "ERF, extended",
                extensible_record,
                &[&[0; 8], &[0x82, 4, 0, 56, 0, 0, 0, 20], &[0x83; 8], &[3; 8], &[0, 0], &ETHERNET, &IP],
                None,
            ),
            ("ERF, HDLC", extensible_record, &[&[0; 8], &[1, 4, 0, 40, 0, 0, 0, 20], &[0x0f, 0, 8, 0], &IP], None),
            ("ERF, PPP", extensible_record, &[&[0; 8], &[1, 4, 0, 40, 0, 0, 0, 20], &[0xff, 3, 0, 0x21], &IP], None),
            (
                "ERF, ATM",
                extensible_record,
                &[&[0; 8], &[4, 4, 0, 40, 0, 0, 0, 20], &[0; 4], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &IP],
                None,
            ),
            (
                "ERF, statistics",
                extensible_record,
                &[&[0; 8], &[27, 4, 0, 40, 0, 0, 0, 20], &IP],
                Some(Portless::NotIp),
            ),
            ("TZSP", sniffer, &[&[1, 0, 0, 1], &[10, 1, 200, 0, 1], &ETHERNET, &IP], None),
            ("TZSP, 802.11", sniffer, &[&[1, 0, 0, 18], &[1], &wifi, &IP], None),
            ("TZSP, keepalive", sniffer, &[&[1, 4, 0, 0], &[1]], Some(Portless::NotIp)),
        ]);
    }
}
