//! Local networks that have LLC behind their addresses: Token Ring (IEEE 802.5), FDDI (ANSI X3.139), IP over Fibre Channel
//! (RFC 2625).

use super::{EVERYBODY, llc};
use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// Access control, frame control, destination, source; the source's first bit says that a route follows, whose length is
/// in five bits of its first byte (IEEE 802.5, clause 3.3).
pub(super) fn token_ring(payload: Payload<'_>) -> Step<'_> {
    const FRAME_CONTROL: usize = 1;
    const FRAME_BITS: u8 = 0xc0;
    const LLC_FRAME: u8 = 0x40;
    const DESTINATION: usize = 2;
    const SOURCE: usize = 8;
    const ROUTED: u8 = 0x80;
    const ROUTE_LEN_BITS: u8 = 0x1f;
    let (header, mut rest) = payload.split::<14>()?;
    if header[FRAME_CONTROL] & FRAME_BITS != LLC_FRAME {
        return Err(Portless::NotIp);
    }
    if header[SOURCE] & ROUTED != 0 {
        let ([route], _) = rest.split()?;
        rest = rest.skip(usize::from(route & ROUTE_LEN_BITS))?;
    }
    rest.link_broadcast = header[DESTINATION..SOURCE] == EVERYBODY;
    Ok(Next::Header(llc::llc, rest))
}

/// Frame control, of which two bits say that LLC follows, destination, source (ANSI X3.139, section 7.3). Some systems put
/// three bytes before it, so that what follows is aligned.
pub(super) fn fddi(payload: Payload<'_>) -> Step<'_> {
    const FRAME_BITS: u8 = 0x30;
    const LLC_FRAME: u8 = 0x10;
    const DESTINATION: usize = 1;
    const SOURCE: usize = 7;
    const PADDING: [u8; 3] = [0; 3];
    let payload = if payload.bytes.starts_with(&PADDING) { payload.skip(PADDING.len())? } else { payload };
    let (header, mut rest) = payload.split::<13>()?;
    if header[0] & FRAME_BITS != LLC_FRAME {
        return Err(Portless::NotIp);
    }
    rest.link_broadcast = header[DESTINATION..SOURCE] == EVERYBODY;
    Ok(Next::Header(llc::llc, rest))
}

/// The network header: destination and source, eight bytes each (RFC 2625, section 3.2).
pub(super) fn fibre_channel(payload: Payload<'_>) -> Step<'_> {
    let (_, rest) = payload.split::<16>()?;
    Ok(Next::Header(llc::llc, rest))
}

/// Fibre Channel with its own header (`LINKTYPE_FC_2`; FC-FS, clause 9): data of a device, of which the first frame of a
/// sequence has the network header and LLC (RFC 2625, section 3).
pub(super) fn fibre_channel_frame(payload: Payload<'_>) -> Step<'_> {
    const UNSOLICITED_DATA: u8 = 0x04;
    const KIND: usize = 8;
    const LLC: u8 = 0x05;
    const OPTIONS: usize = 13;
    const OPTION_BITS: u8 = 0x70;
    const WITH_NETWORK_HEADER: u8 = 0x20;
    const COUNT: usize = 14;
    let (header, rest) = payload.split::<24>()?;
    if header[0] != UNSOLICITED_DATA || header[KIND] != LLC {
        return Err(Portless::NotIp);
    }
    if header[COUNT..COUNT + 2] != [0, 0] {
        return Err(Portless::FragmentOrphan);
    }
    match header[OPTIONS] & OPTION_BITS {
        WITH_NETWORK_HEADER => fibre_channel(rest),
        _ => Err(Portless::NotIp),
    }
}

/// The delimiter of its beginning first (`LINKTYPE_FC_2_WITH_FRAME_DELIMS`).
pub(super) fn fibre_channel_delimited(payload: Payload<'_>) -> Step<'_> {
    fibre_channel_frame(payload.skip(4)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    #[test]
    fn rings_lead_to_ip() {
        let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
        let not_ip = Some(Portless::NotIp);
        let frame = |routing: u8, kind: u8, count: u8| {
            [&[routing][..], &[1; 7], &[kind], &[0; 4], &[0x20, 0, count], &[0; 8]].concat()
        };
        check(&[
            ("Token Ring", token_ring, &[&[0x10, 0x40], &[2; 12], &snap, &IP], None),
            (
                "Token Ring, routed",
                token_ring,
                &[&[0x10, 0x40], &[2; 6], &[0x82; 6], &[6, 0x30, 1, 2, 3, 4], &snap, &IP],
                None,
            ),
            ("Token Ring, control", token_ring, &[&[0x10, 0], &[2; 12], &snap, &IP], not_ip),
            ("FDDI", fddi, &[&[0x50], &[2; 12], &snap, &IP], None),
            ("FDDI, padded", fddi, &[&[0; 3], &[0x57], &[2; 12], &snap, &IP], None),
            ("FDDI, control", fddi, &[&[0x41], &[2; 12], &snap, &IP], not_ip),
            ("Fibre Channel", fibre_channel, &[&[2; 16], &snap, &IP], None),
            ("Fibre Channel, framed", fibre_channel_frame, &[&frame(4, 5, 0), &[2; 16], &snap, &IP], None),
            (
                "Fibre Channel, later frame",
                fibre_channel_frame,
                &[&frame(4, 5, 1), &IP],
                Some(Portless::FragmentOrphan),
            ),
            ("Fibre Channel, storage", fibre_channel_frame, &[&frame(6, 8, 0), &IP], not_ip),
            (
                "Fibre Channel, delimited",
                fibre_channel_delimited,
                &[&[0xbc, 0xb5, 0x55, 0x55], &frame(4, 5, 0), &[2; 16], &snap, &IP],
                None,
            ),
        ]);
    }
}
