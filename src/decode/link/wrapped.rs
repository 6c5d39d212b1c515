//! Headers of capturing programs and cards around frames of another link type.

use super::{atm, ethernet, frame_relay, ppp, tagged, within};
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

/// VPP's trace of a packet's way through its graph (`LINKTYPE_VPP_DISPATCH`; FD.io's vnet documentation, "Graph Dispatcher
/// Pcap Tracing"): version, number of texts, a hint at the protocol, buffer; the texts, the node's name first, each with
/// a zero at its end; the packet from where the node began to read.
pub(super) fn packet_graph(payload: Payload<'_>) -> Step<'_> {
    const VERSION: u8 = 1;
    const ETHERNET: u8 = 1;
    const IPV4: u8 = 2;
    const IPV6: u8 = 3;
    let ([version, _, texts, hint, ..], mut rest) = payload.split::<8>()?;
    if *version != VERSION {
        return Err(Portless::Malformed);
    }
    for _ in 0..*texts {
        let len = rest.bytes.iter().position(|byte| *byte == 0).ok_or(Portless::Truncated)?;
        rest = rest.skip(len + 1)?;
    }
    match (*hint, rest.bytes.first().ok_or(Portless::Truncated)?) {
        // few nodes give a hint; Ethernet addresses of these first bytes are groups or local
        (IPV4 | IPV6, _) | (0, 0x45 | 0x60) => Ok(Next::Ip(rest)),
        (0 | ETHERNET, _) => Ok(Next::Header(ethernet, rest)),
        _ => Err(Portless::NotIp),
    }
}

/// What Wireshark exports of a packet (`LINKTYPE_WIRESHARK_UPPER_PDU`): tags with kind and length, up to one of kind 0; one
/// names the protocol that follows.
pub(super) fn exported(payload: Payload<'_>) -> Step<'_> {
    const END: u16 = 0;
    const PROTOCOL: u16 = 12;
    let mut protocol: &[u8] = &[];
    let mut rest = payload;
    loop {
        let ([kind_high, kind_low, len_high, len_low], value) = rest.split()?;
        let len = usize::from(u16::from_be_bytes([*len_high, *len_low]));
        rest = value.skip(len)?;
        match u16::from_be_bytes([*kind_high, *kind_low]) {
            END => break,
            // padded with zeros
            PROTOCOL => protocol = value.bytes[..len].split(|byte| *byte == 0).next().unwrap_or_default(),
            _ => {}
        }
    }
    match protocol {
        b"ip" | b"ipv6" => Ok(Next::Ip(rest)),
        b"eth_withfcs" | b"eth_withoutfcs" | b"eth_maybefcs" => Ok(Next::Header(ethernet, rest)),
        b"ppp" => Ok(Next::Header(ppp::ppp, rest)),
        b"wlan" | b"wlan_noqos" | b"wlan_withfcs" | b"wlan_withoutfcs" => within(LinkType::IEEE802_11, rest),
        b"radiotap" => within(LinkType::IEEE802_11_RADIOTAP, rest),
        _ => Err(Portless::NotIp),
    }
}

/// SITA's lines (`LINKTYPE_SITA`): flags, signals, two bytes of errors, the line's protocol.
pub(super) fn airline(payload: Payload<'_>) -> Step<'_> {
    let ([.., protocol], rest) = payload.split::<5>()?;
    match *protocol {
        0x02 => Ok(Next::Header(ethernet, rest)),
        0x07 => Ok(Next::Header(ppp::serial, rest)),
        0x09 => within(LinkType::TOKEN_RING, rest),
        0x12 => Ok(Next::Header(frame_relay::frame_relay, rest)),
        _ => Err(Portless::NotIp),
    }
}

/// Elektrobit's recorder of vehicle buses (`LINKTYPE_EBHSCR`): a header of 32 bytes, the kind of frame first.
pub(super) fn vehicle(payload: Payload<'_>) -> Step<'_> {
    const ETHERNET: u8 = 0x50;
    let (header, rest) = payload.split::<32>()?;
    if header[0] == ETHERNET { Ok(Next::Header(ethernet, rest)) } else { Err(Portless::NotIp) }
}

/// Redback's `SmartEdge` routers (link type 32, never registered): protocol at offset 18, where the packet begins at 20,
/// and where its data do at 22. What lies between the last two is an Ethernet header.
pub(super) fn smart_edge(payload: Payload<'_>) -> Step<'_> {
    const IPV4: u16 = 1;
    const MIN_LEN: usize = 24;
    payload.split::<MIN_LEN>()?;
    let [protocol, start, data] = [payload.be16(18)?, payload.be16(20)?, payload.be16(22)?];
    if usize::from(start) < MIN_LEN {
        return Err(Portless::Malformed);
    }
    let rest = payload.skip(usize::from(start))?;
    match protocol {
        _ if data > start => Ok(Next::Header(ethernet, rest)),
        IPV4 => Ok(Next::Ip(rest)),
        3 | 4 | 8 => Ok(Next::Header(ethernet, rest)),
        _ => Err(Portless::NotIp),
    }
}

/// Symantec's firewalls (link type 99, never registered): an Ethernet type at offset 6 of a header of 44 bytes, or at 10 of
/// one of 56; the rest is zero.
pub(super) fn firewall(payload: Payload<'_>) -> Step<'_> {
    match [payload.be16(6)?, payload.be16(10)?] {
        [0, 0] => Err(Portless::NotIp),
        [ether_type, 0] => tagged(ether_type, payload.skip(44)?),
        [0, ether_type] => tagged(ether_type, payload.skip(56)?),
        _ => Err(Portless::Malformed),
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
    #[test]
    fn recorders_lead_to_ip() {
        let not_ip = Some(Portless::NotIp);
        let malformed = Some(Portless::Malformed);
        let node =
            |texts: u8, hint: u8| [&[1, 0, texts, hint, 0, 0, 0, 9], &b"ip4-input\0meta\0opaque\0\0"[..]].concat();
        let traced = [&node(5, 0)[..], b"trace\0"].concat();
        let tags = |name: &[u8]| [&[0, 12, 0, 4], name, &[0, 20, 0, 4, 10, 0, 0, 1], &[0, 0, 0, 0]].concat();
        let ethernet = [&[0, 12, 0, 16][..], b"eth_withoutfcs\0\0", &[0; 4]].concat();
        let mut kind = [0; 32];
        kind[0] = 0x50;
        let edge = |protocol: u8, data: u8| [&[0; 18][..], &[0, protocol, 0, 24, 0, data]].concat();
        check(&[
            ("VPP, IPv4", packet_graph, &[&node(4, 0), &IP], None),
            ("VPP, Ethernet", packet_graph, &[&node(4, 0), &ETHERNET, &IP], None),
            ("VPP, traced", packet_graph, &[&traced, &ETHERNET, &IP], None),
            ("VPP, hint at Ethernet", packet_graph, &[&node(4, 1), &ETHERNET, &IP], None),
            ("VPP, hint at IPv6", packet_graph, &[&node(4, 3), &[0x6e, 0]], None),
            ("VPP, hint at TCP", packet_graph, &[&node(4, 4), &IP], not_ip),
            ("VPP, version 2", packet_graph, &[&[2, 0, 0, 0, 0, 0, 0, 9], &IP], malformed),
            ("exported, IP", exported, &[&tags(b"ip\0\0"), &IP], None),
            ("exported, Ethernet", exported, &[&ethernet, &ETHERNET, &IP], None),
            ("exported, HTTP", exported, &[&tags(b"http"), &IP], not_ip),
            ("SITA, Ethernet", airline, &[&[0, 0, 0, 0, 2], &ETHERNET, &IP], None),
            ("SITA, PPP", airline, &[&[0, 0, 0, 0, 7], &[0xff, 3, 0, 0x21], &IP], None),
            ("SITA, Frame Relay", airline, &[&[0, 0, 0, 0, 0x12], &[0x18, 0x41, 3, 0xcc], &IP], None),
            ("SITA, X.25", airline, &[&[0, 0, 0, 0, 1], &IP], not_ip),
            ("vehicle", vehicle, &[&kind, &ETHERNET, &IP], None),
            ("vehicle, CAN", vehicle, &[&[0x53; 32], &IP], not_ip),
            ("SmartEdge", smart_edge, &[&edge(1, 24), &IP], None),
            ("SmartEdge, Ethernet", smart_edge, &[&edge(1, 38), &ETHERNET, &IP], None),
            ("SmartEdge, OSI", smart_edge, &[&edge(2, 24), &IP], not_ip),
            ("SmartEdge, no offset", smart_edge, &[&[0; 24], &IP], malformed),
            ("Symantec", firewall, &[&[10, 0, 0, 1, 0, 0, 8, 0], &[0; 36], &IP], None),
            ("Symantec, longer", firewall, &[&[10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 8, 0], &[0; 44], &IP], None),
            ("Symantec, no type", firewall, &[&[0; 44], &IP], not_ip),
            ("Symantec, two types", firewall, &[&[1; 44], &IP], malformed),
        ]);
    }
}
