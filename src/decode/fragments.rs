//! Fragments: only the first of a packet has the ports, so what it was counted as is kept for those that follow.
//!
//! Nothing is put together again, and no fragment waits for another: one that comes before its first is an orphan.

use std::collections::{HashMap, VecDeque};

use foldhash::quality::RandomState;

use super::{Handshake, Portless, Segment};
use crate::units::{AddressWords, IpVersion, Timestamp};

/// First fragments that are remembered. The others of a packet are usually next to the first on the wire.
const FIRSTS_MAX: usize = 8192;

/// For how long a first fragment is remembered, in nanoseconds of packet time: as long as Linux waits for the others
/// (`ipfrag_time` in the kernel's `ip-sysctl` document). After 60 seconds the identification may be another packet's at the
/// latest (RFC 8200, section 4.5); busy senders of IPv4 use it again much sooner (RFC 6864, section 3).
const REMEMBERED_NANOS: u64 = 30_000_000_000;

/// What all fragments of a packet have in common, and no other packet at that time (RFC 791, section 3.2; RFC 8200,
/// section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FragmentKey {
    pub version: IpVersion,
    pub src: AddressWords,
    pub dst: AddressWords,
    pub identification: u32,
    /// 0 in IPv6, whose fragments may disagree about it.
    pub protocol: u8,
}

/// Fragments that were met on the way into a frame: a packet in a tunnel and its carrier may both be in pieces.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// Those that are the first of their packet, from the outermost.
    pub firsts: Vec<FragmentKey>,
    /// One after the first, behind which nothing can be read.
    pub later: Option<FragmentKey>,
}

/// What first fragments were counted as.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    firsts: HashMap<FragmentKey, First, RandomState>,
    /// In the order in which they came; at most [`FIRSTS_MAX`].
    order: VecDeque<(FragmentKey, u64)>,
    /// How many came so far.
    count: u64,
}

#[derive(Debug)]
struct First {
    ts: Timestamp,
    outcome: Result<Segment, Portless>,
    /// Which of all first fragments it is.
    number: u64,
}

impl Fragments {
    /// Remembers what a first fragment is counted as. One with the same key replaces the one before.
    pub fn insert(&mut self, key: FragmentKey, ts: Timestamp, outcome: Result<Segment, Portless>) {
        if self.order.len() == FIRSTS_MAX
            && let Some((oldest, number)) = self.order.pop_front()
            && self.firsts.get(&oldest).is_some_and(|first| first.number == number)
        {
            self.firsts.remove(&oldest);
        }
        self.count += 1;
        self.firsts.insert(key, First { ts, outcome, number: self.count });
        self.order.push_back((key, self.count));
    }

    /// What a later fragment is counted as: the flow of its first one, or the reason why that one had none. `None` when the
    /// first was not seen, or is too long ago.
    pub fn find(&self, key: &FragmentKey, ts: Timestamp) -> Option<Result<Segment, Portless>> {
        let first = self.firsts.get(key)?;
        let is_near = ts.nanos_since(first.ts).max(first.ts.nanos_since(ts)) <= REMEMBERED_NANOS;
        let later = |segment| Segment { later_fragment: true, handshake: Handshake::None, tcp_flags: 0, ..segment };
        is_near.then(|| first.outcome.map(later))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Transport;

    fn key(identification: u32) -> FragmentKey {
        let addr = |last| AddressWords::v4([10, 0, 0, last]);
        FragmentKey { version: IpVersion::V4, src: addr(1), dst: addr(2), identification, protocol: 17 }
    }

    fn segment(src_port: u16) -> Segment {
        Segment {
            src_addr: AddressWords::v4([10, 0, 0, 1]),
            dst_addr: AddressWords::v4([10, 0, 0, 2]),
            src_port,
            dst_port: 53,
            ip_version: IpVersion::V4,
            transport: Transport::Udp,
            handshake: Handshake::Open,
            tcp_flags: 2,
            to_group: false,
            later_fragment: false,
            tunnels: 0,
        }
    }

    const START: Timestamp = Timestamp::from_nanos(1_000_000_000_000);

    #[test]
    fn later_fragments_are_what_their_first_one_was() {
        let mut fragments = Fragments::default();
        fragments.insert(key(1), START, Ok(segment(50_001)));
        fragments.insert(key(2), START, Err(Portless::Icmp));
        let later = Segment { later_fragment: true, handshake: Handshake::None, tcp_flags: 0, ..segment(50_001) };
        assert_eq!(fragments.find(&key(1), START), Some(Ok(later)));
        assert_eq!(fragments.find(&key(2), START), Some(Err(Portless::Icmp)));
        assert_eq!(fragments.find(&key(3), START), None);
        for other in [
            FragmentKey { protocol: 6, ..key(1) },
            FragmentKey { version: IpVersion::V6, ..key(1) },
            FragmentKey { src: key(1).dst, dst: key(1).src, ..key(1) },
        ] {
            assert_eq!(fragments.find(&other, START), None, "{other:?}");
        }
        fragments.insert(key(1), START, Ok(segment(50_002)));
        let found = fragments.find(&key(1), START);
        assert_eq!(found.and_then(Result::ok).map(|segment| segment.src_port), Some(50_002), "the last one counts");
    }

    #[test]
    fn first_fragments_are_forgotten_by_packet_time() {
        let mut fragments = Fragments::default();
        fragments.insert(key(1), START, Ok(segment(50_001)));
        let limit = i64::try_from(REMEMBERED_NANOS).expect("seconds");
        for (nanos, want) in [(0, true), (limit, true), (limit + 1, false), (-limit, true), (-limit - 1, false)] {
            let ts = Timestamp::from_nanos(START.as_nanos() + nanos);
            assert_eq!(fragments.find(&key(1), ts).is_some(), want, "{nanos} ns later");
        }
    }

    #[test]
    fn a_flood_pushes_out_the_oldest() {
        let mut fragments = Fragments::default();
        let mut insert = |id| {
            fragments.insert(key(id), START, Ok(segment(50_001)));
            assert!(fragments.firsts.len() <= FIRSTS_MAX && fragments.order.len() <= FIRSTS_MAX);
        };
        let max = u32::try_from(FIRSTS_MAX).expect("a few thousand");
        (0..max).for_each(&mut insert);
        insert(0); // again: its old place in the order no longer counts
        (max..2 * max - 1).for_each(&mut insert);
        let known = |id| fragments.find(&key(id), START).is_some();
        assert!(known(0) && !known(1) && !known(max - 1) && known(max) && known(2 * max - 2));
    }
}
