//! All flows that are open: bounded in number, and in how long each may be silent.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::BuildHasher as _;
use std::time::Duration;

use foldhash::quality::RandomState;

use super::index::Index;
use super::slab::{Slab, Slot};
use super::{Flow, FlowKey, HandshakeClock, Side, TcpState};
use crate::decode::{Handshake, Segment};
use crate::snapshot::{FlowEnd, Traffic};
use crate::units::{Timestamp, Transport};

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

/// The first packet of a flow, as the table needs it.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// Identity.
    pub key: FlowKey,
    /// The end that serves, by the flow's label.
    pub server: Side,
    /// The end that sent this packet.
    pub sender: Side,
    /// Where the statistics of its label are kept.
    pub cell: u32,
    /// The packet.
    pub segment: &'a Segment,
    /// Its time.
    pub ts: Timestamp,
    /// Its bytes on the wire.
    pub wire_len: u32,
}

impl Opening<'_> {
    fn counted(&self) -> Counted {
        Counted { cell: self.cell, to_server: self.sender != self.server, gap_us: None, handshake_rtt_us: None }
    }
}

/// When and how large a packet is.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// Its time.
    pub ts: Timestamp,
    /// The age of the capture, see [`PacketClock`](super::PacketClock).
    pub age_nanos: u64,
    /// Its bytes on the wire.
    pub wire_len: u32,
}

/// What a flow is looked up by, and what is known of a packet before that.
#[derive(Clone, Copy, Debug)]
pub struct LookUp {
    /// Identity of the flow.
    pub key: FlowKey,
    /// The end that sent the packet.
    pub sender: Side,
    tag: u32,
}

/// What a packet added to its flow, for the statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Where the statistics of the flow's label are kept.
    pub cell: u32,
    /// It went to the server.
    pub to_server: bool,
    /// Microseconds since the flow's packet before; `None` for the first one, 0 when the capture steps backwards.
    pub gap_us: Option<u64>,
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
/// A packet costs one look-up here and touches the two cache lines of its flow. Order of age is kept lazily: each flow
/// stands in a heap with the age at which it was seen when it was put there, and only what comes to the top is brought
/// up to date. So being seen costs nothing, and taking out the least recently seen is exact all the same.
#[derive(Debug)]
pub struct FlowTable {
    limits: Limits,
    flows: Slab,
    index: Index,
    hasher: RandomState,
    /// TCP, and the rest: they differ in how long they may be silent.
    queues: [BinaryHeap<Reverse<Queued>>; 2],
    /// No flow is idle before this age, in nanoseconds.
    idle_after_age: u64,
    /// Later fragments of the few flows that have any.
    later_fragments: HashMap<Slot, Traffic, RandomState>,
    started: u32,
}

/// A flow in a queue, oldest first, ties by first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Queued {
    seen_age: u64,
    number: u32,
    slot: Slot,
}

impl FlowTable {
    /// An empty table.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            flows: Slab::default(),
            index: Index::default(),
            hasher: RandomState::default(),
            queues: [BinaryHeap::new(), BinaryHeap::new()],
            idle_after_age: u64::MAX,
            later_fragments: HashMap::default(),
            started: 0,
        }
    }

    /// How many flows are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// No flow is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.len() == 0
    }

    /// There is no room for one more flow.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.limits.max_flows.max(1)
    }

    /// What the flow of a segment is looked up by.
    #[must_use]
    #[inline]
    pub fn prepare(&self, segment: &Segment) -> LookUp {
        let (key, sender) = FlowKey::of(segment);
        LookUp { key, sender, tag: self.tag(&key) }
    }

    /// Reads where a look-up begins: the first of three steps that, each done for several packets in a row, make their
    /// waits for memory overlap. What it returns serves no other end than that nothing be left out.
    #[must_use]
    #[inline]
    pub fn visit_index(&self, look_up: &LookUp) -> bool {
        self.index.likely(look_up.tag).is_some()
    }

    /// Reads both halves of the flow where a look-up most likely ends, the first with its tag: the second step.
    #[must_use]
    #[inline]
    pub fn visit_flow(&self, look_up: &LookUp) -> u64 {
        self.index.find(look_up.tag, |_| true).map_or(0, |slot| {
            let flow = self.flow(slot);
            flow.seen_age ^ flow.to_server.packets
        })
    }

    /// Where the flow is: the third step.
    #[must_use]
    #[inline]
    pub fn find(&self, look_up: &LookUp) -> Option<Slot> {
        self.index.find(look_up.tag, |slot| self.flow(slot).key == look_up.key)
    }

    /// The flow at `slot`.
    #[must_use]
    pub fn flow(&self, slot: Slot) -> &Flow {
        self.flows.get(slot)
    }

    /// Fragments after the first that the flow's record counts.
    #[must_use]
    pub fn later_fragments(&self, slot: Slot) -> Traffic {
        self.later_fragments.get(&slot).copied().unwrap_or_default()
    }

    /// What a packet is to the flow at `slot`, which has its key.
    #[must_use]
    pub fn turn(&self, slot: Slot, segment: &Segment, ts: Timestamp) -> Turn {
        let flow = self.flow(slot);
        let idle = self.idle_nanos(queue_of(flow.key.transport()));
        if ts.nanos_since(flow.last_ts) > idle {
            return Turn::Over(flow.end(FlowEnd::Idle));
        }
        if segment.handshake == Handshake::Open && flow.tcp.is_over() {
            return Turn::Over(FlowEnd::Reopened);
        }
        match self.limits.active {
            Some(active) if u128::from(ts.nanos_since(flow.record_first_ts)) >= active.as_nanos() => Turn::Cut,
            _ => Turn::Same,
        }
    }

    /// Opens a flow with its first packet. There must be room, see [`FlowTable::is_full`], and none with this key.
    pub fn open(&mut self, opening: &Opening<'_>, age_nanos: u64) -> Counted {
        let flow = self.first_packet(opening, age_nanos);
        let (number, queue) = (flow.number, queue_of(opening.key.transport()));
        let slot = self.flows.insert(flow);
        let tag = self.tag(&opening.key);
        self.index.insert(tag, slot);
        self.queues[queue].push(Reverse(Queued { seen_age: age_nanos, number, slot }));
        self.idle_after_age = self.idle_after_age.min(age_nanos.saturating_add(self.idle_nanos(queue)));
        self.count_fragment(slot, opening.segment, opening.wire_len);
        opening.counted()
    }

    /// Opens a flow in the place of one with the same key, which has ended.
    pub fn reopen(&mut self, slot: Slot, opening: &Opening<'_>, age_nanos: u64) -> Counted {
        // its place in the queue is brought up to date when it comes to the top
        self.later_fragments.remove(&slot);
        *self.flows.get_mut(slot) = self.first_packet(opening, age_nanos);
        self.count_fragment(slot, opening.segment, opening.wire_len);
        opening.counted()
    }

    fn first_packet(&mut self, opening: &Opening<'_>, age_nanos: u64) -> Flow {
        let number = self.started;
        self.started = self.started.wrapping_add(1);
        let to_server = opening.sender != opening.server;
        let wire = Traffic { packets: 1, wire_bytes: opening.wire_len.into() };
        let (to, from) = if to_server { (wire, Traffic::default()) } else { (Traffic::default(), wire) };
        let flags = opening.segment.tcp_flags;
        Flow {
            key: opening.key,
            seen_age: age_nanos,
            first_ts: opening.ts,
            last_ts: opening.ts,
            record_first_ts: opening.ts,
            to_server: to,
            from_server: from,
            handshake: HandshakeClock::start(opening.ts),
            number,
            cell: opening.cell,
            tcp_flags: flags,
            tcp: TcpState::first(flags, to_server),
            server: opening.server,
            answered: !to_server,
            tunnels: opening.segment.tunnels,
        }
    }

    /// Counts a packet to a flow that is open.
    pub fn count(&mut self, slot: Slot, sender: Side, segment: &Segment, packet: Packet) -> Counted {
        self.count_fragment(slot, segment, packet.wire_len);
        let flow = self.flows.get_mut(slot);
        let to_server = sender != flow.server;
        let gap_us = packet.ts.nanos_since(flow.last_ts) / 1000;
        let traffic = if to_server { &mut flow.to_server } else { &mut flow.from_server };
        *traffic += Traffic { packets: 1, wire_bytes: packet.wire_len.into() };
        flow.seen_age = packet.age_nanos;
        flow.first_ts = flow.first_ts.min(packet.ts);
        flow.record_first_ts = flow.record_first_ts.min(packet.ts);
        flow.last_ts = flow.last_ts.max(packet.ts);
        flow.answered |= !to_server;
        let mut handshake_rtt_us = None;
        if segment.transport == Transport::Tcp {
            flow.tcp_flags |= segment.tcp_flags;
            if flow.tcp.observe(segment.tcp_flags, to_server) {
                handshake_rtt_us = flow.handshake.stop(packet.ts);
                if handshake_rtt_us.is_none() {
                    flow.tcp.forget_opening();
                }
            }
        }
        Counted { cell: flow.cell, to_server, gap_us: Some(gap_us), handshake_rtt_us }
    }

    fn count_fragment(&mut self, slot: Slot, segment: &Segment, wire_len: u32) {
        if segment.later_fragment {
            let fragments = self.later_fragments.entry(slot).or_default();
            *fragments += Traffic { packets: 1, wire_bytes: wire_len.into() };
        }
    }

    /// Begins a new record for a flow that goes on; `ts` is the time of the packet that is counted next.
    pub fn cut(&mut self, slot: Slot, ts: Timestamp) {
        self.later_fragments.remove(&slot);
        let flow = self.flows.get_mut(slot);
        flow.record_first_ts = ts;
        (flow.to_server, flow.from_server) = (Traffic::default(), Traffic::default());
        flow.tcp_flags = 0;
    }

    /// A flow that has been silent for longer than it may at this age, if there is one: the one whose time was up first,
    /// ties by first packet. Whoever asks takes it out.
    pub fn idle(&mut self, age_nanos: u64) -> Option<Slot> {
        if age_nanos <= self.idle_after_age {
            return None;
        }
        let deadlines = [0, 1].map(|queue| {
            let oldest = self.oldest(queue)?;
            Some((oldest.seen_age.saturating_add(self.idle_nanos(queue)), oldest.number, oldest.slot))
        });
        let first = deadlines.into_iter().flatten().min();
        self.idle_after_age = first.map_or(u64::MAX, |(deadline, ..)| deadline);
        first.filter(|(deadline, ..)| age_nanos > *deadline).map(|(.., slot)| slot)
    }

    /// The flow that was not seen for longest, ties by first packet.
    pub fn least_recent(&mut self) -> Option<Slot> {
        let oldest = [0, 1].map(|queue| self.oldest(queue));
        oldest.into_iter().flatten().min().map(|queued| queued.slot)
    }

    /// Takes a flow out that [`FlowTable::idle`] or [`FlowTable::least_recent`] gave.
    pub fn remove_oldest(&mut self, slot: Slot) {
        let key = self.flow(slot).key;
        self.queues[queue_of(key.transport())].pop();
        let tag = self.tag(&key);
        self.index.remove(tag, slot);
        self.later_fragments.remove(&slot);
        self.flows.remove(slot);
    }

    /// All flows, by first packet.
    #[must_use]
    pub fn by_first_packet(&self) -> Vec<Slot> {
        let mut slots: Vec<Slot> = self.index.slots().collect();
        // numbers may have wrapped: what counts is how long ago each was given
        slots.sort_by_key(|slot| Reverse(self.started.wrapping_sub(self.flow(*slot).number)));
        slots
    }

    /// Forgets every flow.
    pub fn clear(&mut self) {
        self.flows = Slab::default();
        self.index = Index::default();
        self.queues = [BinaryHeap::new(), BinaryHeap::new()];
        self.later_fragments.clear();
        self.idle_after_age = u64::MAX;
    }

    /// The least recently seen flow of a queue. Each turn of the loop moves one flow down that was seen since it was
    /// put in its place; when the top is up to date, nothing below it can be older.
    fn oldest(&mut self, queue: usize) -> Option<Queued> {
        loop {
            let mut top = self.queues[queue].peek_mut()?;
            let flow = self.flows.get(top.0.slot);
            let current = Queued { seen_age: flow.seen_age, number: flow.number, slot: top.0.slot };
            if top.0 == current {
                return Some(current);
            }
            top.0 = current;
        }
    }

    fn idle_nanos(&self, queue: usize) -> u64 {
        let idle = if queue == TCP_QUEUE { self.limits.tcp_idle } else { self.limits.other_idle };
        idle.map_or(u64::MAX, |idle| u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX))
    }

    fn tag(&self, key: &FlowKey) -> u32 {
        (self.hasher.hash_one(key) >> 32) as u32
    }
}

const TCP_QUEUE: usize = 0;

/// TCP flows may be silent for longer than others, so they queue apart.
fn queue_of(transport: Transport) -> usize {
    if transport == Transport::Tcp { TCP_QUEUE } else { 1 }
}
