//! What happens to a packet between the capture and the batch: filter, bounds, save, decode.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{BATCH_PACKETS, Notice};
use crate::decode::{Observation, Portless, decode};
use crate::engine::RunEnd;
use crate::source::{Filter, Frame, Next, Save, Source};
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
#[derive(Debug)]
pub struct Intake<S> {
    source: S,
    filter: Option<Filter>,
    save: Option<Save>,
    bounds: Bounds,
    taken: u64,
    first_ts: Option<Timestamp>,
    unknown_links: Vec<LinkType>,
}

impl<S: Source> Intake<S> {
    /// Takes packets of `source` that match `filter`, within `bounds`, and writes them to `save` too.
    pub fn new(source: S, filter: Option<Filter>, save: Option<Save>, bounds: Bounds) -> Self {
        Self { source, filter, save, bounds, taken: 0, first_ts: None, unknown_links: Vec::new() }
    }

    /// Reads the next packets into an empty batch: until it is full, nothing can be read just now, or the end, which is
    /// returned. What users must be told goes to `notice`.
    pub(super) fn fill(
        &mut self,
        batch: &mut Vec<Observation>,
        stop: &AtomicBool,
        notice: &mut impl FnMut(Notice),
    ) -> Option<RunEnd> {
        if stop.load(Ordering::Relaxed) {
            return Some(self.end(RunEnd::Stopped, notice));
        }
        while batch.len() < BATCH_PACKETS {
            let frame = match self.source.next() {
                Ok(Next::Frame(frame)) => frame,
                Ok(Next::Idle) => return None,
                Ok(Next::End) => {
                    let end = if stop.load(Ordering::Relaxed) { RunEnd::Stopped } else { RunEnd::Complete };
                    return Some(self.end(end, notice));
                }
                Err(error) => {
                    notice(error.into());
                    continue;
                }
            };
            if let Some(filter) = &mut self.filter {
                match filter.matches(&frame) {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(error) => {
                        notice(error.into());
                        return Some(self.end(RunEnd::Stopped, notice));
                    }
                }
            }
            if self.bounds.is_past(frame.ts, self.first_ts) {
                return Some(self.end(RunEnd::Stopped, notice));
            }
            self.first_ts = self.first_ts.or(Some(frame.ts));
            let packet = decode(&frame);
            if packet.outcome == Err(Portless::UnknownLink) && !self.unknown_links.contains(&frame.link) {
                self.unknown_links.push(frame.link);
                notice(Notice::UnknownLink(frame.link));
            }
            if let Some(save) = &mut self.save {
                if let Err(error) = save.write(&frame) {
                    notice(Notice::Save(error));
                    self.save = None;
                }
            }
            batch.push(packet);
            self.taken += 1;
            if self.bounds.packets == Some(self.taken) {
                return Some(self.end(RunEnd::Stopped, notice));
            }
        }
        None
    }

    /// Completes the saved file; whatever the run's end, what was counted is in it.
    fn end(&mut self, end: RunEnd, notice: &mut impl FnMut(Notice)) -> RunEnd {
        if let Some(Err(error)) = self.save.take().map(Save::finish) {
            notice(Notice::Save(error));
        }
        if self.source.is_readable() { end } else { RunEnd::NothingReadable }
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
