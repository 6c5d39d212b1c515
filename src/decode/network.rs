//! Network layer: IPv4 with options, IPv6 with extension headers, down to the transport header.

use etherparse::{
    IpAuthHeaderSlice, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6Header, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice,
    err,
};

use super::Portless;
use super::fragments::FragmentKey;
use super::peel::Payload;
use crate::units::{AddressWords, IpVersion};

/// IP protocol numbers (IANA "Assigned Internet Protocol Numbers") that are looked at here or in the transport layer.
pub(super) mod protocol {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const IGMP: u8 = 2;
    pub const IPV4: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const DCCP: u8 = 33;
    pub const IPV6: u8 = 41;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const ESP: u8 = 50;
    pub const AUTHENTICATION: u8 = 51;
    pub const ICMP_V6: u8 = 58;
    pub const DESTINATION_OPTIONS: u8 = 60;
    pub const COMPRESSION: u8 = 108;
    pub const SCTP: u8 = 132;
    pub const MOBILITY: u8 = 135;
    pub const UDP_LITE: u8 = 136;
    pub const HOST_IDENTITY: u8 = 139;
    pub const SHIM6: u8 = 140;
}

/// An IP packet without its headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'a> {
    pub version: IpVersion,
    pub src: AddressWords,
    pub dst: AddressWords,
    /// The destination is a multicast or broadcast address.
    pub to_group: bool,
    /// Number of the protocol that `payload` starts with.
    pub protocol: u8,
    /// What was captured of the payload, without link-layer padding.
    pub payload: &'a [u8],
    /// The capture ends before the payload does.
    pub cut: bool,
    /// The payload is only the beginning: other fragments have the rest.
    pub is_first_fragment: bool,
}

/// Takes the IP headers off. The version is the header's own word: link types and Ethernet types are sometimes wrong.
///
/// # Errors
/// [`Portless::Truncated`] when the capture ends within the headers, [`Portless::Malformed`] when they contradict
/// themselves, [`Portless::FragmentOrphan`] for a fragment after the first.
pub(super) fn datagram(packet: Payload<'_>) -> Result<Datagram<'_>, Portless> {
    match packet.bytes.first().map(|first| first >> 4) {
        Some(4) => ipv4(packet),
        Some(6) => ipv6(packet),
        Some(_) => Err(Portless::Malformed),
        None => Err(Portless::Truncated),
    }
}

/// Whether the addresses of a packet that [`datagram`] refused for `reason` were read all the same: then it is IP, whatever
/// is wrong behind them.
pub(super) fn has_addresses(bytes: &[u8], reason: Portless) -> bool {
    let is_v6 = bytes.first().is_some_and(|first| first >> 4 == 6);
    reason == Portless::FragmentOrphan || is_v6 && bytes.len() >= Ipv6Header::LEN
}

/// IPv4 (RFC 791, section 3.1). A total length of 0 is a packet that the sender's network card was to cut up
/// (segmentation offload): it reaches to the end of the frame.
fn ipv4(packet: Payload<'_>) -> Result<Datagram<'_>, Portless> {
    let header = Ipv4HeaderSlice::from_slice(packet.bytes).map_err(|error| match error {
        err::ipv4::HeaderSliceError::Len(_) => Portless::Truncated,
        err::ipv4::HeaderSliceError::Content(_) => Portless::Malformed,
    })?;
    let (header_len, total_len) = (header.slice().len(), usize::from(header.total_len()));
    let captured = &packet.bytes[header_len..];
    let (payload, cut) = match total_len.checked_sub(header_len) {
        Some(payload_len) => (captured.get(..payload_len).unwrap_or(captured), payload_len > captured.len()),
        None if total_len == 0 => (captured, false),
        None => return Err(Portless::Malformed),
    };
    if header.fragments_offset().value() != 0 {
        return Err(Portless::FragmentOrphan);
    }
    let dst = AddressWords::v4(header.destination());
    let (protocol, payload) = match header.protocol().0 {
        protocol::AUTHENTICATION => {
            let Upper { protocol, payload, .. } = extensions(IpVersion::V4, protocol::AUTHENTICATION, payload, cut)?;
            (protocol, payload)
        }
        protocol => (protocol, payload),
    };
    Ok(Datagram {
        version: IpVersion::V4,
        src: AddressWords::v4(header.source()),
        dst,
        to_group: packet.link_broadcast || dst.is_group(IpVersion::V4),
        protocol,
        payload,
        cut,
        is_first_fragment: header.more_fragments(),
    })
}

/// IPv6 (RFC 8200, section 3). A payload length of 0 is a jumbogram (RFC 2675) or segmentation offload: it reaches to
/// the end of the frame.
fn ipv6(packet: Payload<'_>) -> Result<Datagram<'_>, Portless> {
    let header = Ipv6HeaderSlice::from_slice(packet.bytes).map_err(|_| Portless::Truncated)?;
    let captured = &packet.bytes[header.slice().len()..];
    let payload_len = usize::from(header.payload_length());
    let (payload, cut) = match payload_len {
        0 => (captured, false),
        _ => (captured.get(..payload_len).unwrap_or(captured), payload_len > captured.len()),
    };
    let dst = AddressWords::v6(header.destination());
    let Upper { protocol, payload, fragment } = match header.next_header().0 {
        // nearly all packets, without the walk
        protocol @ (protocol::TCP | protocol::UDP) => Upper { protocol, payload, fragment: None },
        next_header => extensions(IpVersion::V6, next_header, payload, cut)?,
    };
    if fragment.is_some_and(|fragment| !fragment.is_first) {
        return Err(Portless::FragmentOrphan);
    }
    Ok(Datagram {
        version: IpVersion::V6,
        src: AddressWords::v6(header.source()),
        dst,
        to_group: packet.link_broadcast || dst.is_group(IpVersion::V6),
        protocol,
        payload,
        cut,
        is_first_fragment: fragment.is_some(),
    })
}

/// What the fragments of a packet have in common, if `packet` is one of them: an IP packet whose fragmentation
/// [`datagram`] has told of.
pub(super) fn fragment_key(packet: Payload<'_>) -> Option<FragmentKey> {
    if let Ok(header) = Ipv4HeaderSlice::from_slice(packet.bytes) {
        return Some(FragmentKey {
            version: IpVersion::V4,
            src: AddressWords::v4(header.source()),
            dst: AddressWords::v4(header.destination()),
            identification: header.identification().into(),
            protocol: header.protocol().0,
        });
    }
    let header = Ipv6HeaderSlice::from_slice(packet.bytes).ok()?;
    let payload = &packet.bytes[header.slice().len()..];
    let upper = extensions(IpVersion::V6, header.next_header().0, payload, true).ok()?;
    Some(FragmentKey {
        version: IpVersion::V6,
        src: AddressWords::v6(header.source()),
        dst: AddressWords::v6(header.destination()),
        identification: upper.fragment?.identification,
        protocol: 0,
    })
}

/// What is behind extension headers.
struct Upper<'a> {
    /// Number of the protocol that the payload starts with.
    protocol: u8,
    payload: &'a [u8],
    /// The packet is one of several fragments.
    fragment: Option<Fragment>,
}

/// What an IPv6 fragment header says (RFC 8200, section 4.5).
#[derive(Clone, Copy)]
struct Fragment {
    identification: u32,
    is_first: bool,
}

/// Walks the extension headers of IPv6 (RFC 8200, section 4), in any order and number; the authentication header
/// (RFC 4302) occurs in IPv4 too. Each takes at least eight bytes off the payload, so the walk ends. It ends at a fragment
/// after the first too: what is behind that is data.
fn extensions(version: IpVersion, mut next_header: u8, mut payload: &[u8], cut: bool) -> Result<Upper<'_>, Portless> {
    use protocol::{
        AUTHENTICATION, DESTINATION_OPTIONS, FRAGMENT, HOP_BY_HOP, HOST_IDENTITY, MOBILITY, ROUTING, SHIM6,
    };
    let ended = if cut { Portless::Truncated } else { Portless::Malformed };
    let mut fragment = None;
    loop {
        let (next, len) = match next_header {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY | HOST_IDENTITY | SHIM6
                if version == IpVersion::V6 =>
            {
                let header = Ipv6RawExtHeaderSlice::from_slice(payload).map_err(|_| ended)?;
                (header.next_header().0, header.slice().len())
            }
            FRAGMENT if version == IpVersion::V6 => {
                let header = Ipv6FragmentHeaderSlice::from_slice(payload).map_err(|_| ended)?;
                let is_first = header.fragment_offset().value() == 0;
                // one that is all of its packet is no fragment (RFC 6946)
                if !is_first || header.more_fragments() {
                    fragment = Some(Fragment { identification: header.identification(), is_first });
                }
                if !is_first {
                    return Ok(Upper { protocol: header.next_header().0, payload, fragment });
                }
                (header.next_header().0, header.slice().len())
            }
            AUTHENTICATION => {
                let header = IpAuthHeaderSlice::from_slice(payload).map_err(|error| match error {
                    err::ip_auth::HeaderSliceError::Len(_) => ended,
                    err::ip_auth::HeaderSliceError::Content(_) => Portless::Malformed,
                })?;
                (header.next_header().0, header.slice().len())
            }
            _ => return Ok(Upper { protocol: next_header, payload, fragment }),
        };
        next_header = next;
        payload = &payload[len..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(bytes: &[u8]) -> Payload<'_> {
        Payload { bytes, link_broadcast: false }
    }

    /// An IPv4 packet from 10.0.0.1 to 10.0.0.2 with `words` 32-bit words of options.
    fn v4(total_len: u16, fragment: u16, protocol: u8, words: u8, payload: &[u8]) -> Vec<u8> {
        let [len_hi, len_lo] = total_len.to_be_bytes();
        let [fragment_hi, fragment_lo] = fragment.to_be_bytes();
        let mut bytes = vec![0x45 + words, 0, len_hi, len_lo, 0, 1, fragment_hi, fragment_lo, 64, protocol, 0, 0];
        bytes.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        bytes.extend([1, 1, 1, 0].repeat(usize::from(words)));
        bytes.extend(payload);
        bytes
    }

    /// An IPv6 packet from 2001:db8::1 to 2001:db8::2.
    fn v6(payload_len: u16, next_header: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x60, 0, 0, 0];
        bytes.extend(payload_len.to_be_bytes());
        bytes.extend([next_header, 64]);
        for last in [1, 2] {
            bytes.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        }
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn headers_lead_to_the_payload() {
        let tcp = [0x04, 0xd2, 0, 80];
        let hop_by_hop = [60, 0, 1, 4, 0, 0, 0, 0];
        let options = [44, 1, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let atomic_fragment = [43, 0, 0, 0, 0, 0, 0, 9];
        let routing = [51, 0, 0, 0, 0, 0, 0, 0];
        let authentication = [6, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        let chain = [&hop_by_hop[..], &options, &atomic_fragment, &routing, &authentication, &tcp].concat();
        let chain_len = u16::try_from(chain.len()).unwrap_or(0);
        // the last fields: protocol, payload length, whether the capture cut it
        let cases = [
            ("plain", v4(24, 0, 6, 0, &tcp), Ok((6, 4, false))),
            ("options", v4(64, 0, 6, 10, &tcp), Ok((6, 4, false))),
            ("padding", v4(24, 0, 6, 0, &[tcp, [0; 4]].concat()), Ok((6, 4, false))),
            ("cut by the snap length", v4(1500, 0, 6, 0, &tcp), Ok((6, 4, true))),
            ("total length 0", v4(0, 0, 6, 0, &tcp), Ok((6, 4, false))),
            ("total length below the header", v4(19, 0, 6, 0, &tcp), Err(Portless::Malformed)),
            ("first fragment", v4(24, 0x2000, 6, 0, &tcp), Ok((6, 4, false))),
            ("later fragment", v4(24, 0x2001, 6, 0, &tcp), Err(Portless::FragmentOrphan)),
            ("last fragment", v4(24, 0x0001, 6, 0, &tcp), Err(Portless::FragmentOrphan)),
            ("AH in IPv4", v4(48, 0, 51, 0, &[&authentication[..], &tcp].concat()), Ok((6, 4, false))),
            ("header length below 5", vec![0x44; 20], Err(Portless::Malformed)),
            ("cut in the header", v4(24, 0, 6, 0, &tcp)[..19].to_vec(), Err(Portless::Truncated)),
            ("cut in the options", v4(64, 0, 6, 10, &tcp)[..59].to_vec(), Err(Portless::Truncated)),
            ("version 5", vec![0x55; 40], Err(Portless::Malformed)),
            ("nothing", vec![], Err(Portless::Truncated)),
            ("IPv6", v6(4, 6, &tcp), Ok((6, 4, false))),
            ("IPv6 with padding", v6(4, 6, &[tcp, [0; 4]].concat()), Ok((6, 4, false))),
            ("IPv6, payload length 0", v6(0, 6, &tcp), Ok((6, 4, false))),
            ("IPv6, every extension", v6(chain_len, 0, &chain), Ok((6, 4, false))),
            ("IPv6, cut in an extension", v6(chain_len, 0, &chain[..20]), Err(Portless::Truncated)),
            ("IPv6, extension past the payload", v6(8, 0, &[6, 1, 0, 0, 0, 0, 0, 0, 1, 2]), Err(Portless::Malformed)),
            ("IPv6, later fragment", v6(12, 44, &[6, 0, 0, 8, 0, 0, 0, 9, 1, 2, 3, 4]), Err(Portless::FragmentOrphan)),
            ("IPv6, AH of impossible length", v6(8, 51, &[6, 0, 0, 0, 0, 0, 0, 0]), Err(Portless::Malformed)),
            ("IPv6, cut in the header", v6(4, 6, &tcp)[..39].to_vec(), Err(Portless::Truncated)),
            ("IPv4, protocol 0 is no extension", v4(28, 0, 0, 0, &[6, 0, 0, 0, 0, 0, 0, 0]), Ok((0, 8, false))),
        ];
        for (name, bytes, want) in cases {
            let got = datagram(packet(&bytes)).map(|d| (d.protocol, d.payload.len(), d.cut));
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn groups_are_recognised() {
        let to = |dst: [u8; 4]| {
            let mut bytes = v4(24, 0, 17, 0, &[0; 4]);
            bytes[16..20].copy_from_slice(&dst);
            bytes
        };
        let mut v6_group = v6(4, 17, &[0; 4]);
        v6_group[24] = 0xff;
        let cases = [
            ("host", to([10, 0, 0, 2]), false, false),
            ("multicast", to([224, 0, 0, 251]), false, true),
            ("multicast, last", to([239, 255, 255, 255]), false, true),
            ("reserved", to([240, 0, 0, 1]), false, false),
            ("broadcast", to([255, 255, 255, 255]), false, true),
            ("subnet broadcast", to([10, 0, 0, 255]), true, true),
            ("IPv6 multicast", v6_group, false, true),
        ];
        for (name, bytes, link_broadcast, want) in cases {
            let got = datagram(Payload { bytes: &bytes, link_broadcast }).map(|d| d.to_group);
            assert_eq!(got, Ok(want), "{name}");
        }
    }
}
