//! The one place where a packet is counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::decode::Handshake;
use crate::flow::{Counted, FlowTable, Header, Keyer, Limits, Opening, Packet, PacketClock, Slot, Turn};
use crate::services::{End, Labeller, Registry};
use crate::snapshot::{
    Drops, FLOW_SCHEMA, FlowCounts, FlowEnd, FlowRecord, InterfaceDrops, Interval, SNAPSHOT_SCHEMA, Settings, Snapshot,
    SourceInfo, SourceKind, Traffic,
};
use crate::source::ListenerSet;
use crate::source::live::Losses;
use crate::stats::{CellKey, Detail, Stats};
use crate::units::{Timestamp, Transport};

/// Packets whose flows are asked for together.
const LOOK_AHEAD: usize = 32;
/// Live, packet time that is behind by more than this, two seconds, was set back: nothing waits that long to be read.
const SET_BACK_NANOS: u64 = 2_000_000_000;
/// Live, at most so many intervals without packets are reported one by one when they come at once, as after a sleep of the
/// machine.
const SILENT_SNAPSHOTS: u64 = 60;

/// What an engine is asked for.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
pub struct EngineConfig {
    /// How many flows, and for how long.
    pub limits: Limits,
    /// A snapshot each time this much packet time has passed; `None`: only the final one. Not zero.
    pub interval: Option<Duration>,
    /// Double the interval each time so many snapshots have been taken: for pictures of a capture, whose length is not known
    /// before it is read. The number is that of snapshots which cover the time so far; at least 2.
    pub max_intervals: Option<u32>,
    /// Report each flow when it ends.
    pub flow_records: bool,
    /// Give the summaries of snapshots their [`Summary::shape`](crate::snapshot::Summary::shape), which takes time.
    pub shapes: bool,
    /// Give all summaries their [`Summary::hdr`](crate::snapshot::Summary::hdr), and rows all their ports.
    pub histograms: bool,
    /// What comes is labelled by the carriers of tunnels; only told on, in the snapshot's settings.
    pub outer: bool,
    /// Sockets that listen are told of, by [`Engine::set_listeners`]; only told on, too.
    pub listeners: bool,
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
    /// No input could be read: there is nothing to report.
    NothingReadable,
}

/// Counts packets: labels flows, keeps statistics, and reports.
///
/// The counting law holds here: [`Engine::ingest`] adds every packet to the totals and to exactly one of a service's
/// cell and a portless reason.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    source: Arc<SourceInfo>,
    settings: Arc<Settings>,
    labeller: Labeller,
    clock: PacketClock,
    flows: FlowTable,
    stats: Stats,
    total: Traffic,
    first_ts: Option<Timestamp>,
    last_ts: Option<Timestamp>,
    sequence: u64,
    /// How long the next interval is.
    step: Option<Duration>,
    /// How many of that length cover the time so far.
    steps: u32,
    open_interval: Option<OpenInterval>,
    losses: LossLedger,
    /// Snapshots that nobody took, since the last one that was.
    skipped_snapshots: u64,
    events: VecDeque<Event>,
}

/// The interval that packets fall into.
#[derive(Clone, Copy, Debug)]
struct OpenInterval {
    start: Timestamp,
    end: Timestamp,
    late_packets: u64,
    /// The capture began within it.
    is_partial: bool,
}

impl Engine {
    /// An engine that has counted nothing yet.
    #[must_use]
    pub fn new(config: EngineConfig, source: Arc<SourceInfo>, registry: Registry) -> Self {
        Self {
            flows: FlowTable::new(config.limits),
            settings: Arc::new(settings(&config, &registry)),
            step: config.interval,
            config,
            labeller: Labeller::new(registry),
            clock: PacketClock::default(),
            stats: Stats::default(),
            total: Traffic::default(),
            first_ts: None,
            last_ts: None,
            sequence: 0,
            steps: 0,
            open_interval: None,
            losses: LossLedger::new(&source),
            source,
            skipped_snapshots: 0,
            events: VecDeque::new(),
        }
    }

    /// What makes the packets that [`Engine::ingest`] takes; another thread may have a copy of it.
    #[must_use]
    pub fn keyer(&self) -> Keyer {
        self.flows.keyer().clone()
    }

    /// Takes note of the sockets that listen on this host now: flows that start from here on are labelled by them. Files
    /// have none.
    pub fn set_listeners(&mut self, listeners: ListenerSet) {
        self.labeller.set_listeners(listeners);
    }

    /// Counts packets, in their order. The result is the same as if each came alone; together they are faster, because
    /// for each group memory is asked for ahead of its use: first the places in the index, then the flows or what opening
    /// one takes, then the cells of their labels.
    pub fn ingest(&mut self, packets: &[Packet]) {
        let mut guesses = [None; LOOK_AHEAD];
        for packets in packets.chunks(LOOK_AHEAD) {
            for packet in packets {
                self.flows.prefetch_index(packet);
            }
            for (packet, guess) in packets.iter().zip(&mut guesses) {
                *guess = self.flows.prefetch_flow(packet);
                if let Ok(header) = packet.outcome
                    && (guess.is_none() || header.handshake == Handshake::Accept)
                {
                    self.labeller.prefetch(&packet.segment(header));
                }
            }
            for slot in guesses[..packets.len()].iter().flatten() {
                self.stats.prefetch(self.flows.flow(*slot).cell);
            }
            for (packet, guess) in packets.iter().zip(guesses) {
                self.count(packet, guess);
            }
        }
    }

    /// Counts a packet: to the totals, and to one of a service and a reason. `guess` is where its flow may be.
    fn count(&mut self, packet: &Packet, guess: Option<Slot>) {
        self.advance(packet.ts);
        self.total += Traffic { packets: 1, wire_bytes: packet.wire_len.into() };
        match packet.outcome {
            Ok(header) => {
                let counted = self.count_to_flow(packet, header, guess);
                self.stats.count(counted, packet.wire_len, header.later_fragment);
            }
            Err(reason) => self.stats.count_portless(reason, packet.wire_len),
        }
    }

    /// A live capture begins at `now`.
    pub fn begin(&mut self, now: Timestamp) {
        if let Some(step) = self.step {
            self.open_interval(now, step, true);
        }
    }

    /// Packet time is `now`, whether there are packets or not: every packet before it was ingested. Intervals and flows
    /// whose time is up end. For live captures; a file has no time but that of its packets.
    pub fn tick(&mut self, now: Timestamp) {
        let is_set_back = self.clock.now().is_some_and(|clock| clock.nanos_since(now) > SET_BACK_NANOS);
        if let Some(step) = self.step {
            self.place_in_interval(now, step, is_set_back || self.clock.is_jump(now));
        }
        if is_set_back {
            self.clock.set_back(now);
        } else {
            self.clock.advance(now);
        }
        self.end_idle_flows(self.clock.age_nanos());
    }

    /// Takes note of packets of an interface that were lost, by its place in the source's names. They belong to the open
    /// interval.
    pub fn count_losses(&mut self, interface: usize, losses: &Losses) {
        self.losses.count(interface, losses);
    }

    /// Takes note that nobody took this many snapshots; the next one says so.
    pub fn count_skipped(&mut self, snapshots: u64) {
        self.skipped_snapshots += snapshots;
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
        if end != RunEnd::NothingReadable {
            // live, time goes on without packets, and no snapshot is from before another
            let ts = match self.source.kind {
                SourceKind::File => self.last_ts,
                SourceKind::Live => self.clock.now().max(self.last_ts),
            };
            self.snapshot(ts, Some(end));
        }
    }

    /// Moves packet time on: ends intervals and flows whose time is up. Nothing of the packet itself is counted before the
    /// interval that it ends is reported.
    fn advance(&mut self, ts: Timestamp) {
        if let Some(step) = self.step {
            self.place_packet(ts, step);
        }
        self.first_ts = Some(self.first_ts.map_or(ts, |first| first.min(ts)));
        self.last_ts = Some(self.last_ts.map_or(ts, |last| last.max(ts)));
        self.clock.advance(ts);
        self.end_idle_flows(self.clock.age_nanos());
    }

    /// Closes the open interval if the packet is past it, and opens the packet's; a packet from before it is late.
    fn place_packet(&mut self, ts: Timestamp, step: Duration) {
        self.place_in_interval(ts, step, self.clock.is_jump(ts));
        if let Some(open) = &mut self.open_interval {
            open.late_packets += u64::from(ts < open.start);
        }
    }

    /// Closes the open interval if `ts` is past it or jumps out of it, and opens that of `ts`. Live, an interval without
    /// packets has a snapshot too.
    #[inline]
    fn place_in_interval(&mut self, ts: Timestamp, step: Duration, jumps: bool) {
        match &self.open_interval {
            // the last interval there is has no end that a packet could be past
            Some(open) if (ts < open.end || open.end == Timestamp::MAX) && !(jumps && ts < open.start) => {}
            _ => self.change_interval(ts, step, jumps),
        }
    }

    #[cold]
    fn change_interval(&mut self, ts: Timestamp, mut step: Duration, jumps: bool) {
        if let Some(OpenInterval { mut end, .. }) = self.open_interval {
            if !jumps {
                // flows whose time is up within the interval end in it, though it takes a later packet to notice
                self.end_idle_flows(self.clock.age_nanos() + self.clock.nanos_until(end));
            }
            self.snapshot(Some(end), None);
            if self.source.kind == SourceKind::Live && !jumps {
                let silent = ts.nanos_since(end) / u64::try_from(step.as_nanos()).unwrap_or(u64::MAX).max(1);
                for _ in 0..silent.min(SILENT_SNAPSHOTS) {
                    self.open_interval(end, step, false);
                    end = end.saturating_add(step);
                    self.end_idle_flows(self.clock.age_nanos() + self.clock.nanos_until(end));
                    self.snapshot(Some(end), None);
                }
                self.skipped_snapshots += silent.saturating_sub(SILENT_SNAPSHOTS);
            }
            step = self.lengthen(step, end);
        }
        self.open_interval(ts, step, false);
    }

    /// The length of the next interval, after one of `step` has ended at `end`.
    fn lengthen(&mut self, step: Duration, end: Timestamp) -> Duration {
        let Some(max_intervals) = self.config.max_intervals else { return step };
        self.steps = self.steps.saturating_add(1);
        let doubled = step.saturating_mul(2);
        // not in the middle of an interval that is twice as long: none begins before the one before it has ended
        if self.steps < max_intervals || end.floor_to(doubled) != end {
            return step;
        }
        self.steps /= 2;
        self.step = Some(doubled);
        doubled
    }

    fn open_interval(&mut self, ts: Timestamp, step: Duration, is_partial: bool) {
        let start = ts.floor_to(step);
        self.open_interval = Some(OpenInterval { start, end: start.saturating_add(step), late_packets: 0, is_partial });
    }

    fn end_idle_flows(&mut self, age_nanos: u64) {
        while let Some(slot) = self.flows.idle(age_nanos) {
            self.report_end(slot, self.flows.flow(slot).end(FlowEnd::Idle));
            self.flows.remove_oldest(slot);
        }
    }

    /// Counts a packet to its flow, which it may start.
    fn count_to_flow(&mut self, packet: &Packet, header: Header, guess: Option<Slot>) -> Counted {
        let age_nanos = self.clock.age_nanos();
        let Some(slot) = self.flows.find(packet, guess) else {
            if self.flows.is_full()
                && let Some(slot) = self.flows.least_recent()
            {
                self.report_end(slot, FlowEnd::Evicted);
                self.flows.remove_oldest(slot);
            }
            let opening = self.label(packet, header);
            return self.flows.open(packet, header, opening, age_nanos);
        };
        match self.flows.turn(slot, packet, header) {
            Turn::Same => {}
            Turn::Cut => {
                self.report_record(slot, FlowEnd::Active);
                return self.flows.count_in_new_record(slot, packet, header, age_nanos);
            }
            Turn::Over(end) => {
                self.report_end(slot, end);
                let opening = self.label(packet, header);
                return self.flows.reopen(slot, packet, header, opening, age_nanos);
            }
        }
        if header.handshake == Handshake::Accept && self.flows.is_awaited(slot, header) {
            self.labeller.accepted(&packet.segment(header));
        }
        self.flows.count(slot, packet, header, age_nanos)
    }

    /// Labels a flow by its first packet, once and for all.
    fn label(&mut self, packet: &Packet, header: Header) -> Opening {
        let segment = packet.segment(header);
        let label = self.labeller.label(&segment);
        let (server, port) = match label.server {
            End::Src => (header.sender, segment.src_port),
            End::Dst => (header.sender.other(), segment.dst_port),
        };
        let (transport, registry) = (segment.transport, self.labeller.registry());
        let key = CellKey { transport, service: label.service, port, evidence: label.evidence };
        let cell = self.stats.cell(key, |service| registry.name(service).into());
        self.stats.flow_started(cell);
        Opening { server, cell }
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
        let interval = self.open_interval.take().map(|open| {
            let drops = self.losses.take_interval();
            Interval {
                start: open.start,
                end: open.end,
                complete: run_end != Some(RunEnd::Stopped)
                    && !open.is_partial
                    && drops.known().is_none_or(|drops| drops == 0),
                drops,
                late_packets: open.late_packets,
                skipped_snapshots: std::mem::take(&mut self.skipped_snapshots),
            }
        });
        let detail = Detail { shapes: self.config.shapes, histograms: self.config.histograms };
        let services = self.stats.service_rows(interval.is_some(), detail);
        self.sequence += 1;
        self.events.push_back(Event::Snapshot(Arc::new(Snapshot {
            schema: SNAPSHOT_SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            sequence: self.sequence,
            is_final: run_end.is_some(),
            source: Arc::clone(&self.source),
            settings: Arc::clone(&self.settings),
            ts,
            first_ts: self.first_ts,
            last_ts: self.last_ts,
            packets: self.total.packets,
            wire_bytes: self.total.wire_bytes,
            time_jumps: self.clock.jumps(),
            drops: self.losses.total(),
            flows: services.iter().fold(FlowCounts::default(), |mut sum, row| {
                sum += row.flows;
                sum
            }),
            learned_forgotten: self.labeller.forgotten(),
            histograms_refused: self.stats.histograms_refused(),
            interval,
            services,
            portless: self.stats.portless_rows(),
        })));
    }
}

/// What a snapshot says of how it came about.
fn settings(config: &EngineConfig, registry: &Registry) -> Settings {
    let micros = |timeout: Duration| u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
    let EngineConfig { limits, histograms, outer, listeners, .. } = *config;
    Settings {
        tcp_idle_timeout_us: limits.tcp_idle.map(micros),
        other_idle_timeout_us: limits.other_idle.map(micros),
        max_flows: limits.max_flows as u64,
        outer,
        listeners,
        iana_names: registry.prefers_iana(),
        user_names_sha256: registry.user_names_sha256(),
        histograms,
    }
}

/// What was lost of each interface, in all and in the open interval.
#[derive(Debug)]
struct LossLedger {
    /// Empty for files, which do not tell.
    interfaces: Vec<String>,
    total: Vec<InterfaceDrops>,
    interval: Vec<InterfaceDrops>,
}

impl LossLedger {
    fn new(source: &SourceInfo) -> Self {
        let interfaces = match source.kind {
            SourceKind::File => Vec::new(),
            SourceKind::Live => source.names.clone(),
        };
        let none = vec![InterfaceDrops { kernel: Some(0), interface: Some(0) }; interfaces.len()];
        Self { interfaces, total: none.clone(), interval: none }
    }

    fn count(&mut self, interface: usize, losses: &Losses) {
        for drops in [&mut self.total, &mut self.interval] {
            let Some(drops) = drops.get_mut(interface) else { continue };
            drops.kernel = drops.kernel.map(|kernel| kernel + losses.kernel);
            drops.interface = drops.interface.zip(losses.interface).map(|(sum, interface)| sum + interface);
        }
    }

    fn total(&self) -> Drops {
        self.sum(&self.total)
    }

    fn take_interval(&mut self) -> Drops {
        let drops = self.sum(&self.interval);
        for drops in &mut self.interval {
            (drops.kernel, drops.interface) = (drops.kernel.map(|_| 0), drops.interface.map(|_| 0));
        }
        drops
    }

    fn sum(&self, drops: &[InterfaceDrops]) -> Drops {
        if self.interfaces.is_empty() {
            return Drops::default();
        }
        let sum = |of: fn(&InterfaceDrops) -> Option<u64>| drops.iter().filter_map(of).reduce(|sum, one| sum + one);
        let named = self.interfaces.iter().cloned().zip(drops.iter().copied()).collect();
        Drops { kernel: sum(|one| one.kernel), interface: sum(|one| one.interface), interfaces: Some(named) }
    }
}

/// TCP flags as the letters of tcpdump, in its order: SYN, ACK, PSH, FIN, RST, URG, ECE, CWR.
fn flag_letters(flags: u8) -> String {
    const LETTERS: [(u8, char); 8] =
        [(0x02, 'S'), (0x10, 'A'), (0x08, 'P'), (0x01, 'F'), (0x04, 'R'), (0x20, 'U'), (0x40, 'E'), (0x80, 'W')];
    LETTERS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, letter)| letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Observation, Portless, Segment};
    use crate::snapshot::SourceKind;
    use crate::units::{AddressWords, IpVersion};

    const SECOND: i64 = 1_000_000_000;
    const SYN: u8 = 0x02;
    const SYN_ACK: u8 = 0x12;
    const ACK: u8 = 0x10;
    const FIN_ACK: u8 = 0x11;
    const RST: u8 = 0x04;

    fn engine(limits: Limits, interval: Option<Duration>) -> Engine {
        let source = SourceInfo { kind: SourceKind::File, names: vec![], host: None, filter: None };
        Engine::new(
            EngineConfig { limits, interval, flow_records: true, shapes: true, ..EngineConfig::default() },
            source.into(),
            Registry::builtin(),
        )
    }

    /// A packet between client 10.0.0.1 and server 10.0.0.2, port 80; `client` tells flows apart.
    fn tcp(nanos: i64, client: u16, from_client: bool, flags: u8) -> Observation {
        packet(nanos, Transport::Tcp, client, from_client, flags)
    }

    fn packet(nanos: i64, transport: Transport, client: u16, from_client: bool, tcp_flags: u8) -> Observation {
        let client_port = 50_000 + client;
        let (client, server) = (AddressWords::v4([10, 0, 0, 1]), AddressWords::v4([10, 0, 0, 2]));
        let (src, dst) =
            if from_client { ((client, client_port), (server, 80)) } else { ((server, 80), (client, client_port)) };
        let handshake = match tcp_flags {
            SYN => Handshake::Open,
            SYN_ACK => Handshake::Accept,
            _ => Handshake::None,
        };
        let segment = Segment {
            src_addr: src.0,
            dst_addr: dst.0,
            src_port: src.1,
            dst_port: dst.1,
            ip_version: IpVersion::V4,
            transport,
            handshake,
            tcp_flags,
            to_group: false,
            later_fragment: false,
            tunnels: 0,
        };
        Observation { ts: Timestamp::from_nanos(nanos), wire_len: 100, outcome: Ok(segment) }
    }

    fn run(engine: &mut Engine, packets: &[Observation]) -> (Vec<FlowRecord>, Vec<Arc<Snapshot>>) {
        let keyer = engine.keyer();
        let packets: Vec<_> = packets.iter().map(|packet| keyer.packet(packet)).collect();
        engine.ingest(&packets);
        engine.finish(RunEnd::Complete);
        let (mut flows, mut snapshots) = (Vec::new(), Vec::new());
        for event in engine.drain_events() {
            match event {
                Event::Flow(record) => flows.push(*record),
                Event::Snapshot(snapshot) => snapshots.push(snapshot),
            }
        }
        (flows, snapshots)
    }

    #[test]
    fn flows_end_for_a_reason() {
        use FlowEnd::{Active, Closed, Evicted, Final, Idle, Reopened, Reset};
        let minute = 60 * SECOND;
        let close = [
            tcp(0, 1, true, SYN),
            tcp(1, 1, false, SYN_ACK),
            tcp(2000, 1, true, ACK),
            tcp(3000, 1, true, FIN_ACK),
            tcp(4000, 1, false, FIN_ACK),
        ];
        let with = |more: &[Observation]| [&close[..], more].concat();
        let udp = |nanos| packet(nanos, Transport::Udp, 1, true, 0);
        let limits = Limits { max_flows: 2, active: Some(Duration::from_secs(10)), ..Limits::default() };
        let cases = [
            ("open at the end", close[..3].to_vec(), vec![(Final, 3)]),
            ("closed", close.to_vec(), vec![(Closed, 5)]),
            ("late packets of a closed flow", with(&[tcp(SECOND, 1, true, ACK)]), vec![(Closed, 6)]),
            ("reopened", with(&[tcp(SECOND, 1, true, SYN)]), vec![(Reopened, 5), (Final, 1)]),
            ("repeated SYN", vec![close[0], tcp(SECOND, 1, true, SYN)], vec![(Final, 2)]),
            ("reset", vec![close[0], tcp(1, 1, false, RST)], vec![(Reset, 2)]),
            ("idle", vec![close[0], tcp(5 * minute + 1, 1, true, ACK)], vec![(Idle, 1), (Final, 1)]),
            ("idle, noticed by another flow", with(&[udp(5 * minute + 4001)]), vec![(Closed, 5), (Final, 1)]),
            ("UDP idles sooner", vec![udp(0), udp(2 * minute + 1)], vec![(Idle, 1), (Final, 1)]),
            ("not idle yet", vec![udp(0), udp(2 * minute)], vec![(Active, 1), (Final, 1)]),
            (
                "evicted: the least recently seen",
                vec![tcp(0, 1, true, ACK), tcp(1, 2, true, ACK), tcp(2, 1, true, ACK), tcp(3, 3, true, ACK)],
                vec![(Evicted, 1), (Final, 2), (Final, 1)],
            ),
            (
                "cut by the active timeout",
                vec![tcp(0, 1, true, ACK), tcp(9 * SECOND, 1, true, ACK), tcp(10 * SECOND, 1, true, ACK)],
                vec![(Active, 2), (Final, 1)],
            ),
        ];
        for (name, packets, want) in cases {
            let (flows, snapshots) = run(&mut engine(limits, None), &packets);
            let got: Vec<_> =
                flows.iter().map(|flow| (flow.end, flow.to_server.packets + flow.from_server.packets)).collect();
            assert_eq!(got, want, "{name}");
            let [last] = &snapshots[..] else { panic!("{name}: one snapshot") };
            let counts = last.flows;
            assert_eq!((counts.active, counts.started), (0, counts.ended), "{name}");
            assert_eq!(last.packets, packets.len() as u64, "{name}");
        }
    }

    #[test]
    fn a_silent_flow_is_over_even_after_a_jump() {
        let packets = [tcp(0, 1, true, ACK), tcp(48 * 3600 * SECOND, 1, true, ACK)];
        let (flows, snapshots) = run(&mut engine(Limits::default(), None), &packets);
        assert_eq!(flows.iter().map(|flow| flow.end).collect::<Vec<_>>(), [FlowEnd::Idle, FlowEnd::Final]);
        assert_eq!(snapshots[0].time_jumps, 1);
    }

    #[test]
    fn one_bad_timestamp_does_not_age_the_others() {
        let day = 24 * 3600 * SECOND;
        let packets = [
            tcp(0, 1, true, ACK),
            packet(400 * day, Transport::Udp, 9, true, 0),
            tcp(SECOND, 1, true, ACK),
            tcp(2 * SECOND, 1, true, ACK),
        ];
        let (flows, snapshots) = run(&mut engine(Limits::default(), None), &packets);
        assert_eq!(flows.iter().map(|flow| flow.to_server.packets).collect::<Vec<_>>(), [3, 1]);
        assert_eq!(snapshots[0].time_jumps, 2);
    }

    #[test]
    fn the_round_trip_is_the_clients() {
        let packets = [tcp(0, 1, true, SYN), tcp(30_000, 1, false, SYN_ACK), tcp(180_999, 1, true, ACK)];
        let (flows, snapshots) = run(&mut engine(Limits::default(), None), &packets);
        assert_eq!(flows[0].handshake_rtt_us, Some(180));
        let row = &snapshots[0].services[0];
        assert_eq!(row.handshake_rtt_us.as_ref().map(|rtt| (rtt.count, rtt.sum)), Some((1, 180)));
        assert_eq!(row.gap_us.as_ref().map(|gap| (gap.count, gap.sum)), Some((2, 30 + 150)));
        assert_eq!(flows[0].tcp_flags.as_deref(), Some("SA"));
    }

    #[test]
    fn intervals_are_aligned_and_add_up() {
        let step = Duration::from_secs(1);
        let packets = [
            tcp(5 * SECOND + 1, 1, true, ACK),
            tcp(6 * SECOND - 1, 1, false, ACK),
            // nothing in [6, 8): no snapshot for it
            tcp(8 * SECOND, 1, true, ACK),
            tcp(7 * SECOND, 2, true, ACK),
            tcp(9 * SECOND, 1, true, ACK),
        ];
        let (_, snapshots) = run(&mut engine(Limits::default(), Some(step)), &packets);
        let seen: Vec<_> = snapshots
            .iter()
            .map(|s| {
                let interval = s.interval.as_ref().expect("asked for");
                let row = s.services[0].interval.as_ref().expect("asked for");
                (
                    interval.start.as_nanos() / SECOND,
                    interval.end.as_nanos() / SECOND,
                    interval.late_packets,
                    s.packets,
                    row.packets,
                    row.flows_started,
                    s.is_final,
                )
            })
            .collect();
        assert_eq!(seen, [(5, 6, 0, 2, 2, 1, false), (8, 9, 1, 4, 2, 1, false), (9, 10, 0, 5, 1, 0, true)]);
        let last_ts: Vec<_> = snapshots.iter().filter_map(|s| Some(s.last_ts?.as_nanos())).collect();
        assert_eq!(last_ts, [6 * SECOND - 1, 8 * SECOND, 9 * SECOND], "of what was counted, not of what comes next");
        let whole = run(&mut engine(Limits::default(), None), &packets).1;
        let (mut with, without) = (snapshots[2].services.clone(), &whole[0].services);
        for row in with.iter_mut().map(Arc::make_mut) {
            row.interval = None;
        }
        assert_eq!(&with, without, "totals are the same with intervals and without");
    }

    #[test]
    fn intervals_get_longer_with_the_capture() {
        let config = EngineConfig {
            interval: Some(Duration::from_secs(1)),
            max_intervals: Some(4),
            flow_records: true,
            ..EngineConfig::default()
        };
        let packets: Vec<_> = (1..40).map(|second| tcp(second * SECOND, 1, true, ACK)).collect();
        let source = SourceInfo { kind: SourceKind::File, names: Vec::new(), host: None, filter: None };
        let mut engine = Engine::new(config, source.into(), Registry::builtin());
        let (_, snapshots) = run(&mut engine, &packets);
        let bounds: Vec<_> = bounds(&snapshots).into_iter().map(|(start, end, ..)| (start, end)).collect();
        let lengths: Vec<_> = bounds.iter().map(|(start, end)| end - start).collect();
        assert_eq!(lengths, [1, 1, 1, 1, 1, 2, 2, 2, 4, 4, 4, 8, 8]);
        assert!(
            bounds.windows(2).all(|pair| pair[0].1 == pair[1].0),
            "each begins where the one before ends: {bounds:?}"
        );
        let came = snapshots.iter().map(|s| s.services[0].interval.as_ref().expect("asked for").packets);
        assert_eq!(came.sum::<u64>(), 39);
    }

    #[test]
    fn a_row_that_did_not_change_is_shared_and_has_a_silent_interval() {
        let mut engine = engine(Limits::default(), Some(Duration::from_secs(1)));
        let packets = [
            packet(0, Transport::Udp, 1, true, 0),
            tcp(1, 2, true, ACK),
            tcp(SECOND, 2, false, ACK),
            tcp(2 * SECOND, 2, true, ACK),
            tcp(3 * SECOND, 2, true, ACK),
            // the flow over UDP ends: its row changes though no packet of it came
            tcp(200 * SECOND, 2, true, ACK),
        ];
        let (_, snapshots) = run(&mut engine, &packets);
        let rows: Vec<_> = snapshots
            .iter()
            .map(|s| s.services.iter().find(|row| row.transport == Transport::Udp).expect("it was seen"))
            .collect();
        let came: Vec<_> = rows.iter().map(|row| row.interval.as_ref().map(|interval| interval.packets)).collect();
        assert_eq!(came, [Some(1), Some(0), Some(0), Some(0), Some(0)]);
        let shared: Vec<_> = rows.windows(2).map(|pair| Arc::ptr_eq(pair[0], pair[1])).collect();
        assert_eq!(shared, [false, true, true, false]);
        assert_eq!(rows.iter().map(|row| row.flows.ended).collect::<Vec<_>>(), [0, 0, 0, 0, 1]);
    }

    #[test]
    fn servers_are_learned_from_what_they_answer() {
        let cases = [
            ("nothing before", vec![], "strong"),
            ("an opening alone", vec![tcp(0, 1, true, SYN)], "strong"),
            ("refused", vec![tcp(0, 1, true, SYN), tcp(1, 1, false, RST)], "strong"),
            ("an answer out of nowhere", vec![tcp(0, 1, false, SYN_ACK), tcp(1, 1, false, SYN_ACK)], "strong"),
            ("an answered opening", vec![tcp(0, 1, true, SYN), tcp(1, 1, false, SYN_ACK)], "learned"),
            ("refusals alone", vec![tcp(0, 1, false, RST), tcp(1, 2, false, RST), tcp(2, 3, false, RST)], "strong"),
            ("two flows", vec![tcp(0, 1, true, ACK), tcp(1, 2, false, ACK)], "strong"),
            ("three flows", vec![tcp(0, 1, true, ACK), tcp(1, 2, false, ACK), tcp(2, 3, true, ACK)], "learned"),
            (
                "many openings without an answer",
                vec![tcp(0, 1, true, SYN), tcp(1, 2, true, SYN), tcp(2, 3, true, SYN), tcp(3, 4, true, SYN)],
                "strong",
            ),
        ];
        for (name, before, want) in cases {
            for from_client in [true, false] {
                let packets = [&before[..], &[tcp(SECOND, 9, from_client, ACK)]].concat();
                let (flows, _) = run(&mut engine(Limits::default(), None), &packets);
                let last = flows.last().expect("a flow");
                assert_eq!((last.evidence, last.port), (want, 80), "{name}");
            }
        }
    }

    #[test]
    fn a_jump_is_counted_with_the_packet_that_jumps() {
        let day = 24 * 3600 * SECOND;
        let packets = [tcp(0, 1, true, ACK), tcp(day, 2, true, ACK), tcp(1, 1, true, ACK)];
        let (_, snapshots) = run(&mut engine(Limits::default(), Some(Duration::from_mins(1))), &packets);
        let seen: Vec<_> = snapshots.iter().map(|s| (s.packets, s.time_jumps, s.last_ts)).collect();
        let (zero, day) = (Some(Timestamp::from_nanos(0)), Some(Timestamp::from_nanos(day)));
        assert_eq!(seen, [(1, 0, zero), (2, 1, day), (3, 2, day)]);
    }

    #[test]
    fn the_end_of_time_is_one_interval() {
        let packets = [tcp(i64::MAX, 1, true, ACK), tcp(i64::MAX, 1, true, ACK), tcp(i64::MAX, 2, true, ACK)];
        let (_, snapshots) = run(&mut engine(Limits::default(), Some(Duration::from_secs(1))), &packets);
        assert_eq!(snapshots.iter().map(|s| s.packets).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn a_cut_record_begins_anew() {
        let limits = Limits { active: Some(Duration::from_secs(10)), ..Limits::default() };
        let packets = [
            tcp(0, 1, true, SYN),
            tcp(1000, 1, false, SYN_ACK),
            tcp(2000, 1, true, ACK),
            tcp(10 * SECOND, 1, true, ACK),
        ];
        let (flows, snapshots) = run(&mut engine(limits, None), &packets);
        let seen: Vec<_> = flows
            .iter()
            .map(|f| (f.end, f.first_ts.as_nanos(), f.last_ts.as_nanos(), f.tcp_flags.as_deref(), f.handshake_rtt_us))
            .collect();
        let cut = (FlowEnd::Active, 0, 2000, Some("SA"), Some(2));
        assert_eq!(seen, [cut, (FlowEnd::Final, 10 * SECOND, 10 * SECOND, Some("A"), None)]);
        assert_eq!(snapshots[0].services[0].gap_us.as_ref().map(|gap| gap.count), Some(3));
    }

    #[test]
    fn a_flow_that_idles_within_an_interval_ends_in_it() {
        let packets = [tcp(0, 1, true, ACK), tcp(290 * SECOND, 2, true, ACK), tcp(310 * SECOND, 3, true, ACK)];
        let (_, snapshots) = run(&mut engine(Limits::default(), Some(Duration::from_secs(305))), &packets);
        assert_eq!(snapshots.iter().map(|s| s.flows.ended).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn portless_packets_are_counted_too() {
        let arp = |nanos| Observation { ts: Timestamp::from_nanos(nanos), wire_len: 42, outcome: Err(Portless::Arp) };
        let (_, snapshots) = run(&mut engine(Limits::default(), None), &[arp(5), tcp(6, 1, true, SYN), arp(4)]);
        let last = &snapshots[0];
        assert_eq!((last.packets, last.wire_bytes), (3, 184));
        assert_eq!((last.first_ts, last.last_ts), (Some(Timestamp::from_nanos(4)), Some(Timestamp::from_nanos(6))));
        let rows: Vec<_> = last.portless.iter().map(|row| (row.reason, row.packets, row.wire_bytes)).collect();
        assert_eq!(rows, [("arp", 2, 84)]);
        assert_eq!(last.services[0].flows.unanswered, 1);
    }

    fn live_engine(step: Duration) -> Engine {
        let names = vec!["eth0".to_owned(), "eth1".to_owned()];
        let source = SourceInfo { kind: SourceKind::Live, names, host: Some("h".to_owned()), filter: None };
        let config = EngineConfig { interval: Some(step), flow_records: true, ..EngineConfig::default() };
        Engine::new(config, source.into(), Registry::builtin())
    }

    fn snapshots(engine: &mut Engine) -> Vec<Arc<Snapshot>> {
        let snapshots = engine.drain_events().filter_map(|event| match event {
            Event::Snapshot(snapshot) => Some(snapshot),
            Event::Flow(_) => None,
        });
        snapshots.collect()
    }

    fn bounds(snapshots: &[Arc<Snapshot>]) -> Vec<(i64, i64, bool, u64)> {
        let interval = |snapshot: &Arc<Snapshot>| {
            let interval = snapshot.interval.clone().expect("asked for");
            let (start, end) = (interval.start.as_nanos() / SECOND, interval.end.as_nanos() / SECOND);
            (start, end, interval.complete, snapshot.packets)
        };
        snapshots.iter().map(interval).collect()
    }

    #[test]
    fn live_intervals_tick_without_packets() {
        let mut engine = live_engine(Duration::from_secs(1));
        engine.begin(Timestamp::from_nanos(5 * SECOND + 1));
        engine.tick(Timestamp::from_nanos(5 * SECOND - 100));
        assert_eq!(snapshots(&mut engine), [], "what is settled is a little behind");
        engine.tick(Timestamp::from_nanos(6 * SECOND));
        assert_eq!(bounds(&snapshots(&mut engine)), [(5, 6, false, 0)], "the capture began within the first one");
        engine.tick(Timestamp::from_nanos(8 * SECOND + 1));
        assert_eq!(bounds(&snapshots(&mut engine)), [(6, 7, true, 0), (7, 8, true, 0)]);
        let packet = engine.keyer().packet(&tcp(10 * SECOND, 1, true, ACK));
        engine.ingest(&[packet]);
        assert_eq!(bounds(&snapshots(&mut engine)), [(8, 9, true, 0), (9, 10, true, 0)]);
        engine.tick(Timestamp::from_nanos(11 * SECOND + 5));
        engine.finish(RunEnd::Stopped);
        let last = snapshots(&mut engine);
        assert_eq!(bounds(&last), [(10, 11, true, 1), (11, 12, false, 1)]);
        assert_eq!(last[1].ts, Some(Timestamp::from_nanos(11 * SECOND + 5)), "though the last packet was before it");
    }

    #[test]
    fn flows_end_when_time_passes_without_packets() {
        let mut engine = live_engine(Duration::from_mins(1));
        let packet = engine.keyer().packet(&packet(0, Transport::Udp, 1, true, 0));
        engine.ingest(&[packet]);
        engine.tick(Timestamp::from_nanos(119 * SECOND));
        engine.tick(Timestamp::from_nanos(121 * SECOND));
        engine.tick(Timestamp::from_nanos(180 * SECOND));
        let ended: Vec<_> = snapshots(&mut engine).iter().map(|snapshot| snapshot.flows.ended).collect();
        assert_eq!(ended, [0, 0, 1], "two minutes after its last packet");
    }

    #[test]
    fn losses_belong_to_the_open_interval_and_add_up() {
        let mut engine = live_engine(Duration::from_secs(1));
        let lost = |kernel, interface| Losses { received: 0, kernel, interface };
        engine.begin(Timestamp::from_nanos(0));
        engine.count_losses(0, &lost(3, Some(0)));
        engine.tick(Timestamp::from_nanos(SECOND));
        engine.count_losses(0, &lost(0, Some(2)));
        engine.count_losses(1, &lost(4, None));
        engine.tick(Timestamp::from_nanos(2 * SECOND));
        engine.tick(Timestamp::from_nanos(3 * SECOND));
        engine.count_losses(1, &Losses::NONE);
        engine.count_losses(7, &lost(100, Some(100)));
        engine.finish(RunEnd::Stopped);
        let seen: Vec<_> = snapshots(&mut engine)
            .iter()
            .map(|snapshot| {
                let interval = snapshot.interval.clone().expect("asked for");
                let of = |drops: &Drops| (drops.kernel, drops.interface);
                (of(&interval.drops), of(&snapshot.drops), interval.complete)
            })
            .collect();
        let want = [
            ((Some(3), Some(0)), (Some(3), Some(0)), false),
            ((Some(4), Some(2)), (Some(7), Some(2)), false),
            ((Some(0), Some(0)), (Some(7), Some(2)), true),
            ((Some(0), Some(0)), (Some(7), Some(2)), false),
        ];
        assert_eq!(seen, want);
    }

    #[test]
    fn every_interface_has_its_losses() {
        let mut engine = live_engine(Duration::from_secs(1));
        engine.count_losses(0, &Losses { received: 9, kernel: 3, interface: Some(1) });
        engine.count_losses(1, &Losses { received: 9, kernel: 0, interface: None });
        engine.finish(RunEnd::Complete);
        let drops = &snapshots(&mut engine)[0].drops;
        let named = drops.interfaces.as_ref().expect("a live capture tells");
        let of = |name: &str| named.get(name).map(|drops| (drops.kernel, drops.interface));
        assert_eq!((of("eth0"), of("eth1")), (Some((Some(3), Some(1))), Some((Some(0), None))));
    }

    #[test]
    fn a_wall_clock_that_is_set_starts_anew() {
        for (name, to) in [("back a little", 40), ("back a day", 100 - 86_400), ("forth a day", 100 + 86_400)] {
            let mut engine = live_engine(Duration::from_secs(1));
            engine.begin(Timestamp::from_nanos(100 * SECOND));
            let keyer = engine.keyer();
            engine.ingest(&[keyer.packet(&tcp(100 * SECOND + 5, 1, true, ACK))]);
            engine.tick(Timestamp::from_nanos(to * SECOND));
            engine.ingest(&[keyer.packet(&tcp(to * SECOND + 5, 1, true, ACK))]);
            engine.tick(Timestamp::from_nanos((to + 1) * SECOND));
            let seen = snapshots(&mut engine);
            assert_eq!(bounds(&seen), [(100, 101, false, 1), (to, to + 1, true, 2)], "{name}");
            assert_eq!(seen[1].time_jumps, 1, "{name}");
        }
    }

    #[test]
    fn a_machine_that_slept_reports_no_flood_of_silence() {
        let mut engine = live_engine(Duration::from_secs(1));
        engine.begin(Timestamp::from_nanos(0));
        engine.tick(Timestamp::from_nanos(1000 * SECOND));
        let seen = snapshots(&mut engine);
        assert_eq!(seen.len() as u64, 1 + SILENT_SNAPSHOTS);
        engine.tick(Timestamp::from_nanos(1001 * SECOND));
        let next = snapshots(&mut engine);
        let skipped = next[0].interval.as_ref().map(|interval| interval.skipped_snapshots);
        assert_eq!(skipped, Some(999 - SILENT_SNAPSHOTS));
    }

    #[test]
    fn snapshots_that_nobody_took_are_told_by_the_next() {
        let mut engine = live_engine(Duration::from_secs(1));
        engine.begin(Timestamp::from_nanos(0));
        engine.count_skipped(4);
        engine.tick(Timestamp::from_nanos(2 * SECOND));
        let skipped = |snapshot: &Arc<Snapshot>| snapshot.interval.as_ref().map(|interval| interval.skipped_snapshots);
        assert_eq!(snapshots(&mut engine).iter().map(skipped).collect::<Vec<_>>(), [Some(4), Some(0)]);
    }

    #[test]
    fn nothing_read_is_still_a_report() {
        let (flows, snapshots) = run(&mut engine(Limits::default(), Some(Duration::from_secs(1))), &[]);
        assert!(flows.is_empty() && snapshots.len() == 1);
        assert_eq!((snapshots[0].ts, snapshots[0].packets, snapshots[0].is_final), (None, 0, true));
    }
}
