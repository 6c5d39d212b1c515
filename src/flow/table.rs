//! All flows that are open: bounded in number, and in how long each may be silent.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use foldhash::quality::RandomState;

use super::index::Index;
use super::packet::{Header, Keyer, Packet};
use super::queue::{Queue, Queued};
use super::slab::{Slab, Slot};
use super::{Flow, FlowKey, HandshakeClock, Side, TcpState};
use crate::decode::Handshake;
use crate::prefetch::prefetch;
use crate::snapshot::{FlowEnd, Traffic};
use crate::units::Transport;

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
const LOOK_AHEAD: usize = 8;

/// What the label of a flow decided about it.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// The end that serves.
    pub server: Side,
    /// Where the statistics of the label are kept.
    pub cell: u32,
}

impl Opening {
    fn counted(self, header: Header) -> Counted {
        Counted { cell: self.cell, to_server: header.sender != self.server, gap_us: None, handshake_rtt_us: None }
    }
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
/// A packet costs one look-up here and touches the two cache lines of its flow; see [`Queue`] for how the order of age is
/// kept all the same.
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
    /// When a record is cut that has been kept since then; the maximum is never.
    active_nanos: u64,
    /// No flow is idle before this age, in nanoseconds.
    idle_after_age: u64,
    /// Later fragments of the few flows that have any.
    later_fragments: HashMap<Slot, Traffic, RandomState>,
    started: u32,
}

impl FlowTable {
    /// An empty table.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let nanos = |limit: Option<Duration>| {
            limit.map_or(u64::MAX, |limit| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX))
        };
        Self {
            max_flows: limits.max_flows.max(1),
            idle_nanos: [nanos(limits.tcp_idle), nanos(limits.other_idle)],
            active_nanos: nanos(limits.active),
            flows: Slab::default(),
            index: Index::default(),
            keyer: Keyer::default(),
            queues: Default::default(),
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
        self.len() >= self.max_flows
    }

    /// What computes the tags of this table.
    #[must_use]
    pub fn keyer(&self) -> &Keyer {
        &self.keyer
    }

    /// Asks for the place where a look-up begins: the first of three steps that, each done for several packets in a row,
    /// make their waits for memory overlap.
    #[inline]
    pub fn prefetch_index(&self, packet: &Packet) {
        self.index.prefetch(packet.tag);
    }

    /// Asks for the flow that the packet most likely belongs to, the first with its tag, and says where it is: the second
    /// step. Nowhere, and the packet will open one, unless another packet before it does.
    #[must_use]
    #[inline]
    pub fn prefetch_flow(&self, packet: &Packet) -> Option<Slot> {
        let slot = self.index.find(packet.tag, |_| true)?;
        let flow = self.flow(slot);
        prefetch(&flow.key);
        prefetch(&flow.to_server);
        Some(slot)
    }

    /// Where the flow of a packet is: the third step. `guess` is what the second said, whatever happened since then.
    #[must_use]
    #[inline]
    pub fn find(&self, packet: &Packet, guess: Option<Slot>) -> Option<Slot> {
        let is_right = |slot| self.flow(slot).key == packet.key;
        guess.filter(|slot| is_right(*slot)).or_else(|| self.index.find(packet.tag, is_right))
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

    /// The flow's client has opened the connection that a packet of its server accepts.
    #[must_use]
    pub fn is_awaited(&self, slot: Slot, header: Header) -> bool {
        let flow = self.flow(slot);
        header.sender == flow.server && flow.has_opened
    }

    /// What a packet is to the flow at `slot`, which has its key.
    #[must_use]
    #[inline]
    pub fn turn(&self, slot: Slot, packet: &Packet, header: Header) -> Turn {
        let (flow, ts) = (self.flow(slot), packet.ts);
        if ts.nanos_since(flow.last_ts) > self.idle_nanos[queue_of(&flow.key)] {
            return Turn::Over(flow.end(FlowEnd::Idle));
        }
        if header.handshake == Handshake::Open && flow.tcp.is_over() {
            return Turn::Over(FlowEnd::Reopened);
        }
        let kept_nanos = ts.nanos_since(flow.record_first_ts);
        if kept_nanos >= self.active_nanos && self.active_nanos < u64::MAX { Turn::Cut } else { Turn::Same }
    }

    /// Opens a flow with its first packet. There must be room, see [`FlowTable::is_full`], and none with this key.
    pub fn open(&mut self, packet: &Packet, header: Header, opening: Opening, age_nanos: u64) -> Counted {
        let flow = self.first_packet(packet, header, opening, age_nanos);
        let (number, queue) = (flow.number, queue_of(&packet.key));
        let slot = self.flows.insert(flow);
        self.index.insert(packet.tag, slot);
        self.queues[queue].push(Queued { seen_age: age_nanos, number, slot });
        self.idle_after_age = self.idle_after_age.min(age_nanos.saturating_add(self.idle_nanos[queue]));
        self.count_fragment(slot, packet, header);
        opening.counted(header)
    }

    /// Opens a flow in the place of one with the same key, which has ended.
    pub fn reopen(&mut self, slot: Slot, packet: &Packet, header: Header, opening: Opening, age_nanos: u64) -> Counted {
        // its place in the queue is brought up to date when it comes to the top
        self.later_fragments.remove(&slot);
        *self.flows.get_mut(slot) = self.first_packet(packet, header, opening, age_nanos);
        self.count_fragment(slot, packet, header);
        opening.counted(header)
    }

    fn first_packet(&mut self, packet: &Packet, header: Header, opening: Opening, age_nanos: u64) -> Flow {
        let number = self.started;
        self.started = self.started.wrapping_add(1);
        let to_server = header.sender != opening.server;
        let wire = Traffic { packets: 1, wire_bytes: packet.wire_len.into() };
        let (to, from) = if to_server { (wire, Traffic::default()) } else { (Traffic::default(), wire) };
        Flow {
            key: packet.key,
            seen_age: age_nanos,
            first_ts: packet.ts,
            last_ts: packet.ts,
            record_first_ts: packet.ts,
            to_server: to,
            from_server: from,
            handshake: HandshakeClock::start(packet.ts),
            number,
            cell: opening.cell,
            tcp_flags: header.tcp_flags,
            tcp: TcpState::first(header.tcp_flags, to_server),
            server: opening.server,
            answered: !to_server,
            tunnels: header.tunnels,
            has_opened: to_server && header.handshake == Handshake::Open,
        }
    }

    /// Counts a packet to a flow that is open.
    #[inline]
    pub fn count(&mut self, slot: Slot, packet: &Packet, header: Header, age_nanos: u64) -> Counted {
        self.count_fragment(slot, packet, header);
        let flow = self.flows.get_mut(slot);
        let to_server = header.sender != flow.server;
        let gap_us = packet.ts.nanos_since(flow.last_ts) / 1000;
        let traffic = if to_server { &mut flow.to_server } else { &mut flow.from_server };
        *traffic += Traffic { packets: 1, wire_bytes: packet.wire_len.into() };
        flow.seen_age = age_nanos;
        flow.first_ts = flow.first_ts.min(packet.ts);
        flow.record_first_ts = flow.record_first_ts.min(packet.ts);
        flow.last_ts = flow.last_ts.max(packet.ts);
        flow.answered |= !to_server;
        flow.tcp_flags |= header.tcp_flags;
        let mut handshake_rtt_us = None;
        // other transports have no flags, and nothing to observe
        if header.tcp_flags != 0 && flow.tcp.observe(header.tcp_flags, to_server) {
            handshake_rtt_us = flow.handshake.stop(packet.ts);
            if handshake_rtt_us.is_none() {
                flow.tcp.forget_opening();
            }
        }
        Counted { cell: flow.cell, to_server, gap_us: Some(gap_us), handshake_rtt_us }
    }

    #[inline]
    fn count_fragment(&mut self, slot: Slot, packet: &Packet, header: Header) {
        if header.later_fragment {
            let fragments = self.later_fragments.entry(slot).or_default();
            *fragments += Traffic { packets: 1, wire_bytes: packet.wire_len.into() };
        }
    }

    /// Counts a packet to a flow that goes on, as the first of a new record; the one before was reported.
    pub fn count_in_new_record(&mut self, slot: Slot, packet: &Packet, header: Header, age_nanos: u64) -> Counted {
        self.later_fragments.remove(&slot);
        let flow = self.flows.get_mut(slot);
        (flow.to_server, flow.from_server) = (Traffic::default(), Traffic::default());
        flow.tcp_flags = 0;
        // a handshake that was reported is not reported again
        if flow.tcp.is_timed() {
            flow.tcp.forget_opening();
        }
        let counted = self.count(slot, packet, header, age_nanos);
        let flow = self.flows.get_mut(slot);
        (flow.record_first_ts, flow.last_ts) = (packet.ts, packet.ts);
        counted
    }

    /// A flow that has been silent for longer than it may at this age, if there is one: the one whose time was up first,
    /// ties by first packet. Whoever asks takes it out.
    pub fn idle(&mut self, age_nanos: u64) -> Option<Slot> {
        if age_nanos <= self.idle_after_age {
            return None;
        }
        let deadlines = [0, 1].map(|queue| {
            let oldest = self.oldest(queue)?;
            Some((oldest.seen_age.saturating_add(self.idle_nanos[queue]), oldest.number, oldest.slot))
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
        self.queues[queue_of(&key)].remove_oldest(slot);
        let tag = self.keyer.tag(&key);
        self.index.remove(tag, slot);
        self.later_fragments.remove(&slot);
        self.flows.get_mut(slot).key = FlowKey::NOTHING;
        self.flows.remove(slot);
        self.prefetch_upcoming(queue_of(&key));
    }

    /// Where one flow ends, others do soon, and those were not touched for long: asks for them, and then for their places
    /// in the index.
    fn prefetch_upcoming(&self, queue: usize) {
        if let Some(slot) = self.queues[queue].upcoming(2 * LOOK_AHEAD) {
            let flow = self.flow(slot);
            prefetch(&flow.key);
            prefetch(&flow.to_server);
        }
        if let Some(slot) = self.queues[queue].upcoming(LOOK_AHEAD) {
            self.index.prefetch(self.keyer.tag(&self.flow(slot).key));
        }
    }

    /// All flows, by first packet.
    #[must_use]
    pub fn by_first_packet(&self) -> Vec<Slot> {
        // numbers may have wrapped: what counts is how long ago each was given
        let age = |slot: Slot| self.started.wrapping_sub(self.flow(slot).number);
        let mut slots: Vec<_> = self.index.slots().map(|slot| (Reverse(age(slot)), slot)).collect();
        slots.sort_unstable();
        slots.into_iter().map(|(_, slot)| slot).collect()
    }

    /// Forgets every flow.
    pub fn clear(&mut self) {
        self.flows = Slab::default();
        self.index = Index::default();
        self.queues = Default::default();
        self.later_fragments.clear();
        self.idle_after_age = u64::MAX;
    }

    /// The least recently seen flow of a queue.
    fn oldest(&mut self, queue: usize) -> Option<Queued> {
        let flows = &self.flows;
        self.queues[queue].oldest(|slot| {
            let Flow { seen_age, number, .. } = *flows.get(slot);
            Queued { seen_age, number, slot }
        })
    }
}

const TCP_QUEUE: usize = 0;

/// TCP flows may be silent for longer than others, so they queue apart.
fn queue_of(key: &FlowKey) -> usize {
    if key.transport() == Transport::Tcp { TCP_QUEUE } else { 1 }
}
