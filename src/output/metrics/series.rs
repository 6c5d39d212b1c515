//! What is counted for each service, within a bound, and so that nothing ever falls.
//!
//! Rows of a snapshot (a service on a transport) are as many as names occur, and a scan makes all of them occur. So a row
//! has series of its own from its first answered flow on, and as long as there is room; what the others count is added to
//! `other`, by transport. It stays there: a row that gets its own series later begins with what is new then.
//!
//! Each row's difference from the snapshot before goes to exactly one place, from which all three promises follow.

use std::collections::{BTreeMap, HashMap};
use std::ops::{AddAssign, Sub};
use std::sync::Arc;

use crate::snapshot::{FlowCounts, ServiceRow, Shape, Summary, Traffic};
use crate::units::Transport;

/// Bytes below which a packet is for each bucket of packet sizes. All are where a step of
/// [`Shape`](crate::snapshot::Shape) begins, so that buckets are exact; 1,536 is above what Ethernet carries without jumbo
/// frames, 10,240 above what it carries with them, and 65,536 above every IP packet.
pub(super) const SIZE_LIMITS_BYTES: [u64; 9] = [64, 128, 256, 512, 1_024, 1_536, 4_096, 10_240, 65_536];

/// Microseconds below which a round trip is for each bucket: each twice the one before, from 128 µs to 8.4 s.
pub(super) const RTT_LIMITS_US: [u64; 17] = powers_of_two(7, 1);

/// Microseconds below which a flow's duration is for each bucket: each four times the one before, from 1 ms to 4.8 hours.
pub(super) const DURATION_LIMITS_US: [u64; 13] = powers_of_two(10, 2);

/// 2 to the power of `first`, and of each number that is `step` more than the one before.
const fn powers_of_two<const N: usize>(first: u32, step: u32) -> [u64; N] {
    let mut powers = [1 << first; N];
    let mut at = 1;
    while at < N {
        powers[at] = powers[at - 1] << step;
        at += 1;
    }
    powers
}

/// Who a series is of. The order is that of the output.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// A service, by its name.
    Service(Arc<str>),
    /// All traffic without a name.
    Unlabelled,
    /// All services without series of their own.
    Other,
}

impl Owner {
    /// The value of the label `service`. No service has one of the two reserved words for a name.
    pub(super) fn label(&self) -> &str {
        match self {
            Self::Service(name) => name,
            Self::Unlabelled => "unlabelled",
            Self::Other => "other",
        }
    }
}

/// Counts, sum and buckets of a distribution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buckets<const N: usize> {
    /// Number of values.
    pub(super) count: u64,
    /// Their sum.
    pub(super) sum: u64,
    /// For each limit the values below it that are not below the one before.
    pub(super) within: [u64; N],
}

impl<const N: usize> Default for Buckets<N> {
    fn default() -> Self {
        Self { count: 0, sum: 0, within: [0; N] }
    }
}

impl<const N: usize> Buckets<N> {
    /// Those of a summary. One that has lost its shape, because the memory for histograms is used up, never has one again: its
    /// buckets are empty here, which takes nothing from those of the series, and what comes is above all limits.
    fn of(summary: Option<&Summary>, limits: &[u64; N]) -> Self {
        let Some(summary) = summary else { return Self::default() };
        let mut within = [0; N];
        for (smallest, count) in summary.shape.iter().flat_map(Shape::steps) {
            if let Some(bucket) = within.get_mut(limits.partition_point(|limit| *limit <= smallest)) {
                *bucket += count;
            }
        }
        Self { count: summary.count, sum: summary.sum, within }
    }
}

/// What there is more than before; nothing where there is less.
impl<const N: usize> Sub for Buckets<N> {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            count: self.count.saturating_sub(before.count),
            sum: self.sum.saturating_sub(before.sum),
            within: std::array::from_fn(|at| self.within[at].saturating_sub(before.within[at])),
        }
    }
}

impl<const N: usize> AddAssign for Buckets<N> {
    fn add_assign(&mut self, more: Self) {
        self.count += more.count;
        self.sum = self.sum.saturating_add(more.sum);
        for (bucket, more) in self.within.iter_mut().zip(more.within) {
            *bucket += more;
        }
    }
}

/// Everything that is counted for a row, or for a series.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) to_server: Traffic,
    pub(super) from_server: Traffic,
    /// Of these, `active` is no counter: a series has that of its rows now.
    pub(super) flows: FlowCounts,
    pub(super) packet_size_bytes: Buckets<{ SIZE_LIMITS_BYTES.len() }>,
    pub(super) handshake_rtt_us: Buckets<{ RTT_LIMITS_US.len() }>,
    pub(super) flow_duration_us: Buckets<{ DURATION_LIMITS_US.len() }>,
}

impl Tally {
    /// That of a row.
    fn of(row: &ServiceRow) -> Self {
        Self {
            to_server: row.to_server,
            from_server: row.from_server,
            flows: row.flows,
            packet_size_bytes: Buckets::of(row.packet_size_bytes.as_ref(), &SIZE_LIMITS_BYTES),
            handshake_rtt_us: Buckets::of(row.handshake_rtt_us.as_ref(), &RTT_LIMITS_US),
            flow_duration_us: Buckets::of(row.flow_duration_us.as_ref(), &DURATION_LIMITS_US),
        }
    }

    /// Adds what a row has more than `before`, and the flows that it has open.
    fn add_difference(&mut self, now: &Self, before: &Self) {
        let traffic = |now: Traffic, before: Traffic| Traffic {
            packets: now.packets.saturating_sub(before.packets),
            wire_bytes: now.wire_bytes.saturating_sub(before.wire_bytes),
        };
        self.to_server += traffic(now.to_server, before.to_server);
        self.from_server += traffic(now.from_server, before.from_server);
        self.flows += FlowCounts {
            started: now.flows.started.saturating_sub(before.flows.started),
            active: now.flows.active,
            ended: now.flows.ended.saturating_sub(before.flows.ended),
            evicted: now.flows.evicted.saturating_sub(before.flows.evicted),
            unanswered: now.flows.unanswered.saturating_sub(before.flows.unanswered),
        };
        self.packet_size_bytes += now.packet_size_bytes - before.packet_size_bytes;
        self.handshake_rtt_us += now.handshake_rtt_us - before.handshake_rtt_us;
        self.flow_duration_us += now.flow_duration_us - before.flow_duration_us;
    }
}

/// A row as it was in the last snapshot.
#[derive(Debug, Default)]
struct Seen {
    tally: Tally,
    /// It has series of its own.
    is_own: bool,
}

/// The series of services.
#[derive(Debug)]
pub(super) struct Series {
    max_own: usize,
    own: usize,
    seen: HashMap<(Option<Arc<str>>, Transport), Seen>,
    tallies: BTreeMap<(Owner, Transport), Tally>,
}

impl Series {
    /// At most `max_own` rows get series of their own; those of unlabelled traffic have theirs in any case.
    pub(super) fn new(max_own: usize) -> Self {
        Self { max_own, own: 0, seen: HashMap::new(), tallies: BTreeMap::new() }
    }

    /// Takes the rows of a snapshot. Where there is not room for all that might have series of their own, the first ones get
    /// them.
    pub(super) fn update<'r>(&mut self, rows: impl IntoIterator<Item = &'r ServiceRow>) {
        for tally in self.tallies.values_mut() {
            tally.flows.active = 0;
        }
        for row in rows {
            let seen = self.seen.entry((row.service.clone(), row.transport)).or_default();
            if !seen.is_own && row.service.is_some() && row.from_server.packets > 0 && self.own < self.max_own {
                seen.is_own = true;
                self.own += 1;
            }
            let owner = match &row.service {
                None => Owner::Unlabelled,
                Some(name) if seen.is_own => Owner::Service(Arc::clone(name)),
                Some(_) => Owner::Other,
            };
            let now = Tally::of(row);
            self.tallies.entry((owner, row.transport)).or_default().add_difference(&now, &seen.tally);
            seen.tally = now;
        }
    }

    /// Each series, with its transport.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Owner, Transport, &Tally)> {
        self.tallies.iter().map(|((owner, transport), tally)| (owner, *transport, tally))
    }
}
