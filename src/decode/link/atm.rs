//! ATM adaptation layer 5 (RFC 2684), as several systems capture it.

use super::llc;
use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// LLC and SNAP of bridged Ethernet with its checksum and without, and padding of two bytes (RFC 2684, section 5.2).
const BRIDGED: [[u8; 10]; 2] = [[0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 1, 0, 0], [0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 7, 0, 0]];

/// LLC (`LINKTYPE_ATM_RFC1483`).
pub(super) fn multiprotocol(payload: Payload<'_>) -> Step<'_> {
    for header in &BRIDGED {
        if payload.bytes.starts_with(header) {
            return Ok(Next::Header(super::ethernet, payload.skip(header.len())?));
        }
    }
    Ok(Next::Header(llc::llc, payload))
}

/// Classical IP on Linux (`LINKTYPE_ATM_CLIP`): with LLC or without.
pub(super) fn classical_ip(payload: Payload<'_>) -> Step<'_> {
    let ([first], _) = payload.split()?;
    if matches!(first >> 4, 4 | 6) { Ok(Next::Ip(payload)) } else { multiprotocol(payload) }
}

/// LAN emulation (`LINKTYPE_LANE8023`): the emulated station, and an Ethernet frame, or what marks frames of control (LAN
/// Emulation over ATM, section 4.1.1).
pub(super) fn lan_emulation(payload: Payload<'_>) -> Step<'_> {
    const STATION_LEN: usize = 2;
    const CONTROL: [u8; 2] = [0xff, 0x00];
    if payload.bytes.starts_with(&CONTROL) {
        return Err(Portless::NotIp);
    }
    Ok(Next::Header(super::ethernet, payload.skip(STATION_LEN)?))
}

/// SunATM (`LINKTYPE_SUNATM`): direction and kind, virtual path, virtual channel.
pub(super) fn sun(payload: Payload<'_>) -> Step<'_> {
    const KIND_BITS: u8 = 0x0f;
    const LAN_EMULATION: u8 = 1;
    const LLC: u8 = 2;
    let ([flags, _, _, _], rest) = payload.split()?;
    match flags & KIND_BITS {
        LAN_EMULATION => lan_emulation(rest),
        LLC => multiprotocol(rest),
        _ => Err(Portless::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    #[test]
    fn atm_leads_to_ip() {
        let mac = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
        check(&[
            ("LLC", multiprotocol, &[&snap, &IP], None),
            ("bridged", multiprotocol, &[&[0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 7, 0, 0], &mac, &IP], None),
            ("classical IP", classical_ip, &[&IP], None),
            ("classical IP with LLC", classical_ip, &[&snap, &IP], None),
            ("LAN emulation", lan_emulation, &[&[0, 7], &mac, &IP], None),
            ("Sun, LLC", sun, &[&[0x82, 0, 0, 32], &snap, &IP], None),
            ("Sun, LAN emulation", sun, &[&[1, 0, 0, 32], &[0, 7], &mac, &IP], None),
            ("Sun, emulation control", sun, &[&[1, 0, 0, 32], &[0xff, 0], &mac, &IP], Some(Portless::NotIp)),
            ("Sun, signalling", sun, &[&[6, 0, 0, 5], &IP], Some(Portless::NotIp)),
        ]);
    }
}
