//! Tags and shims that devices put into Ethernet frames, and bridges around them.

use super::{ethernet, looks_like_ethernet, tagged};
use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// `N` bytes of which the last two are the Ethernet type of what follows.
fn shim<const N: usize>(payload: Payload<'_>) -> Step<'_> {
    let (header, rest) = payload.split::<N>()?;
    tagged(u16::from_be_bytes([header[N - 2], header[N - 1]]), rest)
}

/// High-availability seamless redundancy (IEC 62439-3, clause 5.7): path and size, sequence number.
pub(in crate::decode) fn redundancy(payload: Payload<'_>) -> Step<'_> {
    shim::<6>(payload)
}

/// Redundancy tag (IEEE 802.1CB, clause 7.8): reserved, sequence number.
pub(in crate::decode) fn r_tag(payload: Payload<'_>) -> Step<'_> {
    shim::<6>(payload)
}

/// Virtual interfaces of Cisco's (VN-Tag): four bytes.
pub(in crate::decode) fn vn_tag(payload: Payload<'_>) -> Step<'_> {
    shim::<6>(payload)
}

/// Port extension (IEEE 802.1BR, clause 7.4): six bytes.
pub(in crate::decode) fn e_tag(payload: Payload<'_>) -> Step<'_> {
    shim::<8>(payload)
}

/// Cisco metadata: version, length, option, security group.
pub(in crate::decode) fn cisco_metadata(payload: Payload<'_>) -> Step<'_> {
    shim::<8>(payload)
}

/// Media access control security (IEEE 802.1AE, clause 9): tag control, short length, packet number, and a channel
/// identifier where the control says so. What is encrypted stays closed.
pub(in crate::decode) fn macsec(payload: Payload<'_>) -> Step<'_> {
    const WITH_CHANNEL: u8 = 0x20;
    const CHANNEL_LEN: usize = 8;
    const ENCRYPTED: u8 = 0x08;
    const CHANGED: u8 = 0x04;
    let (header, rest) = payload.split::<6>()?;
    if header[0] & (ENCRYPTED | CHANGED) != 0 {
        return Err(Portless::NotIp);
    }
    shim::<2>(if header[0] & WITH_CHANNEL == 0 { rest } else { rest.skip(CHANNEL_LEN)? })
}

/// Provider backbone bridging (IEEE 802.1Q, clause 9.7): the service's instance, then the customer's frame.
pub(in crate::decode) fn backbone(payload: Payload<'_>) -> Step<'_> {
    Ok(Next::Header(ethernet, payload.skip(4)?))
}

/// Cisco FabricPath: forwarding tag and time to live, then the frame.
pub(in crate::decode) fn fabric_path(payload: Payload<'_>) -> Step<'_> {
    Ok(Next::Header(ethernet, payload.skip(2)?))
}

/// Routing bridges (RFC 6325, section 3.1): version (two bits), reserved (two), multicast (one), length of the options in
/// words of four bytes (five), hop count; egress and ingress; options, then the frame.
pub(in crate::decode) fn trill(payload: Payload<'_>) -> Step<'_> {
    const OPTIONS_SHIFT: u16 = 6;
    const OPTIONS_BITS: u16 = 0x1f;
    let (header, rest) = payload.split::<6>()?;
    let options = u16::from_be_bytes([header[0], header[1]]) >> OPTIONS_SHIFT & OPTIONS_BITS;
    Ok(Next::Header(ethernet, rest.skip(usize::from(options) * 4)?))
}

/// A tag of `N` bytes behind the addresses, then the Ethernet type.
fn behind_addresses<const N: usize>(payload: Payload<'_>) -> Step<'_> {
    const ADDRESSES_LEN: usize = 12;
    const DESTINATION_LEN: usize = 6;
    let (addresses, rest) = payload.split::<ADDRESSES_LEN>()?;
    let (_, rest) = rest.split::<N>()?;
    shim::<2>(Payload { link_broadcast: addresses[..DESTINATION_LEN] == super::EVERYBODY, ..rest })
}

/// Broadcom switches, the tag behind the addresses (`LINKTYPE_DSA_TAG_BRCM`).
pub(super) fn broadcom(payload: Payload<'_>) -> Step<'_> {
    behind_addresses::<4>(payload)
}

/// Broadcom switches, the tag first (`LINKTYPE_DSA_TAG_BRCM_PREPEND`).
pub(super) fn broadcom_first(payload: Payload<'_>) -> Step<'_> {
    Ok(Next::Header(ethernet, payload.skip(4)?))
}

/// Marvell switches (`LINKTYPE_DSA_TAG_DSA`).
pub(super) fn marvell(payload: Payload<'_>) -> Step<'_> {
    behind_addresses::<4>(payload)
}

/// Marvell switches, the tag with an Ethernet type of its own (`LINKTYPE_DSA_TAG_EDSA`).
pub(super) fn marvell_typed(payload: Payload<'_>) -> Step<'_> {
    behind_addresses::<8>(payload)
}

/// Inter-switch link by Cisco: 26 bytes, of which the first five are a group's address, then the frame. `None` for frames
/// to other addresses.
pub(super) fn inter_switch(payload: Payload<'_>) -> Option<Step<'_>> {
    const GROUPS: [[u8; 5]; 2] = [[0x01, 0x00, 0x0c, 0x00, 0x00], [0x03, 0x00, 0x0c, 0x00, 0x00]];
    const LEN: usize = 26;
    let group = payload.bytes.first_chunk().filter(|group| GROUPS.contains(group));
    group.map(|_| Ok(Next::Header(ethernet, payload.skip(LEN)?)))
}

/// A preamble of seven bytes and a delimiter (`LINKTYPE_ETHERNET_MPACKET`); where a frame is interrupted by another, it
/// goes on behind a delimiter of its own (IEEE 802.3, clause 99.3).
pub(super) fn mpacket(payload: Payload<'_>) -> Step<'_> {
    const CONTINUATIONS: [u8; 4] = [0x61, 0x52, 0x9e, 0x2a];
    const DELIMITER: usize = 7;
    let (preamble, rest) = payload.split::<8>()?;
    if CONTINUATIONS.contains(&preamble[DELIMITER]) {
        return Err(Portless::FragmentOrphan);
    }
    Ok(Next::Header(ethernet, rest))
}

/// A word that the analyzer adds (`LINKTYPE_NETANALYZER`).
pub(super) fn netanalyzer(payload: Payload<'_>) -> Step<'_> {
    Ok(Next::Header(ethernet, payload.skip(4)?))
}

/// A word that the analyzer adds, and the preamble (`LINKTYPE_NETANALYZER_TRANSPARENT`).
pub(super) fn netanalyzer_transparent(payload: Payload<'_>) -> Step<'_> {
    Ok(Next::Header(ethernet, payload.skip(12)?))
}

/// The frame, with its preamble or without, and what the analyzer adds behind it (`LINKTYPE_NETANALYZER_NG`). It may as well
/// be an event.
pub(super) fn netanalyzer_newer(payload: Payload<'_>) -> Step<'_> {
    const PREAMBLE: [u8; 8] = [0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xd5];
    let frame = if payload.bytes.starts_with(&PREAMBLE) { payload.skip(PREAMBLE.len())? } else { payload };
    if looks_like_ethernet(frame) { Ok(Next::Header(ethernet, frame)) } else { Err(Portless::NotIp) }
}

/// A preamble of eight bytes, with the logical link (`LINKTYPE_EPON`).
pub(super) fn epon(payload: Payload<'_>) -> Step<'_> {
    Ok(Next::Header(ethernet, payload.skip(8)?))
}

/// DOCSIS (`LINKTYPE_DOCSIS`; ANSI/SCTE 23-1, section 6.2): frame control, its parameter, length, extended header where
/// the control says so, check sequence; an Ethernet frame if the control's type is 0.
pub(super) fn docsis(payload: Payload<'_>) -> Step<'_> {
    const TYPE_BITS: u8 = 0xc0;
    const EXTENDED: u8 = 0x01;
    let ([control, parameter, ..], rest) = payload.split::<6>()?;
    if control & TYPE_BITS != 0 {
        return Err(Portless::NotIp);
    }
    let extended_len = if control & EXTENDED == 0 { 0 } else { usize::from(*parameter) };
    Ok(Next::Header(ethernet, rest.skip(extended_len)?))
}

/// Excentis' analyzer (`LINKTYPE_DOCSIS31_XRA31`): version, kind, the length of what is known of the frame, and that. Of the
/// kinds, three are whole frames: downstream on a single carrier and on many, and upstream.
pub(super) fn docsis_analyzed(payload: Payload<'_>) -> Step<'_> {
    let ([_, kind, high, low], rest) = payload.split()?;
    let frame = rest.skip(usize::from(u16::from_be_bytes([*high, *low])))?;
    if matches!(*kind, 1 | 8 | 80) { docsis(frame) } else { Err(Portless::NotIp) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    const ADDRESSES: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    const TYPE: [u8; 2] = [8, 0];

    #[test]
    fn shims_lead_to_ip() {
        check(&[
            ("HSR", redundancy, &[&[0, 46, 0, 9], &TYPE, &IP], None),
            ("R-tag", r_tag, &[&[0, 0, 0, 9], &TYPE, &IP], None),
            ("VN-Tag", vn_tag, &[&[0x80, 0, 0, 9], &TYPE, &IP], None),
            ("E-tag", e_tag, &[&[0; 6], &TYPE, &IP], None),
            ("Cisco metadata", cisco_metadata, &[&[1, 1, 0, 1, 0, 2], &TYPE, &IP], None),
            ("MACsec", macsec, &[&[0, 0, 0, 0, 0, 1], &TYPE, &IP], None),
            ("MACsec with a channel", macsec, &[&[0x20, 0, 0, 0, 0, 1], &[2; 8], &TYPE, &IP], None),
            ("MACsec, encrypted", macsec, &[&[0x2c, 0, 0, 0, 0, 1], &[2; 8], &TYPE, &IP], Some(Portless::NotIp)),
            ("backbone", backbone, &[&[0, 0, 0, 7], &ADDRESSES, &TYPE, &IP], None),
            ("FabricPath", fabric_path, &[&[0, 0x60], &ADDRESSES, &TYPE, &IP], None),
            ("TRILL", trill, &[&[0, 0x3f, 0, 1, 0, 2], &ADDRESSES, &TYPE, &IP], None),
            ("TRILL with options", trill, &[&[0, 0x7f, 0, 1, 0, 2], &[0; 4], &ADDRESSES, &TYPE, &IP], None),
        ]);
    }

    #[test]
    fn tagged_frames_lead_to_ip() {
        check(&[
            ("Broadcom", broadcom, &[&ADDRESSES, &[0, 0, 0, 1], &TYPE, &IP], None),
            ("Broadcom, first", broadcom_first, &[&[0, 0, 0, 1], &ADDRESSES, &TYPE, &IP], None),
            ("Marvell", marvell, &[&ADDRESSES, &[0xc0, 1, 0, 0], &TYPE, &IP], None),
            ("Marvell, typed", marvell_typed, &[&ADDRESSES, &[0xda, 0xda, 0, 0, 0xc0, 1, 0, 0], &TYPE, &IP], None),
            ("mPacket", mpacket, &[&[0x55; 7], &[0xd5], &ADDRESSES, &TYPE, &IP], None),
            ("mPacket, continued", mpacket, &[&[0x55; 7], &[0x52], &IP], Some(Portless::FragmentOrphan)),
            ("netANALYZER", netanalyzer, &[&[0; 4], &ADDRESSES, &TYPE, &IP], None),
            ("netANALYZER with preamble", netanalyzer_transparent, &[&[0x55; 12], &ADDRESSES, &TYPE, &IP], None),
            ("netANALYZER, newer", netanalyzer_newer, &[&ADDRESSES, &TYPE, &IP], None),
            (
                "netANALYZER, newer, with preamble",
                netanalyzer_newer,
                &[&[0x55; 7], &[0xd5], &ADDRESSES, &TYPE, &IP],
                None,
            ),
            ("netANALYZER, newer, event", netanalyzer_newer, &[&[0; 72]], Some(Portless::NotIp)),
            ("EPON", epon, &[&[0x55; 8], &ADDRESSES, &TYPE, &IP], None),
            ("DOCSIS", docsis, &[&[0, 0, 0, 16, 0, 0], &ADDRESSES, &TYPE, &IP], None),
            ("DOCSIS, extended", docsis, &[&[1, 2, 0, 18, 0, 0], &[0, 0], &ADDRESSES, &TYPE, &IP], None),
            (
                "DOCSIS, analyzed",
                docsis_analyzed,
                &[&[1, 1, 0, 3, 1, 1, 9], &[0, 0, 0, 16, 0, 0], &ADDRESSES, &TYPE, &IP],
                None,
            ),
            ("DOCSIS, analyzed, request", docsis_analyzed, &[&[1, 75, 0, 0], &IP], Some(Portless::NotIp)),
            ("DOCSIS, management", docsis, &[&[0xc2, 0, 0, 16, 0, 0], &ADDRESSES, &TYPE, &IP], Some(Portless::NotIp)),
        ]);
    }

    #[test]
    fn inter_switch_links_are_told_by_their_group() {
        let header = [&[1, 0, 0xc, 0, 0, 0][..], &[0; 20], &ADDRESSES, &TYPE, &IP].concat();
        assert!(matches!(inter_switch(Payload::new(&header)), Some(Ok(_))));
        assert!(matches!(inter_switch(Payload::new(&header[..20])), Some(Err(Portless::Truncated))));
        assert!(inter_switch(Payload::new(&ADDRESSES)).is_none());
    }
}
