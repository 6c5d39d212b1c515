//! Bluetooth, between host and controller. Channels are agreed on in messages of their own, which a packet does not have; so
//! what looks like BNEP or IPv6 (RFC 7668) is that only where the lengths of all layers agree. Compressed headers
//! (RFC 6282) are left alone.

use super::ethernet::ether_type;
use super::guess;
use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// The kind of packet first (`LINKTYPE_BLUETOOTH_HCI_H4`; Bluetooth Core, volume 4, part A, section 2).
pub(super) fn uart(payload: Payload<'_>) -> Step<'_> {
    const DATA: u8 = 2;
    let ([kind], rest) = payload.split()?;
    if *kind == DATA { data(rest) } else { Err(Portless::NotIp) }
}

/// A direction first (`LINKTYPE_BLUETOOTH_HCI_H4_WITH_PHDR`).
pub(super) fn uart_with_direction(payload: Payload<'_>) -> Step<'_> {
    uart(payload.skip(4)?)
}

/// Adapter and event of Linux' monitor (`LINKTYPE_BLUETOOTH_LINUX_MONITOR`).
pub(super) fn monitor(payload: Payload<'_>) -> Step<'_> {
    const DATA_SENT: u8 = 4;
    const DATA_RECEIVED: u8 = 5;
    let (header, rest) = payload.split::<4>()?;
    match header {
        [_, _, 0, DATA_SENT | DATA_RECEIVED] => data(rest),
        _ => Err(Portless::NotIp),
    }
}

/// Connection with two bits that tell a packet's later fragments, length; then length and channel of L2CAP (Bluetooth Core,
/// volume 4, part E, section 5.4.2, and volume 3, part A, section 3.1); little endian.
fn data(payload: Payload<'_>) -> Step<'_> {
    const BOUNDARY_BITS: u8 = 0x30;
    const LATER: u8 = 0x10;
    /// The first channel that is not for signalling or another fixed use.
    const FIRST_DYNAMIC: u16 = 0x0040;
    let (header, frame) = payload.split::<4>()?;
    if header[1] & BOUNDARY_BITS == LATER {
        return Err(Portless::NotIp);
    }
    let (len, channel) = (usize::from(frame.le16(0)?), frame.le16(2)?);
    let frame = frame.skip(4)?;
    if channel < FIRST_DYNAMIC {
        return Err(Portless::NotIp);
    }
    match internet_protocol_support(frame, len) {
        Some(packet) => Ok(Next::Ip(packet)),
        None => network_encapsulation(frame, len),
    }
}

/// BNEP (version 1.0, section 2.4): kind, addresses as the kind says, Ethernet type; extensions, each of which tells whether
/// there is another. `len` is that of the frame, of which less may have been captured.
fn network_encapsulation(frame: Payload<'_>, len: usize) -> Step<'_> {
    const EXTENDED: u8 = 0x80;
    let ([kind], rest) = frame.split()?;
    let addresses_len = match kind & !EXTENDED {
        0 => 12,
        2 => 0,
        3 | 4 => 6,
        _ => return Err(Portless::NotIp),
    };
    let mut rest = rest.skip(addresses_len)?;
    let ether_type = rest.be16(0)?;
    rest = rest.skip(2)?;
    let mut more = kind & EXTENDED != 0;
    while more {
        let ([kind, len], behind) = rest.split()?;
        more = kind & EXTENDED != 0;
        rest = behind.skip(usize::from(*len))?;
    }
    let packet_len = len.saturating_sub(frame.bytes.len() - rest.bytes.len());
    match ether_type {
        ether_type::ARP if guess::is_arp(rest) => Err(Portless::Arp),
        ether_type::IPV4 | ether_type::IPV6 if guess::is_ip_of_length(rest, packet_len) => Ok(Next::Ip(rest)),
        _ => Err(Portless::NotIp),
    }
}

/// The packet of the Internet Protocol Support Profile (RFC 7668, section 3): the length of what may be cut into several
/// frames (Bluetooth Core, volume 3, part A, section 3.4.3), and IPv6 that is not compressed (RFC 4944, section 5.1).
fn internet_protocol_support(frame: Payload<'_>, len: usize) -> Option<Payload<'_>> {
    const UNCOMPRESSED: u8 = 0x41;
    let ([low, high, UNCOMPRESSED], packet) = frame.split().ok()? else { return None };
    let total = usize::from(u16::from_le_bytes([*low, *high]));
    let fits = len <= total + 2 && guess::is_ip_of_length(packet, total.saturating_sub(1));
    if fits { Some(packet) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::check;

    const PACKET: [u8; 20] = [0x45, 0, 0, 20, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];

    /// Connection 11, a first fragment; L2CAP of `len` bytes in channel 0x41.
    fn header(len: u8) -> [u8; 8] {
        [11, 0x20, len + 4, 0, len, 0, 0x41, 0]
    }

    #[test]
    fn channels_lead_to_ip() {
        let not_ip = Some(Portless::NotIp);
        let v6 = [&[0x60, 0, 0, 0, 0, 0, 17, 64][..], &[2; 32]].concat();
        let arp = [0, 1, 8, 0, 6, 4, 0, 1];
        let mut later = header(23);
        later[1] = 0x10;
        let mut signalling = header(23);
        signalling[6..].copy_from_slice(&[1, 0]);
        check(&[
            ("BNEP", data, &[&header(35), &[0], &[2; 12], &[8, 0], &PACKET], None),
            ("BNEP, compressed", data, &[&header(23), &[2, 8, 0], &PACKET], None),
            ("BNEP, compressed source", data, &[&header(29), &[3], &[2; 6], &[8, 0], &PACKET], None),
            ("BNEP, extended", data, &[&header(30), &[0x82, 8, 0], &[0x80, 2, 1, 1], &[0, 1, 9], &PACKET], None),
            ("BNEP, another length", data, &[&header(24), &[2, 8, 0], &PACKET], not_ip),
            ("BNEP, control", data, &[&header(23), &[1, 8, 0], &PACKET], not_ip),
            ("BNEP, ARP", data, &[&header(11), &[2, 8, 6], &arp], Some(Portless::Arp)),
            ("IPv6", data, &[&header(43), &[41, 0, 0x41], &v6], None),
            ("IPv6, compressed", data, &[&header(43), &[41, 0, 0x7e], &v6], not_ip),
            ("IPv6, another length", data, &[&header(43), &[40, 0, 0x41], &v6], not_ip),
            ("later fragment", data, &[&later, &[2, 8, 0], &PACKET], not_ip),
            ("signalling", data, &[&signalling, &[2, 8, 0], &PACKET], not_ip),
        ]);
    }

    #[test]
    fn captures_lead_to_channels() {
        let not_ip = Some(Portless::NotIp);
        let bnep = [&header(23)[..], &[2, 8, 0]].concat();
        check(&[
            ("UART", uart, &[&[2], &bnep, &PACKET], None),
            ("UART, event", uart, &[&[4], &bnep, &PACKET], not_ip),
            ("UART with direction", uart_with_direction, &[&[0, 0, 0, 1, 2], &bnep, &PACKET], None),
            ("monitor, sent", monitor, &[&[0, 0, 0, 4], &bnep, &PACKET], None),
            ("monitor, received", monitor, &[&[0, 1, 0, 5], &bnep, &PACKET], None),
            ("monitor, event", monitor, &[&[0, 0, 0, 3], &bnep, &PACKET], not_ip),
        ]);
    }
}
