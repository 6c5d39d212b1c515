//! Where flows are kept: what each packet touches in one array, and the rest in another, so that the first takes as little of
//! the cache as it can. They do not move as long as there is address space for all flows that there may be.

use std::num::NonZeroU32;

use super::{Draft, Flow, FlowKey, Times};
use crate::memory::room_for;

/// Where a flow is. Good until that flow ends; then it is given to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(NonZeroU32);

impl Slot {
    /// The slot with this number, which is counted from 0; the last number is nobody's.
    pub(super) fn new(number: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(number))
    }

    /// The slot whose [`Slot::word`] this is.
    #[inline(always)]
    pub(super) fn from_word(word: u32) -> Self {
        Self(NonZeroU32::new(word).unwrap_or(NonZeroU32::MIN))
    }

    /// The slot as a word, which is never 0.
    #[inline(always)]
    pub(super) const fn word(self) -> NonZeroU32 {
        self.0
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
    times: Vec<Times>,
    /// As many, or none where no drafts are kept.
    drafts: Vec<Draft>,
    keeps_drafts: bool,
    free: Vec<Slot>,
}

impl Slab {
    /// Takes address space for so many flows, if there is that much; memory itself is taken as flows come.
    pub fn with_room_for(max_flows: usize, keeps_drafts: bool) -> Self {
        let len = max_flows.saturating_add(1);
        let drafts = if keeps_drafts { room_for(len) } else { Vec::new() };
        let mut slab = Self { flows: room_for(len), times: room_for(len), drafts, keeps_drafts, free: Vec::new() };
        slab.push(Flow::NOBODY, 0);
        slab
    }

    /// Puts a flow somewhere, whose first packet was within so many tunnels.
    #[inline(always)]
    pub fn insert(&mut self, flow: Flow, tunnels: u8) -> Slot {
        if let Some(slot) = self.free.pop() {
            self.set(slot, flow, tunnels);
            return slot;
        }
        let slot = Slot::new(self.used());
        self.push(flow, tunnels);
        slot
    }

    fn push(&mut self, flow: Flow, tunnels: u8) {
        self.times.push(Times::of_first(flow.last_ts));
        if self.keeps_drafts {
            self.drafts.push(Draft::of_first(flow.last_ts, tunnels));
        }
        self.flows.push(flow);
    }

    /// Puts a flow into the place of another.
    #[inline(always)]
    pub fn set(&mut self, slot: Slot, flow: Flow, tunnels: u8) {
        self.times[slot.index()] = Times::of_first(flow.last_ts);
        if let Some(draft) = self.draft_mut(slot) {
            *draft = Draft::of_first(flow.last_ts, tunnels);
        }
        self.flows[slot.index()] = flow;
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

    /// The times of the flow at `slot`.
    #[inline(always)]
    pub fn times(&self, slot: Slot) -> &Times {
        &self.times[slot.index()]
    }

    /// The times of the flow at `slot`.
    #[inline(always)]
    pub fn times_mut(&mut self, slot: Slot) -> &mut Times {
        &mut self.times[slot.index()]
    }

    /// The draft of the record of the flow at `slot`, where drafts are kept.
    #[inline(always)]
    pub fn draft(&self, slot: Slot) -> Option<&Draft> {
        self.drafts.get(slot.index())
    }

    /// The draft of the record of the flow at `slot`, where drafts are kept.
    #[inline(always)]
    pub fn draft_mut(&mut self, slot: Slot) -> Option<&mut Draft> {
        self.drafts.get_mut(slot.index())
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
