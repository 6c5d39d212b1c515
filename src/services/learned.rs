//! What packets have told about endpoints: who has served before.
//!
//! Bounded, and exactly so: what is forgotten depends on the order of packets alone, so that a capture gives the same
//! labels on every run and in both IP versions.
//!
//! A general hash map would do, but for two things: here the place of a look-up can be asked for ahead of it, for many
//! packets at once, so that their waits for memory overlap; and a place takes 16 bytes.

use std::hash::BuildHasher as _;

use foldhash::quality::RandomState;

use super::End;
use crate::decode::Segment;
use crate::memory::prefetch;
use crate::units::AddressWords;

/// How many remote ports on one local port make a server. A client takes a new port for each connection, so many ports
/// on one is the server's side of it; two may be chance.
const SERVES_PORTS: usize = 3;
/// How many endpoints may be recent.
const RECENT_MAX: usize = 32_768;
/// Places for them and as many older ones: at least half are vacant, so that searches are short. They take 2 MB.
const PLACES: u32 = 4 * 32_768;
const _: () = assert!(PLACES as usize == 4 * RECENT_MAX);

/// One end of a segment that is being looked up.
#[derive(Clone, Copy, Debug)]
pub struct Met {
    endpoint: Fingerprint,
    /// Port of the other end.
    remote_port: u16,
    /// Where a search for it may begin, as long as the numbers of clearings are equal.
    search_from: u32,
    clearings: u32,
}

/// Stands for an endpoint: 64 bits of a keyed hash of its address, port, transport and IP version. Some two of 65,536
/// endpoints share them by a chance of one in eight thousand million, and nobody who does not know the key of this run can
/// choose endpoints that do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The place where a search for the endpoint begins.
    #[expect(clippy::cast_possible_truncation, reason = "the lower bits are what is wanted")]
    const fn home(self) -> u32 {
        self.0 as u32 % PLACES
    }
}

/// What an endpoint was seen to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deeds {
    /// Nothing: the place is vacant.
    None,
    /// It exchanged packets with one remote port.
    OnePort,
    /// With two.
    TwoPorts,
    /// With three or more.
    ManyPorts,
    /// It accepted a connection. With whom it exchanges packets says no more then.
    Accepted,
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

/// An endpoint and what it did.
#[derive(Clone, Copy, Debug)]
struct Place {
    endpoint: Fingerprint,
    /// Remote ports that it exchanged packets with, as many as `deeds` says. One that is met again goes to the front, and a
    /// new one takes the last place: so numbers of chance push each other out, and those that recur stay.
    remote_ports: [u16; SERVES_PORTS],
    deeds: Deeds,
    is_recent: bool,
}

const _: () = assert!(size_of::<Place>() == 16, "a place stays within a cache line");

/// Endpoints that were seen to serve, or might. At least the last 32,768 of them are known, at most twice as many.
#[derive(Debug, Default)]
pub struct Learned {
    hasher: RandomState,
    /// [`PLACES`] of them in open addressing with linear probing; none before the first endpoint.
    places: Vec<Place>,
    /// How many are recent: met since the last time that others were forgotten.
    recent: usize,
    /// How many are known beside them.
    older: usize,
    forgotten: u64,
    /// How often others were forgotten, modulo 2^32.
    clearings: u32,
}

impl Learned {
    /// Asks for the place where a search for an endpoint begins, ahead of it; most searches end there too.
    #[inline(always)]
    pub fn prefetch(&self, endpoint: Fingerprint) {
        if let Some(place) = self.places.get(endpoint.home() as usize) {
            prefetch(place);
        }
    }

    /// What stands for one of the two ends of `segment`.
    #[must_use]
    #[inline(always)]
    pub fn fingerprint(&self, segment: &Segment, end: End) -> Fingerprint {
        let (AddressWords([first, second]), port) = match end {
            End::Src => (segment.src_addr, segment.src_port),
            End::Dst => (segment.dst_addr, segment.dst_port),
        };
        let kind = (segment.transport as u32) << 8 | segment.ip_version as u32;
        Fingerprint(self.hasher.hash_one((first, second, u32::from(port) << 16 | kind)))
    }

    /// An endpoint, for whom the other end has `remote_port`.
    #[must_use]
    pub fn end(&self, endpoint: Fingerprint, remote_port: u16) -> Met {
        Met { endpoint, remote_port, search_from: endpoint.home(), clearings: self.clearings }
    }

    /// What is known of one end; it takes note of where that is.
    #[must_use]
    pub fn recall(&self, end: &mut Met) -> Past {
        if self.places.is_empty() {
            return Past::default();
        }
        let at = self.find(*end);
        (end.search_from, end.clearings) = (at, self.clearings);
        self.places[at as usize].past(end.remote_port)
    }

    /// Takes note that one end exchanges packets with the other.
    pub fn met(&mut self, end: Met) {
        self.place(end).meet(end.remote_port);
    }

    /// Takes note that an endpoint accepts a connection that another has opened.
    pub fn accepted(&mut self, server: Fingerprint) {
        self.place(self.end(server, 0)).deeds = Deeds::Accepted;
    }

    /// How many endpoints were forgotten to make room.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Where an endpoint is, or the vacant place where it would be. There must be places.
    fn find(&self, end: Met) -> u32 {
        let from = if end.clearings == self.clearings { end.search_from } else { end.endpoint.home() };
        self.find_from(from, end.endpoint)
    }

    fn find_from(&self, mut at: u32, endpoint: Fingerprint) -> u32 {
        loop {
            let place = &self.places[at as usize];
            if place.deeds == Deeds::None || place.endpoint == endpoint {
                return at;
            }
            at = (at + 1) % PLACES;
        }
    }

    /// The place of an endpoint that does something, which makes it recent. Whoever is new there must do it.
    fn place(&mut self, end: Met) -> &mut Place {
        if self.places.is_empty() {
            self.places.resize(PLACES as usize, Place::VACANT);
        }
        let mut at = self.find(end);
        let known = self.places[at as usize];
        if !known.is_recent {
            self.older -= usize::from(known.deeds != Deeds::None);
            if self.recent == RECENT_MAX {
                self.forget();
                at = self.find(end);
            }
            self.recent += 1;
            self.places[at as usize] = Place { endpoint: end.endpoint, is_recent: true, ..known };
        }
        &mut self.places[at as usize]
    }

    /// Makes room: whoever has not been met since the last time is forgotten, and nobody is recent any more.
    fn forget(&mut self) {
        self.forgotten += self.older as u64;
        self.older = std::mem::take(&mut self.recent);
        self.clearings = self.clearings.wrapping_add(1);
        // from a vacant place on, each endpoint moves to the first place that is vacant by now: between where its search
        // begins and where it was, everybody has moved already
        let vacant = self.places.iter().position(|place| place.deeds == Deeds::None).unwrap_or_default();
        for from in (vacant..self.places.len()).chain(0..vacant) {
            let place = std::mem::replace(&mut self.places[from], Place::VACANT);
            if place.is_recent {
                let to = self.find_from(place.endpoint.home(), place.endpoint);
                self.places[to as usize] = Place { is_recent: false, ..place };
            }
        }
    }
}

impl Place {
    const VACANT: Self =
        Self { endpoint: Fingerprint(0), remote_ports: [0; SERVES_PORTS], deeds: Deeds::None, is_recent: false };

    fn remote_ports(&self) -> &[u16] {
        let count = match self.deeds {
            Deeds::None | Deeds::Accepted => 0,
            Deeds::OnePort => 1,
            Deeds::TwoPorts => 2,
            Deeds::ManyPorts => SERVES_PORTS,
        };
        &self.remote_ports[..count]
    }

    fn past(&self, remote_port: u16) -> Past {
        let standing = match self.deeds {
            Deeds::None | Deeds::OnePort | Deeds::TwoPorts => Standing::Unknown,
            Deeds::ManyPorts => Standing::ManyPorts,
            Deeds::Accepted => Standing::Accepted,
        };
        Past { standing, has_met_port: self.remote_ports().contains(&remote_port) }
    }

    fn meet(&mut self, remote_port: u16) {
        if let Some(at) = self.remote_ports().iter().position(|port| *port == remote_port) {
            self.remote_ports[..=at].rotate_right(1);
            return;
        }
        let (at, deeds) = match self.deeds {
            Deeds::None => (0, Deeds::OnePort),
            Deeds::OnePort => (1, Deeds::TwoPorts),
            Deeds::TwoPorts | Deeds::ManyPorts => (SERVES_PORTS - 1, Deeds::ManyPorts),
            Deeds::Accepted => return,
        };
        self.remote_ports[at] = remote_port;
        self.deeds = deeds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Handshake;
    use crate::services::tests::segment;
    use crate::units::{IpVersion, Transport};

    /// A packet of a client with this port to the server 10.0.0.9:7777.
    fn to_server(client_port: u16) -> Segment {
        segment(Transport::Udp, client_port, 7777)
    }

    /// Both ends, source first.
    fn ends(learned: &Learned, segment: &Segment) -> [Met; 2] {
        [(End::Src, segment.dst_port), (End::Dst, segment.src_port)]
            .map(|(end, remote_port)| learned.end(learned.fingerprint(segment, end), remote_port))
    }

    /// Takes note that the source of `segment` accepts a connection.
    fn accepted(learned: &mut Learned, segment: &Segment) {
        learned.accepted(learned.fingerprint(segment, End::Src));
    }

    /// What is known of both ends.
    fn pasts(learned: &Learned, segment: &Segment) -> [Past; 2] {
        ends(learned, segment).map(|mut end| learned.recall(&mut end))
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
                let [_, server] = ends(&learned, &to_server(*port));
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
        accepted(&mut learned, &accept);
        let standings = pasts(&learned, &accept).map(|past| past.standing);
        assert_eq!(standings, [Standing::Accepted, Standing::Unknown]);
    }

    #[test]
    fn transports_and_ip_versions_are_apart() {
        let mut learned = Learned::default();
        accepted(&mut learned, &segment(Transport::Sctp, 7777, 50_001));
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
                accepted(learned, &other);
            }
        };
        let standing = |learned: &Learned| pasts(learned, &server)[0].standing;

        accepted(&mut learned, &server);
        meet_others(&mut learned, 2 * RECENT_MAX - 1);
        assert_eq!((standing(&learned), learned.forgotten()), (Standing::Accepted, 0), "there was room for all");
        let [met, _] = ends(&learned, &server);
        learned.met(met);
        assert_eq!(learned.forgotten(), RECENT_MAX as u64 - 1, "the first ones, the server apart");
        meet_others(&mut learned, RECENT_MAX);
        assert_eq!(standing(&learned), Standing::Accepted, "it was met in between");
        assert_eq!(learned.forgotten(), 2 * RECENT_MAX as u64 - 1, "the second");
        meet_others(&mut learned, RECENT_MAX);
        assert_eq!(standing(&learned), Standing::Unknown);
        assert_eq!(learned.forgotten(), 3 * RECENT_MAX as u64 - 1);
    }
}
