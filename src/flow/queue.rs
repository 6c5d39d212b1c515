//! Flows by when they were last seen, kept lazily: being seen costs nothing here.
//!
//! A flow is queued where it was opened, and only what comes to the front is brought up to date: a flow that was seen since
//! goes on with its present age. So the front, once it is up to date, is exact. What is behind the front is in no order but
//! that of its buckets, which are taken by range of age: to queue a flow, again too, is to add its slot to one. Everything
//! else about it is in the flow itself, which has to be looked at anyway.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::num::NonZeroU128;

use super::slab::Slot;

/// Flows that are opened into a bucket before the next one begins; those that are seen again make it larger. With fewer, the
/// buckets were so many that adding a flow to one of them had to wait for its memory.
const BUCKET_LEN: usize = if cfg!(test) { 4 } else { 4096 };

/// How many flows ahead of bringing them up to date memory is asked for.
const LOOK_AHEAD: usize = 16;

/// Buckets that are kept for later when they are empty: fresh memory takes the system longer than filling it.
const SPARE_BUCKETS: usize = 8;

/// A flow in its place: least recently seen first, ties by first packet.
///
/// It is one number, of which two are quickly compared: when the flow was seen, in nanoseconds; the flow's place in the order
/// of first packets; and its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Queued(NonZeroU128);

impl Queued {
    /// After every flow.
    const NEVER: Self = Self(NonZeroU128::MAX);

    /// The flow at `slot`, which was seen last at an age and is the flow of the run with this number.
    #[inline(always)]
    pub(super) fn new(seen_age_nanos: u64, number: u32, slot: Slot) -> Self {
        let place = u128::from(seen_age_nanos) << 64 | u128::from(number) << 32;
        Self(NonZeroU128::from(slot.word()) | place)
    }

    /// Before, or at, the place of every flow that is seen at an age and has this number or a later one.
    #[inline(always)]
    pub(super) fn earliest(seen_age_nanos: u64, number: u32) -> Self {
        Self::new(seen_age_nanos, number, Slot::new(0))
    }

    /// When the flow was seen: monotone time, in nanoseconds.
    #[inline(always)]
    pub(super) fn seen_age_nanos(self) -> u64 {
        (self.0.get() >> 64) as u64
    }

    /// Which flow of the run it is, see [`Flow`](super::Flow).
    #[expect(clippy::cast_possible_truncation, reason = "the bits above are the age")]
    pub(super) fn number(self) -> u32 {
        (self.0.get() >> 32) as u32
    }

    /// Where the flow is.
    #[must_use]
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the lower bits are the slot")]
    pub fn slot(self) -> Slot {
        Slot::from_word(self.0.get() as u32)
    }
}

/// What the queue has to know of flows.
pub trait Flows {
    /// Where the flow belongs now.
    fn place(&self, slot: Slot) -> Queued;
    /// The flow has been seen since it was opened.
    fn is_seen_again(&self, slot: Slot) -> bool;
    /// Asks for the memory that tells.
    fn prefetch(&self, slot: Slot);
}

/// Flows that may be silent for equally long.
#[derive(Debug)]
pub struct Queue {
    /// No flow is before this: it is the first of the front, or else where the next bucket starts.
    since: Queued,
    /// Where in the front that is: 0 and 1 are its runs, and then come the two that follow.
    place: usize,
    /// The range that is being taken from: flows that were opened in it, and flows that were seen again in it.
    front: [Run; 2],
    /// What was seen again, but within that range: some of those that are seen while time stands still.
    joined: BinaryHeap<Reverse<Queued>>,
    /// The ranges behind it.
    later: VecDeque<Bucket>,
    /// Empty ones, to be used again.
    spare: Vec<Bucket>,
}

const OPENED: usize = 0;
const SEEN_AGAIN: usize = 1;
const JOINED: usize = 2;
const NOWHERE: usize = 3;

/// Flows in order, the first of which have been taken out.
#[derive(Debug, Default)]
struct Run {
    flows: Vec<Queued>,
    taken: usize,
}

impl Run {
    #[inline(always)]
    fn first(&self) -> Queued {
        self.flows.get(self.taken).copied().unwrap_or(Queued::NEVER)
    }
}

/// Flows that were last seen at `start` or later, and before the next bucket starts, as far as is known.
#[derive(Debug)]
struct Bucket {
    start: Queued,
    /// Those that were opened in it, as they came: that is the order of those that were not seen since.
    opened: Vec<Slot>,
    /// Those that were opened before, and seen again in it, in no order.
    seen_again: Vec<Slot>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            since: Queued::NEVER,
            place: NOWHERE,
            front: Default::default(),
            joined: BinaryHeap::new(),
            later: VecDeque::new(),
            spare: Vec::new(),
        }
    }
}

impl Queue {
    /// Adds a flow that is being opened, at the latest time so far.
    #[inline(always)]
    pub fn push(&mut self, opened: Queued) {
        match self.later.back_mut() {
            Some(bucket) if bucket.opened.len() < BUCKET_LEN => bucket.opened.push(opened.slot()),
            _ => self.push_to_next(opened),
        }
    }

    #[inline(never)]
    fn push_to_next(&mut self, opened: Queued) {
        self.begin_bucket(opened, Some(opened.slot()));
        self.find_first();
    }

    fn begin_bucket(&mut self, start: Queued, opened: Option<Slot>) {
        let mut bucket = match self.spare.pop() {
            Some(spare) => Bucket { start, ..spare },
            None => Bucket { start, opened: Vec::with_capacity(BUCKET_LEN), seen_again: Vec::new() },
        };
        bucket.opened.extend(opened);
        self.later.push_back(bucket);
    }

    /// No flow is before this place, though all may be after it.
    #[inline(always)]
    pub fn since(&self) -> Queued {
        self.since
    }

    /// The least recently seen flow, if it was last seen before the age of `before_nanos`. `now` is later than any flow was
    /// seen, and what is pushed from here on is not before it.
    #[inline(always)]
    pub fn oldest(&mut self, before_nanos: u64, now: Queued, flows: &impl Flows) -> Option<Queued> {
        while self.since.seen_age_nanos() < before_nanos {
            let oldest = self.up_to_date(now, flows);
            if oldest.is_some() {
                return oldest;
            }
        }
        None
    }

    /// The first flow, if that is known to be where it belongs; else does something about it. There is one, or was.
    #[inline(always)]
    pub fn up_to_date(&mut self, now: Queued, flows: &impl Flows) -> Option<Queued> {
        let first = self.since;
        if self.place == NOWHERE {
            self.advance(now, flows);
            return None;
        }
        let present = flows.place(first.slot());
        if present == first {
            return Some(first);
        }
        self.remove_oldest();
        self.add(present);
        None
    }

    /// The flow that most likely becomes the oldest when so many like the first one have been taken out.
    #[inline(always)]
    pub fn upcoming(&self, distance: usize) -> Option<Slot> {
        let run = self.front.get(self.place)?;
        run.flows.get(run.taken + distance).map(|queued| queued.slot())
    }

    /// Takes out the flow that [`Queue::oldest`] gave, if nothing has been done in between.
    #[inline(always)]
    pub fn remove_oldest(&mut self) {
        match self.front.get_mut(self.place) {
            Some(run) => run.taken += 1,
            None => drop(self.joined.pop()),
        }
        self.find_first();
    }

    #[inline(always)]
    fn find_first(&mut self) {
        let [opened, seen_again] = [self.front[OPENED].first(), self.front[SEEN_AGAIN].first()];
        // the two take turns as they please: so there is no branch
        self.place = if seen_again < opened { SEEN_AGAIN } else { OPENED };
        self.since = opened.min(seen_again);
        if self.since == Queued::NEVER || !self.joined.is_empty() {
            self.look_further();
        }
    }

    #[inline(never)]
    fn look_further(&mut self) {
        match self.joined.peek() {
            Some(&Reverse(joined)) if joined < self.since => (self.since, self.place) = (joined, JOINED),
            None if self.since == Queued::NEVER => {
                self.place = NOWHERE;
                self.since = self.later.front().map_or(Queued::NEVER, |next| next.start);
            }
            _ => {}
        }
    }

    /// Takes the next range to the front, without those that were seen again after it.
    #[inline(never)]
    fn advance(&mut self, now: Queued, flows: &impl Flows) {
        let Some(mut bucket) = self.later.pop_front() else { return };
        if self.later.is_empty() && bucket.opened.len() + bucket.seen_again.len() > 0 {
            // so that the range has an end
            self.begin_bucket(now, None);
        }
        let end = self.later.front().map_or(now, |next| next.start);
        for run in &mut self.front {
            run.flows.clear();
            run.taken = 0;
        }
        for slot in bucket.opened.iter().chain(&bucket.seen_again).take(LOOK_AHEAD) {
            flows.prefetch(*slot);
        }
        let opened = bucket.opened.len();
        let slots = bucket.opened.iter().chain(&bucket.seen_again);
        let mut ahead = slots.clone().skip(LOOK_AHEAD);
        for (at, slot) in slots.enumerate() {
            if let Some(ahead) = ahead.next() {
                flows.prefetch(*ahead);
            }
            let present = flows.place(*slot);
            if present >= end {
                self.add(present);
            } else {
                let run = usize::from(at >= opened || flows.is_seen_again(*slot));
                self.front[run].flows.push(present);
            }
        }
        self.front[SEEN_AGAIN].flows.sort_unstable();
        self.find_first();
        if self.spare.len() < SPARE_BUCKETS {
            bucket.opened.clear();
            bucket.seen_again.clear();
            self.spare.push(bucket);
        }
    }

    /// Adds a flow where it belongs now.
    fn add(&mut self, queued: Queued) {
        match self.later.partition_point(|bucket| bucket.start <= queued).checked_sub(1) {
            Some(at) => self.later[at].seen_again.push(queued.slot()),
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
        Reopen(usize),
        TakeOldest,
        TakeOlderThan(u64),
    }

    /// Where each flow belongs, and whether it was seen since it was opened, by slot.
    type Model = BTreeMap<Slot, (Queued, bool)>;

    impl Flows for Model {
        fn place(&self, slot: Slot) -> Queued {
            self[&slot].0
        }
        fn is_seen_again(&self, slot: Slot) -> bool {
            self[&slot].1
        }
        fn prefetch(&self, _: Slot) {}
    }

    proptest! {
        /// Against a map that is always up to date.
        #[test]
        fn the_front_is_the_least_recently_seen(
            steps in prop::collection::vec((0..2u64, prop_oneof![
                8 => Just(Step::Open), 12 => (0..20usize).prop_map(Step::See), 1 => (0..20usize).prop_map(Step::Reopen),
                2 => Just(Step::TakeOldest), 2 => (0..30u64).prop_map(Step::TakeOlderThan),
            ]), 0..400),
        ) {
            let (mut queue, mut model, mut age_nanos, mut number) = (Queue::default(), Model::new(), 0, 0);
            for (passed, step) in steps {
                age_nanos += passed;
                let now = Queued::earliest(age_nanos, number);
                let nth = |model: &Model, which: usize| model.values().nth(which % model.len().max(1)).copied();
                let limit = match step {
                    Step::Open => {
                        let opened = Queued::new(age_nanos, number, Slot::new(number));
                        number += 1;
                        queue.push(opened);
                        model.insert(opened.slot(), (opened, false));
                        continue;
                    }
                    Step::See(which) => {
                        if let Some((flow, _)) = nth(&model, which) {
                            model.insert(flow.slot(), (Queued::new(age_nanos, flow.number(), flow.slot()), true));
                        }
                        continue;
                    }
                    Step::Reopen(which) => {
                        if let Some((flow, _)) = nth(&model, which) {
                            model.insert(flow.slot(), (Queued::new(age_nanos, number, flow.slot()), true));
                            number += 1;
                        }
                        continue;
                    }
                    Step::TakeOldest => u64::MAX,
                    Step::TakeOlderThan(nanos) => age_nanos.saturating_sub(nanos),
                };
                prop_assert!(model.values().all(|(flow, _)| queue.since() <= *flow));
                let oldest = queue.oldest(limit, now, &model);
                let want = model.values().map(|(flow, _)| *flow).min().filter(|oldest| oldest.seen_age_nanos() < limit);
                prop_assert_eq!(oldest, want);
                if let Some(oldest) = oldest {
                    queue.remove_oldest();
                    model.remove(&oldest.slot());
                }
            }
        }
    }

    #[test]
    fn a_place_is_in_one_number() {
        let places = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, u32::MAX, 7), (1, 0, 0), (u64::MAX, 3, u32::MAX - 1)];
        let queued = places.map(|(age_nanos, number, slot)| Queued::new(age_nanos, number, Slot::new(slot)));
        assert!(queued.is_sorted());
        for (queued, (age_nanos, number, slot)) in queued.into_iter().zip(places) {
            let got = (queued.seen_age_nanos(), queued.number(), queued.slot());
            assert_eq!(got, (age_nanos, number, Slot::new(slot)));
            assert!(Queued::earliest(age_nanos, number) <= queued && queued < Queued::NEVER);
        }
    }
}
