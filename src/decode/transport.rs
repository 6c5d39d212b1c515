//! Transport layer: the ports, and what the header says of the opening of a connection.

use etherparse::{TcpHeaderSlice, UdpHeaderSlice};

use super::network::{Datagram, protocol};
use super::{Handshake, Portless, Segment};
use crate::units::Transport;

/// FIN, SYN, RST and ACK as they stand in the flags of a TCP header (RFC 9293, section 3.1).
pub mod tcp_flag {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers: the opening of a connection.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// The acknowledgment number counts.
    pub const ACK: u8 = 0x10;
}

/// Reads the ports of a datagram that so many carriers were taken off.
///
/// # Errors
/// The reason why there are none: another protocol, or a header that ends before them.
pub(super) fn segment(datagram: &Datagram<'_>, tunnels: u8) -> Result<Segment, Portless> {
    let transport = match datagram.protocol {
        protocol::TCP => Transport::Tcp,
        protocol::UDP => Transport::Udp,
        protocol::UDP_LITE => Transport::UdpLite,
        protocol::SCTP => Transport::Sctp,
        protocol::DCCP => Transport::Dccp,
        protocol::ICMP | protocol::ICMP_V6 => return Err(Portless::Icmp),
        protocol::IGMP => return Err(Portless::Igmp),
        protocol::ESP => return Err(Portless::Esp),
        _ => return Err(Portless::OtherProtocol),
    };
    let payload = datagram.payload;
    let Some((src_port, dst_port)) = ports(transport, payload) else {
        return Err(if datagram.cut { Portless::Truncated } else { Portless::Malformed });
    };
    let tcp_flags = if transport == Transport::Tcp { tcp_flags(payload) } else { 0 };
    let handshake = match transport {
        Transport::Tcp => tcp_handshake(tcp_flags),
        Transport::Udp | Transport::UdpLite => Handshake::None,
        Transport::Sctp => sctp_handshake(payload),
        Transport::Dccp => dccp_handshake(payload),
    };
    Ok(Segment {
        src_addr: datagram.src,
        dst_addr: datagram.dst,
        src_port,
        dst_port,
        ip_version: datagram.version,
        transport,
        handshake,
        tcp_flags,
        to_group: datagram.to_group,
        later_fragment: false,
        tunnels,
    })
}

/// Both ports, source first, which all five transports have in their first four bytes. Most headers that their own parser
/// refuses (cut, or with an impossible length) still have these.
fn ports(transport: Transport, payload: &[u8]) -> Option<(u16, u16)> {
    if transport == Transport::Tcp
        && let Ok(header) = TcpHeaderSlice::from_slice(payload)
    {
        return Some((header.source_port(), header.destination_port()));
    }
    if matches!(transport, Transport::Udp | Transport::UdpLite)
        && let Ok(header) = UdpHeaderSlice::from_slice(payload)
    {
        return Some((header.source_port(), header.destination_port()));
    }
    let [a, b, c, d] = *payload.first_chunk()?;
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

/// Where the flags of TCP are in its header (RFC 9293, section 3.1).
pub(super) const TCP_FLAGS_AT: usize = 13;

/// The flags of TCP; they count even where the rest is cut.
fn tcp_flags(payload: &[u8]) -> u8 {
    payload.get(TCP_FLAGS_AT).copied().unwrap_or(0)
}

/// What the flags of TCP say of who serves. A look in a table, because nobody can guess which packet opens a connection.
#[inline(always)]
pub(super) fn tcp_handshake(flags: u8) -> Handshake {
    static HANDSHAKES: [Handshake; 256] = {
        let mut handshakes = [Handshake::None; 256];
        let mut flags: u8 = 0;
        loop {
            // SYN with FIN or RST opens nothing: scanners send it (RFC 9293, section 3.10.7 would drop or reset)
            match flags & (tcp_flag::SYN | tcp_flag::ACK | tcp_flag::FIN | tcp_flag::RST) {
                tcp_flag::SYN => handshakes[flags as usize] = Handshake::Open,
                SYN_ACK => handshakes[flags as usize] = Handshake::Accept,
                _ => {}
            }
            if flags == u8::MAX {
                break;
            }
            flags += 1;
        }
        handshakes
    };
    HANDSHAKES[usize::from(flags)]
}

const SYN_ACK: u8 = tcp_flag::SYN | tcp_flag::ACK;

/// SCTP (RFC 9260, section 3): a common header of 12 bytes, then chunks, each with its type first. INIT and INIT ACK
/// must be alone in their packet, so the first chunk tells.
fn sctp_handshake(payload: &[u8]) -> Handshake {
    const FIRST_CHUNK_TYPE: usize = 12;
    match payload.get(FIRST_CHUNK_TYPE) {
        Some(1) => Handshake::Open,
        Some(2) => Handshake::Accept,
        _ => Handshake::None,
    }
}

/// DCCP (RFC 4340, section 5.1): the packet type is four bits at offset 8, after three reserved ones.
fn dccp_handshake(payload: &[u8]) -> Handshake {
    const TYPE: usize = 8;
    match payload.get(TYPE).map(|byte| byte >> 1 & 0xf) {
        Some(0) => Handshake::Open,
        Some(1) => Handshake::Accept,
        _ => Handshake::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{AddressWords, IpVersion};

    fn tcp_header(flags: u8) -> Vec<u8> {
        vec![0x04, 0xd2, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]
    }

    #[test]
    fn ports_and_handshakes() {
        use Handshake::{Accept, None as No, Open};
        let sctp = |chunk: u8| vec![0x04, 0xd2, 0x01, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, chunk, 0, 0, 4];
        let dccp = |packet_type: u8| vec![0x04, 0xd2, 0x01, 0xbb, 6, 0, 0, 0, packet_type << 1 | 1, 0, 0, 0];
        let bad_offset = || {
            let mut header = tcp_header(0x12);
            header[12] = 0x20;
            header
        };
        let (ok, cut, short) = (|h| Ok((1234, 443, h)), Err(Portless::Truncated), Err(Portless::Malformed));
        let cases = [
            ("SYN", 6, tcp_header(0x02), false, ok(Open)),
            ("SYN with ECN", 6, tcp_header(0xc2), false, ok(Open)),
            ("SYN ACK", 6, tcp_header(0x12), false, ok(Accept)),
            ("ACK", 6, tcp_header(0x10), false, ok(No)),
            ("SYN RST", 6, tcp_header(0x06), false, ok(No)),
            ("SYN FIN", 6, tcp_header(0x03), false, ok(No)),
            ("data offset below 5", 6, bad_offset(), false, ok(Accept)),
            ("cut after the flags", 6, tcp_header(0x02)[..14].to_vec(), true, ok(Open)),
            ("cut before the flags", 6, tcp_header(0x02)[..13].to_vec(), true, ok(No)),
            ("cut after the ports", 6, tcp_header(0x02)[..4].to_vec(), true, ok(No)),
            ("cut in the ports", 6, tcp_header(0x02)[..3].to_vec(), true, cut),
            ("too short for ports", 6, tcp_header(0x02)[..3].to_vec(), false, short),
            ("UDP", 17, vec![0x04, 0xd2, 0x01, 0xbb, 0, 8, 0, 0], false, ok(No)),
            ("UDP, cut", 17, vec![0x04, 0xd2, 0x01, 0xbb, 0], true, ok(No)),
            ("UDP-Lite", 136, vec![0x04, 0xd2, 0x01, 0xbb, 0, 0, 0, 0], false, ok(No)),
            ("SCTP INIT", 132, sctp(1), false, ok(Open)),
            ("SCTP INIT ACK", 132, sctp(2), false, ok(Accept)),
            ("SCTP DATA", 132, sctp(0), false, ok(No)),
            ("SCTP, cut", 132, sctp(1)[..12].to_vec(), true, ok(No)),
            ("DCCP-Request", 33, dccp(0), false, ok(Open)),
            ("DCCP-Response", 33, dccp(1), false, ok(Accept)),
            ("DCCP-Data", 33, dccp(2), false, ok(No)),
            ("ICMP", 1, tcp_header(0x02), false, Err(Portless::Icmp)),
            ("ICMPv6", 58, tcp_header(0x02), false, Err(Portless::Icmp)),
            ("IGMP", 2, vec![], false, Err(Portless::Igmp)),
            ("ESP", 50, vec![], false, Err(Portless::Esp)),
            ("OSPF", 89, vec![], false, Err(Portless::OtherProtocol)),
        ];
        for (name, protocol, payload, cut, want) in cases {
            let datagram = Datagram {
                version: IpVersion::V4,
                src: AddressWords::default(),
                dst: AddressWords::default(),
                to_group: false,
                protocol,
                payload: &payload,
                cut,
                is_first_fragment: false,
            };
            let got = segment(&datagram, 0).map(|s| (s.src_port, s.dst_port, s.handshake));
            assert_eq!(got, want, "{name}");
        }
    }
}
