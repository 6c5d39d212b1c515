//! The one place where a packet is counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::decode::{Observation, Segment};
use crate::flow::{Advance, Counted, FlowKey, FlowTable, Limits, Opening, Packet, PacketClock, Side, Slot, Turn};
use crate::services::{End, Registry};
use crate::snapshot::{
    Drops, FLOW_SCHEMA, FlowCounts, FlowEnd, FlowRecord, Interval, SNAPSHOT_SCHEMA, Snapshot, SourceInfo, Traffic,
};
use crate::stats::{CellKey, Stats};
use crate::units::{Timestamp, Transport};

/// What an engine is asked for.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// How many flows, and for how long.
    pub limits: Limits,
    /// A snapshot each time this much packet time has passed; `None`: only the final one. Not zero.
    pub interval: Option<Duration>,
    /// Report each flow when it ends.
    pub flow_records: bool,
}

/// What the engine has to say, in the order in which it came about.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An interval has ended, or the run.
    Snapshot(Arc<Snapshot>),
    /// A flow has ended.
    Flow(Box<FlowRecord>),
}

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// Everything was read.
    Complete,
    /// It was stopped before that: the last interval is not complete.
    Stopped,
}

/// Counts packets: labels flows, keeps statistics, and reports.
///
/// The counting law holds here: [`Engine::ingest`] adds every packet to the totals and to exactly one of a service's
/// cell and a portless reason.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    source: Arc<SourceInfo>,
    registry: Registry,
    clock: PacketClock,
    flows: FlowTable,
    stats: Stats,
    total: Traffic,
    first_ts: Option<Timestamp>,
    last_ts: Option<Timestamp>,
    sequence: u64,
    open_interval: Option<OpenInterval>,
    events: VecDeque<Event>,
}

/// The interval that packets fall into.
#[derive(Clone, Copy, Debug)]
struct OpenInterval {
    start: Timestamp,
    end: Timestamp,
    late_packets: u64,
}

impl Engine {
    /// An engine that has counted nothing yet.
    #[must_use]
    pub fn new(config: EngineConfig, source: Arc<SourceInfo>, registry: Registry) -> Self {
        Self {
            flows: FlowTable::new(config.limits),
            config,
            source,
            registry,
            clock: PacketClock::default(),
            stats: Stats::default(),
            total: Traffic::default(),
            first_ts: None,
            last_ts: None,
            sequence: 0,
            open_interval: None,
            events: VecDeque::new(),
        }
    }

    /// Counts a packet.
    pub fn ingest(&mut self, packet: &Observation) {
        self.advance(packet.ts);
        self.total += Traffic { packets: 1, wire_bytes: packet.wire_len.into() };
        match &packet.outcome {
            Ok(segment) => {
                let counted = self.count_to_flow(segment, packet);
                self.stats.count(counted, packet.wire_len, segment.later_fragment);
            }
            Err(reason) => self.stats.count_portless(*reason, packet.wire_len),
        }
    }

    /// What there is to report since the last call.
    pub fn drain_events(&mut self) -> impl Iterator<Item = Event> + '_ {
        self.events.drain(..)
    }

    /// Ends every flow, in the order of their first packets, and makes the final snapshot.
    pub fn finish(&mut self, end: RunEnd) {
        for slot in self.flows.by_first_packet() {
            self.report_end(slot, self.flows.flow(slot).end(FlowEnd::Final));
        }
        self.flows.clear();
        self.snapshot(self.last_ts, Some(end));
    }

    /// Moves packet time on: ends intervals and flows whose time is up.
    fn advance(&mut self, ts: Timestamp) {
        self.first_ts = Some(self.first_ts.map_or(ts, |first| first.min(ts)));
        self.last_ts = Some(self.last_ts.map_or(ts, |last| last.max(ts)));
        let before = self.clock.now();
        let advance = self.clock.advance(ts);
        if let Some(interval) = self.config.interval {
            self.place_in_interval(ts, advance, interval, before);
        }
        self.end_idle_flows(self.clock.age_nanos());
    }

    /// Closes the open interval if the packet is past it, and opens the packet's. Flows whose time is up within an
    /// interval end in it, though it takes a later packet to notice.
    fn place_in_interval(&mut self, ts: Timestamp, advance: Advance, step: Duration, before: Option<Timestamp>) {
        if let Some(open) = &mut self.open_interval {
            let jumped_back = advance == Advance::Set && ts < open.start;
            if ts < open.end && !jumped_back {
                open.late_packets += u64::from(ts < open.start);
                return;
            }
            if let (Advance::Normal, Some(before)) = (advance, before) {
                let passed_nanos = self.clock.now().map_or(0, |now| now.nanos_since(open.end.max(before)));
                self.end_idle_flows(self.clock.age_nanos() - passed_nanos);
            }
            self.snapshot(self.open_interval.map(|open| open.end), None);
        }
        let start = ts.floor_to(step);
        self.open_interval = Some(OpenInterval { start, end: start.saturating_add(step), late_packets: 0 });
    }

    fn end_idle_flows(&mut self, age_nanos: u64) {
        while let Some(slot) = self.flows.idle(age_nanos) {
            self.report_end(slot, self.flows.flow(slot).end(FlowEnd::Idle));
            self.flows.remove_oldest(slot);
        }
    }

    /// Counts a packet to its flow, which it may start.
    fn count_to_flow(&mut self, segment: &Segment, packet: &Observation) -> Counted {
        let (key, sender) = FlowKey::of(segment);
        let age_nanos = self.clock.age_nanos();
        let Some(slot) = self.flows.find(&key) else {
            if self.flows.is_full()
                && let Some(slot) = self.flows.least_recent()
            {
                self.report_end(slot, FlowEnd::Evicted);
                self.flows.remove_oldest(slot);
            }
            let opening = self.label(key, sender, segment, packet);
            return self.flows.open(&opening, age_nanos);
        };
        match self.flows.turn(slot, segment, packet.ts) {
            Turn::Same => {}
            Turn::Cut => {
                self.report_record(slot, FlowEnd::Active);
                self.flows.cut(slot, packet.ts);
            }
            Turn::Over(end) => {
                self.report_end(slot, end);
                let opening = self.label(key, sender, segment, packet);
                return self.flows.reopen(slot, &opening, age_nanos);
            }
        }
        self.flows.count(slot, sender, segment, Packet { ts: packet.ts, age_nanos, wire_len: packet.wire_len })
    }

    /// Labels a flow by its first packet, once and for all.
    fn label<'a>(&mut self, key: FlowKey, sender: Side, segment: &'a Segment, packet: &Observation) -> Opening<'a> {
        let label = self.registry.label(segment);
        let (server, port) = match label.server {
            End::Src => (sender, segment.src_port),
            End::Dst => (sender.other(), segment.dst_port),
        };
        let key_of_cell =
            CellKey { transport: segment.transport, service: label.service, port, evidence: label.evidence };
        let registry = &self.registry;
        let cell = self.stats.cell(key_of_cell, |service| registry.name(service).into());
        self.stats.flow_started(cell);
        Opening { key, server, sender, cell, segment, ts: packet.ts, wire_len: packet.wire_len }
    }

    fn report_end(&mut self, slot: Slot, end: FlowEnd) {
        self.report_record(slot, end);
        self.stats.flow_ended(self.flows.flow(slot), end);
    }

    fn report_record(&mut self, slot: Slot, end: FlowEnd) {
        if !self.config.flow_records {
            return;
        }
        let flow = self.flows.flow(slot);
        let (service, evidence) = self.stats.label(flow.cell);
        let (transport, server) = (flow.key().transport(), flow.server());
        let record = FlowRecord {
            schema: FLOW_SCHEMA,
            transport,
            client: flow.client(),
            server,
            service,
            port: server.port,
            evidence: evidence.name(),
            first_ts: flow.record_first_ts,
            last_ts: flow.last_ts,
            to_server: flow.to_server,
            from_server: flow.from_server,
            later_fragments: self.flows.later_fragments(slot),
            tunnels: flow.tunnels,
            tcp_flags: (transport == Transport::Tcp).then(|| flag_letters(flow.tcp_flags)),
            handshake_rtt_us: flow.handshake_rtt_us(),
            end,
        };
        self.events.push_back(Event::Flow(Box::new(record)));
    }

    /// Takes a snapshot; a final one when the run has ended.
    fn snapshot(&mut self, ts: Option<Timestamp>, run_end: Option<RunEnd>) {
        let interval = self.open_interval.take().map(|open| Interval {
            start: open.start,
            end: open.end,
            drops: Drops::default(),
            complete: run_end != Some(RunEnd::Stopped),
            late_packets: open.late_packets,
            skipped_snapshots: 0,
        });
        let services = self.stats.service_rows(interval.is_some());
        self.sequence += 1;
        self.events.push_back(Event::Snapshot(Arc::new(Snapshot {
            schema: SNAPSHOT_SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            sequence: self.sequence,
            is_final: run_end.is_some(),
            source: Arc::clone(&self.source),
            ts,
            first_ts: self.first_ts,
            last_ts: self.last_ts,
            packets: self.total.packets,
            wire_bytes: self.total.wire_bytes,
            time_jumps: self.clock.jumps(),
            drops: Drops::default(),
            flows: services.iter().fold(FlowCounts::default(), |mut sum, row| {
                sum += row.flows;
                sum
            }),
            histograms_refused: self.stats.histograms_refused(),
            interval,
            services,
            portless: self.stats.portless_rows(),
        })));
    }
}

/// TCP flags as the letters of tcpdump, in its order: SYN, ACK, PSH, FIN, RST, URG, ECE, CWR.
fn flag_letters(flags: u8) -> String {
    const LETTERS: [(u8, char); 8] =
        [(0x02, 'S'), (0x10, 'A'), (0x08, 'P'), (0x01, 'F'), (0x04, 'R'), (0x20, 'U'), (0x40, 'E'), (0x80, 'W')];
    LETTERS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, letter)| letter).collect()
}
