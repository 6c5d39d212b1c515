//! Digital television: link layer packets of ATSC (A/330), and IP in transport streams (ETSI EN 301 192).

use super::{guess, llc};
use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// `LINKTYPE_ATSC_ALP` (A/330, section 5.1): kind, whether it is one packet or a part, length; a longer header tells of an
/// identifier and an extension behind it. Several packets in one are not followed.
pub(super) fn atsc(payload: Payload<'_>) -> Step<'_> {
    const KIND_BITS: u8 = 0xe0;
    const IPV4: u8 = 0x00;
    const IN_PARTS: u8 = 0x10;
    /// Of one packet: the header has a third byte. Of parts: it is several packets.
    const LONGER_OR_SEVERAL: u8 = 0x08;
    const PART_BITS: u8 = 0xf8;
    const WITH_IDENTIFIER: u8 = 0x02;
    const WITH_EXTENSION: u8 = 0x01;
    let ([first, _], mut rest) = payload.split()?;
    if first & KIND_BITS != IPV4 {
        return Err(Portless::NotIp);
    }
    let (in_parts, longer_or_several) = (first & IN_PARTS != 0, first & LONGER_OR_SEVERAL != 0);
    if in_parts && longer_or_several {
        return Err(Portless::NotIp);
    }
    if in_parts || longer_or_several {
        let ([flags], behind) = rest.split()?;
        if in_parts && flags & PART_BITS != 0 {
            return Err(Portless::FragmentOrphan);
        }
        rest = behind.skip(usize::from(flags & WITH_IDENTIFIER != 0))?;
        if flags & WITH_EXTENSION != 0 {
            let ([_, len], extension) = rest.split()?;
            rest = extension.skip(usize::from(*len) + 1)?;
        }
    }
    Ok(Next::Ip(rest))
}

/// `LINKTYPE_MPEG_2_TS` (ISO/IEC 13818-1, section 2.4.3): a packet in which a section of multiprotocol encapsulation begins
/// (EN 301 192, section 7.1) has the headers of a datagram.
pub(super) fn transport_stream(payload: Payload<'_>) -> Step<'_> {
    const SYNC: u8 = 0x47;
    const BEGINNING: u8 = 0x40;
    const SCRAMBLED_BITS: u8 = 0xc0;
    const WITH_ADAPTATION: u8 = 0x20;
    const WITH_PAYLOAD: u8 = 0x10;
    const DATAGRAM: u8 = 0x3e;
    const FLAGS: usize = 5;
    const SECTION_SCRAMBLED_BITS: u8 = 0x3c;
    const WITH_LLC: u8 = 0x02;
    const NUMBER: usize = 6;
    let ([sync, begins, _, control], mut rest) = payload.split()?;
    if *sync != SYNC {
        return Err(Portless::Malformed);
    }
    if begins & BEGINNING == 0 || control & (SCRAMBLED_BITS | WITH_PAYLOAD) != WITH_PAYLOAD {
        return Err(Portless::NotIp);
    }
    if control & WITH_ADAPTATION != 0 {
        let ([len], behind) = rest.split()?;
        rest = behind.skip(usize::from(*len))?;
    }
    // the end of the section before
    let ([len], behind) = rest.split()?;
    let Ok((section, datagram)) = behind.skip(usize::from(*len)).and_then(Payload::split::<12>) else {
        return Err(Portless::NotIp);
    };
    if section[0] != DATAGRAM || section[FLAGS] & SECTION_SCRAMBLED_BITS != 0 {
        return Err(Portless::NotIp);
    }
    if section[NUMBER] != 0 {
        return Err(Portless::FragmentOrphan);
    }
    if section[FLAGS] & WITH_LLC != 0 {
        Ok(Next::Header(llc::llc, datagram))
    } else if guess::looks_like_ip(datagram) {
        Ok(Next::Ip(datagram))
    } else {
        Err(Portless::NotIp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    #[test]
    fn television_leads_to_ip() {
        let not_ip = Some(Portless::NotIp);
        let packet = [0x45, 0, 0, 20, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        let section = |kind: u8, flags: u8, number: u8| [kind, 0x80, 30, 1, 2, flags, number, 0, 3, 4, 5, 6];
        check(&[
            ("ATSC", atsc, &[&[0, 28], &IP], None),
            ("ATSC, longer", atsc, &[&[0x08, 28, 0], &IP], None),
            ("ATSC, identifier and extension", atsc, &[&[0x08, 28, 3, 9, 0xf1, 1, 7, 7], &IP], None),
            ("ATSC, first part", atsc, &[&[0x10, 28, 0], &IP], None),
            ("ATSC, later part", atsc, &[&[0x10, 28, 0x08], &IP], Some(Portless::FragmentOrphan)),
            ("ATSC, several", atsc, &[&[0x18, 28, 0], &IP], not_ip),
            ("ATSC, signalling", atsc, &[&[0x80, 28], &IP], not_ip),
            ("stream", transport_stream, &[&[0x47, 0x40, 0, 0x10, 0], &section(0x3e, 1, 0), &packet], None),
            (
                "stream, LLC",
                transport_stream,
                &[&[0x47, 0x40, 0, 0x10, 0], &section(0x3e, 3, 0), &[6, 6, 3], &IP],
                None,
            ),
            (
                "stream, adapted",
                transport_stream,
                &[&[0x47, 0x40, 0, 0x30, 2, 0, 0, 1, 9], &section(0x3e, 1, 0), &packet],
                None,
            ),
            (
                "stream, later section",
                transport_stream,
                &[&[0x47, 0x40, 0, 0x10, 0], &section(0x3e, 1, 1), &packet],
                Some(Portless::FragmentOrphan),
            ),
            ("stream, programs", transport_stream, &[&[0x47, 0x40, 0, 0x10, 0], &section(0, 1, 0), &packet], not_ip),
            ("stream, continued", transport_stream, &[&[0x47, 0, 0, 0x10, 0], &packet], not_ip),
            ("stream, scrambled", transport_stream, &[&[0x47, 0x40, 0, 0x90, 0], &section(0x3e, 1, 0)], not_ip),
            ("no stream", transport_stream, &[&[0, 0, 0, 0]], Some(Portless::Malformed)),
        ]);
    }
}
