//! Statistics per service: every packet is counted the moment it is seen.
//!
//! The smallest unit of account is the `Cell`: the traffic of one service on one server port, named by one rule.
//! Totals, directions, ports and evidence of a row are sums over its cells, so they add up by construction.

mod buckets;
mod distribution;
mod hdr;
mod posting;
mod sum;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::quality::RandomState;

pub use distribution::{Distribution, HistogramBudget};
pub use hdr::HdrError;
pub use posting::Posting;
pub use sum::{Overflow, SummaryError, SummarySum, check_summary};

use crate::decode::Portless;
use crate::memory::prefetch;
use crate::services::Evidence;
use crate::snapshot::{
    EvidenceCounts, FlowCounts, FlowEnd, OtherPorts, PortTraffic, PortlessRow, RowInterval, ServiceRow, Traffic,
};
use crate::units::{ServiceId, Transport};

/// How many server ports a row lists; the others are summed up.
const LISTED_PORTS: usize = 8;

/// What a flow is counted under, from its first packet to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellKey {
    /// Transport of the flow.
    pub transport: Transport,
    /// Its name.
    pub service: Option<ServiceId>,
    /// Port of the server.
    pub port: u16,
    /// The rule that decided.
    pub evidence: Evidence,
}

/// The traffic of one [`CellKey`].
#[derive(Debug)]
#[repr(align(64))]
struct Cell {
    row: u32,
    port: u16,
    evidence: Evidence,
    flows: u64,
    /// From the server, and to it.
    traffic: [Traffic; 2],
    later_fragments: Traffic,
}

const _: () = assert!(size_of::<Cell>() == 64, "a cell is a cache line");

/// The cells of ports, one for each transport and rule that ever decided. A port's name is the same throughout a run, so that
/// is all that a cell depends on.
///
/// A hash map would do; this takes one look, at a place that can be asked for before it is known which rule decides.
#[derive(Debug, Default)]
struct CellsOfPorts {
    /// By transport; by port and rule, [`CellsOfPorts::RULES`] places a port: one more than the number of the cell; 0 where
    /// there is none. Empty before the first cell.
    numbers: [Vec<u32>; Transport::ALL.len()],
}

impl CellsOfPorts {
    /// Rules, and as many more as make a port's places a cache line.
    const RULES: usize = 16;

    #[inline(always)]
    const fn place(port: u16, evidence: Evidence) -> usize {
        const { assert!(Evidence::ALL.len() <= CellsOfPorts::RULES) };
        port as usize * Self::RULES + evidence as usize
    }

    #[inline(always)]
    fn prefetch(&self, transport: Transport, port: u16) {
        if let Some(number) = self.numbers[transport as usize].get(usize::from(port) * Self::RULES) {
            prefetch(number);
        }
    }

    #[inline(always)]
    fn find(&self, CellKey { transport, port, evidence, .. }: CellKey) -> Option<u32> {
        self.numbers[transport as usize].get(Self::place(port, evidence))?.checked_sub(1)
    }

    /// Takes note of a cell.
    fn add(&mut self, CellKey { transport, port, evidence, .. }: CellKey, cell: u32) {
        let numbers = &mut self.numbers[transport as usize];
        if numbers.is_empty() {
            // memory is taken where it is touched
            *numbers = vec![0; Self::RULES << 16];
        }
        numbers[Self::place(port, evidence)] = cell + 1;
    }
}

/// One service on one transport. What packets touch comes first, and the rest follows.
#[derive(Debug)]
#[repr(C)]
struct Row {
    /// Since the start of the interval, or of the run where there are no intervals.
    current: Measures,
    /// Flows that ended to make room.
    evicted: u64,
    /// Flows that ended without an answer.
    unanswered: u64,
    name: Option<Arc<str>>,
    transport: Transport,
    cells: Vec<u32>,
    /// From the start of the run to the start of the interval; nothing where there are no intervals.
    before: Option<Box<Measures>>,
    /// As it was in the last snapshot.
    reported: Option<Arc<ServiceRow>>,
}

/// The quantities whose distribution is kept.
#[derive(Debug, Default)]
#[repr(C)]
struct Measures {
    packet_size_bytes: Distribution,
    gap_us: Distribution,
    flow_duration_us: Distribution,
    handshake_rtt_us: Distribution,
}

impl Measures {
    fn all(&mut self) -> [&mut Distribution; 4] {
        [&mut self.packet_size_bytes, &mut self.gap_us, &mut self.flow_duration_us, &mut self.handshake_rtt_us]
    }

    fn merge(&mut self, other: &mut Self, budget: &mut HistogramBudget) {
        for (own, other) in self.all().into_iter().zip(other.all()) {
            own.merge(other, budget);
        }
    }

    fn clear(&mut self, budget: &mut HistogramBudget) {
        for distribution in self.all() {
            distribution.clear(budget);
        }
    }
}

/// What rows have beyond what every report needs; each takes time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// Summaries of the run have their [`Summary::shape`](crate::snapshot::Summary::shape).
    pub shapes: bool,
    /// All summaries have their [`Summary::hdr`](crate::snapshot::Summary::hdr), and rows list all ports.
    pub histograms: bool,
}

/// Everything that was counted.
#[derive(Debug)]
pub struct Stats {
    /// The first is that of the first cell.
    rows: Vec<Row>,
    row_of: HashMap<(Transport, Option<ServiceId>), u32, RandomState>,
    /// The first is where [`Posting::NOT`] goes; nobody looks at it.
    cells: Vec<Cell>,
    cells_of: CellsOfPorts,
    portless: [Traffic; Portless::ALL.len()],
    budget: HistogramBudget,
}

impl Default for Stats {
    fn default() -> Self {
        let mut nobody = Row::new(Transport::Tcp, None);
        nobody.current.packet_size_bytes = Distribution::without_quantiles();
        Self {
            rows: vec![nobody],
            row_of: HashMap::default(),
            cells: vec![Cell::new(0, 0, Evidence::None)],
            cells_of: CellsOfPorts::default(),
            portless: Default::default(),
            budget: HistogramBudget::default(),
        }
    }
}

impl Stats {
    /// How many packets ahead of counting the cell of one is asked for; its row is, half as many. Memory answers some twenty
    /// requests at a time, and what goes beyond that waits or is dropped.
    pub const AHEAD: usize = 8;

    /// Where flows of this kind are counted. `name` is asked for at the first one of a row.
    pub fn cell(&mut self, key: CellKey, name: impl FnOnce(ServiceId) -> Arc<str>) -> u32 {
        if let Some(cell) = self.cells_of.find(key) {
            debug_assert_eq!(
                self.row_of.get(&(key.transport, key.service)),
                Some(&self.cells[cell as usize].row),
                "{key:?}"
            );
            return cell;
        }
        let (rows, transport) = (&mut self.rows, key.transport);
        let row = *self.row_of.entry((transport, key.service)).or_insert_with(|| {
            rows.push(Row::new(transport, key.service.map(name)));
            index(rows.len() - 1)
        });
        let cell = index(self.cells.len());
        self.cells.push(Cell::new(row, key.port, key.evidence));
        self.rows[row as usize].cells.push(cell);
        self.cells_of.add(key, cell);
        cell
    }

    /// Asks for where the number of a cell stands, ahead of [`Stats::cell`].
    #[inline(always)]
    pub fn prefetch_number(&self, transport: Transport, port: u16) {
        self.cells_of.prefetch(transport, port);
    }

    /// Bytes that cells take.
    #[must_use]
    pub fn cells_len_bytes(&self) -> usize {
        size_of_val(&self.cells[..])
    }

    /// Counts packets, in their order.
    #[inline(always)]
    pub fn count(&mut self, postings: &[Posting]) {
        let (rows, cells) = (&mut self.rows[..], &mut self.cells[..]);
        for posting in postings {
            count_one(*posting, rows, cells, &mut self.budget);
        }
    }

    /// Counts packets, and asks for the memory ahead. The last [`Stats::AHEAD`] postings are those of packets that come next, or
    /// a margin. Before each packet, `meanwhile` is done for one of `others`: something else that memory is to be asked for.
    #[inline(always)]
    pub fn count_from_afar<T>(
        &mut self,
        postings: &[Posting],
        mut others: impl Iterator<Item = T>,
        meanwhile: impl Fn(T),
    ) {
        let (rows, cells) = (&mut self.rows[..], &mut self.cells[..]);
        let (later, soon) = (postings.iter().skip(Self::AHEAD), postings.iter().skip(Self::AHEAD / 2));
        for ((posting, soon), later) in postings.iter().zip(soon).zip(later) {
            prefetch(&cells[later.cell()]);
            let row = &rows[cells[soon.cell()].row as usize];
            prefetch(&row.current.packet_size_bytes);
            prefetch(&row.current.gap_us);
            if let Some(other) = others.next() {
                meanwhile(other);
            }
            count_one(*posting, rows, cells, &mut self.budget);
        }
    }

    /// How many values may be counted in any order: there is room for as many histograms as they could ask for, or for none
    /// at all. Beyond that, who comes first gets what is left.
    #[must_use]
    pub fn values_in_any_order(&self) -> usize {
        self.budget.left_or_none()
    }

    /// Counts, beside [`Stats::count`], that the packet is a later fragment.
    pub fn count_later_fragment(&mut self, cell: u32, wire_len: u32) {
        self.cells[cell as usize].later_fragments += Traffic { packets: 1, wire_bytes: wire_len.into() };
    }

    /// Counts the round trip of a handshake, in microseconds.
    pub fn count_round_trip(&mut self, cell: u32, rtt_us: u64) {
        let row = self.cells[cell as usize].row;
        self.rows[row as usize].current.handshake_rtt_us.record(rtt_us, &mut self.budget);
    }

    /// Counts a packet that has no ports.
    pub fn count_portless(&mut self, reason: Portless, wire_len: u32) {
        self.portless[reason as usize] += Traffic { packets: 1, wire_bytes: wire_len.into() };
    }

    /// Counts the end of a flow, which took so many microseconds.
    #[inline(always)]
    pub fn flow_ended(&mut self, cell: u32, end: FlowEnd, answered: bool, duration_us: u64) {
        let row = &mut self.rows[self.cells[cell as usize].row as usize];
        row.evicted += u64::from(end == FlowEnd::Evicted);
        row.unanswered += u64::from(!answered);
        row.current.flow_duration_us.record(duration_us, &mut self.budget);
    }

    /// The name and the rule of a cell.
    #[must_use]
    pub fn label(&self, cell: u32) -> (Option<Arc<str>>, Evidence) {
        let cell = &self.cells[cell as usize];
        (self.rows[cell.row as usize].name.clone(), cell.evidence)
    }

    /// How often a distribution had to do without quantiles.
    #[must_use]
    pub fn histograms_refused(&self) -> u64 {
        self.budget.refused()
    }

    /// How many rows a snapshot has.
    #[must_use]
    pub fn rows_len(&self) -> usize {
        self.rows.len() - 1
    }

    /// The rows of a snapshot, in their order. With `interval`, each has its part of the interval that was open, and a new
    /// one begins.
    #[must_use]
    pub fn service_rows(&mut self, interval: bool, detail: Detail) -> Vec<Arc<ServiceRow>> {
        let (cells, budget) = (&self.cells, &mut self.budget);
        let mut rows: Vec<_> =
            self.rows[1..].iter_mut().map(|row| row.snapshot(cells, interval, detail, budget)).collect();
        rows.sort_by(|a, b| a.order(b));
        rows
    }

    /// The reasons that occurred, largest first.
    #[must_use]
    pub fn portless_rows(&self) -> Vec<PortlessRow> {
        let counted = Portless::ALL.into_iter().zip(self.portless).filter(|(_, traffic)| traffic.packets > 0);
        let row = |(reason, Traffic { packets, wire_bytes }): (Portless, Traffic)| PortlessRow {
            reason: reason.name(),
            packets,
            wire_bytes,
        };
        let mut rows: Vec<_> = counted.map(row).collect();
        rows.sort_by(PortlessRow::order);
        rows
    }
}

impl Cell {
    fn new(row: u32, port: u16, evidence: Evidence) -> Self {
        Self { row, port, evidence, flows: 0, traffic: Default::default(), later_fragments: Traffic::default() }
    }

    fn traffic(&self) -> Traffic {
        let [mut traffic, to_server] = self.traffic;
        traffic += to_server;
        traffic
    }
}

impl Row {
    fn new(transport: Transport, name: Option<Arc<str>>) -> Self {
        Self {
            current: Measures::default(),
            evicted: 0,
            unanswered: 0,
            name,
            transport,
            cells: Vec::new(),
            before: None,
            reported: None,
        }
    }

    /// The row as it is now; the one before, if nothing has come since.
    fn snapshot(
        &mut self,
        cells: &[Cell],
        interval: bool,
        detail: Detail,
        budget: &mut HistogramBudget,
    ) -> Arc<ServiceRow> {
        if let Some(reported) = self.reported.as_ref().filter(|reported| self.is_as_in(reported)) {
            return Arc::clone(reported);
        }
        let Sums { to_server, from_server, later_fragments, started, by_rule, ports } =
            Sums::of(self.cells.iter().map(|cell| &cells[*cell as usize]));
        let mut total = to_server;
        total += from_server;
        let (ports, other_ports) = largest_ports(ports, if detail.histograms { usize::MAX } else { LISTED_PORTS });
        let evidence = Evidence::ALL.into_iter().zip(by_rule).filter(|(_, counts)| counts.flows > 0);
        let interval = interval.then(|| self.close_interval(total, started, detail, budget));
        let measures = self.before.as_deref().filter(|_| interval.is_some()).unwrap_or(&self.current);
        let summary = |distribution: &Distribution| distribution.summary_with(detail);
        let row = Arc::new(ServiceRow {
            service: self.name.clone(),
            transport: self.transport,
            packets: total.packets,
            wire_bytes: total.wire_bytes,
            to_server,
            from_server,
            later_fragments,
            ports,
            other_ports,
            flows: self.flows(started),
            evidence: evidence.map(|(rule, counts)| (rule.name(), counts)).collect(),
            packet_size_bytes: summary(&measures.packet_size_bytes),
            gap_us: summary(&measures.gap_us),
            flow_duration_us: summary(&measures.flow_duration_us),
            handshake_rtt_us: summary(&measures.handshake_rtt_us),
            interval,
        });
        self.reported = Some(Arc::clone(&row));
        row
    }

    /// The flows of the row, of which so many have started; each that ended has a duration.
    fn flows(&self, started: u64) -> FlowCounts {
        let ended_before = self.before.as_ref().map_or(0, |before| before.flow_duration_us.count());
        let ended = ended_before + self.current.flow_duration_us.count();
        let Self { evicted, unanswered, .. } = *self;
        FlowCounts { started, active: started - ended, ended, evicted, unanswered }
    }

    /// Nothing has come since a snapshot, in whose own interval nothing had come either. Whatever is counted comes with a
    /// packet, and each has a size, or with the end of a flow, which has a duration.
    fn is_as_in(&self, reported: &ServiceRow) -> bool {
        self.current.packet_size_bytes.is_empty()
            && self.current.flow_duration_us.is_empty()
            && reported.interval.as_ref().is_some_and(RowInterval::is_silent)
    }

    /// Reports what came since the last interval was closed, and makes it part of the past.
    fn close_interval(
        &mut self,
        total: Traffic,
        started: u64,
        detail: Detail,
        budget: &mut HistogramBudget,
    ) -> RowInterval {
        let summary = |distribution: &Distribution| distribution.summary_with(Detail { shapes: false, ..detail });
        let before = self.reported.as_ref().map(|row| (row.packets, row.wire_bytes, row.flows.started));
        let (packets_before, wire_bytes_before, flows_started_before) = before.unwrap_or_default();
        let closed = RowInterval {
            packets: total.packets - packets_before,
            wire_bytes: total.wire_bytes - wire_bytes_before,
            flows_started: started - flows_started_before,
            packet_size_bytes: summary(&self.current.packet_size_bytes),
            gap_us: summary(&self.current.gap_us),
            flow_duration_us: summary(&self.current.flow_duration_us),
            handshake_rtt_us: summary(&self.current.handshake_rtt_us),
        };
        self.before.get_or_insert_default().merge(&mut self.current, budget);
        self.current.clear(budget);
        closed
    }
}

/// Counts a packet of a flow, and the flow if it is the first of it.
#[inline(always)]
fn count_one(posting: Posting, rows: &mut [Row], cells: &mut [Cell], budget: &mut HistogramBudget) {
    let cell = &mut cells[posting.cell()];
    cell.flows += u64::from(posting.is_first());
    let wire_bytes = posting.wire_len().into();
    cell.traffic[usize::from(posting.to_server())] += Traffic { packets: 1, wire_bytes };
    let measures = &mut rows[cell.row as usize].current;
    measures.packet_size_bytes.record(wire_bytes, budget);
    if !posting.is_first() {
        measures.gap_us.record(posting.gap_us(), budget);
    }
}

/// What the cells of a row add up to.
struct Sums {
    to_server: Traffic,
    from_server: Traffic,
    later_fragments: Traffic,
    /// Flows that started.
    started: u64,
    /// By the number of the rule.
    by_rule: [EvidenceCounts; Evidence::ALL.len()],
    /// One for each cell: a port may come several times.
    ports: Vec<PortTraffic>,
}

impl Sums {
    fn of<'c>(cells: impl ExactSizeIterator<Item = &'c Cell>) -> Self {
        let [to_server, from_server, later_fragments] = [Traffic::default(); 3];
        let by_rule = [EvidenceCounts::default(); Evidence::ALL.len()];
        let ports = Vec::with_capacity(cells.len());
        let mut sums = Self { to_server, from_server, later_fragments, started: 0, by_rule, ports };
        for cell in cells {
            let [from_server, to_server] = cell.traffic;
            sums.to_server += to_server;
            sums.from_server += from_server;
            sums.later_fragments += cell.later_fragments;
            sums.started += cell.flows;
            let Traffic { packets, wire_bytes } = cell.traffic();
            let counts = &mut sums.by_rule[cell.evidence as usize];
            counts.flows += cell.flows;
            counts.packets += packets;
            counts.wire_bytes += wire_bytes;
            sums.ports.push(PortTraffic { port: cell.port, packets, wire_bytes });
        }
        sums
    }
}

/// The largest ports, at most `listed`, and the sum of the others.
fn largest_ports(mut ports: Vec<PortTraffic>, listed: usize) -> (Vec<PortTraffic>, OtherPorts) {
    ports.sort_unstable_by_key(|port| port.port);
    ports.dedup_by(|next, port| {
        let is_same = next.port == port.port;
        if is_same {
            port.packets += next.packets;
            port.wire_bytes += next.wire_bytes;
        }
        is_same
    });
    let largest_first = |port: &PortTraffic| (Reverse(port.wire_bytes), port.port);
    let mut other_ports = OtherPorts::default();
    if ports.len() > listed {
        ports.select_nth_unstable_by_key(listed, largest_first);
        for other in ports.drain(listed..) {
            other_ports.ports += 1;
            other_ports.packets += other.packets;
            other_ports.wire_bytes += other.wire_bytes;
        }
        ports.shrink_to_fit();
    }
    ports.sort_unstable_by_key(largest_first);
    (ports, other_ports)
}

/// The mean of so many values, of which the smallest and the largest are known. Large numbers are rounded, which takes it
/// outside of them nowhere but where there is no number of its type between them.
#[expect(clippy::cast_precision_loss, reason = "a mean is a real number")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what was made of 64 bits fits into 128")]
fn mean(sum: u64, count: u64, min: u64, max: u64) -> f64 {
    let (low, high) = (min as f64, max as f64);
    let mean = (sum as f64 / count as f64).clamp(low, high);
    // above 2^53 these two are rounded themselves, the one down or the other up
    let low = if (low as u128) < u128::from(min) { low.next_up() } else { low };
    let high = if high as u128 > u128::from(max) { high.next_down() } else { high };
    if low <= high { mean.clamp(low, high) } else { mean }
}

/// Rows and cells are few enough for 32 bits: cells are bounded by ports, transports and rules.
fn index(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
