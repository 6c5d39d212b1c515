//! A live run: a thread for each device captures and decodes, one counts, and the caller's writes.
//!
//! A single device's packets are counted by the thread that captures them, while they are in its processor's cache. Several
//! devices are brought into the order of packet time before they are counted, so that a flow which takes one way out and
//! another back is seen as it was. Time goes on when nothing passes: each capturing thread says up to when it has handed
//! everything over, and the earliest of that is the time that the engine is told.
//!
//! Capturing waits for nobody but the counting, and that for nobody at all: what its readers do not take in time is left
//! out, and counted.

mod counting;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::batch::Batch;
use super::merge::Merge;
use super::{
    BATCH_PACKETS, Bounds, Delivery, Intake, Notice, Outcome, PROGRESS_TICK, QUEUE, Saving, spawn,
    stop_when_nobody_reads,
};
use crate::decode::Decoder;
use crate::engine::Engine;
use crate::source::live::{Device, Losses, Together};
use crate::source::{Frame, Interface, LISTENERS_INTERVAL, ListenerSet, Listeners, Save, SaveError};
use counting::{Counters, Counting, Parcel, Reporting};

/// Reports on their way: enough for readers that pause for a moment, as a disk does.
const REPORTS: usize = 64;

/// One capturing thread's device, and which of the source's names it has.
pub struct Lane {
    /// What is captured from.
    pub device: Device,
    /// The place of its interface among the names of the source; several devices may share one.
    pub interface: usize,
}

/// What a live run is made of.
pub struct LiveRun {
    /// At least one.
    pub lanes: Vec<Lane>,
    /// What reads the headers; each lane has one of its own.
    pub outer: bool,
    /// What counts.
    pub engine: Engine,
    /// Where the frames are saved.
    pub save: Option<LiveSave>,
    /// When it ends by itself.
    pub bounds: Bounds,
    /// What tells which sockets of this host listen.
    pub listeners: Option<Listeners>,
}

/// What comes from outside while it runs.
#[derive(Debug)]
pub struct Controls {
    /// Shared with the devices: the run ends in order once its `stop` is set.
    pub together: Arc<Together>,
    /// Somebody wants the counters on standard error; reset when they are printed.
    pub print_counters: Arc<AtomicBool>,
}

/// Saves the frames of several interfaces to one file.
pub struct LiveSave {
    file: Save,
    /// Those that the file knows, by its number for them.
    interfaces: Vec<Interface>,
}

impl LiveSave {
    /// Creates the file, or a row of them that are no longer than `limit_bytes`; see [`Save::create`].
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(path: &Path, limit_bytes: Option<u64>) -> Result<Self, SaveError> {
        Save::create(path, limit_bytes).map(|file| Self { file, interfaces: Vec::new() })
    }

    fn write(&mut self, frame: &Frame<'_>, interface: &Interface) -> Result<(), SaveError> {
        let known = self.interfaces.iter().position(|known| known == interface);
        let at = known.unwrap_or_else(|| {
            self.interfaces.push(interface.clone());
            self.interfaces.len() - 1
        });
        let frame = Frame { interface: u32::try_from(at).unwrap_or(u32::MAX), ..*frame };
        self.file.write(&frame, interface)
    }

    fn flush(&mut self) -> Result<(), SaveError> {
        self.file.flush()
    }
}

/// Captures until it is told to stop, the bounds are reached, or no interface is left, and delivers what there is to say.
pub fn run_live(run: LiveRun, delivery: &mut Delivery, controls: &Controls) -> Outcome {
    let LiveRun { lanes, outer, mut engine, save, bounds, listeners } = run;
    let stop = &*controls.together.stop;
    let counters = Counters::default();
    delivery.expect_saving(save.is_some());
    delivery.start_apart();
    let deadline = bounds.duration.and_then(|duration| Instant::now().checked_add(duration));
    // what listens is known before the first packet
    let mut listening = listeners.map(Listening::new);
    if let Some(listeners) = Listening::read_when_due(&mut listening, delivery) {
        engine.set_listeners(listeners);
    }
    let (parcels, to_count) = sync_channel(QUEUE * lanes.len());
    let (reports, to_write) = sync_channel(REPORTS);
    // there are few, and none may be lost, or hold up whoever has it
    let (notices, news) = channel();
    let interfaces = lanes.iter().map(|lane| lane.interface).collect();
    let saves = save.is_some();
    let (recycle, captures): (Vec<_>, Vec<_>) = lanes
        .into_iter()
        .enumerate()
        .map(|(number, lane)| {
            let saving = if saves { Saving::Along } else { Saving::Not };
            let intake = Intake::new(lane.device, Decoder::new(outer), engine.keyer(), None, saving, Bounds::default());
            let (empty, to_fill) = sync_channel(QUEUE + 2);
            (empty, Capture { lane: number, intake, to_fill, notices: notices.clone() })
        })
        .unzip();
    let counting = Counting {
        merge: Merge::new(recycle.len()),
        lanes: interfaces,
        save,
        packets_left: bounds.packets.unwrap_or(u64::MAX),
        recycle,
        due: Vec::with_capacity(BATCH_PACKETS),
        counters: &counters,
        together: &controls.together,
        after_end: 0,
        reporting: Reporting::new(reports, delivery.take_feed()),
        notices,
    };
    thread::scope(|scope| {
        // a run lacks what a thread that cannot be started would have captured: it has failed, and ends in order
        let started = match <[Capture; 1]>::try_from(captures) {
            Ok([capture]) => spawn(scope, "capture", move || counting.run_alone(&mut engine, &to_count, capture)),
            Err(captures) => {
                let mut started = spawn(scope, "count", move || counting.run(&mut engine, &to_count));
                for capture in captures {
                    let (lane, takes) = (capture.lane, parcels.clone());
                    let run = move || capture.run(|parcel| takes.send(parcel).is_ok());
                    started = started.and_then(|()| spawn(scope, "capture", run));
                    if started.is_err() {
                        let losses = Losses { received: 0, kernel: 0, interface: None };
                        // there is room for one of each, though nobody may take it
                        drop(parcels.send(Parcel::End { lane, losses }));
                    }
                }
                started
            }
        };
        if let Err(error) = started {
            stop.store(true, Ordering::Relaxed);
            delivery.failed(&format!("cannot start a thread: {error}"));
        }
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match to_write.recv_timeout(left.unwrap_or(PROGRESS_TICK).min(PROGRESS_TICK).max(Duration::from_millis(1)))
            {
                Ok((events, _place)) => delivery.events(events),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            for notice in news.try_iter() {
                delivery.notice(&notice);
            }
            if left.is_some_and(|left| left.is_zero()) {
                stop.store(true, Ordering::Relaxed);
            }
            if controls.print_counters.swap(false, Ordering::Relaxed) {
                counters.lines().iter().for_each(|line| delivery.line(line));
            }
            if let Some(listeners) = Listening::read_when_due(&mut listening, delivery) {
                // a counting thread that is too busy for it goes by what it knows until the next time
                drop(parcels.try_send(Parcel::Listeners(listeners)));
            }
            delivery.tick();
            stop_when_nobody_reads(delivery, stop);
        }
        for notice in news.try_iter() {
            delivery.notice(&notice);
        }
    });
    let outcome = delivery.finish_with(counters.lines());
    Outcome { none_left: controls.together.none_left(), ..outcome }
}

/// Reads again and again which sockets listen.
struct Listening {
    listeners: Listeners,
    due: Instant,
    /// It was said that some sockets are not known.
    told_cut: bool,
}

impl Listening {
    fn new(listeners: Listeners) -> Self {
        Self { listeners, due: Instant::now(), told_cut: false }
    }

    /// Which sockets listen, when it is time to look. Where that fails, it is told, and not tried again.
    fn read_when_due(this: &mut Option<Self>, delivery: &mut Delivery) -> Option<ListenerSet> {
        let listening = this.as_mut()?;
        let now = Instant::now();
        if now < listening.due {
            return None;
        }
        listening.due = now + LISTENERS_INTERVAL;
        match listening.listeners.read() {
            Ok(listeners) => {
                if listeners.cut_files() > 0 && !std::mem::replace(&mut listening.told_cut, true) {
                    delivery.notice(&Notice::ListenersCut);
                }
                Some(listeners)
            }
            Err(error) => {
                delivery.notice(&error.into());
                *this = None;
                None
            }
        }
    }
}

/// What a thread captures with.
struct Capture {
    lane: usize,
    intake: Intake<Device>,
    /// Batches to use again.
    to_fill: Receiver<Batch>,
    notices: Sender<Notice>,
}

impl Capture {
    /// Captures from the device until it ends, or nobody takes what it has.
    fn run(mut self, mut hand_over: impl FnMut(Parcel) -> bool) {
        // the device itself knows when to stop: it has something to hand over then
        let never = AtomicBool::new(false);
        let lane = self.lane;
        loop {
            // losses go first: they belong to the interval that the packets may end
            let losses = self.intake.source_mut().losses();
            let mut batch = self.to_fill.try_recv().unwrap_or_default();
            let end = self.intake.fill(&mut batch, &never, &mut |notice| drop(self.notices.send(notice)));
            let device = self.intake.source_mut();
            if !batch.frames.is_empty() {
                batch.interface = device.interface().cloned();
            }
            let through = device.through();
            // nobody takes it only when the other thread is gone, and then the scope ends with its panic
            if !hand_over(Parcel::Captured { lane, losses, batch, through }) {
                return;
            }
            if end.is_some() {
                let losses = self.intake.source_mut().losses();
                hand_over(Parcel::End { lane, losses });
                return;
            }
        }
    }
}
