//! Linux cooked capture (`LINKTYPE_LINUX_SLL`, `LINKTYPE_LINUX_SLL2`): what the kernel knows of a packet of any device.

use etherparse::LinuxSllHeaderSlice;

use super::{llc, tagged};
use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// The packet type of what was sent to everybody (`PACKET_BROADCAST`).
const BROADCAST: u16 = 1;
/// The protocol of frames that begin with LLC (`ETH_P_802_2`).
const LLC: u16 = 4;

/// Version 1: 16 bytes, the packet type first and the protocol last.
#[inline(always)]
pub(super) fn version_1(payload: Payload<'_>) -> Step<'_> {
    const LEN: usize = 16;
    // etherparse refuses hardware types that it does not know; the protocol stands in the same place all the same
    let (packet_type, protocol) = match LinuxSllHeaderSlice::from_slice(payload.bytes) {
        Ok(header) => (u16::from(header.packet_type()), u16::from(header.protocol_type())),
        Err(_) => {
            let header = payload.bytes.first_chunk::<LEN>().ok_or(Portless::Truncated)?;
            (u16::from_be_bytes([header[0], header[1]]), u16::from_be_bytes([header[14], header[15]]))
        }
    };
    by_protocol(protocol, packet_type, &payload.bytes[LEN..])
}

/// Version 2: 20 bytes, the protocol first, the packet type at offset 10.
#[inline(always)]
pub(super) fn version_2(payload: Payload<'_>) -> Step<'_> {
    const PACKET_TYPE: usize = 10;
    let (header, rest) = payload.split::<20>()?;
    let protocol = u16::from_be_bytes([header[0], header[1]]);
    by_protocol(protocol, u16::from(header[PACKET_TYPE]), rest.bytes)
}

/// The protocol is an Ethernet type, or one of Linux' own numbers for frames without one.
#[inline(always)]
fn by_protocol(protocol: u16, packet_type: u16, bytes: &[u8]) -> Step<'_> {
    let payload = Payload { bytes, link_broadcast: packet_type == BROADCAST };
    match protocol {
        LLC => Ok(Next::Header(llc::llc, payload)),
        // other numbers of Linux' own, such as CAN frames
        0..=0x00ff => Err(Portless::NotIp),
        protocol => tagged(protocol, payload),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check, follow};

    const SLL_LAST: [u8; 12] = [0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0];

    #[test]
    fn cooked_headers_lead_to_ip() {
        let v2 = [8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 4, 6, 2, 0, 0, 0, 0, 1, 0, 0];
        let mut llc = SLL_LAST;
        llc[10..].copy_from_slice(&[0, 4]);
        let mut can = SLL_LAST;
        can[10..].copy_from_slice(&[0, 0xc]);
        let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
        check(&[
            ("version 1", version_1, &[&[0, 0, 0, 1], &SLL_LAST, &IP], None),
            ("unknown hardware", version_1, &[&[0, 4, 0xff, 0xfe], &SLL_LAST, &IP], None),
            ("unknown packet type", version_1, &[&[0, 9, 0, 1], &SLL_LAST, &IP], None),
            ("LLC", version_1, &[&[0, 0, 0, 1], &llc, &snap, &IP], None),
            ("CAN", version_1, &[&[0, 0, 0, 1], &can, &IP], Some(Portless::NotIp)),
            ("version 2", version_2, &[&v2, &IP], None),
        ]);
    }

    #[test]
    fn broadcasts_are_told() {
        for (packet_type, want) in [(0, false), (1, true)] {
            let v1 = [&[0, packet_type, 0, 1], &SLL_LAST[..], &IP].concat();
            let v2 = [&[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, packet_type], &[0; 9][..], &IP].concat();
            assert_eq!(follow(version_1, &v1).map(|rest| rest.link_broadcast), Ok(want), "{packet_type}");
            assert_eq!(follow(version_2, &v2).map(|rest| rest.link_broadcast), Ok(want), "{packet_type}");
        }
    }
}
