//! From a hash to a slot: flat chunks of seven places, each chunk a cache line.
//!
//! A general hash map would do, but for two things: here the place where a search begins can be read ahead of the search,
//! for many packets at once, so that their waits for memory overlap; and nearly all searches take one look, which no branch
//! depends on but the last: a processor that guesses wrong loses the time of fifty instructions.

use wide::u32x4;

use super::slab::Slot;
use crate::memory::{prefetch, room_for};

/// The smallest index, in chunks.
const MIN_LEN: usize = 1 << 7;

/// Places of a chunk.
const PLACES: usize = 7;

/// The index grows when more than so many of eight places would be taken.
const MAX_LOAD: (usize, usize) = (6, 8);

/// Slots by tag, which is never 0. Tags of different flows may be equal; whoever searches compares keys.
#[derive(Debug)]
pub struct Index {
    /// A power of two of them.
    chunks: Vec<Chunk>,
    len: usize,
    /// How many there may be before it grows.
    max_len: usize,
}

/// Seven slots and their tags, which are 32 bits of a keyed hash. Who finds no place where it belongs takes
/// one in the next chunk that has room.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Chunk {
    /// Of each place; 0 where there is no slot. The eighth is always 0.
    tags: [[u32; 4]; 2],
    slots: [Option<Slot>; PLACES],
    /// How many have passed by here to find a place: a search must, too.
    passed: u32,
}

const _: () = assert!(size_of::<Chunk>() == 64, "a chunk is a cache line");

const VACANT: u32 = 0;
const EMPTY: Chunk = Chunk { tags: [[VACANT; 4]; 2], slots: [None; PLACES], passed: 0 };

/// Some of a chunk's places, a bit each.
#[derive(Debug)]
struct Places(u32);

impl Iterator for Places {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        let first = (self.0 != 0).then(|| self.0.trailing_zeros() as usize);
        self.0 &= self.0.wrapping_sub(1);
        first
    }
}

impl Chunk {
    /// The places with this tag, all at once.
    #[inline(always)]
    fn with_tag(&self, tag: u32) -> Places {
        let [low, high] = self.tags.map(|tags| u32x4::new(tags).simd_eq(u32x4::splat(tag)).to_bitmask());
        Places(low | high << 4)
    }

    /// A place without a slot.
    #[inline(always)]
    fn vacancy(&self) -> Option<usize> {
        let Places(vacant) = self.with_tag(VACANT);
        Places(vacant & ((1 << PLACES) - 1)).next()
    }

    /// Puts a slot into a place, or takes it out.
    #[inline(always)]
    fn set(&mut self, place: usize, tag: u32, slot: Option<Slot>) {
        self.tags.as_flattened_mut()[place] = tag;
        self.slots[place] = slot;
    }
}

impl Index {
    /// Takes address space for so many slots, if there is that much; memory itself is taken as slots come.
    pub fn with_room_for(max_slots: usize) -> Self {
        let mut len = MIN_LEN;
        while max_len(len) < max_slots {
            len *= 2;
        }
        let mut chunks = room_for(len);
        chunks.resize(MIN_LEN, EMPTY);
        Self { chunks, len: 0, max_len: max_len(MIN_LEN) }
    }

    /// How many slots are in it.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Asks for the place where a search for `tag` begins; most searches end there too.
    #[inline(always)]
    pub fn prefetch(&self, tag: u32) {
        prefetch(&self.chunks[self.home(tag)]);
    }

    /// The slot that has this tag and is the right one.
    #[inline(always)]
    pub fn find(&self, tag: u32, is_right: impl Fn(Slot) -> bool) -> Option<Slot> {
        debug_assert_ne!(tag, VACANT);
        let mut at = self.home(tag);
        loop {
            let chunk = &self.chunks[at];
            for place in chunk.with_tag(tag) {
                let slot = chunk.slots[place];
                if slot.is_some_and(&is_right) {
                    return slot;
                }
            }
            if chunk.passed == 0 {
                return None;
            }
            at = self.next(at);
        }
    }

    /// Adds a slot that is not in it.
    pub fn insert(&mut self, tag: u32, slot: Slot) {
        debug_assert_ne!(tag, VACANT);
        if self.len == self.max_len {
            self.grow();
        }
        self.len += 1;
        self.place(tag, slot);
    }

    /// Takes a slot out.
    pub fn remove(&mut self, tag: u32, slot: Slot) {
        let home = self.home(tag);
        let mut at = home;
        let place = loop {
            let chunk = &self.chunks[at];
            match chunk.with_tag(tag).find(|place| chunk.slots[*place] == Some(slot)) {
                Some(place) => break place,
                None if chunk.passed == 0 => return,
                None => at = self.next(at),
            }
        };
        self.chunks[at].set(place, VACANT, None);
        self.len -= 1;
        let mut passed = home;
        while passed != at {
            self.chunks[passed].passed -= 1;
            passed = self.next(passed);
        }
    }

    /// All slots, in no order.
    #[cfg(test)]
    fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.chunks.iter().flat_map(|chunk| chunk.slots).flatten()
    }

    /// Doubles it without a second copy: what belongs into a chunk belongs now there, or as far into the new half.
    #[cold]
    fn grow(&mut self) {
        let old_len = self.chunks.len();
        self.chunks.resize(2 * old_len, EMPTY);
        self.max_len = max_len(2 * old_len);
        let mut strayed = Vec::new();
        for at in 0..old_len {
            self.chunks[at].passed = 0;
            let chunk = self.chunks[at];
            for (place, (tag, slot)) in chunk.tags.into_iter().flatten().zip(chunk.slots).enumerate() {
                let Some(slot) = slot else { continue };
                let home = self.home(tag);
                if home == at {
                    continue;
                }
                self.chunks[at].set(place, VACANT, None);
                if home == at + old_len {
                    self.chunks[home].set(place, tag, Some(slot));
                } else {
                    strayed.push((tag, slot));
                }
            }
        }
        for (tag, slot) in strayed {
            self.place(tag, slot);
        }
    }

    fn place(&mut self, tag: u32, slot: Slot) {
        let mut at = self.home(tag);
        loop {
            let chunk = &mut self.chunks[at];
            if let Some(place) = chunk.vacancy() {
                return chunk.set(place, tag, Some(slot));
            }
            chunk.passed += 1;
            at = self.next(at);
        }
    }

    #[inline(always)]
    fn home(&self, tag: u32) -> usize {
        tag as usize & (self.chunks.len() - 1)
    }

    #[inline(always)]
    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.chunks.len() - 1)
    }
}

/// How many slots there may be in so many chunks.
const fn max_len(chunks: usize) -> usize {
    chunks.saturating_mul(PLACES * MAX_LOAD.0) / MAX_LOAD.1
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
            let (mut index, mut model) = (Index::with_room_for(50), HashMap::new());
            for (add, tag, number) in steps {
                // tags at the end of the smallest table make searches go round
                let (tag, slot) = (tag % 8 + 124, Slot::new(number));
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
        // with room for all, and without: then it moves
        for max_slots in [10_000, 0] {
            let mut index = Index::with_room_for(max_slots);
            let start = index.chunks.as_ptr();
            // a third of them, wherever they begin, begin in one of the first chunks: many stray, before and after they grow
            let tag = |number: u32| {
                number.wrapping_mul(0x9e37_79b9) & if number.is_multiple_of(3) { !0x78 } else { !0 } | 1 << 31
            };
            for number in 0..10_000 {
                index.insert(tag(number), Slot::new(number));
                if number.is_power_of_two() {
                    let found = |number| index.find(tag(number), |slot| slot == Slot::new(number));
                    assert!((0..=number).all(|number| found(number) == Some(Slot::new(number))));
                    assert_eq!(index.slots().count(), number as usize + 1);
                }
            }
            assert!(index.chunks.iter().any(|chunk| chunk.passed > 0), "some strayed");
            assert_eq!(index.chunks.as_ptr() == start, max_slots > 0);
            for number in 0..10_000 {
                assert_eq!(index.find(tag(number), |slot| slot == Slot::new(number)), Some(Slot::new(number)));
                index.remove(tag(number), Slot::new(number));
            }
            assert_eq!((index.len(), index.slots().count()), (0, 0));
            assert!(index.chunks.iter().all(|chunk| chunk.passed == 0));
        }
    }
}
