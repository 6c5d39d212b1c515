//! The one place where a packet is counted.
//!
//! Counting has two halves, which may be on two threads: the [`Tracker`] follows packets to their flows and through time, and
//! the [`Ledger`] names flows and counts what the tracker's [`Trail`] says of each packet. An [`Engine`] is both.

mod accounts;
mod ledger;
mod losses;
#[cfg(test)]
mod tests;
mod tracker;
mod trail;

use std::sync::Arc;
use std::time::Duration;

pub use ledger::Ledger;
pub use tracker::Tracker;
pub use trail::Trail;

use crate::flow::{Keyer, Limits, Packet};
use crate::services::Registry;
use crate::snapshot::{FlowRecord, Snapshot, SourceInfo};
use crate::source::ListenerSet;
use crate::source::live::Losses;
use crate::units::Timestamp;

/// Packets that are followed before they are counted: as many as both halves have in the cache.
const PACKETS_AT_ONCE: usize = 512;

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
    tracker: Tracker,
    ledger: Ledger,
    trail: Trail,
}

impl Engine {
    /// An engine that has counted nothing yet.
    #[must_use]
    pub fn new(config: &EngineConfig, source: Arc<SourceInfo>, registry: Registry) -> Self {
        let tracker = Tracker::new(config, source.kind);
        Self::from_halves(tracker, Ledger::new(config, source, registry))
    }

    /// The two halves, for two threads.
    #[must_use]
    pub fn into_halves(self) -> (Tracker, Ledger) {
        (self.tracker, self.ledger)
    }

    /// The halves of one engine, put together again.
    #[must_use]
    pub fn from_halves(tracker: Tracker, ledger: Ledger) -> Self {
        Self { tracker, ledger, trail: Trail::default() }
    }

    /// What makes the packets that [`Engine::ingest`] takes; another thread may have a copy of it.
    #[must_use]
    pub fn keyer(&self) -> Keyer {
        self.tracker.keyer().clone()
    }

    /// Takes note of the sockets that listen on this host now: flows that start from here on are labelled by them. Files
    /// have none.
    pub fn set_listeners(&mut self, listeners: ListenerSet) {
        self.ledger.set_listeners(listeners);
    }

    /// Counts packets, in their order. The result is the same as if each came alone; live, but for how long intervals are that
    /// are too short for what their snapshots take.
    pub fn ingest(&mut self, mut packets: &[Packet]) {
        while !packets.is_empty() {
            packets = &packets[self.ingest_some(packets)..];
        }
    }

    /// Counts the first of some packets, and tells how many. What there is to report is bounded if it is taken after each call:
    /// one packet may end all flows.
    #[must_use]
    pub fn ingest_some(&mut self, packets: &[Packet]) -> usize {
        let packets = &packets[..packets.len().min(PACKETS_AT_ONCE)];
        let followed = self.tracker.follow(packets, &mut self.trail);
        self.count_followed(&packets[..followed]);
        followed
    }

    fn count_followed(&mut self, packets: &[Packet]) {
        self.ledger.count(packets, &mut self.trail);
        self.tracker.expect_rows(self.ledger.rows_len());
    }

    /// A live capture begins at `now`.
    pub fn begin(&mut self, now: Timestamp) {
        self.tracker.begin(now);
    }

    /// Packet time is `now`, whether there are packets or not: every packet before it was ingested. Intervals and flows
    /// whose time is up end. For live captures; a file has no time but that of its packets.
    pub fn tick(&mut self, now: Timestamp) {
        while self.tick_some(now) {}
    }

    /// The same for as many intervals and flows as fit at once. True when there are more to end.
    #[must_use]
    pub fn tick_some(&mut self, now: Timestamp) -> bool {
        let more = self.tracker.tick(now, &mut self.trail).is_break();
        self.count_followed(&[]);
        more
    }

    /// Takes note of packets of an interface that were lost, by its place in the source's names. They belong to the open
    /// interval.
    pub fn count_losses(&mut self, interface: usize, losses: &Losses) {
        self.ledger.count_losses(interface, losses);
    }

    /// Takes note that nobody took this many snapshots; the next one says so.
    pub fn count_skipped(&mut self, snapshots: u64) {
        self.ledger.count_skipped(snapshots);
    }

    /// What there is to report since the last call.
    pub fn drain_events(&mut self) -> impl Iterator<Item = Event> + '_ {
        self.ledger.drain_events()
    }

    /// Ends every flow, in the order of their first packets, and makes the final snapshot.
    pub fn finish(&mut self, end: RunEnd) {
        while self.finish_some(end) {}
    }

    /// Ends flows, as many as fit at once, and after the last one the run. True when there is more to end.
    #[must_use]
    pub fn finish_some(&mut self, end: RunEnd) -> bool {
        let more = self.tracker.finish(end, &mut self.trail);
        self.ledger.count(&[], &mut self.trail);
        more
    }
}
