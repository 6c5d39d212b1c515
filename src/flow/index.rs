//! From a hash to a slot: open addressing with linear probing, in one flat array.
//!
//! A general hash map would do, but for one thing: here the place where a search begins can be read ahead of the search,
//! for many packets at once, so that their waits for memory overlap.

use super::slab::Slot;
use crate::prefetch::prefetch;

/// The smallest array, in entries.
const MIN_LEN: usize = 1 << 10;

/// The array grows when more than three of four entries are taken.
const MAX_LOAD: (usize, usize) = (3, 4);

/// Slots by tag. Tags of different flows may be equal; whoever searches compares keys.
#[derive(Debug)]
pub struct Index {
    /// A power of two of them.
    entries: Vec<Entry>,
    len: usize,
}

/// A tag, which is 32 bits of a keyed hash, and the slot of the flow that has it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    tag: u32,
    slot: Option<Slot>,
}

const _: () = assert!(size_of::<Entry>() == 8, "eight entries fill a cache line");

const VACANT: Entry = Entry { tag: 0, slot: None };

impl Default for Index {
    fn default() -> Self {
        Self { entries: vec![VACANT; MIN_LEN], len: 0 }
    }
}

impl Index {
    /// How many slots are in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Asks for the place where a search for `tag` begins; most searches end there too.
    #[inline(always)]
    pub fn prefetch(&self, tag: u32) {
        prefetch(&self.entries[self.home(tag)]);
    }

    /// The slot that has this tag and is the right one.
    #[inline(always)]
    pub fn find(&self, tag: u32, is_right: impl Fn(Slot) -> bool) -> Option<Slot> {
        let mut place = self.home(tag);
        loop {
            let entry = self.entries[place];
            let slot = entry.slot?;
            if entry.tag == tag && is_right(slot) {
                return Some(slot);
            }
            place = self.next(place);
        }
    }

    /// Adds a slot that is not in it.
    pub fn insert(&mut self, tag: u32, slot: Slot) {
        if (self.len + 1) * MAX_LOAD.1 > self.entries.len() * MAX_LOAD.0 {
            self.grow();
        }
        self.len += 1;
        self.place(Entry { tag, slot: Some(slot) });
    }

    /// Takes a slot out.
    pub fn remove(&mut self, tag: u32, slot: Slot) {
        let mut hole = self.home(tag);
        while self.entries[hole].slot != Some(slot) {
            if self.entries[hole].slot.is_none() {
                return;
            }
            hole = self.next(hole);
        }
        self.len -= 1;
        // what follows moves up, as far as its search would otherwise end at the hole
        let mut place = hole;
        loop {
            place = self.next(place);
            let entry = self.entries[place];
            if entry.slot.is_none() {
                break;
            }
            let mask = self.mask();
            let from_home = |to: usize| to.wrapping_sub(self.home(entry.tag)) & mask;
            if from_home(hole) <= from_home(place) {
                self.entries[hole] = entry;
                hole = place;
            }
        }
        self.entries[hole] = VACANT;
    }

    /// All slots, in no order.
    #[cfg(test)]
    fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.entries.iter().filter_map(|entry| entry.slot)
    }

    fn grow(&mut self) {
        let doubled = vec![VACANT; self.entries.len() * 2];
        for entry in std::mem::replace(&mut self.entries, doubled) {
            if entry.slot.is_some() {
                self.place(entry);
            }
        }
    }

    fn place(&mut self, entry: Entry) {
        let mut place = self.home(entry.tag);
        while self.entries[place].slot.is_some() {
            place = self.next(place);
        }
        self.entries[place] = entry;
    }

    #[inline]
    fn mask(&self) -> usize {
        self.entries.len() - 1
    }

    #[inline]
    fn home(&self, tag: u32) -> usize {
        tag as usize & self.mask()
    }

    #[inline]
    fn next(&self, place: usize) -> usize {
        (place + 1) & self.mask()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// Few different tags, so that probes run into each other; every answer is checked against a map.
        #[test]
        fn it_finds_what_is_in_it_and_nothing_else(steps in prop::collection::vec((any::<bool>(), 0..40u32, 0..50u32), 0..4000)) {
            let (mut index, mut model) = (Index::default(), HashMap::new());
            for (add, tag, number) in steps {
                // tags at the end of the smallest array make probes go round
                let (tag, slot) = (tag + 1004, Slot::new(number));
                if add && !model.contains_key(&slot) {
                    model.insert(slot, tag);
                    index.insert(tag, slot);
                } else if !add && model.get(&slot) == Some(&tag) {
                    model.remove(&slot);
                    index.remove(tag, slot);
                }
                prop_assert_eq!(index.len(), model.len());
                for (slot, tag) in &model {
                    prop_assert_eq!(index.find(*tag, |found| found == *slot), Some(*slot));
                }
            }
            prop_assert_eq!(index.slots().count(), model.len());
            prop_assert_eq!(index.find(7, |_| true), None);
        }
    }

    #[test]
    fn it_grows() {
        let mut index = Index::default();
        let tag = |number: u32| number.wrapping_mul(0x9e37_79b9);
        for number in 0..10_000 {
            index.insert(tag(number), Slot::new(number));
        }
        for number in 0..10_000 {
            assert_eq!(index.find(tag(number), |slot| slot == Slot::new(number)), Some(Slot::new(number)));
            index.remove(tag(number), Slot::new(number));
        }
        assert_eq!((index.len(), index.slots().count()), (0, 0));
    }
}
