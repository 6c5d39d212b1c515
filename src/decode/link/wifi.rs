//! Wireless LAN (IEEE 802.11), with and without the radio headers that captures put before it.

use super::llc;
use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// Frame control (IEEE 802.11, clause 9.2.4.1): version, type and subtype in the first byte, flags in the second.
mod control {
    pub const VERSION_BITS: u8 = 0x03;
    pub const TYPE_BITS: u8 = 0x0c;
    pub const DATA: u8 = 0x08;
    /// Subtypes of data frames that have a quality of service field.
    pub const WITH_QOS: u8 = 0x80;
    /// Subtypes of data frames that have none.
    pub const WITHOUT_DATA: u8 = 0x40;
    /// To and from the distribution system: both make four addresses.
    pub const BOTH_SYSTEMS: u8 = 0x03;
    pub const PROTECTED: u8 = 0x40;
    /// With quality of service: a field of HT control follows (clause 9.2.4.1.10).
    pub const ORDER: u8 = 0x80;
}

/// The first address, which a group's has set in its first bit.
const RECEIVER: usize = 4;
/// Fragment (four bits) and sequence number, little endian.
const SEQUENCE: usize = 22;
const FRAGMENT_BITS: u8 = 0x0f;
/// Three addresses.
const LEN: usize = 24;

/// A frame as it was on the air.
pub(in crate::decode) fn wifi(payload: Payload<'_>) -> Step<'_> {
    on_the_air(payload, 1)
}

/// A frame that an access point sends on. It is whole, whatever its fragment number says: Cisco's have none there. Its
/// first two bytes may stand the other way round, also by Cisco; in these tunnels a data frame goes to or comes from the
/// distribution system, so where the flags are shows.
pub(in crate::decode) fn wifi_tunnelled(payload: Payload<'_>) -> Step<'_> {
    let ([first, second], _) = payload.split()?;
    let is_swapped = second & control::VERSION_BITS == 0 && second & control::TYPE_BITS == control::DATA;
    if is_swapped { data(*second, *first, payload, 1) } else { data(*first, *second, payload, 1) }
}

/// A frame whose header is padded to a multiple of four bytes, as radiotap's flags may say.
fn wifi_padded(payload: Payload<'_>) -> Step<'_> {
    on_the_air(payload, 4)
}

fn on_the_air(payload: Payload<'_>, alignment: usize) -> Step<'_> {
    let ([first, flags], _) = payload.split()?;
    let step = data(*first, *flags, payload, alignment)?;
    let (header, _) = payload.split::<LEN>()?;
    if header[SEQUENCE] & FRAGMENT_BITS == 0 { Ok(step) } else { Err(Portless::FragmentOrphan) }
}

/// A data frame's body: LLC, or an aggregate of frames.
fn data(first: u8, flags: u8, payload: Payload<'_>, alignment: usize) -> Step<'_> {
    const ADDRESS_LEN: usize = 6;
    const QOS_LEN: usize = 2;
    const HT_CONTROL_LEN: usize = 4;
    const AGGREGATE: u8 = 0x80;
    if first & (control::VERSION_BITS | control::TYPE_BITS | control::WITHOUT_DATA) != control::DATA {
        return Err(Portless::NotIp);
    }
    let (header, _) = payload.split::<LEN>()?;
    if flags & control::PROTECTED != 0 {
        return Err(Portless::EncryptedWifi);
    }
    let has_qos = first & control::WITH_QOS != 0;
    let mut len = LEN;
    if flags & control::BOTH_SYSTEMS == control::BOTH_SYSTEMS {
        len += ADDRESS_LEN;
    }
    let mut is_aggregate = false;
    if has_qos {
        is_aggregate = payload.bytes.get(len).ok_or(Portless::Truncated)? & AGGREGATE != 0;
        len += QOS_LEN;
        if flags & control::ORDER != 0 {
            len += HT_CONTROL_LEN;
        }
    }
    let mut body = payload.skip(len.next_multiple_of(alignment))?;
    if is_aggregate {
        body = last_of_aggregate(body)?;
    }
    body.link_broadcast = header[RECEIVER..RECEIVER + ADDRESS_LEN] == super::EVERYBODY;
    Ok(Next::Header(llc::llc, body))
}

/// The body of the last frame of an aggregate (clause 9.3.2.2) that was captured whole, or of the first: addresses, a
/// length and LLC, each at a multiple of four bytes. A frame has one label, and the last header decides as in tunnels.
fn last_of_aggregate(mut frame: Payload<'_>) -> Result<Payload<'_>, Portless> {
    const HEADER_LEN: usize = 14;
    const BODY_LEN: usize = 12;
    let len = |frame: Payload<'_>| frame.be16(BODY_LEN).map(|body| HEADER_LEN + usize::from(body));
    loop {
        match frame.skip(len(frame)?.next_multiple_of(4)) {
            Ok(next) if len(next).is_ok_and(|len| len > HEADER_LEN && len <= next.bytes.len()) => frame = next,
            _ => return frame.skip(HEADER_LEN),
        }
    }
}

/// Radiotap (radiotap.org): version, padding, length of the header, little endian; words that say which fields follow,
/// as long as the last bit of a word says that there is another; the fields, each at a multiple of its size.
pub(super) fn radiotap(payload: Payload<'_>) -> Step<'_> {
    const PRESENT: usize = 4;
    const TIME: u32 = 1 << 0;
    const TIME_LEN: usize = 8;
    const FLAGS: u32 = 1 << 1;
    const MORE: u32 = 1 << 31;
    const FLAG_PADDED: u8 = 0x20;
    let ([version, _, low, high, ..], _) = payload.split::<8>()?;
    if *version != 0 {
        return Err(Portless::Malformed);
    }
    let frame = payload.skip(usize::from(u16::from_le_bytes([*low, *high])))?;
    let word =
        |at: usize| payload.bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map(|b| u32::from_le_bytes(*b));
    let present = word(PRESENT).unwrap_or(0);
    let mut fields = PRESENT + size_of::<u32>();
    while word(fields - size_of::<u32>()).is_some_and(|word| word & MORE != 0) {
        fields += size_of::<u32>();
    }
    if present & TIME != 0 {
        fields = fields.next_multiple_of(TIME_LEN) + TIME_LEN;
    }
    let flags = if present & FLAGS != 0 { payload.bytes.get(fields).copied() } else { None };
    let is_padded = flags.is_some_and(|flags| flags & FLAG_PADDED != 0);
    Ok(Next::Header(if is_padded { wifi_padded } else { wifi }, frame))
}

/// The header of Prism cards, of 144 bytes or what its second word says, in the byte order of the host; some drivers put
/// an AVS header in its place.
pub(super) fn prism(payload: Payload<'_>) -> Step<'_> {
    const AVS_MAGIC: [u8; 3] = [0x80, 0x21, 0x10];
    const MAX_LEN: u32 = 0xffff;
    if payload.bytes.starts_with(&AVS_MAGIC) {
        return avs(payload);
    }
    let (header, _) = payload.split::<8>()?;
    let len = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    let len = if len > MAX_LEN { len.swap_bytes() } else { len };
    Ok(Next::Header(wifi, payload.skip(usize::try_from(len).unwrap_or(usize::MAX).max(header.len()))?))
}

/// The header of AVS: version, and the length of the header, in network order.
pub(super) fn avs(payload: Payload<'_>) -> Step<'_> {
    let (header, _) = payload.split::<8>()?;
    let len = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    Ok(Next::Header(wifi, payload.skip(usize::try_from(len).unwrap_or(usize::MAX).max(header.len()))?))
}

/// The header of Shomiti's Surveyor in its snoop files: four bytes, the last of which says how many follow.
pub(super) fn surveyor(payload: Payload<'_>) -> Step<'_> {
    let ([_, _, _, len], rest) = payload.split()?;
    Ok(Next::Header(wifi, rest.skip(usize::from(*len))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check, follow};

    const SNAP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

    /// A header of three addresses, the second flags.
    fn header(first: u8, flags: u8) -> Vec<u8> {
        [&[first, flags, 0, 0][..], &[2; 18], &[0x10, 0]].concat()
    }

    #[test]
    fn data_frames_lead_to_ip() {
        let not_ip = Some(Portless::NotIp);
        let mut fragment = header(8, 1);
        fragment[22] = 0x11;
        check(&[
            ("data", wifi, &[&header(0x08, 1), &SNAP, &IP], None),
            ("quality of service", wifi, &[&header(0x88, 2), &[0, 0], &SNAP, &IP], None),
            ("HT control", wifi, &[&header(0x88, 0x82), &[0, 0], &[0; 4], &SNAP, &IP], None),
            ("four addresses", wifi, &[&header(0x88, 3), &[2; 6], &[0, 0], &SNAP, &IP], None),
            ("aggregate", wifi, &[&header(0x88, 2), &[0x80, 0], &[2; 12], &[0, 36], &SNAP, &IP], None),
            ("protected", wifi, &[&header(0x08, 0x41), &[0; 8], &IP], Some(Portless::EncryptedWifi)),
            ("later fragment", wifi, &[&fragment, &SNAP, &IP], Some(Portless::FragmentOrphan)),
            ("no data", wifi, &[&header(0x48, 1)], not_ip),
            ("beacon", wifi, &[&header(0x80, 0), &[0; 20]], not_ip),
            ("acknowledgment", wifi, &[&[0xd4, 0, 0, 0, 2, 0, 0, 0, 0, 1]], not_ip),
            ("padded", wifi_padded, &[&header(0x88, 2), &[0, 0], &[0, 0], &SNAP, &IP], None),
            ("tunnelled, exchanged", wifi_tunnelled, &[&[1, 8], &header(0x08, 1)[2..], &SNAP, &IP], None),
            ("tunnelled, with a fragment", wifi_tunnelled, &[&fragment, &SNAP, &IP], None),
            ("tunnelled", wifi_tunnelled, &[&header(0x88, 2), &[0, 0], &SNAP, &IP], None),
        ]);
    }

    #[test]
    fn the_last_whole_frame_of_an_aggregate_is_read() {
        let frame = |body: &[u8]| [&[2; 12][..], &[0, 12], &SNAP, body].concat();
        // 26 bytes, padded to 28
        let first = [&frame(&[0x45, 0, 0, 1])[..], &[0, 0]].concat();
        let start = [&header(0x88, 2)[..], &[0x80, 0], &first].concat();
        let second = [&start[..], &frame(&[0x45, 0, 0, 2])].concat();
        let cases = [
            ("two", &second[..], [0x45, 0, 0, 2]),
            ("two and a checksum", &[&second[..], &[1, 2, 3, 4]].concat(), [0x45, 0, 0, 2]),
            ("the second cut", &second[..second.len() - 1], [0x45, 0, 0, 1]),
            ("the second cut in its header", &second[..start.len() + 13], [0x45, 0, 0, 1]),
            ("padding", &[&start[..], &[0; 16]].concat(), [0x45, 0, 0, 1]),
        ];
        for (name, bytes, want) in cases {
            let got = follow(wifi, bytes).unwrap_or_else(|reason| panic!("{name}: {reason:?}"));
            assert!(got.bytes.starts_with(&want), "{name}: {:?}", got.bytes);
        }
    }

    #[test]
    fn radio_headers_lead_to_ip() {
        let frame = [&header(0x08, 1)[..], &SNAP].concat();
        let padded = [&header(0x88, 1)[..], &[0, 0, 0, 0], &SNAP].concat();
        let with_time = [&[0, 0, 24, 0][..], &[3, 0, 0, 0x80], &[0; 8], &[0; 8]].concat();
        let with_padding = [&[0, 0, 17, 0][..], &[3, 0, 0, 0], &[0; 8], &[0x20]].concat();
        let with_length = |len: [u8; 4]| [&[0x44, 0, 0, 0], &len[..], &[0; 12]].concat();
        check(&[
            ("radiotap", radiotap, &[&[0, 0, 8, 0, 0, 0, 0, 0], &frame, &IP], None),
            ("radiotap, two words", radiotap, &[&with_time, &frame, &IP], None),
            ("radiotap, padded frame", radiotap, &[&with_padding, &padded, &IP], None),
            ("radiotap, version 1", radiotap, &[&[1, 0, 8, 0, 0, 0, 0, 0], &frame, &IP], Some(Portless::Malformed)),
            ("Prism", prism, &[&with_length([20, 0, 0, 0]), &frame, &IP], None),
            ("Prism, big endian", prism, &[&with_length([0, 0, 0, 20]), &frame, &IP], None),
            ("AVS", avs, &[&[0x80, 0x21, 0x10, 1], &[0, 0, 0, 12], &[0; 4], &frame, &IP], None),
            ("Surveyor", surveyor, &[&[0, 0, 0, 8], &[0; 8], &frame, &IP], None),
            ("Surveyor, cut", surveyor, &[&[0, 0, 0, 8], &[0; 7]], Some(Portless::Truncated)),
            ("AVS for Prism", prism, &[&[0x80, 0x21, 0x10, 1], &[0, 0, 0, 12], &[0; 4], &frame, &IP], None),
        ]);
    }
}
