//! The first half of counting: which flow each packet belongs to, and when flows and intervals end.
//!
//! Nothing here knows names: what the [`Ledger`](super::ledger::Ledger) makes of it, it makes later, be it on another thread.

use std::ops::{ControlFlow, Range};
use std::time::Duration;
use std::vec;

use super::trail::{Happened, Moment, Record, Span, Trail};
use super::{EngineConfig, RunEnd};
use crate::flow::{FlowTable, Header, Keyer, Packet, PacketClock, Passed, Slot, Turn};
use crate::snapshot::{FlowEnd, SourceKind};
use crate::units::Timestamp;

/// Live, packet time that is behind by more than this, two seconds, was set back: nothing waits that long to be read.
const SET_BACK_NANOS: u64 = 2_000_000_000;
/// Live, at most so many intervals without packets are reported one by one when they come at once, as after a sleep of the
/// machine; those before them are not.
pub(super) const SILENT_SNAPSHOTS: u64 = 60;
/// How many flows end at once: at the end of a run, and where packet time goes far in one step. What is to be said of them
/// takes as much memory as they do, and is said before others end.
const ENDS_AT_ONCE: usize = 4096;
/// The same for intervals: each has a snapshot, with a row for each service.
const SNAPSHOTS_AT_ONCE: usize = 16;
/// Live, intervals last at least so long for each row of their snapshots: taking one takes about a tenth of that, and is not
/// to keep packets waiting.
const INTERVAL_NANOS_A_ROW: u64 = 10_000;
/// What else there is to a snapshot takes as long as so many rows.
const ROWS_BESIDE: u64 = 100;

/// Follows packets: to their flows, and through time.
#[derive(Debug)]
pub struct Tracker {
    kind: SourceKind,
    /// Each flow is reported when it ends.
    flow_records: bool,
    max_intervals: Option<u32>,
    clock: PacketClock,
    flows: FlowTable,
    /// Smallest and largest packet time; the wrong way round before the first packet.
    first_ts: Timestamp,
    last_ts: Timestamp,
    /// How long the next interval is.
    step: Option<Duration>,
    /// How many of that length cover the time so far.
    steps: u32,
    /// How long each interval is at least, however short the step.
    least_interval_nanos: u64,
    open_interval: Option<Span>,
    /// Intervals that had no snapshot of their own, since the last one that had.
    skipped_snapshots: u64,
    /// At the end of the run: the flows that are still to end.
    ending: Option<vec::IntoIter<Slot>>,
}

impl Tracker {
    pub(super) fn new(config: &EngineConfig, kind: SourceKind) -> Self {
        Self {
            kind,
            flow_records: config.flow_records,
            max_intervals: config.max_intervals,
            clock: PacketClock::default(),
            flows: FlowTable::new(config.limits, config.flow_records),
            first_ts: Timestamp::MAX,
            last_ts: Timestamp::MIN,
            step: config.interval,
            steps: 0,
            least_interval_nanos: 0,
            open_interval: None,
            skipped_snapshots: 0,
            ending: None,
        }
    }

    /// What makes packets ready for this tracker.
    pub(super) fn keyer(&self) -> &Keyer {
        self.flows.keyer()
    }

    /// Follows packets, in their order, and adds what became of them to `trail`, which has to be empty. The result is the
    /// same as if each came alone; together they are faster, because memory is asked for ahead of its use: the places in the
    /// index two groups ahead, the flows one group ahead.
    ///
    /// Tells how many were followed. Before the next one, so many flows ended that the trail is to be used up first.
    #[must_use]
    pub fn follow(&mut self, packets: &[Packet], trail: &mut Trail) -> usize {
        let mut guesses = [[None; GROUP]; 2];
        trail.reserve(packets.len());
        for [ahead, next, now] in in_groups(packets.len()) {
            guesses.swap(0, 1);
            for packet in &packets[ahead] {
                self.flows.prefetch_index(packet);
            }
            for (packet, guess) in packets[next].iter().zip(&mut guesses[1]) {
                *guess = self.flows.prefetch_flow(packet);
            }
            for (packet, guess) in packets[now].iter().zip(guesses[0]) {
                if self.advance(packet.ts, trail).is_break() {
                    return trail.steps.len();
                }
                match self.flows.carry_on(packet, guess, self.clock.age_nanos()) {
                    Some((slot, gap_us)) => trail.next(slot, packet, gap_us),
                    None => self.look_closer(packet, guess, trail),
                }
            }
        }
        packets.len()
    }

    /// A live capture begins at `now`.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.expect_rows(0);
        if let Some(step) = self.step {
            self.open_interval(now, step, true);
        }
    }

    /// Snapshots have so many rows. Live, intervals that begin from here on are long enough for that.
    pub(super) fn expect_rows(&mut self, rows: usize) {
        if self.kind == SourceKind::Live {
            self.least_interval_nanos = (rows as u64).saturating_add(ROWS_BESIDE).saturating_mul(INTERVAL_NANOS_A_ROW);
        }
    }

    /// See [`Engine::tick`](super::Engine::tick). Breaks off as [`Tracker::follow`] does, to be called again.
    pub(super) fn tick(&mut self, now: Timestamp, trail: &mut Trail) -> ControlFlow<()> {
        let is_set_back = self.clock.now().is_some_and(|clock| clock.nanos_since(now) > SET_BACK_NANOS);
        self.place_in_interval(now, is_set_back || self.clock.is_jump(now), trail)?;
        if is_set_back {
            self.clock.set_back(now);
        } else {
            self.clock.advance(now);
        }
        self.end_some_idle_flows(self.clock.age_nanos(), trail)
    }

    /// Ends flows, as many as fit at once; after the last one, the run. True when there is more to end.
    pub fn finish(&mut self, end: RunEnd, trail: &mut Trail) -> bool {
        let mut ending = self.ending.take().unwrap_or_else(|| self.flows.all(self.flow_records).into_iter());
        for slot in ending.by_ref().take(ENDS_AT_ONCE) {
            self.mark_end(slot, self.flows.flow(slot).end(FlowEnd::Final), trail);
        }
        if ending.len() > 0 {
            self.ending = Some(ending);
            return true;
        }
        self.flows.clear();
        if end != RunEnd::NothingReadable {
            // live, time goes on without packets, and no snapshot is from before another
            let ts = match self.kind {
                SourceKind::File => self.span().map(|(_, last)| last),
                SourceKind::Live => self.clock.now().max(self.span().map(|(_, last)| last)),
            };
            self.mark_snapshot(ts, Some(end), trail);
        }
        false
    }

    /// Moves packet time on: ends intervals and flows whose time is up. Nothing of the packet itself is counted before the
    /// interval that it ends is reported. Breaks off where the trail is to be used up first; the same packet then goes on.
    #[inline(always)]
    fn advance(&mut self, ts: Timestamp, trail: &mut Trail) -> ControlFlow<()> {
        if self.clock.passes_quietly(ts) {
            self.last_ts = self.last_ts.max(ts);
            ControlFlow::Continue(())
        } else {
            self.advance_closely(ts, trail)
        }
    }

    #[inline(never)]
    fn advance_closely(&mut self, ts: Timestamp, trail: &mut Trail) -> ControlFlow<()> {
        self.place_packet(ts, trail)?;
        self.first_ts = self.first_ts.min(ts);
        self.last_ts = self.last_ts.max(ts);
        self.clock.advance(ts);
        self.end_some_idle_flows(self.clock.age_nanos(), trail)?;
        self.clock.be_quiet_for(self.quiet_nanos());
        ControlFlow::Continue(())
    }

    /// For how long from now on packet time may do no more than pass: it is not the first of the run, no packet is late, and
    /// no interval and no flow ends.
    fn quiet_nanos(&self) -> u64 {
        let Some(now) = self.clock.now().filter(|now| *now >= self.first_ts) else { return 0 };
        let of_interval = self
            .open_interval
            .as_ref()
            .map_or(u64::MAX, |open| if now < open.start { 0 } else { open.end.nanos_since(now) });
        of_interval.min(self.flows.nanos_until_idle(self.clock.age_nanos()))
    }

    /// Closes the open interval if the packet is past it, and opens the packet's; a packet from before it is late.
    fn place_packet(&mut self, ts: Timestamp, trail: &mut Trail) -> ControlFlow<()> {
        self.place_in_interval(ts, self.clock.is_jump(ts), trail)?;
        if let Some(open) = &mut self.open_interval {
            // no flow ends because of a packet that is late: it comes here once
            open.late_packets += u64::from(ts < open.start);
        }
        ControlFlow::Continue(())
    }

    /// Closes intervals until the open one is that of `ts`, where there are any. One that `ts` is only late for stays open,
    /// unless time jumps.
    #[inline]
    fn place_in_interval(&mut self, ts: Timestamp, jumps: bool, trail: &mut Trail) -> ControlFlow<()> {
        while let Some(step) = self.step {
            match &self.open_interval {
                // the last interval there is has no end that a packet could be past
                Some(open) if (ts < open.end || open.end == Timestamp::MAX) && !(jumps && ts < open.start) => break,
                _ => self.change_interval(ts, step, jumps, trail)?,
            }
        }
        ControlFlow::Continue(())
    }

    /// Closes the open interval, and opens the next: that of `ts`, or live one before it without packets, which has a snapshot
    /// too.
    #[cold]
    fn change_interval(&mut self, ts: Timestamp, step: Duration, jumps: bool, trail: &mut Trail) -> ControlFlow<()> {
        let Some(Span { end, .. }) = self.open_interval else {
            self.open_interval(ts, step, false);
            return ControlFlow::Continue(());
        };
        if !jumps {
            // flows whose time is up within the interval end in it, though it takes a later packet to notice
            self.end_some_idle_flows(self.clock.age_nanos() + self.clock.nanos_until(end), trail)?;
        }
        if trail.moments.len() >= SNAPSHOTS_AT_ONCE {
            return ControlFlow::Break(());
        }
        self.mark_snapshot(Some(end), None, trail);
        let step = self.lengthen(step, end);
        let next = if self.kind == SourceKind::Live && !jumps { self.after_silence(end, ts, step) } else { ts };
        self.open_interval(next, step, false);
        ControlFlow::Continue(())
    }

    /// When the next interval begins after one that ended at `end`, if `ts` is next: there may be many in between.
    fn after_silence(&mut self, end: Timestamp, ts: Timestamp, step: Duration) -> Timestamp {
        let len_nanos = self.interval_nanos(step);
        let silent = ts.nanos_since(end) / len_nanos;
        let skipped = silent.saturating_sub(SILENT_SNAPSHOTS);
        self.skipped_snapshots += skipped;
        end.saturating_add(Duration::from_nanos(len_nanos.saturating_mul(skipped)))
    }

    /// The length of the next interval, after one of `step` has ended at `end`.
    fn lengthen(&mut self, step: Duration, end: Timestamp) -> Duration {
        let Some(max_intervals) = self.max_intervals else { return step };
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
        let end = start.saturating_add(Duration::from_nanos(self.interval_nanos(step)));
        self.open_interval = Some(Span { start, end, late_packets: 0, skipped_snapshots: 0, is_partial });
    }

    /// How long an interval is that begins now: as many steps as it takes.
    fn interval_nanos(&self, step: Duration) -> u64 {
        let step_nanos = u64::try_from(step.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.least_interval_nanos.div_ceil(step_nanos).max(1).saturating_mul(step_nanos)
    }

    /// Ends the flows whose time is up, as many as fit at once; breaks off when there are more.
    #[inline(always)]
    fn end_some_idle_flows(&mut self, age_nanos: u64, trail: &mut Trail) -> ControlFlow<()> {
        while let Some(idle) = self.flows.idle(age_nanos) {
            if trail.marks.len() >= ENDS_AT_ONCE {
                return ControlFlow::Break(());
            }
            self.mark_end(idle.slot(), self.flows.flow(idle.slot()).end(FlowEnd::Idle), trail);
            self.flows.remove_oldest(idle);
        }
        ControlFlow::Continue(())
    }

    /// Follows a packet that does not only carry on the flow that `guess` says.
    #[inline(never)]
    fn look_closer(&mut self, packet: &Packet, guess: Option<Slot>, trail: &mut Trail) {
        let Ok(header) = packet.header() else { return trail.portless(packet) };
        let age_nanos = self.clock.age_nanos();
        let Some(slot) = self.flows.find(packet, guess) else {
            return self.open(packet, header, trail);
        };
        let Passed { gap_us, handshake_rtt_us } = match self.flows.turn(slot, packet, header) {
            Turn::Same => self.flows.count(slot, packet, header, age_nanos),
            Turn::Cut => {
                if self.flow_records {
                    self.record(slot, trail);
                    trail.mark(Happened::Cut { slot });
                }
                self.flows.count_in_new_record(slot, packet, header, age_nanos)
            }
            Turn::Over(end) => {
                self.mark_end(slot, end, trail);
                self.flows.reopen(slot, packet, header, age_nanos);
                return trail.first(slot, packet);
            }
        };
        if let Some(rtt_us) = handshake_rtt_us {
            trail.mark(Happened::RoundTrip { slot, rtt_us });
        }
        trail.next_notable(slot, packet, gap_us);
    }

    /// Opens a flow, for which another may have to end.
    fn open(&mut self, packet: &Packet, header: Header, trail: &mut Trail) {
        let age_nanos = self.clock.age_nanos();
        let oldest = if self.flows.is_full() { self.flows.least_recent(age_nanos) } else { None };
        let slot = if let Some(oldest) = oldest {
            self.mark_end(oldest.slot(), FlowEnd::Evicted, trail);
            self.flows.open_in_place(oldest, packet, header, age_nanos)
        } else {
            self.flows.open(packet, header, age_nanos)
        };
        trail.first(slot, packet);
    }

    /// Smallest and largest packet time; `None` before the first packet.
    fn span(&self) -> Option<(Timestamp, Timestamp)> {
        (self.first_ts <= self.last_ts).then_some((self.first_ts, self.last_ts))
    }

    fn mark_end(&self, slot: Slot, end: FlowEnd, trail: &mut Trail) {
        if self.flow_records {
            self.record(slot, trail);
        }
        let flow = self.flows.flow(slot);
        let (is_two_way, duration_us) = (flow.is_two_way(), self.flows.times(slot).duration_us(flow));
        trail.mark(Happened::Ended { slot, end, is_two_way, duration_us });
    }

    fn record(&self, slot: Slot, trail: &mut Trail) {
        let (flow, times) = (self.flows.flow(slot).clone(), *self.flows.times(slot));
        if let Some(&draft) = self.flows.draft(slot) {
            let later_fragments = self.flows.later_fragments(slot);
            trail.records.push_back(Record { flow, times, draft, later_fragments });
        }
    }

    fn mark_snapshot(&mut self, ts: Option<Timestamp>, run_end: Option<RunEnd>, trail: &mut Trail) {
        let mut interval = self.open_interval.take();
        if let Some(span) = &mut interval {
            span.skipped_snapshots = std::mem::take(&mut self.skipped_snapshots);
        }
        trail.mark(Happened::Snapshot);
        trail.moments.push_back(Moment {
            ts,
            first_ts: self.span().map(|(first, _)| first),
            last_ts: self.span().map(|(_, last)| last),
            time_jumps: self.clock.jumps(),
            interval,
            run_end,
        });
    }
}

/// Packets for which memory is asked together.
const GROUP: usize = 16;

/// The groups of so many packets, in three steps that each group goes through: memory is asked for when it is two groups
/// ahead and when it is one ahead, and then it is its turn.
fn in_groups(packets: usize) -> impl Iterator<Item = [Range<usize>; 3]> {
    let group = move |from: usize| from.min(packets)..(from + GROUP).min(packets);
    (0..packets + 2 * GROUP).step_by(GROUP).map(move |ahead| {
        let behind = |groups: usize| ahead.checked_sub(groups * GROUP).map_or(0..0, group);
        [group(ahead), behind(1), behind(2)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_has_its_turn_after_both_steps_ahead() {
        for packets in [0, 1, GROUP - 1, GROUP, GROUP + 1, 5 * GROUP + 3] {
            let (mut asked_twice, mut asked, mut done) = (0, 0, 0);
            for [ahead, next, now] in in_groups(packets) {
                for (range, so_far) in [(now, &mut done), (next, &mut asked), (ahead, &mut asked_twice)] {
                    if !range.is_empty() {
                        assert_eq!(range.start, *so_far);
                        *so_far = range.end;
                    }
                }
                assert!(done <= asked && asked <= asked_twice);
            }
            assert_eq!((asked_twice, asked, done), (packets, packets, packets));
        }
    }
}
