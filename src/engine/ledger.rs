//! The second half of counting: flows get their names, and every packet is counted under the name of its flow.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::accounts::{Account, Accounts, Part, Postings};
use super::losses::LossLedger;
use super::trail::{Happened, Moment, Record, Span, Trail};
use super::{EngineConfig, Event, RunEnd};
use crate::flow::Packet;
use crate::services::Registry;
use crate::snapshot::{
    FLOW_SCHEMA, FlowCounts, FlowEnd, FlowRecord, Interval, SNAPSHOT_SCHEMA, Settings, Snapshot, SourceInfo, TcpFlags,
    Traffic,
};
use crate::source::ListenerSet;
use crate::source::live::Losses;
use crate::stats::{Detail, Stats};
use crate::units::Transport;

/// Names flows, and counts.
#[derive(Debug)]
pub struct Ledger {
    detail: Detail,
    source: Arc<SourceInfo>,
    settings: Arc<Settings>,
    accounts: Accounts,
    stats: Stats,
    postings: Postings,
    total: Traffic,
    sequence: u64,
    losses: LossLedger,
    /// Snapshots that nobody took, since the last one that was.
    skipped_snapshots: u64,
    events: VecDeque<Event>,
}

impl Ledger {
    pub(super) fn new(config: &EngineConfig, source: Arc<SourceInfo>, registry: Registry) -> Self {
        Self {
            settings: Arc::new(settings(config, &registry)),
            detail: Detail { shapes: config.shapes, histograms: config.histograms },
            accounts: Accounts::new(registry, config.limits.max_flows),
            stats: Stats::default(),
            postings: Postings::default(),
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
        let mut part = Part { steps: 0..0, marks: 0..0, openings: 0..0 };
        while part.steps.end < trail.steps.len() || part.marks.end < trail.marks.len() {
            part = self.next_part(trail, &part);
            self.count_part(packets, trail, &part);
        }
        trail.clear();
    }

    /// The steps and marks after `done` that may be counted in any order: those before the next snapshot, but no more than may
    /// have a histogram each; where that is hardly any, steps or marks alone.
    fn next_part(&self, trail: &Trail, done: &Part) -> Part {
        let (steps_from, mut steps_end) = (done.steps.end, trail.steps.len());
        let mut marks = &trail.marks[done.marks.end..];
        if !trail.moments.is_empty()
            && let Some(snapshot) = marks.iter().position(|mark| matches!(mark.what, Happened::Snapshot))
        {
            steps_end = marks[snapshot].before;
            marks = &marks[..=snapshot];
        }
        let mut marks_len = marks.len();
        let values = self.stats.values_in_any_order();
        // each packet has a size and a gap
        let are_too_many = |steps_end: usize, marks_len: usize| (steps_end - steps_from) * 2 + marks_len > values;
        if are_too_many(steps_end, marks_len) {
            steps_end = steps_end.min(steps_from + (values / 4).max(1));
            marks_len = marks.partition_point(|mark| mark.before < steps_end);
            if steps_end == steps_from || are_too_many(steps_end, marks_len) {
                steps_end = marks.first().map_or(steps_end, |mark| mark.before.min(steps_end));
                marks_len = marks.partition_point(|mark| mark.before == steps_from);
            }
        }
        let openings = &trail.openings[done.openings.end..];
        let openings_len = openings.partition_point(|at| (*at as usize) < steps_end);
        Part {
            steps: steps_from..steps_end,
            marks: done.marks.end..done.marks.end + marks_len,
            openings: done.openings.end..done.openings.end + openings_len,
        }
    }

    fn count_part(&mut self, packets: &[Packet], trail: &mut Trail, part: &Part) {
        let mut postings = std::mem::take(&mut self.postings);
        self.accounts.count(packets, trail, part, &mut self.stats, &mut postings);
        let wire_bytes = trail.steps[part.steps.clone()].iter().map(|step| u64::from(step.wire_len)).sum();
        self.total += Traffic { packets: part.steps.len() as u64, wire_bytes };
        for (mark, account) in trail.marks[part.marks.clone()].iter().zip(&postings.accounts) {
            self.take_note(mark.what, *account, &mut trail.records, &mut trail.moments);
        }
        self.postings = postings;
    }

    fn take_note(
        &mut self,
        happened: Happened,
        account: Account,
        records: &mut VecDeque<Record>,
        moments: &mut VecDeque<Moment>,
    ) {
        match happened {
            Happened::Ended { end, is_two_way, duration_us, .. } => {
                let answered = is_two_way || !account.is_begun_by_client();
                self.stats.flow_ended(account.cell(), end, answered, duration_us);
                self.report(account, end, records);
            }
            Happened::Cut { .. } => self.report(account, FlowEnd::Active, records),
            // the label may say that a server opened the connection, as in active FTP
            Happened::RoundTrip { rtt_us, .. } if account.is_begun_by_client() => {
                self.stats.count_round_trip(account.cell(), rtt_us);
            }
            Happened::RoundTrip { .. } => {}
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
        self.accounts.labeller_mut().set_listeners(listeners);
    }

    /// See [`Engine::count_losses`](super::Engine::count_losses).
    pub(super) fn count_losses(&mut self, interface: usize, losses: &Losses) {
        self.losses.count(interface, losses);
    }

    /// See [`Engine::count_skipped`](super::Engine::count_skipped).
    pub(super) fn count_skipped(&mut self, snapshots: u64) {
        self.skipped_snapshots += snapshots;
    }

    /// How many rows a snapshot has now.
    pub(super) fn rows_len(&self) -> usize {
        self.stats.rows_len()
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
            learned_forgotten: self.accounts.labeller().forgotten(),
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
