//! Brings the packets of several live sources into the order of their times.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use super::batch::Batch;
use crate::flow::Packet;
use crate::units::Timestamp;

/// No packet waits for more than this much packet time: a source that says nothing for so long holds up the others no
/// longer, and neither does a clock that was set back.
const PATIENCE: Duration = Duration::from_secs(2);

/// Batches that wait until no source can have an earlier packet.
#[derive(Debug)]
pub(super) struct Merge {
    lanes: Vec<Lane>,
}

/// What came from one source.
#[derive(Debug, Default)]
struct Lane {
    batches: VecDeque<Batch>,
    /// Packets of the first batch that were passed on.
    at: usize,
    /// The source has nothing more from before this.
    through: Option<Timestamp>,
    has_ended: bool,
}

impl Lane {
    fn head(&self) -> Option<Timestamp> {
        self.batches.front()?.packets.get(self.at).map(|packet| packet.ts)
    }
}

impl Merge {
    /// Nothing yet, of so many sources.
    pub(super) fn new(lanes: usize) -> Self {
        Self { lanes: std::iter::repeat_with(Lane::default).take(lanes).collect() }
    }

    /// Takes what a source has read, which has nothing more from before `through`.
    pub(super) fn push(&mut self, lane: usize, batch: Batch, through: Option<Timestamp>) {
        let lane = &mut self.lanes[lane];
        if !batch.packets.is_empty() {
            lane.batches.push_back(batch);
        }
        lane.through = through.or(lane.through);
    }

    /// A source has ended.
    pub(super) fn end(&mut self, lane: usize) {
        self.lanes[lane].has_ended = true;
    }

    /// Every source has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.lanes.iter().all(|lane| lane.has_ended)
    }

    /// No source has anything more from before this, and none lags behind; `None` while that is not known.
    pub(super) fn through(&self) -> Option<Timestamp> {
        let mut open = self.lanes.iter().filter(|lane| !lane.has_ended).map(|lane| lane.through);
        let first = open.next()??;
        let (low, high) =
            open.try_fold((first, first), |(low, high), through| Some((low.min(through?), high.max(through?))))?;
        (high <= low.saturating_add(PATIENCE)).then_some(low)
    }

    /// Passes on what is due, in order: packets to `take`, as a batch and a row of places in it, at least one, all of them
    /// from before `end` or all from after it. Batches that are used up go to `empty`, with their source's number.
    pub(super) fn drain(
        &mut self,
        end: Timestamp,
        mut take: impl FnMut(&Batch, Range<usize>),
        mut empty: impl FnMut(usize, Batch),
    ) {
        loop {
            let heads = self.lanes.iter().enumerate().filter_map(|(at, lane)| Some((lane.head()?, at)));
            let Some((head, at)) = heads.min() else { return };
            let others = || self.lanes.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, lane)| lane);
            // a source that has not said anything yet is waited for as long as one that has
            let silent = others().filter(|lane| !lane.has_ended && lane.batches.is_empty());
            let settled = silent.map(|lane| lane.through.unwrap_or(Timestamp::MIN)).min().unwrap_or(Timestamp::MAX);
            let newest = self.lanes.iter().filter_map(|lane| Some(lane.batches.back()?.packets.last()?.ts)).max();
            let overdue = newest.map_or(Timestamp::MIN, |newest| newest.saturating_sub(PATIENCE));
            let limit = others().filter_map(Lane::head).min().unwrap_or(Timestamp::MAX).min(settled.max(overdue));
            if head > limit {
                return;
            }
            let lane = &mut self.lanes[at];
            let Some(batch) = lane.batches.front() else { return };
            let is_due = |packet: &&Packet| packet.ts <= limit && (packet.ts > end) == (head > end);
            let due = batch.packets[lane.at..].iter().take_while(is_due).count();
            take(batch, lane.at..lane.at + due);
            lane.at += due;
            if lane.at == batch.packets.len()
                && let Some(batch) = lane.batches.pop_front()
            {
                lane.at = 0;
                empty(at, batch);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Observation, Portless};
    use crate::flow::Keyer;

    /// Packets as long as their source's number says.
    fn batch(lane: u32, times: &[i64]) -> Batch {
        let packet = |nanos: &i64| {
            let outcome = Err(Portless::Arp);
            Keyer::default().packet(&Observation { ts: Timestamp::from_nanos(*nanos), wire_len: lane, outcome })
        };
        Batch { packets: times.iter().map(packet).collect(), ..Batch::default() }
    }

    fn drained(merge: &mut Merge) -> Vec<(u32, i64)> {
        let mut out = Vec::new();
        let take = |batch: &Batch, run: Range<usize>| {
            out.extend(batch.packets[run].iter().map(|packet| (packet.wire_len, packet.ts.as_nanos())));
        };
        merge.drain(Timestamp::MAX, take, |_, _| {});
        out
    }

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn packets_wait_for_the_source_that_may_have_earlier_ones() {
        let mut merge = Merge::new(2);
        merge.push(0, batch(0, &[1, 5, 9]), Some(Timestamp::from_nanos(9)));
        assert_eq!(drained(&mut merge), [], "the other has not said anything");
        merge.push(1, batch(1, &[]), Some(Timestamp::from_nanos(4)));
        assert_eq!(drained(&mut merge), [(0, 1)]);
        assert_eq!(merge.through(), Some(Timestamp::from_nanos(4)));
        merge.push(1, batch(1, &[5, 6, 7]), Some(Timestamp::from_nanos(7)));
        assert_eq!(drained(&mut merge), [(0, 5), (1, 5), (1, 6), (1, 7)]);
        merge.end(1);
        assert_eq!(drained(&mut merge), [(0, 9)]);
        merge.end(0);
        assert!(merge.has_ended());
        assert_eq!(merge.through(), None);
    }

    #[test]
    fn one_source_needs_to_wait_for_nobody() {
        let mut merge = Merge::new(1);
        merge.push(0, batch(0, &[3, 2, 4]), Some(Timestamp::from_nanos(4)));
        assert_eq!(drained(&mut merge), [(0, 3), (0, 2), (0, 4)]);
    }

    #[test]
    fn a_source_that_hangs_holds_up_nobody_for_long() {
        let mut merge = Merge::new(2);
        merge.push(1, batch(1, &[]), Some(Timestamp::from_nanos(0)));
        merge.push(0, batch(0, &[SECOND, 4 * SECOND]), Some(Timestamp::from_nanos(4 * SECOND)));
        assert_eq!(drained(&mut merge), [(0, SECOND)], "older than the newest by more than there is patience for");
        assert_eq!(merge.through(), None, "and then nothing is known of time");
    }

    #[test]
    fn packets_from_after_the_end_come_apart() {
        let mut merge = Merge::new(1);
        merge.push(0, batch(0, &[1, 5, 6, 7, 4]), Some(Timestamp::from_nanos(7)));
        let mut runs = Vec::new();
        merge.drain(Timestamp::from_nanos(5), |_, run| runs.push(run), |_, _| {});
        assert_eq!(runs, [0..2, 2..4, 4..5]);
    }

    #[test]
    fn a_clock_that_is_set_back_mixes_nothing_up() {
        let mut merge = Merge::new(2);
        merge.push(0, batch(0, &[100 * SECOND]), Some(Timestamp::from_nanos(100 * SECOND)));
        merge.push(1, batch(1, &[SECOND, 2 * SECOND]), Some(Timestamp::from_nanos(2 * SECOND)));
        assert_eq!(drained(&mut merge), [(1, SECOND), (1, 2 * SECOND)]);
        merge.push(0, batch(0, &[3 * SECOND]), Some(Timestamp::from_nanos(3 * SECOND)));
        merge.push(1, batch(1, &[103 * SECOND]), Some(Timestamp::from_nanos(103 * SECOND)));
        assert_eq!(drained(&mut merge), [(0, 100 * SECOND), (0, 3 * SECOND)]);
    }
}
