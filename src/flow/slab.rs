//! Where flows are kept: in chunks that never move, so that growing copies nothing.

use std::num::NonZeroU32;

use super::Flow;

/// Flows in a chunk: four megabytes of them.
const CHUNK_FLOWS: usize = 32_768;

/// Where a flow is. Good until that flow ends; then it is given to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(NonZeroU32);

impl Slot {
    /// The slot with this number, counted from 0; the last number is nobody's, so that `Option<Slot>` takes four bytes.
    pub(super) fn new(number: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(number))
    }

    /// Its place among all slots, which are given out from 0 on.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    const fn chunk(self) -> usize {
        self.index() / CHUNK_FLOWS
    }

    const fn place(self) -> usize {
        self.index() % CHUNK_FLOWS
    }
}

/// Flows by slot; slots of flows that ended are given out again.
#[derive(Debug, Default)]
pub struct Slab {
    chunks: Vec<Vec<Flow>>,
    free: Vec<Slot>,
    used: u32,
}

impl Slab {
    /// Puts a flow somewhere.
    pub fn insert(&mut self, flow: Flow) -> Slot {
        if let Some(slot) = self.free.pop() {
            *self.get_mut(slot) = flow;
            return slot;
        }
        let slot = Slot::new(self.used);
        self.used += 1;
        if slot.chunk() == self.chunks.len() {
            self.chunks.push(Vec::with_capacity(CHUNK_FLOWS));
        }
        self.chunks[slot.chunk()].push(flow);
        slot
    }

    /// Gives the slot of a flow that ended to another one.
    pub fn remove(&mut self, slot: Slot) {
        self.free.push(slot);
    }

    /// The flow at `slot`.
    #[inline(always)]
    pub fn get(&self, slot: Slot) -> &Flow {
        &self.chunks[slot.chunk()][slot.place()]
    }

    /// The flow at `slot`.
    #[inline(always)]
    pub fn get_mut(&mut self, slot: Slot) -> &mut Flow {
        &mut self.chunks[slot.chunk()][slot.place()]
    }

    /// All slots that were ever in use, in their order.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.used).map(Slot::new)
    }
}
