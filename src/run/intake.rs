//! What happens to a packet between the capture and the batch: filter, bounds, save, decode.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::batch::{Batch, Frames};
use super::{BATCH_BYTES, BATCH_PACKETS, Notice};
use crate::decode::{Decoder, Observation, Observer, Portless};
use crate::engine::RunEnd;
use crate::flow::{Keyer, Packet};
use crate::source::{Filter, Frame, Interface, Pause, ReadAhead, Save, Source};
use crate::units::{LinkType, Timestamp};

/// How much of the input is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// At most this many packets.
    pub packets: Option<u64>,
    /// Nothing later than this after the first packet.
    pub duration: Option<Duration>,
}

/// A source, and what is done with its packets before they are counted.
pub struct Intake<S> {
    source: S,
    decoder: Decoder,
    keyer: Keyer,
    choice: Choice,
    saving: Saving,
    /// At most this many packets.
    limit: Option<u64>,
    taken: u64,
    /// The same, for others to see.
    counter: Arc<AtomicU64>,
    unknown_links: Vec<LinkType>,
}

/// Which packets are taken.
struct Choice {
    filter: Option<Filter>,
    /// Link types that the filter makes no sense for.
    unfiltered_links: Vec<LinkType>,
    /// Nothing later than this after the first packet.
    duration: Option<Duration>,
    first_ts: Option<Timestamp>,
}

/// What becomes of the frames that are taken, beside being counted.
#[derive(Default)]
pub enum Saving {
    /// Nothing.
    #[default]
    Not,
    /// They are saved.
    To(Box<Save>),
    /// They are copied along with the packets, for whoever brings those of several sources into an order.
    Along,
}

impl<S: Source> Intake<S>
where
    Notice: From<S::Error>,
{
    /// Takes packets of `source` that match `filter`, within `bounds`, saves them too, has them read by `decoder`, and makes
    /// them ready for the engine that `keyer` is of.
    pub fn new(
        source: S,
        decoder: Decoder,
        keyer: Keyer,
        filter: Option<Filter>,
        saving: Saving,
        bounds: Bounds,
    ) -> Self {
        let Bounds { packets: limit, duration } = bounds;
        let choice = Choice { filter, unfiltered_links: Vec::new(), duration, first_ts: None };
        let (taken, counter) = (0, Arc::default());
        Self { source, decoder, keyer, choice, saving, limit, taken, counter, unknown_links: Vec::new() }
    }

    /// Counts the packets that are taken, a batch at a time.
    #[must_use]
    pub fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.counter)
    }

    /// Reads the next packets into an empty batch: until it is full, nothing can be read just now, or the end, which is
    /// returned. What users must be told goes to `notice`.
    pub(super) fn fill(
        &mut self,
        batch: &mut Batch,
        stop: &AtomicBool,
        notice: &mut impl FnMut(Notice),
    ) -> Option<RunEnd> {
        if stop.load(Ordering::Relaxed) {
            return Some(self.end(RunEnd::Stopped, notice));
        }
        let taken_before = self.taken;
        let left = self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(taken_before));
        let full_len = usize::try_from(left).map_or(BATCH_PACKETS, |left| left.min(BATCH_PACKETS));
        loop {
            let Self { source, decoder, keyer, choice, saving, unknown_links, .. } = self;
            // what is rarely asked for is asked of a copy: then the frame itself need not be in memory
            let (takes_all, saves) = (choice.takes_all(), !matches!(saving, Saving::Not));
            let mut is_past = false;
            let pause = source.read(&mut |frame, interfaces| {
                if !takes_all {
                    match choice.takes(*frame, notice) {
                        ControlFlow::Continue(true) => {}
                        ControlFlow::Continue(false) => return ControlFlow::Continue(()),
                        ControlFlow::Break(()) => {
                            is_past = true;
                            return ControlFlow::Break(());
                        }
                    }
                }
                let is_unknown = decoder.decode_to(frame, Batching { keyer, packets: &mut batch.packets });
                if is_unknown && !unknown_links.contains(&frame.link) {
                    unknown_links.push(frame.link);
                    notice(Notice::UnknownLink(frame.link));
                }
                let mut is_full = batch.packets.len() >= full_len;
                if saves {
                    saving.save(*frame, interfaces, &mut batch.frames, notice);
                    is_full |= batch.frames.len_bytes() >= BATCH_BYTES;
                }
                if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            self.taken = taken_before + batch.packets.len() as u64;
            self.counter.store(self.taken, Ordering::Relaxed);
            return match pause {
                Err(error) => {
                    notice(error.into());
                    continue;
                }
                Ok(Pause::End) => {
                    let end = if stop.load(Ordering::Relaxed) { RunEnd::Stopped } else { RunEnd::Complete };
                    Some(self.end(end, notice))
                }
                Ok(_) if is_past || self.limit == Some(self.taken) => Some(self.end(RunEnd::Stopped, notice)),
                Ok(Pause::Enough | Pause::Idle) => None,
            };
        }
    }

    /// Packets are saved: there is something to read them for, even when nobody takes the reports.
    pub(super) fn saves(&self) -> bool {
        matches!(self.saving, Saving::To(_))
    }

    /// What may be read before it is asked for.
    pub(super) fn read_ahead(&self) -> ReadAhead {
        self.source.read_ahead()
    }

    /// Where the packets come from.
    pub(super) fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// Completes the saved file; whatever the run's end, what was counted is in it.
    fn end(&mut self, end: RunEnd, notice: &mut impl FnMut(Notice)) -> RunEnd {
        if let Saving::To(file) = std::mem::take(&mut self.saving)
            && let Err(error) = file.finish()
        {
            notice(Notice::Save(error));
        }
        // who stops before anything came gets a report of nothing
        if self.source.is_readable() || end == RunEnd::Stopped { end } else { RunEnd::NothingReadable }
    }
}

/// Adds what is observed to a batch; tells whether that is a packet of an unknown link type.
struct Batching<'b> {
    keyer: &'b Keyer,
    packets: &'b mut Vec<Packet>,
}

impl Observer for Batching<'_> {
    type Made = bool;

    #[inline(always)]
    fn observe(self, observed: &Observation) -> bool {
        self.packets.push(self.keyer.packet(observed));
        observed.outcome == Err(Portless::UnknownLink)
    }
}

impl Choice {
    /// Every packet is.
    const fn takes_all(&self) -> bool {
        self.filter.is_none() && self.duration.is_none()
    }

    /// Whether a packet is; a break ends all that are. What users must be told goes to `notice`.
    #[inline(never)]
    fn takes(&mut self, frame: Frame<'_>, notice: &mut impl FnMut(Notice)) -> ControlFlow<(), bool> {
        if let Some(filter) = &mut self.filter {
            if self.unfiltered_links.contains(&frame.link) {
                return ControlFlow::Continue(false);
            }
            match filter.matches(&frame) {
                Ok(true) => {}
                Ok(false) => return ControlFlow::Continue(false),
                Err(error) => {
                    self.unfiltered_links.push(frame.link);
                    notice(error.into());
                    return ControlFlow::Continue(false);
                }
            }
        }
        let since_first = u128::from(frame.ts.nanos_since(*self.first_ts.get_or_insert(frame.ts)));
        match self.duration {
            Some(duration) if since_first > duration.as_nanos() => ControlFlow::Break(()),
            _ => ControlFlow::Continue(true),
        }
    }
}

impl Saving {
    /// Saves a frame, or has it go along as one of `frames`. What goes wrong goes to `notice`, once.
    #[inline(never)]
    fn save(
        &mut self,
        frame: Frame<'_>,
        interfaces: &[Interface],
        frames: &mut Frames,
        notice: &mut impl FnMut(Notice),
    ) {
        match self {
            Self::Not => {}
            Self::To(file) => {
                if let Err(error) = file.write(&frame, &interfaces[frame.interface as usize]) {
                    notice(Notice::Save(error));
                    *self = Self::Not;
                }
            }
            Self::Along => frames.push(&frame),
        }
    }
}
