//! What packets have told about endpoints: who has served before.
//!
//! Bounded, and exactly so: what is forgotten depends on the order of packets alone, never on hashes, so that a capture
//! gives the same labels on every run and in both IP versions.
//!
//! A general hash map would do, but for one thing: here the places of a look-up can be asked for ahead of it, for many
//! packets at once, so that their waits for memory overlap.

use std::hash::{BuildHasher as _, Hash, Hasher};
use std::mem;

use foldhash::fast::RandomState;

use super::End;
use crate::decode::{Handshake, Segment};
use crate::prefetch::prefetch;
use crate::units::{AddressWords, IpVersion, Transport};

/// How many remote ports on one local port make a server. A client takes a new port for each connection, so many ports
/// on one is the server's side of it; two may be chance.
const SERVES_PORTS: usize = 3;
/// Endpoints of a generation.
const GENERATION: usize = 32_768;
/// Places for them: half of them are vacant, so that searches are short. A generation takes 2 MB.
const PLACES: usize = 2 * GENERATION;

/// One end of a conversation, as it is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Local {
    addr: AddressWords,
    port: u16,
    transport: Transport,
    ip_version: IpVersion,
}

impl Local {
    const fn of(segment: &Segment, end: End) -> Self {
        let (addr, port) = match end {
            End::Src => (segment.src_addr, segment.src_port),
            End::Dst => (segment.dst_addr, segment.dst_port),
        };
        Self { addr, port, transport: segment.transport, ip_version: segment.ip_version }
    }
}

/// One end of a segment, ready to be looked up.
#[derive(Clone, Copy, Debug)]
pub struct Met {
    local: Local,
    hash: u64,
    /// Port of the other end.
    remote_port: u16,
}

impl Hash for Local {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let AddressWords([first, second]) = self.addr;
        state.write_u64(first);
        state.write_u64(second);
        state.write_u32(u32::from(self.port) << 16 | (self.transport as u32) << 8 | self.ip_version as u32);
    }
}

/// What an endpoint was seen to do.
#[derive(Clone, Copy, Debug, Default)]
struct Deeds {
    /// Remote ports that it exchanged packets with. One that is met again goes to the front, and a new one takes the last
    /// place: so numbers of chance push each other out, and those that recur stay.
    remote_ports: [u16; SERVES_PORTS],
    /// How many of them there are.
    remote_port_count: u8,
    has_accepted: bool,
}

/// How much an endpoint is known to be a server, least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing is known.
    #[default]
    Unknown,
    /// It exchanged packets with at least three remote ports: a server, or a program that uses one port for everything,
    /// as peer-to-peer programs do.
    ManyPorts,
    /// It accepted a connection.
    Accepted,
}

/// What is known of one end of a flow before its first packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// How much it is known to be a server.
    pub standing: Standing,
    /// It has met the other end's port before. The number of a service recurs, one that a client got does not.
    pub has_met_port: bool,
}

/// Endpoints of which something is known, in open addressing with linear probing.
#[derive(Debug, Default)]
struct Generation {
    /// [`PLACES`] of them; none before the first endpoint.
    places: Vec<Place>,
    len: usize,
}

/// An endpoint and what it did; vacant when it did nothing.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Place {
    local: Local,
    deeds: Deeds,
}

const _: () = assert!(size_of::<Place>() == 32, "a place stays within a cache line");

const VACANT: Place = Place {
    local: Local { addr: AddressWords([0; 2]), port: 0, transport: Transport::Tcp, ip_version: IpVersion::V4 },
    deeds: Deeds { remote_ports: [0; SERVES_PORTS], remote_port_count: 0, has_accepted: false },
};

impl Generation {
    /// Asks for the place where a search begins; most searches end there too.
    fn prefetch(&self, hash: u64) {
        if let Some(place) = self.places.get(home(hash)) {
            prefetch(place);
        }
    }

    /// Where an endpoint is, or the vacant place where it would be. There must be places.
    fn find(&self, local: Local, hash: u64) -> usize {
        let mut at = home(hash);
        while self.places[at].deeds.are_any() && self.places[at].local != local {
            at = (at + 1) % PLACES;
        }
        at
    }

    fn get(&self, local: Local, hash: u64) -> Option<Deeds> {
        if self.len == 0 {
            return None;
        }
        Some(self.places[self.find(local, hash)].deeds).filter(|deeds| deeds.are_any())
    }

    /// Puts an endpoint into its place, which is vacant.
    fn insert(&mut self, at: usize, place: Place) {
        self.places[at] = place;
        self.len += 1;
    }

    fn clear(&mut self) {
        self.places.clear();
        self.places.resize(PLACES, VACANT);
        self.len = 0;
    }
}

/// The place where a search for an endpoint with this hash begins.
#[expect(clippy::cast_possible_truncation, reason = "the lower bits are what is wanted")]
const fn home(hash: u64) -> usize {
    hash as usize % PLACES
}

/// Endpoints that were seen to serve, or might. At least the last 32,768 of them are known, at most twice as many.
#[derive(Debug, Default)]
pub struct Learned {
    hasher: RandomState,
    recent: Generation,
    /// What was recent before; whoever is met again becomes recent again, and what stands here of it is outdated.
    older: Generation,
    /// How many of the older became recent again.
    older_moved: usize,
    forgotten: u64,
}

impl Learned {
    /// Asks for what will be known of the ends of `segment`, ahead of the look-up.
    pub fn prefetch(&self, segment: &Segment) {
        let [src, dst] = self.ends(segment);
        let ends: &[Met] = if segment.handshake == Handshake::Accept { &[src] } else { &[src, dst] };
        for end in ends {
            self.recent.prefetch(end.hash);
            self.older.prefetch(end.hash);
        }
    }

    /// The two ends of `segment`, source first.
    #[must_use]
    pub fn ends(&self, segment: &Segment) -> [Met; 2] {
        [(End::Src, segment.dst_port), (End::Dst, segment.src_port)].map(|(end, remote_port)| {
            let local = Local::of(segment, end);
            Met { local, hash: self.hasher.hash_one(local), remote_port }
        })
    }

    /// What is known of one end.
    #[must_use]
    pub fn recall(&self, end: Met) -> Past {
        let deeds = self.recent.get(end.local, end.hash).or_else(|| self.older.get(end.local, end.hash));
        deeds.map(|deeds| deeds.past(end.remote_port)).unwrap_or_default()
    }

    /// Takes note that one end exchanges packets with the other.
    pub fn met(&mut self, end: Met) {
        self.change(end, |deeds| deeds.meet(end.remote_port));
    }

    /// Takes note that the sender of `segment` accepts the connection that the other end has opened.
    pub fn accepted(&mut self, segment: &Segment) {
        let [server, _] = self.ends(segment);
        self.change(server, |deeds| deeds.has_accepted = true);
    }

    /// How many endpoints were forgotten to make room.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Changes what is known of an endpoint, which becomes recent by that. Afterwards something is known.
    fn change(&mut self, Met { local, hash, .. }: Met, change: impl FnOnce(&mut Deeds)) {
        if self.recent.places.is_empty() {
            self.recent.clear();
        }
        let mut at = self.recent.find(local, hash);
        if !self.recent.places[at].deeds.are_any() {
            let older = self.older.get(local, hash);
            self.older_moved += usize::from(older.is_some());
            if self.recent.len == GENERATION {
                self.forget();
                at = self.recent.find(local, hash);
            }
            self.recent.insert(at, Place { local, deeds: older.unwrap_or_default() });
        }
        change(&mut self.recent.places[at].deeds);
    }

    /// Makes room: whoever has not been met since the last time is forgotten.
    fn forget(&mut self) {
        self.forgotten += (self.older.len - self.older_moved) as u64;
        self.older_moved = 0;
        mem::swap(&mut self.recent, &mut self.older);
        self.recent.clear();
    }
}

impl Deeds {
    const fn are_any(self) -> bool {
        self.remote_port_count > 0 || self.has_accepted
    }

    fn past(self, remote_port: u16) -> Past {
        let known = &self.remote_ports[..usize::from(self.remote_port_count)];
        Past { standing: self.standing(), has_met_port: known.contains(&remote_port) }
    }

    fn meet(&mut self, remote_port: u16) {
        let count = usize::from(self.remote_port_count);
        match self.remote_ports[..count].iter().position(|port| *port == remote_port) {
            Some(place) => self.remote_ports[..=place].rotate_right(1),
            None if count < SERVES_PORTS => {
                self.remote_ports[count] = remote_port;
                self.remote_port_count += 1;
            }
            None => self.remote_ports[SERVES_PORTS - 1] = remote_port,
        }
    }

    const fn standing(self) -> Standing {
        if self.has_accepted {
            Standing::Accepted
        } else if self.remote_port_count as usize == SERVES_PORTS {
            Standing::ManyPorts
        } else {
            Standing::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Handshake;
    use crate::services::tests::segment;

    /// A packet of a client with this port to the server 10.0.0.9:7777.
    fn to_server(client_port: u16) -> Segment {
        segment(Transport::Udp, client_port, 7777)
    }

    /// What is known of both ends.
    fn pasts(learned: &Learned, segment: &Segment) -> [Past; 2] {
        learned.ends(segment).map(|end| learned.recall(end))
    }

    #[test]
    fn three_remote_ports_make_a_server() {
        use Standing::{ManyPorts, Unknown};
        let cases: [(&str, &[u16], u16, Standing, bool); 7] = [
            ("nothing before", &[], 50_001, Unknown, false),
            ("two", &[50_001, 50_002], 50_003, Unknown, false),
            ("three", &[50_001, 50_002, 50_003], 50_004, ManyPorts, false),
            ("one port of many hosts", &[53, 53, 53, 53], 53, Unknown, true),
            ("one of the first three", &[50_001, 53, 50_002, 50_003, 50_004], 53, ManyPorts, true),
            ("pushed out by another", &[50_001, 50_002, 53, 50_003], 53, ManyPorts, false),
            ("what recurs stays", &[50_001, 50_002, 53, 53, 50_003, 50_004], 53, ManyPorts, true),
        ];
        for (name, before, port, standing, has_met_port) in cases {
            let mut learned = Learned::default();
            for port in before {
                let [_, server] = learned.ends(&to_server(*port));
                learned.met(server);
            }
            let want = [Past::default(), Past { standing, has_met_port }];
            assert_eq!(pasts(&learned, &to_server(port)), want, "{name}");
            let segment = to_server(port);
            let back = Segment {
                src_addr: segment.dst_addr,
                dst_addr: segment.src_addr,
                src_port: segment.dst_port,
                dst_port: segment.src_port,
                ..segment
            };
            assert_eq!(pasts(&learned, &back), [want[1], want[0]], "{name}, the reply");
        }
    }

    #[test]
    fn who_accepts_a_connection_is_known_best() {
        let mut learned = Learned::default();
        let accept = Segment { handshake: Handshake::Accept, ..segment(Transport::Tcp, 7777, 50_001) };
        learned.accepted(&accept);
        let standings = pasts(&learned, &accept).map(|past| past.standing);
        assert_eq!(standings, [Standing::Accepted, Standing::Unknown]);
    }

    #[test]
    fn transports_and_ip_versions_are_apart() {
        let mut learned = Learned::default();
        learned.accepted(&segment(Transport::Sctp, 7777, 50_001));
        for other in [
            segment(Transport::Tcp, 7777, 50_001),
            Segment { ip_version: IpVersion::V6, ..segment(Transport::Sctp, 7777, 50_001) },
        ] {
            assert_eq!(pasts(&learned, &other), [Past::default(); 2]);
        }
    }

    #[test]
    fn who_is_not_met_for_long_is_forgotten_and_counted() {
        let mut learned = Learned::default();
        let server = segment(Transport::Tcp, 7777, 50_001);
        let mut others = (0..).map(|n| Segment { src_addr: AddressWords([1 << 40 | n, n]), ..server });
        let mut meet_others = |learned: &mut Learned, count| {
            for other in others.by_ref().take(count) {
                learned.accepted(&other);
            }
        };
        let standing = |learned: &Learned| pasts(learned, &server)[0].standing;

        learned.accepted(&server);
        meet_others(&mut learned, 2 * GENERATION - 1);
        assert_eq!((standing(&learned), learned.forgotten()), (Standing::Accepted, 0), "there was room for all");
        let [met, _] = learned.ends(&server);
        learned.met(met);
        assert_eq!(learned.forgotten(), GENERATION as u64 - 1, "the first generation, the server apart");
        meet_others(&mut learned, GENERATION);
        assert_eq!(standing(&learned), Standing::Accepted, "it was met in between");
        assert_eq!(learned.forgotten(), 2 * GENERATION as u64 - 1, "the second");
        meet_others(&mut learned, GENERATION);
        assert_eq!(standing(&learned), Standing::Unknown);
        assert_eq!(learned.forgotten(), 3 * GENERATION as u64 - 1);
    }
}
