//! All flows that are open: bounded in number, and in how long each may be silent.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use foldhash::quality::RandomState;

use super::index::{Hashes, Index};
use super::packet::{Header, Keyer, Packet};
use super::queue::{self, Queue, Queued};
use super::slab::{Slab, Slot};
use super::{Draft, Ends, Flow, FlowKey, TcpState, Times};
use crate::memory::prefetch;
use crate::snapshot::{FlowEnd, Traffic};

/// How many flows there may be, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A TCP flow that is silent for longer has ended; `None`: never.
    pub tcp_idle: Option<Duration>,
    /// The same for the other transports.
    pub other_idle: Option<Duration>,
    /// A flow record that has been kept for this long is reported, and a new one begun; `None`: never.
    pub active: Option<Duration>,
    /// Flows at a time, at least 1. One more, and the one not seen for longest ends.
    pub max_flows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tcp_idle: Some(Duration::from_mins(5)),
            other_idle: Some(Duration::from_mins(2)),
            active: None,
            max_flows: 1_000_000,
        }
    }
}

/// How many flows ahead of their end memory is asked for.
const LOOK_AHEAD: usize = 4;

/// Of how many flows that end soon the tags are kept.
const KNOWN_TAGS: usize = 64;

/// What a packet of a flow tells, beside what is in its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Microseconds since the flow's packet before; 0 when the capture steps backwards.
    pub gap_us: u64,
    /// It ends a handshake: microseconds since the SYN.
    pub handshake_rtt_us: Option<u64>,
}

/// What a packet is to the flow that its key leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It belongs to it.
    Same,
    /// It belongs to it, but the record has been kept for as long as the active timeout allows.
    Cut,
    /// It starts another flow; this one has ended.
    Over(FlowEnd),
}

/// The flows that are open.
///
/// A packet costs one look-up here and touches one cache line of its flow; see [`Queue`] for how the order of age is kept all
/// the same.
#[derive(Debug)]
pub struct FlowTable {
    max_flows: usize,
    flows: Slab,
    index: Index,
    keyer: Keyer,
    /// TCP, and the rest: they differ in how long they may be silent.
    queues: [Queue; 2],
    /// For how long the flows of each queue may be silent.
    idle_nanos: [u64; 2],
    /// A packet of each queue after a silence that is shorter than this may do no more than carry its flow on; none does where
    /// there are records to keep, or to cut.
    usual_nanos: [u64; 2],
    /// When a record is cut that has been kept since then; the maximum is never.
    active_nanos: u64,
    /// Flows are reported: their packets and bytes are counted one by one.
    keeps_records: bool,
    /// No flow is idle before this age, in nanoseconds.
    idle_after_nanos: u64,
    /// Later fragments of the few flows that have any, where flows are reported.
    later_fragments: HashMap<Slot, Traffic, RandomState>,
    started: u32,
    /// What some flows that end soon are found by in the index, by slot.
    known_tags: [(Option<Slot>, u32); KNOWN_TAGS],
}

impl FlowTable {
    /// An empty table. With `keeps_records`, it keeps what a report of each flow takes.
    #[must_use]
    pub fn new(limits: Limits, keeps_records: bool) -> Self {
        let nanos = |limit: Option<Duration>| {
            limit.map_or(u64::MAX, |limit| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX))
        };
        let idle_nanos = [nanos(limits.tcp_idle), nanos(limits.other_idle)];
        let has_usual = !keeps_records && limits.active.is_none();
        Self {
            max_flows: limits.max_flows.max(1),
            usual_nanos: idle_nanos.map(|nanos| if has_usual { nanos.saturating_add(1) } else { 0 }),
            idle_nanos,
            active_nanos: nanos(limits.active),
            keeps_records,
            flows: Slab::with_room_for(limits.max_flows, keeps_records || limits.active.is_some()),
            index: Index::with_room_for(limits.max_flows),
            keyer: Keyer::default(),
            queues: Default::default(),
            idle_after_nanos: u64::MAX,
            later_fragments: HashMap::default(),
            started: 0,
            known_tags: [(None, 0); KNOWN_TAGS],
        }
    }

    /// There is no room for one more flow.
    #[must_use]
    #[inline]
    pub fn is_full(&self) -> bool {
        self.index.len() >= self.max_flows
    }

    /// What computes the tags of this table.
    #[must_use]
    pub fn keyer(&self) -> &Keyer {
        &self.keyer
    }

    /// Asks for the place where a look-up begins: the first of three steps that, each done for several packets in a row,
    /// make their waits for memory overlap.
    #[inline(always)]
    pub fn prefetch_index(&self, packet: &Packet) {
        self.index.prefetch(packet.tag);
    }

    /// Asks for the flow that the packet most likely belongs to, the first with its tag, and says where it is: the second
    /// step. Nowhere, and the packet will open one, unless another packet before it does.
    #[must_use]
    #[inline(always)]
    pub fn prefetch_flow(&self, packet: &Packet) -> Option<Slot> {
        self.index.guess(packet.tag, |slot| {
            prefetch(self.flow(slot));
            if let Some(draft) = self.draft(slot) {
                prefetch(draft);
            }
        })
    }

    /// Where the flow of a packet is: the third step. `guess` is what the second said, whatever happened since then.
    #[must_use]
    pub fn find(&self, packet: &Packet, guess: Option<Slot>) -> Option<Slot> {
        let is_right = |slot| self.flow(slot).key == packet.key;
        match guess {
            Some(slot) if is_right(slot) => Some(slot),
            _ => self.search(packet),
        }
    }

    #[inline(never)]
    fn search(&self, packet: &Packet) -> Option<Slot> {
        self.index.find(packet.tag, |slot| self.flow(slot).key == packet.key)
    }

    /// The flow at `slot`.
    #[must_use]
    #[inline(always)]
    pub fn flow(&self, slot: Slot) -> &Flow {
        self.flows.get(slot)
    }

    /// The times of the flow at `slot`.
    #[must_use]
    #[inline(always)]
    pub fn times(&self, slot: Slot) -> &Times {
        self.flows.times(slot)
    }

    /// The draft of the record of the flow at `slot`; `None` unless flows are reported, or cut.
    #[must_use]
    #[inline(always)]
    pub fn draft(&self, slot: Slot) -> Option<&Draft> {
        self.flows.draft(slot)
    }

    /// Fragments after the first that the flow's record counts.
    #[must_use]
    pub fn later_fragments(&self, slot: Slot) -> Traffic {
        self.later_fragments.get(&slot).copied().unwrap_or_default()
    }

    /// Counts a packet that only carries on the flow that `guess` says, as most do: where that is, and how many microseconds
    /// after the one before. `None` when there is more to it, and then nothing has happened yet.
    #[inline(always)]
    pub fn carry_on(&mut self, packet: &Packet, guess: Option<Slot>, age_nanos: u64) -> Option<(Slot, u64)> {
        let (slot, header) = (guess?, packet.header);
        let flow = self.flows.get_mut(slot);
        let gap_nanos = packet.ts.as_nanos().abs_diff(flow.last_ts.as_nanos());
        let is_usual = header.is_usual()
            && flow.key == packet.key
            && packet.ts >= flow.last_ts
            && gap_nanos < self.usual_nanos[queue_of(&packet.key)]
            && flow.tcp.is_settled();
        if !is_usual {
            return None;
        }
        flow.last_ts = packet.ts;
        flow.seen_age_nanos = age_nanos;
        flow.ends.add(header.sender());
        flow.tcp_flags |= header.tcp_flags();
        Some((slot, gap_nanos / 1000))
    }

    /// What a packet is to the flow at `slot`, which has its key.
    #[must_use]
    pub fn turn(&self, slot: Slot, packet: &Packet, header: Header) -> Turn {
        let (flow, ts) = (self.flow(slot), packet.ts);
        if ts.nanos_since(flow.last_ts) > self.idle_nanos[queue_of(&flow.key)] {
            return Turn::Over(flow.end(FlowEnd::Idle));
        }
        if header.opens() && flow.tcp.is_over() {
            return Turn::Over(FlowEnd::Reopened);
        }
        let is_cut = |draft: &Draft| ts.nanos_since(draft.first_ts) >= self.active_nanos;
        if self.active_nanos < u64::MAX && self.draft(slot).is_some_and(is_cut) { Turn::Cut } else { Turn::Same }
    }

    /// Opens a flow with its first packet. There must be room, see [`FlowTable::is_full`], and none with this key.
    pub fn open(&mut self, packet: &Packet, header: Header, age_nanos: u64) -> Slot {
        let flow = self.first_packet(packet, header, age_nanos);
        let slot = self.flows.insert(flow, header.tunnels());
        self.attach(slot, packet, header);
        slot
    }

    /// Opens a flow in the place of one that has ended, which [`FlowTable::least_recent`] gave.
    pub fn open_in_place(&mut self, oldest: Queued, packet: &Packet, header: Header, age_nanos: u64) -> Slot {
        let slot = oldest.slot();
        self.detach(slot);
        let flow = self.first_packet(packet, header, age_nanos);
        self.flows.set(slot, flow, header.tunnels());
        self.attach(slot, packet, header);
        slot
    }

    /// Makes a flow that is in its slot one of those that are found, and that end.
    #[inline(always)]
    fn attach(&mut self, slot: Slot, packet: &Packet, header: Header) {
        let queue = queue_of(&packet.key);
        let place = queue::Flows::place(&self.flows, slot);
        self.index.insert(packet.tag, slot, &Tags { flows: &self.flows, keyer: &self.keyer });
        self.queues[queue].push(place);
        self.idle_after_nanos =
            self.idle_after_nanos.min(place.seen_age_nanos().saturating_add(self.idle_nanos[queue]));
        self.count_to_record(slot, packet, header);
    }

    /// The reverse of [`FlowTable::attach`], of the flow that comes first in its queue.
    #[inline(always)]
    fn detach(&mut self, slot: Slot) {
        let queue = queue_of(&self.flow(slot).key);
        let tag = self.tag(slot);
        self.prefetch_upcoming(queue);
        self.queues[queue].remove_oldest();
        self.index.remove(tag, slot);
        self.forget_fragments(slot);
    }

    /// Opens a flow in the place of one with the same key, which has ended.
    pub fn reopen(&mut self, slot: Slot, packet: &Packet, header: Header, age_nanos: u64) {
        // its place in the queue is brought up to date when it comes to the front
        self.forget_fragments(slot);
        let mut flow = self.first_packet(packet, header, age_nanos);
        flow.ends.add(header.sender());
        self.flows.set(slot, flow, header.tunnels());
        self.count_to_record(slot, packet, header);
    }

    #[inline(always)]
    fn first_packet(&mut self, packet: &Packet, header: Header, age_nanos: u64) -> Flow {
        let number = self.started;
        self.started = self.started.wrapping_add(1);
        Flow {
            key: packet.key,
            seen_age_nanos: age_nanos,
            last_ts: packet.ts,
            number,
            tcp: TcpState::first(header.tcp_flags()),
            tcp_flags: header.tcp_flags(),
            ends: Ends::one(header.sender()),
        }
    }

    /// Counts a packet to a flow that is open.
    pub fn count(&mut self, slot: Slot, packet: &Packet, header: Header, age_nanos: u64) -> Passed {
        let flow = self.flows.get_mut(slot);
        let gap_us = packet.ts.nanos_since(flow.last_ts) / 1000;
        if packet.ts >= flow.last_ts {
            flow.last_ts = packet.ts;
        } else {
            let times = self.flows.times_mut(slot);
            times.first_ts = times.first_ts.min(packet.ts);
            if let Some(draft) = self.flows.draft_mut(slot) {
                draft.first_ts = draft.first_ts.min(packet.ts);
            }
        }
        let flow = self.flows.get_mut(slot);
        flow.seen_age_nanos = age_nanos;
        flow.ends.add(header.sender());
        flow.tcp_flags |= header.tcp_flags();
        let mut handshake_rtt_us = None;
        // other transports have no flags, and nothing to observe
        if header.tcp_flags() != 0 && flow.tcp.observe(header.tcp_flags(), header.sender() == flow.ends.first()) {
            handshake_rtt_us = self.flows.times_mut(slot).handshake.stop(packet.ts);
            if handshake_rtt_us.is_none() {
                self.flows.get_mut(slot).tcp.forget_opening();
            }
        }
        self.count_to_record(slot, packet, header);
        Passed { gap_us, handshake_rtt_us }
    }

    #[inline(always)]
    fn count_to_record(&mut self, slot: Slot, packet: &Packet, header: Header) {
        if self.keeps_records
            && let Some(draft) = self.flows.draft_mut(slot)
        {
            let wire = Traffic { packets: 1, wire_bytes: packet.wire_len.into() };
            draft.sent[header.sender() as usize] += wire;
            if header.is_later_fragment() {
                *self.later_fragments.entry(slot).or_default() += wire;
            }
        }
    }

    /// Counts a packet to a flow that goes on, as the first of a new record; the one before was reported.
    pub fn count_in_new_record(&mut self, slot: Slot, packet: &Packet, header: Header, age_nanos: u64) -> Passed {
        self.forget_fragments(slot);
        if let Some(draft) = self.flows.draft_mut(slot) {
            draft.sent = [Traffic::default(); 2];
        }
        let flow = self.flows.get_mut(slot);
        flow.tcp_flags = 0;
        // a handshake that was reported is not reported again
        if flow.tcp.is_timed() {
            flow.tcp.forget_opening();
        }
        let passed = self.count(slot, packet, header, age_nanos);
        self.flows.get_mut(slot).last_ts = packet.ts;
        if let Some(draft) = self.flows.draft_mut(slot) {
            draft.first_ts = packet.ts;
        }
        passed
    }

    fn forget_fragments(&mut self, slot: Slot) {
        if !self.later_fragments.is_empty() {
            self.later_fragments.remove(&slot);
        }
    }

    /// For how many nanoseconds from this age on no flow becomes idle, whatever packets come.
    #[must_use]
    pub fn nanos_until_idle(&self, age_nanos: u64) -> u64 {
        let [tcp, other] = self.idle_nanos;
        self.idle_after_nanos.saturating_sub(age_nanos).min(tcp).min(other)
    }

    /// A flow that has been silent for longer than it may at this age, if there is one: the one whose time was up first,
    /// ties by first packet. Whoever asks takes it out.
    #[inline(always)]
    pub fn idle(&mut self, age_nanos: u64) -> Option<Queued> {
        if age_nanos <= self.idle_after_nanos { None } else { self.find_idle(age_nanos) }
    }

    #[inline(never)]
    fn find_idle(&mut self, age_nanos: u64) -> Option<Queued> {
        let now = self.now(age_nanos);
        let mut first = None;
        for (queue, idle_nanos) in self.queues.iter_mut().zip(self.idle_nanos) {
            if let Some(oldest) = queue.oldest(age_nanos.saturating_sub(idle_nanos), now, &self.flows) {
                let place = (oldest.seen_age_nanos().saturating_add(idle_nanos), oldest.number(), oldest);
                first = Some(first.map_or(place, |first: (u64, u32, Queued)| first.min(place)));
            }
        }
        if first.is_none() {
            let ends = self.queues.iter().zip(self.idle_nanos);
            let ends = ends.map(|(queue, idle)| queue.since().seen_age_nanos().saturating_add(idle));
            self.idle_after_nanos = ends.min().unwrap_or(u64::MAX);
        }
        first.map(|(.., oldest)| oldest)
    }

    /// The flow that was not seen for longest, ties by first packet; `None` only when there is no flow.
    #[inline(always)]
    pub fn least_recent(&mut self, age_nanos: u64) -> Option<Queued> {
        let now = self.now(age_nanos);
        while self.index.len() > 0 {
            // which of the two it is in has no order that could be guessed: so there is no branch
            let queue = usize::from(self.queues[OTHER_QUEUE].since() < self.queues[TCP_QUEUE].since());
            let oldest = self.queues[queue].up_to_date(now, &self.flows);
            if oldest.is_some() {
                return oldest;
            }
        }
        None
    }

    /// A place after that of every flow that is open.
    #[inline(always)]
    fn now(&self, age_nanos: u64) -> Queued {
        Queued::earliest(age_nanos, self.started)
    }

    /// Takes a flow out that [`FlowTable::idle`] or [`FlowTable::least_recent`] gave.
    pub fn remove_oldest(&mut self, oldest: Queued) {
        self.detach(oldest.slot());
        self.flows.remove(oldest.slot());
    }

    /// Where one flow ends, others do soon, and those were not touched for long: asks for them, and for their places in the
    /// index.
    #[inline(always)]
    fn prefetch_upcoming(&mut self, queue: usize) {
        if let Some(slot) = self.queues[queue].upcoming(2 * LOOK_AHEAD) {
            prefetch(self.flow(slot));
        }
        if let Some(slot) = self.queues[queue].upcoming(LOOK_AHEAD) {
            prefetch(self.times(slot));
            if let Some(draft) = self.draft(slot) {
                prefetch(draft);
            }
            let tag = self.keyer.tag(&self.flow(slot).key);
            self.index.prefetch(tag);
            self.known_tags[slot.index() % KNOWN_TAGS] = (Some(slot), tag);
        }
    }

    /// What the flow at `slot`, which ends now, is found by in the index.
    #[inline(always)]
    fn tag(&mut self, slot: Slot) -> u32 {
        match std::mem::take(&mut self.known_tags[slot.index() % KNOWN_TAGS]) {
            (Some(known), tag) if known == slot => tag,
            _ => self.keyer.tag(&self.flow(slot).key),
        }
    }

    /// All flows: in the order of their first packets, or in another one that packets alone decide too, for which nothing has
    /// to be sorted.
    #[must_use]
    pub fn all(&self, by_first_packet: bool) -> Vec<Slot> {
        let mut slots: Vec<_> = self.flows.slots().collect();
        if by_first_packet {
            // numbers may have wrapped: what counts is how long ago each was given
            slots.sort_by_cached_key(|slot| Reverse(self.started.wrapping_sub(self.flow(*slot).number)));
        }
        slots
    }

    /// Forgets every flow.
    pub fn clear(&mut self) {
        self.flows = Slab::with_room_for(0, false);
        self.index = Index::with_room_for(0);
        self.queues = Default::default();
        self.later_fragments.clear();
        self.known_tags = [(None, 0); KNOWN_TAGS];
        self.idle_after_nanos = u64::MAX;
    }
}

impl queue::Flows for Slab {
    #[inline(always)]
    fn place(&self, slot: Slot) -> Queued {
        let &Flow { seen_age_nanos, number, .. } = self.get(slot);
        Queued::new(seen_age_nanos, number, slot)
    }

    #[inline(always)]
    fn is_seen_again(&self, slot: Slot) -> bool {
        self.get(slot).ends.sent_again()
    }

    #[inline(always)]
    fn prefetch(&self, slot: Slot) {
        prefetch(self.get(slot));
    }
}

/// The tags of flows.
struct Tags<'a> {
    flows: &'a Slab,
    keyer: &'a Keyer,
}

impl Hashes for Tags<'_> {
    #[inline(always)]
    fn hash(&self, slot: Slot) -> u32 {
        self.keyer.tag(&self.flows.get(slot).key)
    }

    #[inline(always)]
    fn prefetch(&self, slot: Slot) {
        prefetch(self.flows.get(slot));
    }
}

const TCP_QUEUE: usize = 0;
const OTHER_QUEUE: usize = 1;

/// TCP flows may be silent for longer than others, so they queue apart.
#[inline(always)]
fn queue_of(key: &FlowKey) -> usize {
    if key.is_tcp() { TCP_QUEUE } else { OTHER_QUEUE }
}
