//! What the tracker tells the ledger: what became of each packet, and what happened between them.

use std::collections::VecDeque;

use crate::flow::{Draft, Flow, Header, Packet, Slot, Times};
use crate::snapshot::{FlowEnd, Traffic};
use crate::units::Timestamp;

use super::RunEnd;

/// What became of packets, in their order.
#[derive(Debug, Default)]
pub struct Trail {
    /// One for each packet.
    pub(super) steps: Vec<Step>,
    /// The places of those that start a flow, or accept a connection.
    pub(super) openings: Vec<u32>,
    /// What happened between them, in order.
    pub(super) marks: Vec<Mark>,
    /// The flows of the marks that report one, in order.
    pub(super) records: VecDeque<Record>,
    /// The times of the marks that are snapshots, in order.
    pub(super) moments: VecDeque<Moment>,
}

/// What a packet is, as far as counting it goes. It is small, because it goes from one processor to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// See [`Passed::gap_us`](crate::flow::Passed::gap_us); 0 for a flow's first packet.
    pub gap_us: u64,
    /// Bytes on the wire.
    pub wire_len: u32,
    /// Its flow; `None` where it has none.
    pub slot: Option<Slot>,
    /// The packet's own, and whether it is the first of its flow.
    pub header: Header,
}

impl Step {
    /// Where its flow has its place in what is kept by slot; 0 where it has none.
    #[inline(always)]
    pub fn place(&self) -> usize {
        self.slot.map_or(0, Slot::index)
    }
}

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// Before the packet at this place; where it stands there are no more, after the last.
    pub before: usize,
    pub what: Happened,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happened {
    /// A flow has ended; its slot may be another's from here on. The next of the records is its report, where flows are
    /// reported.
    Ended {
        slot: Slot,
        end: FlowEnd,
        is_two_way: bool,
        /// Microseconds from its first packet to its last.
        duration_us: u64,
    },
    /// The record of a flow was cut, which goes on; the next of the records is its report.
    Cut { slot: Slot },
    /// The end that sent a flow's first packet has answered the other's answer: microseconds since that first packet.
    RoundTrip { slot: Slot, rtt_us: u64 },
    /// It is time for a snapshot; the next of the moments.
    Snapshot,
}

/// A flow as it is reported.
#[derive(Debug)]
pub(super) struct Record {
    pub flow: Flow,
    pub times: Times,
    pub draft: Draft,
    pub later_fragments: Traffic,
}

/// The time of a snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// When it is taken; `None` before anything came.
    pub ts: Option<Timestamp>,
    /// Smallest packet time so far.
    pub first_ts: Option<Timestamp>,
    /// Largest.
    pub last_ts: Option<Timestamp>,
    /// How often packet time jumped so far.
    pub time_jumps: u64,
    /// The interval that ends.
    pub interval: Option<Span>,
    /// It is the last one.
    pub run_end: Option<RunEnd>,
}

/// An interval that packets fall into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub start: Timestamp,
    pub end: Timestamp,
    /// Packets in it that are from before it.
    pub late_packets: u64,
    /// Intervals before it that were too many to be reported one by one.
    pub skipped_snapshots: u64,
    /// The capture began within it.
    pub is_partial: bool,
}

impl Trail {
    /// Makes room for so many steps.
    pub(super) fn reserve(&mut self, packets: usize) {
        self.steps.reserve(packets);
    }

    /// Adds the first packet of a flow.
    pub(super) fn first(&mut self, slot: Slot, packet: &Packet) {
        self.note_opening();
        let (wire_len, header) = (packet.wire_len, packet.raw_header().starting_flow());
        self.steps.push(Step { gap_us: 0, wire_len, slot: Some(slot), header });
    }

    /// Adds one more packet of a flow.
    #[inline(always)]
    pub(super) fn next(&mut self, slot: Slot, packet: &Packet, gap_us: u64) {
        let (wire_len, header) = (packet.wire_len, packet.raw_header());
        self.steps.push(Step { gap_us, wire_len, slot: Some(slot), header });
    }

    /// Adds one more packet of a flow, which may accept a connection.
    pub(super) fn next_notable(&mut self, slot: Slot, packet: &Packet, gap_us: u64) {
        if packet.raw_header().accepts() {
            self.note_opening();
        }
        self.next(slot, packet, gap_us);
    }

    #[expect(clippy::cast_possible_truncation, reason = "a batch is a few packets")]
    fn note_opening(&mut self) {
        self.openings.push(self.steps.len() as u32);
    }

    /// Adds a packet that has no ports.
    pub(super) fn portless(&mut self, packet: &Packet) {
        let (wire_len, header) = (packet.wire_len, packet.raw_header());
        self.steps.push(Step { gap_us: 0, wire_len, slot: None, header });
    }

    /// Makes room for what follows.
    pub(super) fn clear(&mut self) {
        self.steps.clear();
        self.openings.clear();
        self.marks.clear();
        self.records.clear();
        self.moments.clear();
    }

    /// Adds what happened now, after the last packet.
    pub(super) fn mark(&mut self, what: Happened) {
        self.marks.push(Mark { before: self.steps.len(), what });
    }
}
