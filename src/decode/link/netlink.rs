//! Netlink, between Linux and its programs (RFC 3549): of its messages, those of the packet filter carry packets.

use crate::decode::Portless;
use crate::decode::peel::{Next, Payload, Step};

/// `NFULA_PAYLOAD` of linux/netfilter/nfnetlink_log.h, `NFQA_PAYLOAD` of nfnetlink_queue.h.
const LOGGED: u16 = 9;
const QUEUED: u16 = 10;

/// A number in the byte order of the host, which `is_big_endian` tells.
const fn number(bytes: [u8; 2], is_big_endian: bool) -> u16 {
    if is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
}

/// What a monitor of netlink saw (`LINKTYPE_NETLINK`): the header of a cooked capture, with the family for the protocol.
pub(super) fn monitor(payload: Payload<'_>) -> Step<'_> {
    let (header, messages) = payload.split::<16>()?;
    family(u16::from_be_bytes([header[14], header[15]]), messages)
}

/// Messages of a family: length, kind, flags, sequence and port, in the byte order of the host. A packet filter's kinds are
/// a subsystem and a message (linux/netfilter/nfnetlink.h); of several packets, the first has the ports.
pub(super) fn family(family: u16, messages: Payload<'_>) -> Step<'_> {
    /// `NETLINK_NETFILTER` of linux/netlink.h.
    const NETFILTER: u16 = 12;
    /// `NFNL_SUBSYS_QUEUE` and `NFNL_SUBSYS_ULOG`, of both the message that is a packet.
    const QUEUED_PACKET: u16 = 0x0300;
    const LOGGED_PACKET: u16 = 0x0400;
    if family != NETFILTER {
        return Err(Portless::NotIp);
    }
    // a message is shorter than 65,536 bytes, and longer than none: the order shows in its length
    let (header, message) = messages.split::<16>()?;
    let is_big_endian = header[..2] == [0, 0];
    match number([header[4], header[5]], is_big_endian) {
        QUEUED_PACKET => attribute(QUEUED, message),
        LOGGED_PACKET => attribute(LOGGED, message),
        _ => Err(Portless::NotIp),
    }
}

/// Linux' packet filter log (`LINKTYPE_NFLOG`).
pub(super) fn filter_log(payload: Payload<'_>) -> Step<'_> {
    attribute(LOGGED, payload)
}

/// A message of the packet filter: family, version, group; then attributes, each with length and kind in the byte order of
/// the host, padded to a multiple of four. One of them is the packet.
fn attribute(packet: u16, payload: Payload<'_>) -> Step<'_> {
    const HEADER_LEN: usize = 4;
    let ([family, ..], rest) = payload.split::<4>()?;
    if !matches!(*family, 2 | 10) {
        return Err(Portless::NotIp);
    }
    // the first attribute is short, so that its length shows the order
    let (first, _) = rest.split()?;
    let is_big_endian = u16::from_le_bytes(*first) > 0xff;
    let mut attributes = rest;
    loop {
        let ([len_0, len_1, kind_0, kind_1], value) = attributes.split()?;
        if number([*kind_0, *kind_1], is_big_endian) == packet {
            return Ok(Next::Ip(value));
        }
        let len = usize::from(number([*len_0, *len_1], is_big_endian));
        if len < HEADER_LEN {
            return Err(Portless::Malformed);
        }
        attributes = attributes.skip(len.next_multiple_of(4))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::peel::testing::{IP, check};

    #[test]
    fn packet_filters_lead_to_ip() {
        let not_ip = Some(Portless::NotIp);
        check(&[
            (
                "NFLOG",
                filter_log,
                &[&[2, 0, 0, 5], &[8, 0, 1, 0, 8, 0, 1, 0], &[6, 0, 10, 0, 9, 0, 0, 0], &[24, 0, 9, 0], &IP],
                None,
            ),
            ("NFLOG, big endian", filter_log, &[&[10, 0, 0, 5], &[0, 8, 0, 1, 8, 0, 1, 0], &[0, 24, 0, 9], &IP], None),
            ("NFLOG, bridge", filter_log, &[&[7, 0, 0, 5], &[24, 0, 9, 0], &IP], not_ip),
            ("NFLOG, no length", filter_log, &[&[2, 0, 0, 5], &[0, 0, 1, 0], &IP, &IP], Some(Portless::Malformed)),
        ]);
    }

    #[test]
    fn messages_lead_to_packets() {
        let not_ip = Some(Portless::NotIp);
        let header = |family: u8| [0, 4, 3, 0x38, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, family];
        let message = |message: u8, subsystem: u8| [&[80, 0, 0, 0, message, subsystem, 0, 0][..], &[0; 8]].concat();
        let log = [&[2, 0, 0, 5][..], &[8, 0, 1, 0, 8, 0, 1, 0], &[24, 0, 9, 0]].concat();
        let queue = [&[10, 0, 0, 5][..], &[11, 0, 1, 0], &[0, 0, 0, 1, 8, 0, 3, 0], &[24, 0, 10, 0]].concat();
        let big_endian = [&[0, 0, 0, 80, 3, 0, 0, 0][..], &[0; 8], &[2, 0, 0, 5], &[0, 24, 0, 10]].concat();
        check(&[
            ("log", monitor, &[&header(12), &message(0, 4), &log, &IP], None),
            ("queue", monitor, &[&header(12), &message(0, 3), &queue, &IP], None),
            ("queue, big endian", monitor, &[&header(12), &big_endian, &IP], None),
            ("verdict", monitor, &[&header(12), &message(1, 3), &queue, &IP], not_ip),
            ("connections", monitor, &[&header(12), &message(0, 1), &log, &IP], not_ip),
            ("routes", monitor, &[&header(0), &message(0, 4), &log, &IP], not_ip),
        ]);
    }
}
