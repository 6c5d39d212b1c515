//! The second half of counting: flows get their names, and every packet is counted under the name of its flow.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::losses::LossLedger;
use super::trail::{GROUP, Happened, Moment, Record, Span, Step, Trail, in_groups};
use super::{EngineConfig, Event, RunEnd};
use crate::decode::Portless;
use crate::flow::{Header, Packet, Side, Slot};
use crate::memory::{prefetch, room_for};
use crate::services::{End, Ends, Labeller, Registry};
use crate::snapshot::{
    FLOW_SCHEMA, FlowCounts, FlowEnd, FlowRecord, Interval, SNAPSHOT_SCHEMA, Settings, Snapshot, SourceInfo, TcpFlags,
    Traffic,
};
use crate::source::ListenerSet;
use crate::source::live::Losses;
use crate::stats::{CellKey, Detail, Stats};
use crate::units::Transport;

/// Accounts and cells of so many bytes stay in a cache near the processor by themselves.
const NEAR_BYTES: usize = 256 << 10;

/// Names flows, and counts.
#[derive(Debug)]
pub struct Ledger {
    detail: Detail,
    source: Arc<SourceInfo>,
    settings: Arc<Settings>,
    labeller: Labeller,
    stats: Stats,
    /// By the slot of their flow.
    accounts: Vec<Account>,
    openings: Openings,
    total: Traffic,
    sequence: u64,
    losses: LossLedger,
    /// Snapshots that nobody took, since the last one that was.
    skipped_snapshots: u64,
    events: VecDeque<Event>,
}

/// What a flow is counted under: the number of a cell, and in the upper bits which end serves and how the flow began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Account(u32);

impl Account {
    const SERVER_IS_HIGH: u32 = 1 << 31;
    const BEGUN_BY_CLIENT: u32 = 1 << 30;
    const IS_OPENED: u32 = 1 << 29;

    /// The flow whose label says that `server` serves. Its first packet was of `sender`, and `opens` a connection.
    fn new(cell: u32, server: Side, sender: Side, opens: bool) -> Self {
        let by_client = sender != server;
        let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
        debug_assert!(cell < Self::IS_OPENED);
        Self(
            cell | flag(server == Side::High, Self::SERVER_IS_HIGH)
                | flag(by_client, Self::BEGUN_BY_CLIENT)
                | flag(by_client && opens, Self::IS_OPENED),
        )
    }

    /// Where its packets are counted.
    #[inline(always)]
    const fn cell(self) -> u32 {
        self.0 & (Self::IS_OPENED - 1)
    }

    /// The end that serves.
    #[inline(always)]
    const fn server(self) -> Side {
        if self.0 & Self::SERVER_IS_HIGH == 0 { Side::Low } else { Side::High }
    }

    /// The first packet was the client's.
    const fn is_begun_by_client(self) -> bool {
        self.0 & Self::BEGUN_BY_CLIENT != 0
    }

    /// The first packet was the client's, and opened a connection.
    const fn is_opened(self) -> bool {
        self.0 & Self::IS_OPENED != 0
    }
}

/// The ends of packets that start flows or accept connections, and are about to be counted, in their order.
///
/// They stay where they are put until they are taken: what is moved as soon as it is written has to be waited for.
#[derive(Debug)]
struct Openings {
    /// More than there are in the groups that are ahead.
    ring: [Ends; 4 * GROUP],
    put: usize,
    taken: usize,
}

impl Default for Openings {
    fn default() -> Self {
        Self { ring: [Ends::default(); 4 * GROUP], put: 0, taken: 0 }
    }
}

impl Openings {
    #[inline(always)]
    fn put(&mut self, ends: Ends) {
        self.ring[self.put % (4 * GROUP)] = ends;
        self.put += 1;
        debug_assert!(self.put - self.taken <= 3 * GROUP);
    }

    #[inline(always)]
    fn take(&mut self) -> Ends {
        self.taken += 1;
        self.ring[(self.taken - 1) % (4 * GROUP)]
    }
}

impl Ledger {
    pub(super) fn new(config: &EngineConfig, source: Arc<SourceInfo>, registry: Registry) -> Self {
        Self {
            settings: Arc::new(settings(config, &registry)),
            detail: Detail { shapes: config.shapes, histograms: config.histograms },
            labeller: Labeller::new(registry),
            stats: Stats::default(),
            accounts: room_for(config.limits.max_flows.saturating_add(1)),
            openings: Openings::default(),
            total: Traffic::default(),
            sequence: 0,
            losses: LossLedger::new(&source),
            source,
            skipped_snapshots: 0,
            events: VecDeque::new(),
        }
    }

    /// Counts packets: to the totals, and to one of a service and a reason. `trail` is what became of them, and is used up.
    pub fn count(&mut self, packets: &[Packet], trail: &mut Trail) {
        let Trail { steps, openings, marks, records, moments } = trail;
        let (mut marks, mut openings, mut in_total) = (&marks[..], &openings[..], 0);
        for [ahead, next, mut now] in in_groups(steps.len()) {
            while let Some((opening, later)) = openings.split_first().filter(|(at, _)| (**at as usize) < ahead.end) {
                self.openings.put(self.labeller.prepare(&packets[*opening as usize].segment()));
                openings = later;
            }
            self.prefetch(&steps[ahead], &steps[next]);
            while let Some((mark, later)) = marks.split_first().filter(|(mark, _)| mark.before < now.end) {
                self.count_steps(&steps[now.start..mark.before], &packets[now.start..mark.before]);
                now.start = mark.before;
                if let Happened::Snapshot = mark.what {
                    self.add_to_total(&steps[std::mem::replace(&mut in_total, mark.before)..mark.before]);
                }
                self.take_note(mark.what, records, moments);
                marks = later;
            }
            self.count_steps(&steps[now.clone()], &packets[now]);
        }
        self.add_to_total(&steps[in_total..]);
        for mark in marks {
            self.take_note(mark.what, records, moments);
        }
        trail.clear();
    }

    fn add_to_total(&mut self, steps: &[Step]) {
        let wire_bytes = steps.iter().map(|step| u64::from(step.wire_len)).sum();
        self.total += Traffic { packets: steps.len() as u64, wire_bytes };
    }

    /// Asks for the accounts of flows two groups ahead, and for the cells of those one group ahead; unless there are so few
    /// that they are near.
    #[inline(always)]
    fn prefetch(&self, ahead: &[Step], next: &[Step]) {
        if size_of_val(&self.accounts[..]) + self.stats.cells_len_bytes() < NEAR_BYTES {
            return;
        }
        for account in ahead.iter().filter_map(|step| self.accounts.get(step.place())) {
            prefetch(account);
        }
        for account in next.iter().filter_map(|step| self.accounts.get(step.place())) {
            self.stats.prefetch(account.cell());
        }
    }

    #[inline(always)]
    fn count_steps(&mut self, steps: &[Step], packets: &[Packet]) {
        for (step, packet) in steps.iter().zip(packets) {
            let (account, gap_us) = if step.header.is_notable() {
                let Some(account) = self.note(step, packet) else { continue };
                (account, (!step.header.starts_flow()).then_some(step.gap_us))
            } else {
                (self.accounts[step.place()], Some(step.gap_us))
            };
            let to_server = step.header.sender() != account.server();
            self.stats.count(account.cell(), to_server, step.wire_len, gap_us);
        }
    }

    /// Does what there is to do about a packet beside counting it; nothing is left to do about one without ports.
    #[inline(never)]
    fn note(&mut self, step: &Step, packet: &Packet) -> Option<Account> {
        let header = step.header;
        let Some(slot) = step.slot else {
            // a packet without a flow has a reason
            let reason = header.reason().unwrap_or(Portless::Malformed);
            self.stats.count_portless(reason, step.wire_len);
            return None;
        };
        let account = if header.starts_flow() {
            self.open_account(slot, packet, header)
        } else {
            let account = self.accounts[slot.index()];
            if header.accepts() {
                let ends = self.openings.take();
                if header.sender() == account.server() && account.is_opened() {
                    self.labeller.accepted(ends);
                }
            }
            account
        };
        if header.is_later_fragment() {
            self.stats.count_later_fragment(account.cell(), step.wire_len);
        }
        Some(account)
    }

    /// Labels a flow by its first packet, once and for all.
    fn open_account(&mut self, slot: Slot, packet: &Packet, header: Header) -> Account {
        let segment = packet.segment();
        let label = self.labeller.label(&segment, self.openings.take());
        let (server, port) = match label.server {
            End::Src => (header.sender(), segment.src_port),
            End::Dst => (header.sender().other(), segment.dst_port),
        };
        let (transport, registry) = (segment.transport, self.labeller.registry());
        let key = CellKey { transport, service: label.service, port, evidence: label.evidence };
        let cell = self.stats.cell(key, |service| registry.name(service).into());
        self.stats.flow_started(cell);
        let account = Account::new(cell, server, header.sender(), header.opens());
        if self.accounts.len() <= slot.index() {
            self.accounts.resize(slot.index() + 1, Account::default());
        }
        self.accounts[slot.index()] = account;
        account
    }

    fn take_note(&mut self, happened: Happened, records: &mut VecDeque<Record>, moments: &mut VecDeque<Moment>) {
        match happened {
            Happened::Ended { slot, end, is_two_way, duration_us } => {
                let account = self.accounts[slot.index()];
                let answered = is_two_way || !account.is_begun_by_client();
                self.stats.flow_ended(account.cell(), end, answered, duration_us);
                self.report(account, end, records);
            }
            Happened::Cut { slot } => self.report(self.accounts[slot.index()], FlowEnd::Active, records),
            Happened::RoundTrip { slot, rtt_us } => {
                let account = self.accounts[slot.index()];
                // the label may say that a server opened the connection, as in active FTP
                if account.is_begun_by_client() {
                    self.stats.count_round_trip(account.cell(), rtt_us);
                }
            }
            Happened::Snapshot => {
                if let Some(moment) = moments.pop_front() {
                    self.snapshot(moment);
                }
            }
        }
    }

    /// Reports a flow, if it is among the records.
    fn report(&mut self, account: Account, end: FlowEnd, records: &mut VecDeque<Record>) {
        let Some(Record { flow, times, draft, later_fragments }) = records.pop_front() else { return };
        let (service, evidence) = self.stats.label(account.cell());
        let transport = flow.key().transport();
        let [client, server] = [account.server().other(), account.server()];
        let server_end = flow.key().endpoint(server);
        self.events.push_back(Event::Flow(Box::new(FlowRecord {
            schema: FLOW_SCHEMA,
            transport,
            client: flow.key().endpoint(client),
            server: server_end,
            service,
            port: server_end.port,
            evidence: evidence.name(),
            first_ts: draft.first_ts,
            last_ts: flow.last_ts,
            to_server: draft.sent(client),
            from_server: draft.sent(server),
            later_fragments,
            tunnels: draft.tunnels,
            tcp_flags: (transport == Transport::Tcp).then_some(TcpFlags(flow.tcp_flags)),
            handshake_rtt_us: times.handshake_rtt_us(&flow).filter(|_| account.is_begun_by_client()),
            end,
        })));
    }

    /// Takes note of the sockets that listen on this host now.
    pub(super) fn set_listeners(&mut self, listeners: ListenerSet) {
        self.labeller.set_listeners(listeners);
    }

    /// See [`Engine::count_losses`](super::Engine::count_losses).
    pub(super) fn count_losses(&mut self, interface: usize, losses: &Losses) {
        self.losses.count(interface, losses);
    }

    /// See [`Engine::count_skipped`](super::Engine::count_skipped).
    pub(super) fn count_skipped(&mut self, snapshots: u64) {
        self.skipped_snapshots += snapshots;
    }

    /// What there is to report since the last call.
    pub fn drain_events(&mut self) -> impl Iterator<Item = Event> + '_ {
        self.events.drain(..)
    }

    /// Takes a snapshot; a final one when the run has ended.
    fn snapshot(&mut self, moment: Moment) {
        let Moment { ts, first_ts, last_ts, time_jumps, interval, run_end } = moment;
        let interval = interval.map(|Span { start, end, late_packets, skipped_snapshots, is_partial }| {
            let drops = self.losses.take_interval();
            let is_whole = run_end != Some(RunEnd::Stopped) && !is_partial;
            Interval {
                start,
                end,
                complete: is_whole && drops.known().is_none_or(|drops| drops == 0),
                drops,
                late_packets,
                skipped_snapshots: skipped_snapshots + std::mem::take(&mut self.skipped_snapshots),
            }
        });
        let services = self.stats.service_rows(interval.is_some(), self.detail);
        self.sequence += 1;
        self.events.push_back(Event::Snapshot(Arc::new(Snapshot {
            schema: SNAPSHOT_SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            sequence: self.sequence,
            is_final: run_end.is_some(),
            source: Arc::clone(&self.source),
            settings: Arc::clone(&self.settings),
            ts,
            first_ts,
            last_ts,
            packets: self.total.packets,
            wire_bytes: self.total.wire_bytes,
            time_jumps,
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
