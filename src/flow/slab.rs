//! Where flows are kept: what each packet touches in one array, and the rest in another, so that the first takes as little of
//! the cache as it can. They do not move as long as there is address space for all flows that there may be.

use std::num::NonZeroU32;

use super::{Details, Flow, FlowKey};
use crate::memory::room_for;

/// Where a flow is. Good until that flow ends; then it is given to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(NonZeroU32);

impl Slot {
    /// The slot with this number, which is counted from 0; the last number is nobody's.
    pub(super) fn new(number: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(number))
    }

    /// Its place in what is kept by slot, from 1 on: places need no arithmetic, and place 0 is for what has no slot.
    #[must_use]
    #[inline(always)]
    pub const fn index(self) -> usize {
        self.0.get() as usize
    }
}

/// Flows by slot; slots of flows that ended are given out again.
#[derive(Debug)]
pub struct Slab {
    /// The first is nobody's.
    flows: Vec<Flow>,
    /// As many.
    details: Vec<Details>,
    free: Vec<Slot>,
}

impl Slab {
    /// Takes address space for so many flows, if there is that much; memory itself is taken as flows come.
    pub fn with_room_for(max_flows: usize) -> Self {
        let len = max_flows.saturating_add(1);
        let (mut flows, mut details) = (room_for(len), room_for(len));
        flows.push(Flow::NOBODY);
        details.push(Details::NOBODY);
        Self { flows, details, free: Vec::new() }
    }

    /// Puts a flow somewhere.
    #[inline(always)]
    pub fn insert(&mut self, flow: Flow, details: Details) -> Slot {
        if let Some(slot) = self.free.pop() {
            self.set(slot, flow, details);
            return slot;
        }
        let slot = Slot::new(self.used());
        self.flows.push(flow);
        self.details.push(details);
        slot
    }

    /// Puts a flow into the place of another.
    #[inline(always)]
    pub fn set(&mut self, slot: Slot, flow: Flow, details: Details) {
        self.flows[slot.index()] = flow;
        self.details[slot.index()] = details;
    }

    /// Gives the slot of a flow that ended to another one.
    pub fn remove(&mut self, slot: Slot) {
        self.flows[slot.index()].key = FlowKey::NOTHING;
        self.free.push(slot);
    }

    /// The flow at `slot`.
    #[inline(always)]
    pub fn get(&self, slot: Slot) -> &Flow {
        &self.flows[slot.index()]
    }

    /// The flow at `slot`.
    #[inline(always)]
    pub fn get_mut(&mut self, slot: Slot) -> &mut Flow {
        &mut self.flows[slot.index()]
    }

    /// The details of the flow at `slot`.
    #[inline(always)]
    pub fn details(&self, slot: Slot) -> &Details {
        &self.details[slot.index()]
    }

    /// The details of the flow at `slot`.
    #[inline(always)]
    pub fn details_mut(&mut self, slot: Slot) -> &mut Details {
        &mut self.details[slot.index()]
    }

    /// All slots that are in use, in their order.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        (0..self.used()).map(Slot::new).filter(|slot| self.get(*slot).key != FlowKey::NOTHING)
    }

    #[expect(clippy::cast_possible_truncation, reason = "there are not more slots than numbers")]
    fn used(&self) -> u32 {
        self.flows.len() as u32 - 1
    }
}
