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
    /// What it is found by in the index.
    pub tag: u32,
}

/// When a flow was seen last, and which of those that were seen at the same time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// Monotone time, in nanoseconds.
    pub age_nanos: u64,
    /// The flow's place in the order of first packets.
    pub number: u32,
}

/// Where in the front a flow is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Opened,
    SeenAgain,
    Joined,
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
    /// The range that is being taken from, least recently seen last.
    front: Range,
    /// What was seen again, but within that range: some of those that are seen while time stands still.
    joined: BinaryHeap<Reverse<Queued>>,
    /// The ranges behind it.
    later: VecDeque<Bucket>,
    /// The first of the front, as far as is known, and where it is. It is asked for several times before it changes, and which
    /// of the three lists it is in takes a guess each time.
    first: Option<(Queued, Place)>,
}

/// Flows that were last seen at `start` or later, and before the next bucket starts, as far as is known.
#[derive(Debug)]
struct Bucket {
    start: Seen,
    range: Range,
}

/// Flows of a range of age.
#[derive(Debug, Default)]
struct Range {
    /// Those that were opened in it, as they came: that is their order.
    opened: Vec<Queued>,
    /// Those that were opened before, and seen again in it; in order only at the front.
    seen_again: Vec<Queued>,
}

impl Bucket {
    fn starting_at(start: Seen) -> Self {
        Self { start, range: Range { opened: Vec::with_capacity(BUCKET_LEN), seen_again: Vec::new() } }
    }
}

impl Queue {
    /// Adds a flow that is being opened, at the latest time so far.
    pub fn push(&mut self, opened: Queued) {
        match self.later.back_mut() {
            Some(bucket) if bucket.range.opened.len() < BUCKET_LEN => bucket.range.opened.push(opened),
            _ => {
                let mut bucket = Bucket::starting_at(opened.seen);
                bucket.range.opened.push(opened);
                self.later.push_back(bucket);
            }
        }
    }

    /// No flow was last seen before this, though all may have been seen since then; `None` only when there is no flow.
    #[inline(always)]
    pub fn seen_since(&self) -> Option<Seen> {
        match &self.first {
            Some((first, _)) => Some(first.seen),
            None => self.later.front().map(|bucket| bucket.start),
        }
    }

    /// The least recently seen flow, if it was last seen before the age of `before_nanos`. `now` is later than any flow was
    /// seen, and what is pushed from here on is not before it.
    pub fn oldest(&mut self, before_nanos: u64, now: Seen, flows: &impl Flows) -> Option<Queued> {
        loop {
            let Some((first, place)) = self.first else {
                if self.later.front()?.start.age_nanos >= before_nanos {
                    return None;
                }
                self.advance(now, flows);
                continue;
            };
            if first.seen.age_nanos >= before_nanos {
                return None;
            }
            let seen = flows.seen(first.slot);
            if seen == first.seen {
                return Some(first);
            }
            self.take(place);
            self.add(Queued { seen, ..first });
        }
    }

    /// The flows that most likely become the oldest when so many more have been taken out.
    #[inline(always)]
    pub fn upcoming(&self, distance: usize) -> impl Iterator<Item = &Queued> {
        let sorted = [&self.front.opened, &self.front.seen_again].into_iter();
        sorted.filter_map(move |sorted| sorted.get(sorted.len().checked_sub(distance + 1)?))
    }

    /// Takes out the flow that [`Queue::oldest`] gave, if nothing has been done in between.
    pub fn remove_oldest(&mut self, slot: Slot) {
        debug_assert!(self.first.is_some_and(|(first, _)| first.slot == slot));
        if let Some((_, place)) = self.first {
            self.take(place);
        }
    }

    fn take(&mut self, place: Place) {
        let _ = match place {
            Place::Opened => self.front.opened.pop(),
            Place::SeenAgain => self.front.seen_again.pop(),
            Place::Joined => self.joined.pop().map(|top| top.0),
        };
        self.find_first();
    }

    #[inline(always)]
    fn find_first(&mut self) {
        let Range { opened, seen_again } = &self.front;
        let (first, place) = match (opened.last(), seen_again.last()) {
            (Some(one), Some(other)) if other < one => (other, Place::SeenAgain),
            (Some(one), _) => (one, Place::Opened),
            (None, Some(other)) => (other, Place::SeenAgain),
            (None, None) => {
                self.first = self.joined.peek().map(|Reverse(joined)| (*joined, Place::Joined));
                return;
            }
        };
        self.first = Some((*first, place));
        if let Some(Reverse(joined)) = self.joined.peek()
            && joined < first
        {
            self.first = Some((*joined, Place::Joined));
        }
    }

    /// Takes the next range to the front, without those that were seen again after it.
    #[inline(never)]
    fn advance(&mut self, now: Seen, flows: &impl Flows) {
        let Some(Bucket { range, .. }) = self.later.pop_front() else { return };
        let Range { opened, seen_again } = range;
        if self.later.is_empty() && opened.len() + seen_again.len() > 0 {
            // so that the range has an end
            self.later.push_back(Bucket::starting_at(now));
        }
        let end = self.later.front().map_or(now, |next| next.start);
        let (mut unseen, mut again) = (Vec::with_capacity(opened.len()), Vec::with_capacity(seen_again.len()));
        for at in 0..opened.len() + seen_again.len() {
            let queued = |at: usize| opened.get(at).or_else(|| seen_again.get(at.checked_sub(opened.len())?));
            if let Some(ahead) = queued(at + LOOK_AHEAD) {
                flows.prefetch(ahead.slot);
            }
            let Some(&known) = queued(at) else { break };
            let present = Queued { seen: flows.seen(known.slot), ..known };
            if present.seen >= end {
                self.add(present);
            } else if at >= opened.len() || present.seen != known.seen {
                again.push(present);
            } else {
                unseen.push(present);
            }
        }
        unseen.reverse();
        again.sort_unstable_by(|a, b| b.cmp(a));
        self.front = Range { opened: unseen, seen_again: again };
        self.find_first();
    }

    /// Adds a flow where it belongs now.
    fn add(&mut self, queued: Queued) {
        match self.later.partition_point(|bucket| bucket.start <= queued.seen).checked_sub(1) {
            Some(at) => self.later[at].range.seen_again.push(queued),
            None => {
                self.joined.push(Reverse(queued));
                self.find_first();
            }
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
                        let opened = Queued { seen: now, slot: Slot::new(number), tag: number };
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
                let since = queue.seen_since();
                prop_assert!(model.values().all(|flow| since.is_some_and(|since| since <= flow.seen)));
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
