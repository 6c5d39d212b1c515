//! What makes two packets part of one flow: transport and the unordered pair of endpoints.

use crate::decode::Segment;
use crate::units::{AddressWords, Endpoint, IpVersion, Transport};

/// A flow's identity, the same for both directions: its ends stand in an order of their own.
///
/// Packed into five words, so that comparing and hashing are a few instructions: two for each address, and one with
/// both ports, the transport and the IP version.
#[derive(Clone, Copy, Debug)]
pub struct FlowKey([u64; 5]);

impl PartialEq for FlowKey {
    /// Without a branch, and without the call that comparing arrays of this size becomes.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let [a, b] = [&self.0, &other.0];
        ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4])) == 0
    }
}

impl Eq for FlowKey {}

/// Which of the key's two ends, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Side {
    /// The end that sorts first.
    Low,
    /// The end that sorts last.
    High,
}

impl Side {
    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }
}

impl FlowKey {
    /// What stands in the place of a key where there is no flow: no segment has this key, whatever is in its headers.
    pub(super) const NOTHING: Self = Self([u64::MAX; 5]);

    /// The key of a segment's flow, and the side that sent the segment.
    #[must_use]
    #[inline]
    pub fn of(segment: &Segment) -> (Self, Side) {
        let ([src_0, src_1], src_port) = (segment.src_addr.0, u64::from(segment.src_port));
        let ([dst_0, dst_1], dst_port) = (segment.dst_addr.0, u64::from(segment.dst_port));
        // Directions alternate as they please, and a branch on them would be mispredicted for every other packet: so there is
        // none but where the sums of the words are equal, which two addresses rarely have in common.
        let (src, dst) = (src_0.wrapping_add(src_1), dst_0.wrapping_add(dst_1));
        let swap = if src == dst { (src_0, src_port) > (dst_0, dst_port) } else { src > dst };
        let mask = u64::from(swap).wrapping_neg();
        let exchange = |a: u64, b: u64| {
            let difference = (a ^ b) & mask;
            (a ^ difference, b ^ difference)
        };
        let (low_0, high_0) = exchange(src_0, dst_0);
        let (low_1, high_1) = exchange(src_1, dst_1);
        let (low_port, high_port) = exchange(src_port, dst_port);
        let rest = low_port << 48
            | high_port << 32
            | u64::from(segment.transport as u8) << 8
            | u64::from(segment.ip_version as u8);
        let sender = if swap { Side::High } else { Side::Low };
        (Self([low_0, low_1, high_0, high_1, rest]), sender)
    }

    /// All that the key is made of.
    #[inline(always)]
    pub(super) const fn words(&self) -> &[u64; 5] {
        &self.0
    }

    /// The transport of the flow.
    #[must_use]
    pub fn transport(&self) -> Transport {
        Transport::ALL[(self.0[4] >> 8 & 0xff) as usize % Transport::ALL.len()]
    }

    /// The transport is TCP.
    #[must_use]
    #[inline(always)]
    pub const fn is_tcp(&self) -> bool {
        self.0[4] & 0xff00 == (Transport::Tcp as u64) << 8
    }

    /// The IP version of both ends.
    #[must_use]
    pub fn ip_version(&self) -> IpVersion {
        if self.0[4] & 0xff == u64::from(IpVersion::V4 as u8) { IpVersion::V4 } else { IpVersion::V6 }
    }

    /// The port of one of the two ends.
    #[must_use]
    #[inline(always)]
    pub const fn port(&self, side: Side) -> u16 {
        // a shift, and not a branch: nobody can guess the direction of a packet
        (self.0[4] >> (48 - 16 * side as u32) & 0xffff) as u16
    }

    /// Address and port of one of the two ends.
    #[must_use]
    pub fn end(&self, side: Side) -> (AddressWords, u16) {
        let words = match side {
            Side::Low => [self.0[0], self.0[1]],
            Side::High => [self.0[2], self.0[3]],
        };
        (AddressWords(words), self.port(side))
    }

    /// One of the two ends.
    #[must_use]
    pub fn endpoint(&self, side: Side) -> Endpoint {
        let (address, port) = self.end(side);
        Endpoint { addr: address.to_ip(self.ip_version()), port }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::decode::Handshake;
    use proptest::prelude::*;

    prop_compose! {
        pub fn any_segment()(
            src in any::<[u8; 16]>(), dst in any::<[u8; 16]>(), src_port: u16, dst_port: u16, v4: bool, transport in 0..5usize,
            handshake in 0..3usize, tcp_flags: u8, to_group: bool, later_fragment: bool, tunnels: u8,
        ) -> Segment {
            let cut = |a: [u8; 16]| if v4 { AddressWords::v4([a[0], a[1], a[2], a[3]]) } else { AddressWords::v6(a) };
            Segment {
                src_addr: cut(src), dst_addr: cut(dst), src_port, dst_port,
                ip_version: if v4 { IpVersion::V4 } else { IpVersion::V6 },
                transport: Transport::ALL[transport],
                handshake: [Handshake::None, Handshake::Open, Handshake::Accept][handshake],
                tcp_flags, to_group, later_fragment, tunnels,
            }
        }
    }

    proptest! {
        #[test]
        fn both_directions_have_one_key_that_keeps_its_endpoints(segment in any_segment()) {
            let (key, sender) = FlowKey::of(&segment);
            prop_assert_eq!(key.endpoint(sender), segment.src());
            prop_assert_eq!(key.endpoint(sender.other()), segment.dst());
            prop_assert_eq!(key.transport(), segment.transport);
            let back = Segment {
                src_addr: segment.dst_addr, dst_addr: segment.src_addr,
                src_port: segment.dst_port, dst_port: segment.src_port, ..segment
            };
            prop_assert_eq!(FlowKey::of(&back).0, key);
        }
    }

    #[test]
    fn versions_and_transports_are_apart() {
        let segment = |ip_version, transport| Segment {
            src_addr: AddressWords::v4([10, 0, 0, 1]),
            dst_addr: AddressWords::v4([10, 0, 0, 2]),
            src_port: 1,
            dst_port: 2,
            ip_version,
            transport,
            handshake: Handshake::None,
            tcp_flags: 0,
            to_group: false,
            later_fragment: false,
            tunnels: 0,
        };
        let base = FlowKey::of(&segment(IpVersion::V4, Transport::Udp)).0;
        assert_ne!(base, FlowKey::of(&segment(IpVersion::V6, Transport::Udp)).0);
        assert_ne!(base, FlowKey::of(&segment(IpVersion::V4, Transport::UdpLite)).0);
    }
}
