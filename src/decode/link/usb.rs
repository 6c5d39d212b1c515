//! USB: transfers as hosts and analyzers capture them, and the network devices behind them. Which device speaks what is in
//! descriptors that a single transfer does not have, so a header of RNDIS or NCM has to make sense, and a frame without
//! one has to hold IP of a length that fits. Of several packets in a transfer, the first has the ports.

use super::{ethernet, guess};
use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// The header of Linux' monitor (`LINKTYPE_USB_LINUX`; the kernel's Documentation/usb/usbmon.rst).
pub(super) fn linux(payload: Payload<'_>) -> Step<'_> {
    linux_of::<48>(payload)
}

/// The same, padded (`LINKTYPE_USB_LINUX_MMAPPED`).
pub(super) fn linux_mapped(payload: Payload<'_>) -> Step<'_> {
    linux_of::<64>(payload)
}

/// Kind of the transfer at offset 9, whether there are data at 15.
fn linux_of<const LEN: usize>(payload: Payload<'_>) -> Step<'_> {
    const KIND: usize = 9;
    const DATA: usize = 15;
    const BULK: u8 = 3;
    const WITH_DATA: u8 = 0;
    let (header, data) = payload.split::<LEN>()?;
    if header[KIND] == BULK && header[DATA] == WITH_DATA { bulk(data) } else { Err(Portless::NotIp) }
}

/// The header of `USBPcap` (`LINKTYPE_USBPCAP`): its length first, kind of the transfer at offset 22; little endian.
pub(super) fn windows(payload: Payload<'_>) -> Step<'_> {
    const MIN_LEN: usize = 27;
    const KIND: usize = 22;
    const BULK: u8 = 3;
    let (header, _) = payload.split::<MIN_LEN>()?;
    let len = usize::from(payload.le16(0)?);
    if len < MIN_LEN {
        return Err(Portless::Malformed);
    }
    if header[KIND] == BULK { bulk(payload.skip(len)?) } else { Err(Portless::NotIp) }
}

/// The header of macOS (`LINKTYPE_USB_DARWIN`): its length at offset 2, kind of the transfer at 31.
pub(super) fn darwin(payload: Payload<'_>) -> Step<'_> {
    const MIN_LEN: usize = 32;
    const HEADER_LEN: usize = 2;
    const KIND: usize = 31;
    const BULK: u8 = 2;
    let (header, _) = payload.split::<MIN_LEN>()?;
    let len = usize::from(header[HEADER_LEN]);
    if len < MIN_LEN {
        return Err(Portless::Malformed);
    }
    if header[KIND] == BULK { bulk(payload.skip(len)?) } else { Err(Portless::NotIp) }
}

/// The header of `FreeBSD` (`LINKTYPE_USB_FREEBSD`; usb(4), `struct usbpf_pkthdr`): kind of the transfer at offset 11; then
/// the first of its frames, with length and flags.
pub(super) fn freebsd(payload: Payload<'_>) -> Step<'_> {
    const KIND: usize = 11;
    const BULK: u8 = 2;
    const FLAGS: usize = 4;
    const DATA_FOLLOW: usize = 0x02;
    let (header, frame) = payload.split::<128>()?;
    let flags = frame.le32(FLAGS)?;
    let (_, data) = frame.split::<8>()?;
    if header[KIND] == BULK && flags & DATA_FOLLOW != 0 { bulk(data) } else { Err(Portless::NotIp) }
}

/// A packet as it was on the cable (`LINKTYPE_USB_2_0` and those that tell the speed): its kind, data, and a check of two
/// bytes (Universal Serial Bus 2.0, section 8.4.4). A transfer is cut into packets, of which the first has the headers.
pub(super) fn cable(payload: Payload<'_>) -> Step<'_> {
    const DATA: [u8; 2] = [0xc3, 0x4b];
    const CHECK_LEN: usize = 2;
    let ([kind], rest) = payload.split()?;
    match rest.bytes.len().checked_sub(CHECK_LEN) {
        Some(len) if DATA.contains(kind) => bulk(Payload { bytes: &rest.bytes[..len], ..rest }),
        _ => Err(Portless::NotIp),
    }
}

/// What a bulk transfer carries.
fn bulk(data: Payload<'_>) -> Step<'_> {
    if let Some(frame) = remote_ndis(data).or_else(|| emulation(data)) {
        return Ok(Next::Header(ethernet, frame));
    }
    if data.bytes.starts_with(&BLOCK_16.signature) {
        return control_model(data, &BLOCK_16);
    }
    if data.bytes.starts_with(&BLOCK_32.signature) {
        return control_model(data, &BLOCK_32);
    }
    if guess::is_ip_of_length(data, data.bytes.len()) {
        return Ok(Next::Ip(data));
    }
    // without a header: CDC-ECM and many devices of their own kind
    if guess::is_ethernet_with_ip(data) { Ok(Next::Header(ethernet, data)) } else { Err(Portless::NotIp) }
}

/// The frame of an RNDIS data message (MS-RNDIS, section 2.2.14): kind and length of the message, offset of the frame from
/// the third word, its length.
fn remote_ndis(data: Payload<'_>) -> Option<Payload<'_>> {
    const PACKET: usize = 1;
    const HEADER_LEN: usize = 44;
    const OFFSET_FROM: usize = 8;
    let [kind, message_len, offset, len] = [0, 4, 8, 12].map(|at| data.le32(at));
    let start = offset.ok()?.checked_add(OFFSET_FROM)?;
    let end = start.checked_add(len.ok()?)?;
    let fits = start >= HEADER_LEN && end <= message_len.ok()?;
    if kind.ok()? == PACKET && fits { data.skip(start).ok() } else { None }
}

/// The frame of a CDC-EEM packet (Ethernet Emulation Model 1.0, section 5.1): two bytes with kind, check and length, and a
/// frame with IP.
fn emulation(data: Payload<'_>) -> Option<Payload<'_>> {
    const COMMAND: u16 = 0x8000;
    const LEN_BITS: u16 = 0x3fff;
    let header = data.le16(0).ok()?;
    let frame = data.skip(2).ok()?;
    let fits = header & COMMAND == 0 && usize::from(header & LEN_BITS) <= frame.bytes.len();
    if fits && guess::is_ethernet_with_ip(frame) { Some(frame) } else { None }
}

/// The two sizes of numbers that blocks of CDC-NCM may have (Network Control Model 1.0, section 3.2 and 3.3).
struct Block {
    signature: [u8; 4],
    /// What a table of datagrams begins with, but for a last byte: Ethernet's, and IP's by CDC-MBIM (section 7).
    ethernet: [u8; 3],
    ip: [u8; 3],
    /// Where the block says where its first table is, and where a table has its first entry.
    table: usize,
    entry: usize,
    read: fn(Payload<'_>, usize) -> Result<usize, Portless>,
}

const BLOCK_16: Block = Block {
    signature: *b"NCMH",
    ethernet: *b"NCM",
    ip: *b"IPS",
    table: 10,
    entry: 8,
    read: |bytes, at| bytes.le16(at).map(usize::from),
};

const BLOCK_32: Block = Block {
    signature: *b"ncmh",
    ethernet: *b"ncm",
    ip: *b"ips",
    table: 12,
    entry: 16,
    read: |bytes, at| bytes.le32(at),
};

/// The first datagram of a block: the block tells where a table is, the table where datagrams are.
fn control_model<'a>(data: Payload<'a>, block: &Block) -> Step<'a> {
    let table = data.skip((block.read)(data, block.table)?)?;
    let ([kind @ .., _], _) = table.split::<4>()?;
    let datagram = data.skip((block.read)(table, block.entry)?)?;
    if *kind == block.ethernet {
        Ok(Next::Header(ethernet, datagram))
    } else if *kind == block.ip {
        Ok(Next::Ip(datagram))
    } else {
        Err(Portless::NotIp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    const ETHERNET: [u8; 14] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    /// IPv4, whole: what has no header is looked at more closely.
    const PACKET: [u8; 20] = [0x45, 0, 0, 20, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];

    fn rndis(kind: u8, message_len: u8, offset: u8, len: u8) -> Vec<u8> {
        [&[kind, 0, 0, 0, message_len, 0, 0, 0, offset, 0, 0, 0, len, 0, 0, 0][..], &[0; 28]].concat()
    }

    #[test]
    fn network_devices_lead_to_ip() {
        let not_ip = Some(Portless::NotIp);
        let cut = Some(Portless::Truncated);
        let ncm =
            [&b"NCMH"[..], &[12, 0, 1, 0, 60, 0, 12, 0], b"NCM0", &[16, 0, 0, 0, 28, 0, 16, 0, 0, 0, 0, 0]].concat();
        let wide = [
            &b"ncmh"[..],
            &[16, 0, 1, 0, 72, 0, 0, 0, 16, 0, 0, 0],
            b"ncm1",
            &[32, 0, 0, 0],
            &[0; 8],
            &[40, 0, 0, 0],
            &[16, 0, 0, 0],
        ]
        .concat();
        let mut mbim = ncm.clone();
        mbim[12..16].copy_from_slice(b"IPS\0");
        let mut far = ncm.clone();
        far[10] = 200;
        let mut service = ncm.clone();
        service[12..16].copy_from_slice(b"DSS\0");
        check(&[
            ("RNDIS", bulk, &[&rndis(1, 60, 36, 16), &ETHERNET, &IP], None),
            ("RNDIS, an odd kind", bulk, &[&rndis(2, 60, 36, 16), &ETHERNET, &IP], not_ip),
            ("RNDIS, a frame in the header", bulk, &[&rndis(1, 60, 30, 16), &ETHERNET, &IP], not_ip),
            ("RNDIS, a frame past the end", bulk, &[&rndis(1, 60, 36, 17), &ETHERNET, &IP], not_ip),
            ("NCM", bulk, &[&ncm, &ETHERNET, &IP], None),
            ("NCM, 32 bits", bulk, &[&wide, &ETHERNET, &IP], None),
            ("NCM, a table past the end", bulk, &[&far, &ETHERNET, &IP], cut),
            ("MBIM", bulk, &[&mbim, &IP], None),
            ("MBIM, a service", bulk, &[&service, &IP], not_ip),
            ("EEM", bulk, &[&[34, 0], &ETHERNET, &PACKET], None),
            ("EEM, a command", bulk, &[&[34, 0x80], &ETHERNET, &PACKET], not_ip),
            ("EEM, too long", bulk, &[&[35, 0], &ETHERNET, &PACKET], not_ip),
            ("ECM", bulk, &[&ETHERNET, &PACKET], None),
            ("raw IP", bulk, &[&PACKET], None),
            ("raw IP, another length", bulk, &[&PACKET, &[0]], not_ip),
            ("storage", bulk, &[b"USBC", &[0; 27]], not_ip),
            ("nothing", bulk, &[], not_ip),
        ]);
    }

    #[test]
    fn captures_lead_to_bulk_data() {
        let not_ip = Some(Portless::NotIp);
        let header = |len: usize, bytes: &[(usize, u8)]| {
            let mut header = vec![0; len];
            for (at, byte) in bytes {
                header[*at] = *byte;
            }
            header
        };
        let frame = [&ETHERNET[..], &PACKET].concat();
        let usb_2 = [&frame[14..], &[0x12, 0x34]].concat();
        check(&[
            ("Linux", linux, &[&header(48, &[(9, 3)]), &ETHERNET, &PACKET], None),
            ("Linux, control", linux, &[&header(48, &[(9, 2)]), &frame], not_ip),
            ("Linux, no data", linux, &[&header(48, &[(9, 3), (15, b'<')]), &frame], not_ip),
            ("Linux, mapped", linux_mapped, &[&header(64, &[(9, 3)]), &ETHERNET, &PACKET], None),
            ("USBPcap", windows, &[&header(27, &[(0, 27), (22, 3)]), &ETHERNET, &PACKET], None),
            ("USBPcap, interrupt", windows, &[&header(27, &[(0, 27), (22, 1)]), &frame], not_ip),
            ("USBPcap, too short", windows, &[&header(27, &[(0, 26), (22, 3)])], Some(Portless::Malformed)),
            ("macOS", darwin, &[&header(32, &[(2, 32), (31, 2)]), &ETHERNET, &PACKET], None),
            ("macOS, too short", darwin, &[&header(32, &[(2, 31), (31, 2)])], Some(Portless::Malformed)),
            ("FreeBSD", freebsd, &[&header(136, &[(11, 2), (132, 2)]), &ETHERNET, &PACKET], None),
            ("FreeBSD, no data", freebsd, &[&header(136, &[(11, 2)]), &frame], not_ip),
            ("cable, a token", cable, &[&[0x69], &usb_2], not_ip),
            ("cable, no check", cable, &[&[0xc3, 0]], not_ip),
        ]);
        for kind in [0xc3, 0x4b] {
            let bytes = [&[kind], &usb_2[..]].concat();
            let Ok(Next::Ip(packet)) = cable(Payload::new(&bytes)) else { panic!("{kind:#x}: no packet") };
            assert_eq!(packet.bytes, PACKET);
        }
    }
}
