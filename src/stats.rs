//! Statistics per service: every packet is counted the moment it is seen.
//!
//! The smallest unit of account is the `Cell`: the traffic of one service on one server port, named by one rule.
//! Totals, directions, ports and evidence of a row are sums over its cells, so they add up by construction.

mod buckets;
mod distribution;
mod hdr;
mod sum;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::quality::RandomState;

pub use distribution::{Distribution, HistogramBudget};
pub use hdr::HdrError;
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
/// A hash map would do; this takes one look, and the hundred cells that most flows are counted in stay in the cache.
#[derive(Debug, Default)]
struct CellsOfPorts {
    /// By transport, rule and port: one more than the number of the cell; 0 where there is none.
    numbers: [[Vec<u32>; Evidence::ALL.len()]; Transport::ALL.len()],
}

impl CellsOfPorts {
    #[inline(always)]
    fn find(&self, CellKey { transport, port, evidence, .. }: CellKey) -> Option<u32> {
        self.numbers[transport as usize][evidence as usize].get(usize::from(port))?.checked_sub(1)
    }

    /// Takes note of a cell.
    fn add(&mut self, CellKey { transport, port, evidence, .. }: CellKey, cell: u32) {
        let numbers = &mut self.numbers[transport as usize][evidence as usize];
        if numbers.is_empty() {
            // memory is taken where it is touched
            *numbers = vec![0; 1 << 16];
        }
        numbers[usize::from(port)] = cell + 1;
    }
}

/// One service on one transport.
#[derive(Debug)]
struct Row {
    name: Option<Arc<str>>,
    transport: Transport,
    cells: Vec<u32>,
    flows: FlowCounts,
    /// Since the start of the interval, or of the run where there are no intervals.
    current: Measures,
    /// From the start of the run to the start of the interval.
    before: Measures,
    /// As it was in the last snapshot.
    reported: Option<Arc<ServiceRow>>,
}

/// The quantities whose distribution is kept.
#[derive(Debug, Default)]
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
#[derive(Debug, Default)]
pub struct Stats {
    rows: Vec<Row>,
    row_of: HashMap<(Transport, Option<ServiceId>), u32, RandomState>,
    cells: Vec<Cell>,
    cells_of: CellsOfPorts,
    portless: [Traffic; Portless::ALL.len()],
    budget: HistogramBudget,
}

impl Stats {
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
        let traffic = Traffic::default();
        self.cells.push(Cell {
            row,
            port: key.port,
            evidence: key.evidence,
            flows: 0,
            traffic: [traffic; 2],
            later_fragments: traffic,
        });
        self.rows[row as usize].cells.push(cell);
        self.cells_of.add(key, cell);
        cell
    }

    /// Asks for a cell, ahead of [`Stats::count`].
    #[inline(always)]
    pub fn prefetch(&self, cell: u32) {
        if let Some(cell) = self.cells.get(cell as usize) {
            prefetch(cell);
        }
    }

    /// Bytes that cells take.
    #[must_use]
    #[inline(always)]
    pub fn cells_len_bytes(&self) -> usize {
        size_of_val(&self.cells[..])
    }

    /// Counts a packet of a flow. `gap_us` is how long it came after the one before, in microseconds; `None` for the first.
    #[inline(always)]
    pub fn count(&mut self, cell: u32, to_server: bool, wire_len: u32, gap_us: Option<u64>) {
        let cell = &mut self.cells[cell as usize];
        cell.traffic[usize::from(to_server)] += Traffic { packets: 1, wire_bytes: wire_len.into() };
        let measures = &mut self.rows[cell.row as usize].current;
        measures.packet_size_bytes.record(wire_len.into(), &mut self.budget);
        if let Some(gap_us) = gap_us {
            measures.gap_us.record(gap_us, &mut self.budget);
        }
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

    /// Counts the start of a flow.
    pub fn flow_started(&mut self, cell: u32) {
        let cell = &mut self.cells[cell as usize];
        cell.flows += 1;
        let flows = &mut self.rows[cell.row as usize].flows;
        flows.started += 1;
        flows.active += 1;
    }

    /// Counts the end of a flow, which took so many microseconds.
    pub fn flow_ended(&mut self, cell: u32, end: FlowEnd, answered: bool, duration_us: u64) {
        let row = &mut self.rows[self.cells[cell as usize].row as usize];
        row.flows.active -= 1;
        row.flows.ended += 1;
        row.flows.evicted += u64::from(end == FlowEnd::Evicted);
        row.flows.unanswered += u64::from(!answered);
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

    /// The rows of a snapshot, in their order. With `interval`, each has its part of the interval that was open, and a new
    /// one begins.
    #[must_use]
    pub fn service_rows(&mut self, interval: bool, detail: Detail) -> Vec<Arc<ServiceRow>> {
        let (cells, budget) = (&self.cells, &mut self.budget);
        let mut rows: Vec<_> = self.rows.iter_mut().map(|row| row.snapshot(cells, interval, detail, budget)).collect();
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
    fn traffic(&self) -> Traffic {
        let [mut traffic, to_server] = self.traffic;
        traffic += to_server;
        traffic
    }
}

impl Row {
    fn new(transport: Transport, name: Option<Arc<str>>) -> Self {
        Self {
            name,
            transport,
            cells: Vec::new(),
            flows: FlowCounts::default(),
            current: Measures::default(),
            before: Measures::default(),
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
        let Sums { to_server, from_server, later_fragments, by_rule, ports } =
            Sums::of(self.cells.iter().map(|cell| &cells[*cell as usize]));
        let mut total = to_server;
        total += from_server;
        let (ports, other_ports) = largest_ports(ports, if detail.histograms { usize::MAX } else { LISTED_PORTS });
        let evidence = Evidence::ALL.into_iter().zip(by_rule).filter(|(_, counts)| counts.flows > 0);
        let interval = interval.then(|| self.close_interval(total, detail, budget));
        let measures = if interval.is_some() { &self.before } else { &self.current };
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
            flows: self.flows,
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

    /// Nothing has come since a snapshot, in whose own interval nothing had come either. Whatever is counted comes with a
    /// packet, and each has a size, or with the end of a flow.
    fn is_as_in(&self, reported: &ServiceRow) -> bool {
        self.current.packet_size_bytes.is_empty()
            && self.flows == reported.flows
            && reported.interval.as_ref().is_some_and(RowInterval::is_silent)
    }

    /// Reports what came since the last interval was closed, and makes it part of the past.
    fn close_interval(&mut self, total: Traffic, detail: Detail, budget: &mut HistogramBudget) -> RowInterval {
        let summary = |distribution: &Distribution| distribution.summary_with(Detail { shapes: false, ..detail });
        let before = self.reported.as_ref().map(|row| (row.packets, row.wire_bytes, row.flows.started));
        let (packets_before, wire_bytes_before, flows_started_before) = before.unwrap_or_default();
        let closed = RowInterval {
            packets: total.packets - packets_before,
            wire_bytes: total.wire_bytes - wire_bytes_before,
            flows_started: self.flows.started - flows_started_before,
            packet_size_bytes: summary(&self.current.packet_size_bytes),
            gap_us: summary(&self.current.gap_us),
            flow_duration_us: summary(&self.current.flow_duration_us),
            handshake_rtt_us: summary(&self.current.handshake_rtt_us),
        };
        self.before.merge(&mut self.current, budget);
        self.current.clear(budget);
        closed
    }
}

/// What the cells of a row add up to.
struct Sums {
    to_server: Traffic,
    from_server: Traffic,
    later_fragments: Traffic,
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
        let mut sums = Self { to_server, from_server, later_fragments, by_rule, ports };
        for cell in cells {
            let [from_server, to_server] = cell.traffic;
            sums.to_server += to_server;
            sums.from_server += from_server;
            sums.later_fragments += cell.later_fragments;
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

/// The mean of so many values.
#[expect(clippy::cast_precision_loss, reason = "a mean is a real number")]
fn mean(sum: u64, count: u64) -> f64 {
    sum as f64 / count as f64
}

/// Rows and cells are few enough for 32 bits: cells are bounded by ports, transports and rules.
fn index(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
