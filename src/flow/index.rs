//! From a hash to a slot: flat chunks of twelve places, each chunk a cache line.
//!
//! A general hash map would do, but for two things: here the place where a search begins can be read ahead of the search,
//! for many packets at once, so that their waits for memory overlap; and nearly all searches take one look, which no branch
//! depends on but the last: a processor that guesses wrong loses the time of fifty instructions.
//!
//! Each packet of a new flow waits for it, and so does the flow that ends for it, each at another place: so it is small. What
//! it keeps of a hash is one byte, and the rest is computed again from the flow when it grows.

use wide::u8x16;

use super::slab::Slot;
use crate::memory::{prefetch, room_for};

/// The smallest index, in chunks.
const MIN_LEN: usize = 1 << 7;

/// Places of a chunk.
const PLACES: usize = 12;

/// The index grows when more than so many of eight places would be taken.
const MAX_LOAD: (usize, usize) = (6, 8);

/// Slots by hash. Hashes of different flows may be equal, or equal as far as they are kept; whoever searches compares keys.
#[derive(Debug)]
pub struct Index {
    /// A power of two of them.
    chunks: Vec<Chunk>,
    len: usize,
    /// How many there may be before it grows.
    max_len: usize,
}

/// Twelve slots and their tags. Who finds no place where it belongs takes one in the next chunk that has room.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Chunk {
    /// The tag of each place; 0 where there is no slot. The last four bytes are a number: how many have passed by here to find
    /// a place, for a search must, too.
    tags: [u8; 16],
    slots: [Option<Slot>; PLACES],
}

const _: () = assert!(size_of::<Chunk>() == 64, "a chunk is a cache line");

const VACANT: u8 = 0;
const EMPTY: Chunk = Chunk { tags: [VACANT; 16], slots: [None; PLACES] };

/// What the index has to know of the flows that are in it.
pub trait Hashes {
    /// The hash of the flow's key: 32 bits.
    fn hash(&self, slot: Slot) -> u32;
    /// Asks for the memory that tells.
    fn prefetch(&self, slot: Slot);
}

/// What is kept of a hash: other bits than those that say where it belongs, as long as they suffice for that. Never 0.
#[inline(always)]
fn tag_of(hash: u32) -> u8 {
    ((hash >> 24) as u8).max(1)
}

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
    fn with_tag(&self, tag: u8) -> Places {
        Places(u8x16::new(self.tags).simd_eq(u8x16::splat(tag)).to_bitmask() & ((1 << PLACES) - 1))
    }

    /// A place without a slot.
    #[inline(always)]
    fn vacancy(&self) -> Option<usize> {
        self.with_tag(VACANT).next()
    }

    /// Puts a slot into a place, or takes it out.
    #[inline(always)]
    fn set(&mut self, place: usize, tag: u8, slot: Option<Slot>) {
        self.tags[place] = tag;
        self.slots[place] = slot;
    }

    /// How many have passed by here.
    #[inline(always)]
    fn passed(&self) -> u32 {
        let [.., a, b, c, d] = self.tags;
        u32::from_le_bytes([a, b, c, d])
    }

    fn set_passed(&mut self, passed: u32) {
        self.tags[PLACES..].copy_from_slice(&passed.to_le_bytes());
    }
}

impl Index {
    /// Takes address space for so many slots, if there is that much; memory itself is taken as slots come.
    pub fn with_room_for(max_slots: usize) -> Self {
        let mut len = MIN_LEN;
        while max_len(len) < max_slots && len < usize::MAX / 2 {
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

    /// Asks for the place where a search for `hash` begins; most searches end there too.
    #[inline(always)]
    pub fn prefetch(&self, hash: u32) {
        prefetch(&self.chunks[self.home(hash)]);
    }

    /// The slot that most likely is right, the first with its tag; `each` is told of others beside it, too.
    #[inline(always)]
    pub fn guess(&self, hash: u32, each: impl Fn(Slot)) -> Option<Slot> {
        let chunk = &self.chunks[self.home(hash)];
        let mut places = chunk.with_tag(tag_of(hash));
        let Some(place) = places.next() else {
            let strayed = if chunk.passed() == 0 { None } else { self.find(hash, |_| true) };
            strayed.into_iter().for_each(each);
            return strayed;
        };
        let first = chunk.slots[place]?;
        each(first);
        for place in places {
            chunk.slots[place].iter().for_each(|slot| each(*slot));
        }
        Some(first)
    }

    /// The slot that has this hash and is the right one.
    #[inline(always)]
    pub fn find(&self, hash: u32, is_right: impl Fn(Slot) -> bool) -> Option<Slot> {
        let (mut at, tag) = (self.home(hash), tag_of(hash));
        loop {
            let chunk = &self.chunks[at];
            for place in chunk.with_tag(tag) {
                let slot = chunk.slots[place];
                if slot.is_some_and(&is_right) {
                    return slot;
                }
            }
            if chunk.passed() == 0 {
                return None;
            }
            at = self.next(at);
        }
    }

    /// Adds a slot that is not in it. `hashes` know those that are.
    #[inline(always)]
    pub fn insert(&mut self, hash: u32, slot: Slot, hashes: &impl Hashes) {
        if self.len == self.max_len {
            self.grow(hashes);
        }
        self.len += 1;
        self.place(hash, slot);
    }

    /// Takes a slot out.
    #[inline(always)]
    pub fn remove(&mut self, hash: u32, slot: Slot) {
        let (home, tag) = (self.home(hash), tag_of(hash));
        let mut at = home;
        let place = loop {
            let chunk = &self.chunks[at];
            match chunk.with_tag(tag).find(|place| chunk.slots[*place] == Some(slot)) {
                Some(place) => break place,
                None if chunk.passed() == 0 => return,
                None => at = self.next(at),
            }
        };
        self.chunks[at].set(place, VACANT, None);
        self.len -= 1;
        let mut passed = home;
        while passed != at {
            let chunk = &mut self.chunks[passed];
            chunk.set_passed(chunk.passed() - 1);
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
    #[inline(never)]
    fn grow(&mut self, hashes: &impl Hashes) {
        let old_len = self.chunks.len();
        self.chunks.resize(2 * old_len, EMPTY);
        self.max_len = max_len(2 * old_len);
        let mut strayed = Vec::new();
        for at in 0..old_len {
            for slot in self.chunks[at + 1].slots.iter().flatten() {
                hashes.prefetch(*slot);
            }
            self.chunks[at].set_passed(0);
            for (place, slot) in self.chunks[at].slots.into_iter().enumerate() {
                let Some(slot) = slot else { continue };
                let hash = hashes.hash(slot);
                let home = self.home(hash);
                if home == at {
                    continue;
                }
                self.chunks[at].set(place, VACANT, None);
                if home == at + old_len {
                    self.chunks[home].set(place, tag_of(hash), Some(slot));
                } else {
                    strayed.push((hash, slot));
                }
            }
        }
        for (hash, slot) in strayed {
            self.place(hash, slot);
        }
    }

    #[inline(always)]
    fn place(&mut self, hash: u32, slot: Slot) {
        let mut at = self.home(hash);
        loop {
            let chunk = &mut self.chunks[at];
            if let Some(place) = chunk.vacancy() {
                return chunk.set(place, tag_of(hash), Some(slot));
            }
            chunk.set_passed(chunk.passed() + 1);
            at = self.next(at);
        }
    }

    #[inline(always)]
    fn home(&self, hash: u32) -> usize {
        hash as usize & (self.chunks.len() - 1)
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
    use std::cell::RefCell;
    use std::collections::HashMap;

    /// The hash of each slot.
    impl<F: Fn(Slot) -> u32> Hashes for F {
        fn hash(&self, slot: Slot) -> u32 {
            self(slot)
        }
        fn prefetch(&self, _: Slot) {}
    }

    proptest! {
        /// Few different hashes, so that probes run into each other; every answer is checked against a map.
        #[test]
        fn it_finds_what_is_in_it_and_nothing_else(steps in prop::collection::vec((any::<bool>(), 0..40u32, 0..50u32), 0..4000)) {
            let (mut index, mut model) = (Index::with_room_for(50), HashMap::new());
            for (add, hash, number) in steps {
                // hashes at the end of the smallest index make searches go round
                let (hash, slot) = ((hash % 4 + 124) | (hash % 3) << 24, Slot::new(number));
                if add && !model.contains_key(&slot) {
                    model.insert(slot, hash);
                    index.insert(hash, slot, &|slot| model[&slot]);
                } else if !add && model.get(&slot) == Some(&hash) {
                    model.remove(&slot);
                    index.remove(hash, slot);
                }
                prop_assert_eq!(index.len(), model.len());
                for (slot, hash) in &model {
                    prop_assert_eq!(index.find(*hash, |found| found == *slot), Some(*slot));
                }
            }
            prop_assert_eq!(index.slots().count(), model.len());
            prop_assert_eq!(index.find(7, |_| true), None);
            for hash in (0..12).map(|hash| (hash % 4 + 124) | (hash % 3) << 24) {
                let may_be = RefCell::new(Vec::new());
                let first = index.guess(hash, |slot| may_be.borrow_mut().push(slot));
                prop_assert_eq!(first, may_be.borrow().first().copied());
                prop_assert!(may_be.borrow().iter().all(|slot| tag_of(model[slot]) == tag_of(hash)));
            }
        }
    }

    #[test]
    fn it_grows() {
        // with room for all, and without: then it moves
        for max_slots in [10_000, 0] {
            let mut index = Index::with_room_for(max_slots);
            let start = index.chunks.as_ptr();
            // a third of them, wherever they begin, begin in one of a few chunks: many stray, before it grows and after
            let hash = |number: u32| {
                let hash = number.wrapping_mul(0x9e37_79b9);
                if number.is_multiple_of(3) { hash & !0x78 } else { hash }
            };
            let hash_of = |slot: Slot| hash(slot.word().get() - 1);
            for number in 0..10_000 {
                index.insert(hash(number), Slot::new(number), &hash_of);
                if number.is_power_of_two() {
                    let found = |number| index.find(hash(number), |slot| slot == Slot::new(number));
                    assert!((0..=number).all(|number| found(number) == Some(Slot::new(number))));
                    assert_eq!(index.slots().count(), number as usize + 1);
                }
            }
            assert!(index.chunks.iter().any(|chunk| chunk.passed() > 0), "some strayed");
            assert_eq!(index.chunks.as_ptr() == start, max_slots > 0);
            for number in 0..10_000 {
                assert_eq!(index.find(hash(number), |slot| slot == Slot::new(number)), Some(Slot::new(number)));
                index.remove(hash(number), Slot::new(number));
            }
            assert_eq!((index.len(), index.slots().count()), (0, 0));
            assert!(index.chunks.iter().all(|chunk| chunk.passed() == 0));
        }
    }
}
