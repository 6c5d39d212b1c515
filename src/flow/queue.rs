//! Flows by when they were last seen, kept lazily: being seen costs nothing here.
//!
//! A flow is queued with the age at which it was opened. Only what comes to the front is brought up to date: a flow that
//! was seen since goes on with its present age. So the front, once it is up to date, is exact. Opening flows happens in
//! the order of their age, which a plain queue keeps for nothing; only those that go on need a heap.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::slab::Slot;

/// A flow in its place: least recently seen first, ties by first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Queued {
    /// Monotone time at which it was seen, in nanoseconds.
    pub seen_age: u64,
    /// Its place in the order of first packets.
    pub number: u32,
    /// Where it is.
    pub slot: Slot,
}

/// Flows that may be silent for equally long.
#[derive(Debug, Default)]
pub struct Queue {
    /// As they were opened.
    opened: VecDeque<Queued>,
    /// Those that were seen again before they came to the front.
    seen_again: BinaryHeap<Reverse<Queued>>,
}

impl Queue {
    /// Adds a flow that is being opened.
    pub fn push(&mut self, opened: Queued) {
        self.opened.push_back(opened);
    }

    /// The least recently seen flow; `current` tells what is true of a flow now.
    pub fn oldest(&mut self, current: impl Fn(Slot) -> Queued) -> Option<Queued> {
        loop {
            let (opened, seen_again) = (self.opened.front().copied(), self.seen_again.peek().map(|top| top.0));
            let (first, is_opened) = match (opened, seen_again) {
                (Some(opened), Some(seen_again)) if seen_again < opened => (seen_again, false),
                (Some(opened), _) => (opened, true),
                (None, Some(seen_again)) => (seen_again, false),
                (None, None) => return None,
            };
            let now = current(first.slot);
            if now == first {
                return Some(first);
            }
            if is_opened {
                self.opened.pop_front();
                self.seen_again.push(Reverse(now));
            } else if let Some(mut top) = self.seen_again.peek_mut() {
                top.0 = now;
            }
        }
    }

    /// The flow that most likely becomes the oldest when so many more have been taken out.
    pub fn upcoming(&self, distance: usize) -> Option<Slot> {
        self.opened.get(distance).map(|queued| queued.slot)
    }

    /// Takes out the flow that [`Queue::oldest`] gave.
    pub fn remove_oldest(&mut self, slot: Slot) {
        if self.opened.front().is_some_and(|front| front.slot == slot) {
            self.opened.pop_front();
        } else {
            self.seen_again.pop();
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
    }

    proptest! {
        /// Against a map that is always up to date.
        #[test]
        fn the_front_is_the_least_recently_seen(
            steps in prop::collection::vec((0..2u64, prop_oneof![
                2 => Just(Step::Open), 3 => (0..20usize).prop_map(Step::See), 1 => Just(Step::TakeOldest),
            ]), 0..300),
        ) {
            let (mut queue, mut model, mut age, mut number) = (Queue::default(), BTreeMap::new(), 0, 0);
            for (passed, step) in steps {
                age += passed;
                match step {
                    Step::Open => {
                        let opened = Queued { seen_age: age, number, slot: Slot::new(number) };
                        number += 1;
                        queue.push(opened);
                        model.insert(opened.slot, opened);
                    }
                    Step::See(which) => {
                        let which = which % model.len().max(1);
                        if let Some(seen) = model.values_mut().nth(which) {
                            seen.seen_age = age;
                        }
                    }
                    Step::TakeOldest => {
                        let oldest = queue.oldest(|slot| model[&slot]);
                        prop_assert_eq!(oldest, model.values().min().copied());
                        if let Some(oldest) = oldest {
                            queue.remove_oldest(oldest.slot);
                            model.remove(&oldest.slot);
                        }
                    }
                }
            }
        }
    }
}
