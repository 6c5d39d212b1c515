//! Flows by when they were last seen, kept lazily: being seen costs nothing here.
//!
//! A flow is queued with the age at which it was opened, and only what comes to the front is brought up to date: a flow that
//! was seen since goes on with its present age. So the front, once it is up to date, is exact. What is behind the front is
//! in no order but that of its buckets, which are taken by range of age: to queue a flow, again too, is to add it to one.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::slab::Slot;

/// Flows that are opened into a bucket before the next one begins; those that are seen again make it larger.
const BUCKET_LEN: usize = if cfg!(test) { 4 } else { 4096 };

/// How many flows ahead of bringing them up to date memory is asked for.
const LOOK_AHEAD: usize = 16;

/// A flow in its place: least recently seen first, ties by first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Queued {
    /// When it was seen.
    pub seen: Seen,
    /// Where it is.
    pub slot: Slot,
}

/// When a flow was seen last, and which of those that were seen at the same time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// Monotone time, in nanoseconds.
    pub age_nanos: u64,
    /// The flow's place in the order of first packets.
    pub number: u32,
}

/// What the queue has to know of flows.
pub trait Flows {
    /// When the flow was seen last.
    fn seen(&self, slot: Slot) -> Seen;
    /// Asks for the memory that tells.
    fn prefetch(&self, slot: Slot);
}

/// Flows that may be silent for equally long.
#[derive(Debug, Default)]
pub struct Queue {
    /// The range that is being taken from, sorted, least recently seen last.
    front: Vec<Queued>,
    /// What was seen again, but within that range: some of those that are seen while time stands still.
    joined: BinaryHeap<Reverse<Queued>>,
    /// The ranges behind it.
    later: VecDeque<Bucket>,
}

/// Flows that were last seen at `start` or later, and before the next bucket starts, as far as is known.
#[derive(Debug)]
struct Bucket {
    start: Seen,
    queued: Vec<Queued>,
}

impl Bucket {
    fn starting_at(start: Seen) -> Self {
        Self { start, queued: Vec::with_capacity(BUCKET_LEN) }
    }
}

impl Queue {
    /// Adds a flow that is being opened, at the latest time so far.
    pub fn push(&mut self, opened: Queued) {
        match self.later.back_mut() {
            Some(bucket) if bucket.queued.len() < BUCKET_LEN => bucket.queued.push(opened),
            _ => {
                let mut bucket = Bucket::starting_at(opened.seen);
                bucket.queued.push(opened);
                self.later.push_back(bucket);
            }
        }
    }

    /// No flow was last seen at an earlier age than this, in nanoseconds; `None` only when there is no flow.
    pub fn seen_since_nanos(&self) -> Option<u64> {
        let joined = self.joined.peek().map(|top| top.0.seen);
        let first = [self.front.last().map(|last| last.seen), joined].into_iter().flatten().min();
        first.or_else(|| self.later.front().map(|bucket| bucket.start)).map(|seen| seen.age_nanos)
    }

    /// The least recently seen flow, if it was last seen before the age of `before_nanos`. `now` is later than any flow was
    /// seen, and what is pushed from here on is not before it.
    #[inline(always)]
    pub fn oldest(&mut self, before_nanos: u64, now: Seen, flows: &impl Flows) -> Option<Queued> {
        match self.front.last() {
            // mostly
            Some(first)
                if self.joined.is_empty()
                    && first.seen.age_nanos < before_nanos
                    && flows.seen(first.slot) == first.seen =>
            {
                Some(*first)
            }
            _ => self.look_for_oldest(before_nanos, now, flows),
        }
    }

    #[inline(never)]
    fn look_for_oldest(&mut self, before_nanos: u64, now: Seen, flows: &impl Flows) -> Option<Queued> {
        loop {
            let joined = self.joined.peek().map(|top| top.0);
            let (first, is_joined) = match (self.front.last(), joined) {
                (Some(front), Some(joined)) if joined < *front => (joined, true),
                (Some(front), _) => (*front, false),
                (None, Some(joined)) => (joined, true),
                (None, None) if self.later.front()?.start.age_nanos < before_nanos => {
                    self.advance(now, flows);
                    continue;
                }
                (None, None) => return None,
            };
            if first.seen.age_nanos >= before_nanos {
                return None;
            }
            let seen = flows.seen(first.slot);
            if seen == first.seen {
                return Some(first);
            }
            if is_joined {
                self.joined.pop();
            } else {
                self.front.pop();
            }
            self.add(Queued { seen, ..first });
        }
    }

    /// The flow that most likely becomes the oldest when so many more have been taken out.
    pub fn upcoming(&self, distance: usize) -> Option<Slot> {
        let at = self.front.len().checked_sub(distance + 1)?;
        self.front.get(at).map(|queued| queued.slot)
    }

    /// Takes out the flow that [`Queue::oldest`] gave.
    pub fn remove_oldest(&mut self, slot: Slot) {
        if self.front.last().is_some_and(|front| front.slot == slot) {
            self.front.pop();
        } else {
            self.joined.pop();
        }
    }

    /// Takes the next range to the front, without those that were seen again after it.
    fn advance(&mut self, now: Seen, flows: &impl Flows) {
        let Some(Bucket { mut queued, .. }) = self.later.pop_front() else { return };
        if self.later.is_empty() && !queued.is_empty() {
            // so that the range has an end
            self.later.push_back(Bucket::starting_at(now));
        }
        let end = self.later.front().map_or(now, |next| next.start);
        let mut kept = 0;
        for at in 0..queued.len() {
            if let Some(ahead) = queued.get(at + LOOK_AHEAD) {
                flows.prefetch(ahead.slot);
            }
            let slot = queued[at].slot;
            let present = Queued { seen: flows.seen(slot), slot };
            if present.seen < end {
                queued[kept] = present;
                kept += 1;
            } else {
                self.add(present);
            }
        }
        queued.truncate(kept);
        queued.sort_unstable_by(|a, b| b.cmp(a));
        self.front = queued;
    }

    /// Adds a flow where it belongs now.
    fn add(&mut self, queued: Queued) {
        match self.later.partition_point(|bucket| bucket.start <= queued.seen).checked_sub(1) {
            Some(at) => self.later[at].queued.push(queued),
            None => self.joined.push(Reverse(queued)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// What happens to flows, each a nanosecond or none after the one before.
    #[derive(Clone, Debug)]
    enum Step {
        Open,
        See(usize),
        TakeOldest,
        TakeOlderThan(u64),
    }

    /// Flows by slot.
    type Model = BTreeMap<Slot, Queued>;

    impl Flows for Model {
        fn seen(&self, slot: Slot) -> Seen {
            self[&slot].seen
        }
        fn prefetch(&self, _: Slot) {}
    }

    proptest! {
        /// Against a map that is always up to date.
        #[test]
        fn the_front_is_the_least_recently_seen(
            steps in prop::collection::vec((0..2u64, prop_oneof![
                4 => Just(Step::Open), 6 => (0..20usize).prop_map(Step::See), 1 => Just(Step::TakeOldest),
                1 => (0..30u64).prop_map(Step::TakeOlderThan),
            ]), 0..400),
        ) {
            let (mut queue, mut model, mut age_nanos, mut number) = (Queue::default(), Model::new(), 0, 0);
            for (passed, step) in steps {
                age_nanos += passed;
                let now = Seen { age_nanos, number };
                let limit = match step {
                    Step::Open => {
                        let opened = Queued { seen: now, slot: Slot::new(number) };
                        number += 1;
                        queue.push(opened);
                        model.insert(opened.slot, opened);
                        continue;
                    }
                    Step::See(which) => {
                        let which = which % model.len().max(1);
                        if let Some(flow) = model.values_mut().nth(which) {
                            flow.seen.age_nanos = age_nanos;
                        }
                        continue;
                    }
                    Step::TakeOldest => u64::MAX,
                    Step::TakeOlderThan(nanos) => age_nanos.saturating_sub(nanos),
                };
                let since = queue.seen_since_nanos();
                prop_assert!(model.values().all(|flow| since.is_some_and(|since| since <= flow.seen.age_nanos)));
                let oldest = queue.oldest(limit, now, &model);
                let want = model.values().min().copied().filter(|oldest| oldest.seen.age_nanos < limit);
                prop_assert_eq!(oldest, want);
                if let Some(oldest) = oldest {
                    queue.remove_oldest(oldest.slot);
                    model.remove(&oldest.slot);
                }
            }
        }
    }
}
