//! What happens to a packet between the capture and the batch: filter, bounds, save, decode.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::batch::Batch;
use super::{BATCH_BYTES, BATCH_PACKETS, Notice};
use crate::decode::{Decoder, Observation, Observer, Portless};
use crate::engine::RunEnd;
use crate::flow::{Keyer, Packet};
use crate::source::{Filter, Pause, Save, Source};
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
    filter: Option<Filter>,
    saving: Saving,
    bounds: Bounds,
    taken: u64,
    first_ts: Option<Timestamp>,
    unknown_links: Vec<LinkType>,
    /// Link types that the filter makes no sense for.
    unfiltered_links: Vec<LinkType>,
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
        Self {
            source,
            decoder,
            keyer,
            filter,
            saving,
            bounds,
            taken: 0,
            first_ts: None,
            unknown_links: Vec::new(),
            unfiltered_links: Vec::new(),
        }
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
        loop {
            let Self {
                source,
                decoder,
                keyer,
                filter,
                saving,
                bounds,
                taken,
                first_ts,
                unknown_links,
                unfiltered_links,
            } = self;
            let mut stopped = false;
            let pause = source.read(&mut |frame, interfaces| {
                if let Some(filter) = filter {
                    if unfiltered_links.contains(&frame.link) {
                        return ControlFlow::Continue(());
                    }
                    match filter.matches(frame) {
                        Ok(true) => {}
                        Ok(false) => return ControlFlow::Continue(()),
                        Err(error) => {
                            unfiltered_links.push(frame.link);
                            notice(error.into());
                            return ControlFlow::Continue(());
                        }
                    }
                }
                if bounds.is_past(frame.ts, *first_ts) {
                    stopped = true;
                    return ControlFlow::Break(());
                }
                let is_unknown = decoder.decode_to(frame, Batching { keyer, packets: &mut batch.packets });
                if is_unknown && !unknown_links.contains(&frame.link) {
                    unknown_links.push(frame.link);
                    notice(Notice::UnknownLink(frame.link));
                }
                match saving {
                    Saving::Not => {}
                    Saving::To(file) => {
                        if let Err(error) = file.write(frame, &interfaces[frame.interface as usize]) {
                            notice(Notice::Save(error));
                            *saving = Saving::Not;
                        }
                    }
                    Saving::Along => batch.frames.push(frame),
                }
                first_ts.get_or_insert(frame.ts);
                *taken += 1;
                stopped = bounds.packets == Some(*taken);
                let is_full = batch.packets.len() >= BATCH_PACKETS || batch.frames.len_bytes() >= BATCH_BYTES;
                if stopped || is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            return match pause {
                Err(error) => {
                    notice(error.into());
                    continue;
                }
                Ok(Pause::End) => {
                    let end = if stop.load(Ordering::Relaxed) { RunEnd::Stopped } else { RunEnd::Complete };
                    Some(self.end(end, notice))
                }
                Ok(_) if stopped => Some(self.end(RunEnd::Stopped, notice)),
                Ok(Pause::Enough | Pause::Idle) => None,
            };
        }
    }

    /// Packets are saved: there is something to read them for, even when nobody takes the reports.
    pub(super) fn saves(&self) -> bool {
        matches!(self.saving, Saving::To(_))
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

impl Bounds {
    /// A packet at `ts` is later than wanted.
    fn is_past(&self, ts: Timestamp, first_ts: Option<Timestamp>) -> bool {
        match (self.duration, first_ts) {
            (Some(duration), Some(first_ts)) => u128::from(ts.nanos_since(first_ts)) > duration.as_nanos(),
            _ => false,
        }
    }
}
